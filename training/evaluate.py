"""Measures both models on the real sets: python -m training.evaluate

The sets are never trained on, save four fifths of plates-ro for the detector.
No plate text is printed unless --misses is given (for one's own eyes).
"""

import argparse
import collections
import csv
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np

from . import pipeline
from .common import RUNS
from .detector_data import DATA, frames_of
from .export import MODELS

SIZES = {"640x384": (640, 384), "1280x736": (1280, 736)}
MERGE = str.maketrans("OIB", "018")


def wilson(good, total):
    """Share in per cent with its 95 % Wilson interval."""
    if not total:
        return [0, 0, 0.0, 0.0, 0.0]
    z, p = 1.96, good / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return [good, total, round(100 * p, 1), round(100 * (middle - half), 1), round(100 * (middle + half), 1)]


def rows_of(name):
    with (DATA / name / "groundtruth.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def load(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def grey_of(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def distance(a, b):
    """Edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


class Readings:
    """Collects truths and readings; gives strict, merged, CER and coverage."""

    def __init__(self):
        self.items = []

    def add(self, name, truth, text, sure):
        self.items.append((name, truth, text, sure))

    def figures(self):
        n = len(self.items)
        strict = sum(t == r for _, t, r, _ in self.items)
        merged = sum(t.translate(MERGE) == r.translate(MERGE) for _, t, r, _ in self.items)
        errors = sum(min(1.0, distance(t, r) / len(t)) for _, t, r, _ in self.items)
        return {"strict": wilson(strict, n), "merged": wilson(merged, n), "cer": round(100 * errors / max(n, 1), 2)}

    def misses(self):
        return [item for item in self.items if item[1] != item[2]]


def corners_of(row):
    """True corners if labelled, else those of the box."""
    if "x0" in row and row["x0"]:
        return [float(row[k]) for k in ("x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3")]
    x, y, w, h = (float(row[k]) for k in "xywh")
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def read_crops(reader, name):
    """Reading only, on the true corners."""
    result = Readings()
    for row in rows_of(name):
        grey = grey_of(load(DATA / name / row["file"]))
        result.add(row["file"], row["plate"], *pipeline.read_plate(reader, grey, corners_of(row)))
    return result


def read_whole(reader, group):
    """Reading only, on the loose crops of crops-eu."""
    result = Readings()
    for row in rows_of("crops-eu"):
        if row["group"] == group:
            grey = grey_of(load(DATA / "crops-eu" / row["file"]))
            small = pipeline.rectify(grey, [[0, 0], [grey.shape[1], 0], [grey.shape[1], grey.shape[0]],
                                            [0, grey.shape[0]]], pipeline.WIDE, pipeline.HIGH)
            result.add(row["file"], row["plate"], *pipeline.read(reader, [small])[0])
    return result


def end_to_end(detector, reader, name, size, threshold):
    """Detection and reading: the surest reading on the labelled box counts."""
    result, at5, at3, found, extra = Readings(), 0, 0, 0, 0
    rows = rows_of(name)
    for row in rows:
        image = load(DATA / name / row["file"])
        x, y, w, h = (float(row[k]) for k in "xywh")
        truth = (x, y, x + w, y + h)
        best, text, weight = 0.0, ("", 0.0), 0.0
        for plate in pipeline.detect(detector, image, size, threshold):
            iou = pipeline.overlap(plate[1:5], truth)
            cx, cy = (plate[1] + plate[3]) / 2, (plate[2] + plate[4]) / 2
            if iou >= 0.3 or (x < cx < x + w and y < cy < y + h):
                best = max(best, iou)
                reading = pipeline.read_plate(reader, grey_of(image), plate[5:])
                # Certainty of being a plate and of the reading, together.
                if plate[0] * reading[1] > weight:
                    text, weight = reading, plate[0] * reading[1]
                found += best == iou
            else:
                extra += 1
        at5, at3 = at5 + int(best >= 0.5), at3 + int(best >= 0.3)
        result.add(row["file"], row["plate"], *text)
    figures = result.figures()
    figures.update(recall50=wilson(at5, len(rows)), recall30=wilson(at3, len(rows)),
                   extra=round(extra / len(rows), 2))
    return result, figures


def vote(result):
    """The text with the largest summed certainty of a vehicle's frames."""
    tracks = collections.defaultdict(collections.Counter)
    for name, truth, text, sure in result.items:
        vehicle = name.rsplit(".", 1)[0].rsplit("_", 2)[0]
        tracks[(vehicle, truth)][text] += sure
    good = sum(votes.most_common(1)[0][0] == truth for (_, truth), votes in tracks.items())
    return wilson(good, len(tracks))


def reliability(results):
    """Per confidence: share of readings kept and how many of them are right."""
    items = [item for result in results for item in result.items]
    table = []
    for limit in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99):
        kept = [item for item in items if item[3] >= limit]
        table.append([limit, len(kept), len(items), sum(t == r for _, t, r, _ in kept)])
    return table


