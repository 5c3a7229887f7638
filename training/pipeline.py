"""Detector and reader in ONNX Runtime, put together as the product does it."""

import cv2
import numpy as np
import onnxruntime as ort

from .atlas import ALPHABET
from .degrade import HIGH, WIDE, rectify

PADDING = 0.447
ENLARGE = 1.1  # small pictures are padded, not blown up: near plates would be too large
GROW_X, GROW_Y = 0.04, 0.08
HALVED_SURE = 0.97
OTHER_HALVES = [(GROW_Y, 0.44), (GROW_Y, 0.56), (0.2, 0.44), (0.2, 0.5), (0.2, 0.56)]  # margin, where the lines part
TWO_LINES = 2.4  # plates narrower than this may hold two lines


def session(path, threads=1):
    """An ONNX Runtime session with that many threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def letterbox(image, wide, high):
    """RGB bytes to a [1,3,high,wide] tensor; also scale and offsets."""
    scale = min(wide / image.shape[1], high / image.shape[0], ENLARGE)
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.full((high, wide, 3), PADDING, np.float32)
    x, y = (wide - size[0]) // 2, (high - size[1]) // 2
    canvas[y:y + size[1], x:x + size[0]] = small.astype(np.float32) / 255
    return canvas.transpose(2, 0, 1)[None], scale, x, y


def overlap(a, b):
    """Intersection over union of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def covered(a, b):
    """How much of the smaller box lies in the other."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def suppress(rows, limit=0.3, within=0.6):
    """Non-maximum suppression of rows whose first column is the score.

    A box mostly inside a surer one goes too: it is a part of the same plate.
    """
    kept = []
    for row in rows[np.argsort(-rows[:, 0])]:
        if all(overlap(row[1:5], other[1:5]) < limit and covered(row[1:5], other[1:5]) < within for other in kept):
            kept.append(row)
    return kept


def detect(detector, image, size=(640, 384), threshold=0.4):
    """Plates of an RGB picture: rows of score, box, corners in its pixels."""
    tensor, scale, x, y = letterbox(image, *size)
    rows = detector.run(None, {"image": tensor})[0][0]
    rows = rows[rows[:, 0] >= threshold].copy()
    rows[:, 1::2] = (rows[:, 1::2] - x) / scale
    rows[:, 2::2] = (rows[:, 2::2] - y) / scale
    return suppress(rows)


def grown(corners):
    """The corners moved outwards by the share that the reader expects."""
    tl, tr, br, bl = np.asarray(corners, np.float32).reshape(4, 2)
    top, bottom = (tr - tl) * GROW_X, (br - bl) * GROW_X
    left, right = (bl - tl) * GROW_Y, (br - tr) * GROW_Y
    return np.array([tl - top - left, tr + top - right, br + bottom + right, bl - bottom + left])


def decode(logprobs):
    """Greedy reading: (text, chance of its least sure character)."""
    text, sure, before = [], [], 0
    for row in logprobs:
        code = int(row.argmax())
        if code and code != before:
            text.append(ALPHABET[code - 1])
            sure.append(float(np.exp(row[code])))
        elif code and sure:
            sure[-1] = max(sure[-1], float(np.exp(row[code])))
        before = code
    return "".join(text), min(sure, default=0.0)


def read(reader, crops):
    """Readings of grey 128x32 crops."""
    tensor = np.stack(crops)[:, None].astype(np.float32) / 255
    return [decode(rows) for rows in reader.run(None, {"plates": tensor})[0]]


def halves(grey, corners, margin, part):
    """Upper and lower crop of a plate, `margin` of its height more than it, parted at `part`."""
    tl, tr, br, bl = corners
    left, right = (bl - tl) * margin, (br - tr) * margin
    top, bottom = (tr - tl) * GROW_X, (br - bl) * GROW_X
    quad = np.array([tl - top - left, tr + top - right, br + bottom + right, bl - bottom + left])
    a, b = quad[0] + (quad[3] - quad[0]) * part, quad[1] + (quad[2] - quad[1]) * part
    return (rectify(grey, np.array([quad[0], quad[1], b, a]), WIDE, HIGH),
            rectify(grey, np.array([a, b, quad[2], quad[3]]), WIDE, HIGH))


def surest(known, readings):
    """The surest of `known` and pairs of lines that both say something."""
    for upper, lower in zip(readings[0::2], readings[1::2]):
        sure = min(upper[1], lower[1])
        if upper[0] and lower[0] and sure > known[1]:
            known = upper[0] + lower[0], sure
    return known


def read_plate(reader, grey, corners):
    """The reading of one plate; two-line plates are also tried in halves."""
    corners = np.asarray(corners, np.float32).reshape(4, 2)
    crops = [rectify(grey, grown(corners), WIDE, HIGH)]
    wide = np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])
    tall = np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])
    if wide >= TWO_LINES * tall:
        return read(reader, crops)[0]
    readings = read(reader, crops + list(halves(grey, corners, GROW_Y, 0.5)))
    known = surest(readings[0], readings[1:])
    if known[1] < HALVED_SURE:
        # The corners may be a little off: halve elsewhere too.
        more = [crop for way in OTHER_HALVES for crop in halves(grey, corners, *way)]
        known = surest(known, read(reader, more))
    return known
