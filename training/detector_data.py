"""Endless detector pictures: rendered scenes and dash-camera frames with plates."""

import csv
import hashlib
import random
from pathlib import Path

import cv2
import numpy as np

from . import degrade, formats, plates, scenes
from .atlas import Atlas

SIZE = 320
LARGE = 512        # size of the pictures with near plates
MOST = 8           # plates a picture at most, unlabelled ones included
FIELDS = 14        # box, corners, corner weight, ignore flag
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HELD_OUT = 0.2
EXTRA = Path(__file__).parent / "plates_ro_extra.tsv"
HARD = 0.3         # share of real crops that aim at a known mistake


def frames_of(part, folder=None):
    """plates-ro: [(path, boxes)] of "train" or "held".

    The last fifth of each drive, in time, is held out, so that no frame next to
    a training frame is measured.
    """
    folder = folder or DATA / "plates-ro"
    boxes = {}
    with (folder / "boxes.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            box = [float(row[k]) for k in "xywh"]
            boxes.setdefault(row["file"], []).append(box)
    drives = {}
    for name in boxes:
        drive, second = name.rsplit("#t=", 1)
        drives.setdefault(drive, []).append((float(second.rsplit(".", 1)[0]), name))
    chosen = []
    for drive in sorted(drives):
        names = [name for _, name in sorted(drives[drive])]
        cut = int(len(names) * (1 - HELD_OUT))
        chosen += names[:cut] if part == "train" else names[cut:]
    return [(folder / name, boxes[name]) for name in chosen]


def reviewed():
    """What an early detector found beside the labels of the training frames.

    Looked at one by one: {hash of the file: [(x0, y0, x1, y1, what)]}, `what`
    being "plate" (real but unlabelled), "not" (sign, badge, lattice, ...) or "unsure".
    """
    found = {}
    with EXTRA.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            box = tuple(float(row[k]) for k in ("x0", "y0", "x1", "y1"))
            found.setdefault(row["sha256_16"], []).append((*box, row["what"]))
    return found


class Frames:
    """The training frames in memory; gives crops with their boxes."""

    def __init__(self):
        self.items, self.hard = [], []
        if DATA.exists():
            extra = reviewed()
            for path, boxes in frames_of("train"):
                image = cv2.imread(str(path))[:, :, ::-1]
                found = extra.get(hashlib.sha256(path.read_bytes()).hexdigest()[:16], [])
                ignored = np.array([e[:4] for e in found if e[4] != "not"], float).reshape(-1, 4)
                item = (np.ascontiguousarray(image), np.array(boxes), ignored)
                self.items.append(item)
                self.hard += [(item, e) for e in found if e[4] == "not"]

    def crop(self, rng, size):
        """A size x size float crop, its boxes (x0, y0, x1, y1) and those that nobody labelled."""
        image, boxes, ignored = rng.choice(self.items)
        aim = boxes[rng.randrange(len(boxes))]
        if self.hard and rng.random() < HARD:
            # What was once taken for a plate is shown again and again.
            (image, boxes, ignored), (x0, y0, x1, y1, _) = rng.choice(self.hard)
            aim = (x0, y0, x1 - x0, y1 - y0)
        height, width = image.shape[:2]
        scale = np.exp(rng.uniform(np.log(0.38), np.log(1.6 if size == SIZE else 3.2)))
        span = int(min(size / scale, height))
        if rng.random() < 0.75:
            x, y, w, h = aim
            left = int(x + w / 2 - span * rng.uniform(0.15, 0.85))
            top = int(y + h / 2 - span * rng.uniform(0.15, 0.85))
        else:
            left, top = rng.randint(0, width - span), rng.randint(0, height - span)
        left, top = min(max(left, 0), width - span), min(max(top, 0), height - span)
        scale = size / span
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        part = cv2.resize(image[top:top + span, left:left + span], (size, size), interpolation=mode)
        moved = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        moved = np.concatenate([moved, ignored])
        moved = (moved - (left, top, left, top)) * scale
        if rng.random() < 0.5:
            part = part[:, ::-1]
            moved = np.stack([size - moved[:, 2], moved[:, 1], size - moved[:, 0], moved[:, 3]], 1)
        return np.ascontiguousarray(part).astype(np.float32), moved[:len(boxes)], moved[len(boxes):]


def target(quad, size, weight=1.0):
    """A label row of a quadrilateral; flagged when too small or cut off."""
    low, high = quad.min(0), quad.max(0)
    clipped = np.clip(np.concatenate([low, high]), 0, size)
    whole = np.prod(high - low)
    seen = max(clipped[2] - clipped[0], 0) * max(clipped[3] - clipped[1], 0)
    if seen <= 1:
        return None
    wide = np.linalg.norm(quad[1] - quad[0])
    ignore = float(wide < 17 or seen < 0.6 * whole)
    return np.concatenate([low, high, quad.reshape(-1), [weight, ignore]])


def clear_of(rows, cx, cy, unit, with_car):
    """Whether a new plate of that width, or its car, would leave the old whole."""
    side, up, down = (2.3, 3.6, 1.3) if with_car else (0.7, 0.5, 0.5)
    for row in rows:
        if row[0] < cx + side * unit and row[2] > cx - side * unit and \
           row[1] < cy + down * unit and row[3] > cy - up * unit:
            return False
    return True


def width_of(rng, size):
    """Plate widths in the network's picture: from hardly visible to very near."""
    if size == LARGE and rng.random() < 0.4:
        return rng.uniform(220, 520)
    low, high = (18, 230) if size == SIZE else (40, 300)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def add_plates(image, rows, rng, atlas, count, with_cars):
    """Draws cars and plates until `count` stand in the picture."""
    size, dim = image.shape[0], rng.uniform(0.35, 1.05)
    for _ in range(count):
        unit = width_of(rng, size)
        cx, cy = rng.uniform(0, size), rng.uniform(0, size)
        if unit > 0.4 * size:
            cx = size / 2 + (cx - size / 2) * 0.4  # near plates would be cut off
        on_car = with_cars and rng.random() < 0.85
        if len(rows) >= MOST or not clear_of(rows, cx, cy, unit, on_car):
            continue
        if on_car:
            scenes.car(image, rng, atlas, cx, cy, unit)
        # Two-line plates are rare on roads; their corners need practice all the same.
        chosen = formats.sample(rng, short=True) if rng.random() < 0.25 else None
        plate = plates.draw(rng, atlas, plates.rgb_tone, chosen)
        if plate.look.lines == 2:
            unit *= 0.7
        quad = scenes.quad_at(rng, plate, cx, cy, unit)
        row = target(quad, size)
        if row is not None:
            scenes.paste(image, rng, plate, quad, dim)
            rows.append(row)


def rendered(rng, atlas, backdrops, size):
    """A scene that is drawn throughout."""
    image = backdrops.crop(size, rng) if rng.random() < 0.5 else scenes.backdrop(size, rng)
    for _ in range(rng.randint(0, 3)):
        scenes.sign(image, rng, atlas)
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        scenes.decoy(image, rng, atlas)
    rows = []
    if rng.random() < 0.25:
        # Cars whose plates are out of sight: grilles alone are no plates.
        scenes.car(image, rng, atlas, rng.uniform(0, size), rng.uniform(0, size), width_of(rng, size))
    add_plates(image, rows, rng, atlas, rng.choice([0, 1, 1, 1, 2, 2, 3]), True)
    for _ in range(rng.randint(0, 3)):
        scenes.lamp(image, rng, rng.uniform(0, size), rng.uniform(0, size), rng.uniform(1, 7))
    return image, rows


def real(rng, atlas, frames, size):
    """A dash-camera crop; some of its plates are replaced, others added."""
    image, boxes, unlabelled = frames.crop(rng, size)
    rows = []
    for x0, y0, x1, y1 in boxes:
        quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        if rng.random() < 0.5:
            plate = plates.draw(rng, atlas, plates.rgb_tone)
            if plate.look.lines == 1:
                wide = (x1 - x0) * rng.uniform(1.0, 1.15)
                new = scenes.quad_at(rng, plate, (x0 + x1) / 2, (y0 + y1) / 2, wide, 0.4)
                around = image[max(0, int(y0)):max(1, int(y1)), max(0, int(x0)):max(1, int(x1))]
                if around.size and target(new, size) is not None:
                    scenes.paste(image, rng, plate, new, min(1.1, around.mean() / 150 + rng.uniform(0, 0.3)))
                    rows.append(target(new, size))
                    continue
        row = target(quad, size, weight=0.0)
        if row is not None and len(rows) < MOST:
            rows.append(row)
    for x0, y0, x1, y1 in unlabelled:
        row = target(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), size, weight=0.0)
        if row is not None and len(rows) < MOST:
            row[13] = 1.0  # neither plate nor background
            rows.append(row)
    if rng.random() < 0.35:
        add_plates(image, rows, rng, atlas, 1, rng.random() < 0.5)
    if rng.random() < 0.15:
        _sign_behind(image, rows, rng, atlas)
    return image, rows[:MOST]


