"""Chooses the detector's thresholds on rendered scenes alone: python -m training.threshold

For each input size, the share of drawn plates found and the boxes on nothing,
by score; the lowest score with few enough of the latter is chosen. The scenes
hold about one decoy each, far more than a street. Pictures of the evaluation
sets are not looked at.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

from . import detector_data, pipeline, scenes
from .atlas import Atlas
from .common import RUNS
from .export import MODELS

SEED = 55_021
LEVELS = [round(0.3 + 0.05 * i, 2) for i in range(12)]
FALSE_MOST = 0.1   # boxes on nothing a rendered picture


def scene(rng, atlas, backdrops, wide, high):
    """A rendered picture of that size and the boxes drawn in it: [(box, whether it is cut off)]."""
    if wide > 640:
        # Scenes are drawn no larger; four stand side by side.
        parts = [scene(rng, atlas, backdrops, wide // 2, high // 2) for _ in range(4)]
        shifts = [(0, 0), (wide // 2, 0), (0, high // 2), (wide // 2, high // 2)]
        (a, _), (b, _), (c, _), (d, _) = parts
        drawn = [(box + (x, y, x, y), cut) for (_, boxes), (x, y) in zip(parts, shifts) for box, cut in boxes]
        return np.vstack([np.hstack([a, b]), np.hstack([c, d])]), drawn
    image, rows = detector_data.rendered(rng, atlas, backdrops, wide)
    top = rng.randint(0, wide - high)
    image = detector_data.photograph(image, rng, 0.85)[top:top + high]
    boxes = [np.array([r[0], r[1] - top, r[2], r[3] - top]) for r in rows]
    return np.ascontiguousarray(image), [(b, r[13] > 0 or b[1] < 0 or b[3] > high) for b, r in zip(boxes, rows)]


def observe(detector, size, count):
    """Scores of drawn plates (0 when missed) and of boxes on nothing."""
    rng, atlas = random.Random(SEED), Atlas(SEED % 997, 40)
    backdrops, plates, false = scenes.Backdrops(rng, count=20), [], []
    for _ in range(count):
        image, drawn = scene(rng, atlas, backdrops, *size)
        found = pipeline.detect(detector, image, size, LEVELS[0])
        for box, ignored in drawn:
            if not ignored:
                plates.append(max((float(p[0]) for p in found if pipeline.overlap(p[1:5], box) >= 0.5), default=0.0))
        false += [float(p[0]) for p in found if all(pipeline.covered(p[1:5], box) < 0.5 for box, _ in drawn)]
    return np.array(plates), np.array(false)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    detector = pipeline.session(options.models / "plate-detector" / "model.onnx")
    result = {}
    for size in ((640, 384), (1280, 736)):
        plates, false = observe(detector, size, options.count)
        table = [(t, round(float((plates >= t).mean()), 3), round(float((false >= t).sum() / options.count), 3)) for t in LEVELS]
        chosen = next((t for t, _, wrong in table if wrong <= FALSE_MOST), LEVELS[-1])
        result["%dx%d" % size] = {"plates": len(plates), "pictures": options.count, "chosen": chosen, "table": table}
        print(size, "chosen", chosen, *table, sep="\n", flush=True)
    (RUNS / "threshold.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