def detection(detector, size, threshold):
    """plates-ro, the held-out fifth: recall, and boxes on no labelled plate."""
    at5 = at3 = total = extra = 0
    frames = frames_of("held")
    for path, boxes in frames:
        plates = pipeline.detect(detector, load(path), size, threshold)
        overlaps = np.zeros((len(boxes), len(plates)))
        for i, (x, y, w, h) in enumerate(boxes):
            overlaps[i] = [pipeline.overlap(p[1:5], (x, y, x + w, y + h)) for p in plates]
        best = overlaps.max(1) if len(plates) else np.zeros(len(boxes))
        at5, at3, total = at5 + (best >= 0.5).sum(), at3 + (best >= 0.3).sum(), total + len(boxes)
        if len(plates):
            extra += int((overlaps.max(0) < 0.3).sum())
    return {"recall50": wilson(int(at5), total), "recall30": wilson(int(at3), total),
            "extra": round(extra / len(frames), 2), "frames": len(frames)}


def speed(detector, reader):
    """Median milliseconds of one picture and one plate."""
    def median(run, count):
        run()
        times = []
        for _ in range(count):
            start = time.perf_counter()
            run()
            times.append(1000 * (time.perf_counter() - start))
        return round(float(np.median(times)), 2)
    small = np.random.rand(1, 3, 384, 640).astype(np.float32)
    large = np.random.rand(1, 3, 736, 1280).astype(np.float32)
    plate = np.random.rand(1, 1, 32, 128).astype(np.float32)
    return {"detector_640x384": median(lambda: detector.run(None, {"image": small}), 40),
            "detector_1280x736": median(lambda: detector.run(None, {"image": large}), 10),
            "reader": median(lambda: reader.run(None, {"plates": plate}), 80)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--threshold", type=float, default=0.6, help="as training.threshold chose it")
    parser.add_argument("--misses", action="store_true", help="print wrong readings (never commit them)")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"nothing was measured: {DATA} is not here")
        (RUNS / "accuracy.json").unlink(missing_ok=True)
        return
    reader = pipeline.session(options.models / "plate-reader" / "model.onnx")
    out, shown = {"threshold": options.threshold}, {}
    for group in ("be", "o"):
        shown[f"crops-eu {group}"] = read_whole(reader, group)
    for name in ("plates-eu", "plates-nl"):
        shown[f"{name} true corners"] = read_crops(reader, name)
    out.update({key: value.figures() for key, value in shown.items()})
    out["plates-nl true corners"]["vote"] = vote(shown["plates-nl true corners"])
    path = options.models / "plate-detector" / "model.onnx"
    if path.exists():
        detector, whole = pipeline.session(path), []
        for label, size in SIZES.items():
            out[f"plates-ro held-out {label}"] = detection(detector, size, options.threshold)
            for name in ("plates-eu", "plates-nl"):
                result, figures = end_to_end(detector, reader, name, size, options.threshold)
                if name == "plates-nl":
                    figures["vote"] = vote(result)
                shown[f"{name} end to end {label}"], out[f"{name} end to end {label}"] = result, figures
                whole += [result] if label == "640x384" else []
        out["reliability end to end 640x384"] = reliability(whole)
        out["milliseconds one thread"] = speed(detector, reader)
    for key, value in out.items():
        print(key, json.dumps(value))
    (RUNS / "accuracy.json").write_text(json.dumps(out, indent=1) + "\n")
    if options.misses:
        for key, result in shown.items():
            for item in result.misses():
                print(key, *item)


if __name__ == "__main__":
    main()