def _sign_behind(image, rows, rng, atlas):
    """A sign that leaves the plates uncovered."""
    saved = []
    for row in rows:
        x0, y0, x1, y1 = np.clip(row[:4], 0, image.shape[0]).astype(int)
        saved.append((slice(y0, y1), slice(x0, x1), image[y0:y1, x0:x1].copy()))
    scenes.sign(image, rng, atlas)
    for rows_, columns, part in saved:
        image[rows_, columns] = part


def photograph(image, rng, most):
    """Light, colour cast, blur, noise and JPEG, at most so strong."""
    image = np.clip(image, 0, 255)
    if rng.random() < 0.5:
        image *= np.array([rng.uniform(0.8, 1.15) for _ in range(3)], np.float32)
    if rng.random() < 0.12:
        image[:] = image.mean(2, keepdims=True)  # night mode
    image = degrade.light(image, rng, rng.uniform(0.1, most))
    image = degrade.blur(image, rng, rng.uniform(0.1, most), 0.7)
    return degrade.sensor(image.astype(np.float32), rng, rng.uniform(0.1, most))


def batches(seed, size, strength, real_share=0.45):
    """Yields (uint8 [n,3,S,S], float32 [n,MOST,FIELDS], counts).

    Two batches in three are `size` pictures of SIZE, the third has fewer of
    LARGE, for the same cost.
    """
    rng, atlas, frames = random.Random(seed), Atlas(seed % 997, 60), Frames()
    backdrops = scenes.Backdrops(rng)
    if not frames.items:
        real_share = 0.0
        print("no dash-camera frames: rendered scenes only", flush=True)
    while True:
        strength()
        side, count = (LARGE, max(2, size * SIZE ** 2 // LARGE ** 2)) if rng.random() < 0.35 else (SIZE, size)
        images = np.empty((count, 3, side, side), np.uint8)
        rows = np.zeros((count, MOST, FIELDS), np.float32)
        counts = np.zeros(count, np.int64)
        for i in range(count):
            if rng.random() < real_share:
                # Dash-camera frames at dusk are poor enough as they are.
                (image, found), most = real(rng, atlas, frames, side), 0.55
            else:
                (image, found), most = rendered(rng, atlas, backdrops, side), 0.85
            images[i] = photograph(image, rng, most).transpose(2, 0, 1)
            counts[i] = len(found)
            if found:
                rows[i, :len(found)] = found
        yield images, rows, counts
