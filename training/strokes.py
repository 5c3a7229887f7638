"""Our own monoline glyphs: polylines whose corners are rounded to taste.

No free face of the Belgian, Dutch or British plates exists, so the shapes are
drawn here from strokes.  Every vertex is (x, y) or (x, y, r) in a unit box, y
downwards; r is how far its corner may be rounded (0 sharp, 1 fully round).
One glyph may have several drawings; a style picks one of them for a whole face.
"""

import random

import cv2
import numpy as np

BOX = [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1), (0, 0, 1)]

# Letters whose stem may stick out to the left (the Belgian B and D): the spur
# is added by `_spurred`, so that its length can vary with the style.
B_BODY = [(0, 0), (0.95, 0, 1), (0.95, 0.47, 1), (0, 0.47)]
B_BELLY = [(0, 0.47), (1, 0.47, 1), (1, 1, 1), (0, 1)]
D_BODY = [(0, 0), (1, 0, 1), (1, 1, 1), (0, 1)]

GLYPHS = {
    "0": [[BOX]],
    "O": [[BOX]],
    "1": [
        [[(0.1, 0.26), (0.75, 0), (0.75, 1)]],
        [[(0.2, 0.2, 0.4), (0.6, 0), (0.6, 1)]],
        [[(0.1, 0.24), (0.55, 0), (0.55, 1)], [(0.15, 1), (0.95, 1)]],
    ],
    "2": [
        [[(0, 0.24), (0, 0, 1), (1, 0, 1), (1, 0.42, 0.9), (0, 1), (1, 1)]],
        [[(0, 0.24), (0, 0, 1), (1, 0, 1), (1, 0.5, 0.9), (0, 0.72, 0.7), (0, 1), (1, 1)]],
    ],
    "3": [
        [[(0, 0.2), (0, 0, 1), (0.95, 0, 1), (0.95, 0.47, 1), (0.35, 0.47)],
         [(0.35, 0.47), (1, 0.47, 1), (1, 1, 1), (0, 1, 1), (0, 0.78)]],
        [[(0.05, 0), (0.95, 0), (0.42, 0.4), (1, 0.4, 1), (1, 1, 1), (0, 1, 1), (0, 0.78)]],
    ],
    "4": [
        [[(0.62, 0), (0, 0.74), (1, 0.74)], [(0.74, 0.42), (0.74, 1)]],
        [[(0.74, 1), (0.74, 0), (0, 0.72), (1, 0.72)]],
        [[(0.45, 0), (0, 0.74), (1, 0.74)], [(0.7, 0.5), (0.7, 1)]],
    ],
    "5": [
        [[(0.95, 0), (0.08, 0), (0.04, 0.42), (1, 0.38, 1), (1, 1, 1), (0, 1, 1), (0, 0.78)]],
        [[(0.9, 0), (0.05, 0), (0.05, 0.4, 0.2), (1, 0.4, 1), (1, 1, 1), (0, 1, 1), (0, 0.82)]],
    ],
    "6": [
        [[(0.98, 0.2), (0.98, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0.42, 1), (0, 0.42, 0.9)]],
        [[(0.65, 0), (0, 0.58, 0.9), (0, 1, 1), (1, 1, 1), (1, 0.42, 1), (0.2, 0.42, 0.7)]],
        [[(0.9, 0), (0.35, 0, 0.6), (0, 0.4, 0.7), (0, 1, 1), (1, 1, 1), (1, 0.4, 1), (0, 0.4, 0.9)]],
    ],
    "7": [
        [[(0, 0), (1, 0), (0.35, 1)]],
        [[(0, 0), (1, 0), (0.9, 0.25, 0.5), (0.4, 0.6, 0.6), (0.38, 1)]],
    ],
    "8": [[[(0.06, 0, 1), (0.94, 0, 1), (0.94, 0.46, 1), (0.06, 0.46, 1), (0.06, 0, 1)],
           [(0, 0.46, 1), (1, 0.46, 1), (1, 1, 1), (0, 1, 1), (0, 0.46, 1)]]],
    "9": [
        [[(0.02, 0.8), (0.02, 1, 1), (1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0.58, 1), (1, 0.58, 0.9)]],
        [[(0.35, 1), (1, 0.42, 0.9), (1, 0, 1), (0, 0, 1), (0, 0.58, 1), (0.8, 0.58, 0.7)]],
        [[(0.1, 1), (0.65, 1, 0.6), (1, 0.6, 0.7), (1, 0, 1), (0, 0, 1), (0, 0.6, 1), (1, 0.6, 0.9)]],
    ],
    "A": [
        [[(0, 1), (0.5, 0), (1, 1)], [(0.17, 0.68), (0.83, 0.68)]],
        [[(0, 1), (0.42, 0), (0.58, 0), (1, 1)], [(0.15, 0.7), (0.85, 0.7)]],
    ],
    "B": [[B_BODY, B_BELLY, [(0.04, 0), (0.04, 1)]]],
    "C": [
        [[(1, 0.26), (1, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0.74)]],
        [[(1, 0.14), (0.8, 0, 0.8), (0, 0, 1), (0, 1, 1), (0.8, 1, 0.8), (1, 0.86)]],
    ],
    "D": [[D_BODY, [(0.04, 0), (0.04, 1)]]],
    "E": [[[(0.95, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.48), (0.8, 0.48)]]],
    "F": [[[(1, 0), (0, 0), (0, 1)], [(0, 0.5), (0.82, 0.5)]]],
    "G": [
        [[(1, 0.26), (1, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0.55), (0.55, 0.55)]],
        [[(0.98, 0.2), (0.98, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 0.5), (1, 0.52), (0.6, 0.52)]],
        [[(1, 0.16), (0.8, 0, 0.8), (0, 0, 1), (0, 1, 1), (0.98, 1, 0.4), (0.98, 0.5), (0.5, 0.5)]],
        [[(1, 0.26), (1, 0, 1), (0, 0, 1), (0, 1, 1), (1, 1, 0.7), (1, 0.54)]],
        [[(0.98, 0.24), (0.98, 0, 1), (0, 0, 1), (0, 1, 1), (0.98, 1, 1), (0.98, 0.52), (0.7, 0.52)]],
        [[(0.98, 0.24), (0.98, 0, 1), (0, 0, 1), (0, 1, 1), (0.98, 1, 1), (0.98, 0.56)], [(0.98, 0.56), (0.98, 1)], [(0.55, 0.56), (0.98, 0.56)]],
    ],
    "H": [[[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.48), (1, 0.48)]]],
    "I": [
        [[(0.5, 0), (0.5, 1)]],
        [[(0.5, 0), (0.5, 1)], [(0.1, 0), (0.9, 0)], [(0.1, 1), (0.9, 1)]],
    ],
    "J": [
        [[(1, 0), (1, 1, 1), (0, 1, 1), (0, 0.72)]],
        [[(0.35, 0), (1, 0), (1, 1, 1), (0, 1, 1), (0, 0.78)]],
    ],
    "K": [
        [[(0, 0), (0, 1)], [(0.95, 0), (0.05, 0.6)], [(0.35, 0.42), (1, 1)]],
        [[(0, 0), (0, 1)], [(0.95, 0), (0.1, 0.5), (1, 1)]],
    ],
    "L": [[[(0, 0), (0, 1), (1, 1)]]],
    "M": [
        [[(0, 1), (0, 0), (0.5, 0.62), (1, 0), (1, 1)]],
        [[(0, 1), (0, 0), (0.5, 0.95), (1, 0), (1, 1)]],
        [[(0, 1), (0.06, 0), (0.5, 0.7), (0.94, 0), (1, 1)]],
    ],
    "N": [[[(0, 1), (0, 0), (1, 1), (1, 0)]]],
    "P": [[[(0, 1), (0, 0), (1, 0, 1), (1, 0.54, 1), (0, 0.54)]]],
    "Q": [
        [BOX, [(0.58, 0.72), (1.02, 1.03)]],
        [BOX, [(0.62, 0.82), (0.95, 1.12)]],
        [BOX, [(0.52, 0.66), (0.92, 0.98)]],
        [BOX, [(0.6, 0.78), (1.0, 1.0)]],
        [BOX, [(0.55, 0.85), (0.62, 1.1)]],
    ],
    "R": [
        [[(0, 1), (0, 0), (1, 0, 1), (1, 0.52, 1), (0, 0.52)], [(0.5, 0.52), (1, 1)]],
        [[(0, 1), (0, 0), (0.97, 0, 1), (0.97, 0.52, 1), (0, 0.52)], [(0.35, 0.52), (1, 1)]],
    ],
    "S": [
        [[(0.97, 0.2), (0.97, 0, 1), (0, 0, 1), (0, 0.46, 1), (1, 0.5, 1), (1, 1, 1), (0, 1, 1), (0, 0.79)]],
        [[(0.95, 0.13), (0.7, 0, 0.8), (0, 0, 1), (0, 0.48, 0.9), (1, 0.52, 0.9), (1, 1, 1), (0.25, 1, 0.8), (0, 0.85)]],
    ],
    "T": [[[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]]],
    "U": [[[(0, 0), (0, 1, 1), (1, 1, 1), (1, 0)]]],
    "V": [[[(0, 0), (0.5, 1), (1, 0)]], [[(0, 0), (0.44, 1), (0.56, 1), (1, 0)]]],
    "W": [
        [[(0, 0), (0.25, 1), (0.5, 0.2), (0.75, 1), (1, 0)]],
        [[(0, 0), (0.22, 1), (0.5, 0), (0.78, 1), (1, 0)]],
        [[(0, 0), (0.02, 1), (0.5, 0.4), (0.98, 1), (1, 0)]],
        [[(0, 0), (0.2, 1), (0.5, 0.42), (0.8, 1), (1, 0)]],
        [[(0, 0), (0.14, 1), (0.5, 0.3), (0.86, 1), (1, 0)]],
        [[(0, 0), (0.17, 1), (0.5, 0.36), (0.83, 1), (1, 0)]],
    ],
    "X": [[[(0, 0), (1, 1)], [(1, 0), (0, 1)]]],
    "Y": [[[(0, 0), (0.5, 0.52), (1, 0)], [(0.5, 0.5), (0.5, 1)]]],
    "Z": [[[(0, 0), (1, 0), (0, 1), (1, 1)]]],
}

# Width of each glyph relative to the face's common width.
WIDTHS = {"1": 0.62, "I": 0.3, "J": 0.85, "L": 0.92, "M": 1.25, "W": 1.35,
          "A": 1.1, "V": 1.1, "Y": 1.08, "X": 1.05, "Q": 1.02, "E": 0.92, "F": 0.92}


def rounded(points, radius):
    """The polyline as dense points, its corners replaced by curves."""
    pts = [np.asarray(p[:2], float) for p in points]
    soft = [(p[2] if len(p) > 2 else 0.0) for p in points]
    closed = len(pts) > 2 and np.allclose(pts[0], pts[-1])
    if closed:
        # Start in the middle of a side so that the first corner is rounded too.
        middle = (pts[0] + pts[1]) / 2
        pts = [middle] + pts[1:] + [middle]
        soft = [0.0] + soft[1:] + [0.0]
    out = [pts[0]]
    for i in range(1, len(pts) - 1):
        before, here, after = pts[i - 1], pts[i], pts[i + 1]
        reach = radius * soft[i]
        len_in, len_out = np.linalg.norm(before - here), np.linalg.norm(after - here)
        if reach < 1e-3 or min(len_in, len_out) < 1e-6:
            out.append(here)
            continue
        # A side between two corners is shared by both; an end side is not.
        free_in = 1.0 if i == 1 else 0.5
        free_out = 1.0 if i == len(pts) - 2 else 0.5
        start = here + (before - here) / len_in * min(reach, len_in * free_in)
        stop = here + (after - here) / len_out * min(reach, len_out * free_out)
        t = np.linspace(0, 1, 8)[:, None]
        # Cubic whose control points lie near the corner: close to an ellipse.
        c1, c2 = start + 0.55 * (here - start), stop + 0.55 * (here - stop)
        out.extend((1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * c1
                   + 3 * (1 - t) * t ** 2 * c2 + t ** 3 * stop)
    out.append(pts[-1])
    return np.array(out)


class StrokeFace:
    """One random face: a choice of drawings, stroke width, roundness, width."""

    def __init__(self, rng: random.Random, kind: str):
        self.rng = rng
        belgian = kind == "belgian"
        self.stroke = rng.uniform(0.095, 0.185)
        self.width = rng.uniform(0.46, 0.68)
        if belgian:
            self.stroke = rng.uniform(0.10, 0.165)
            self.width = rng.uniform(0.46, 0.58)
        self.radius = rng.uniform(0.22, 0.55)
        self.wobble = rng.uniform(0.0, 0.025)
        self.spur = rng.uniform(0.06, 0.2) if belgian and rng.random() < 0.75 else 0.0
        self.shear = rng.gauss(0, 0.02)
        self.choice = {}
        for char, drawings in GLYPHS.items():
            plain = belgian and char in "1I34"
            self.choice[char] = drawings[0] if plain else rng.choice(drawings)
        if kind == "british":
            # Britain's 1 is a bare bar, the same as its I.
            self.choice["1"] = self.choice["I"] = GLYPHS["I"][0]
            self.stroke, self.width = rng.uniform(0.13, 0.2), rng.uniform(0.52, 0.68)
        # Most faces make the zero a little narrower than the letter.
        self.zero = rng.choice([1.0, 1.0, 0.92, 0.85])
        self.one = rng.uniform(0.8, 1.2)
        self.broad = rng.uniform(0.78, 1.08)

    def _strokes(self, char):
        strokes = [list(stroke) for stroke in self.choice[char]]
        if self.spur and char in "BD":
            for stroke in strokes[:2 if char == "B" else 1]:
                for i in (0, -1):
                    if stroke[i][1] in (0, 1):
                        stroke[i] = (-self.spur, stroke[i][1])
        return strokes

    def glyph(self, char, height, pad):
        """The glyph as a grey mask of `height` plus `pad` above and below."""
        rng, big = self.rng, 3
        stroke = self.stroke * height
        wide = WIDTHS.get(char, 1.0) * self.width * height
        wide *= {"0": self.zero, "1": self.one, "M": self.broad, "W": self.broad}.get(char, 1.0)
        if self.choice[char] is GLYPHS["I"][0]:
            wide = stroke
        wide = max(wide, stroke * 1.05)
        left = (self.spur * wide if char in "BD" else 0) + 2
        mask = np.zeros(((height + 2 * pad) * big, int(wide + left + 0.2 * height + 4) * big), np.uint8)
        scale = np.array([max(wide - stroke, 0.1), height - stroke])
        radius = self.radius * 1.15
        for points in self._strokes(char):
            path = rounded(points, radius)
            path = path + np.array([rng.gauss(0, self.wobble), rng.gauss(0, self.wobble)])
            xy = path * scale + np.array([left + stroke / 2, pad + stroke / 2])
            xy[:, 0] += (0.5 - path[:, 1]) * self.shear * height
            fixed = np.round(xy * big * 16).astype(np.int32)
            cv2.polylines(mask, [fixed[:, None]], False, 255,
                          max(1, round(stroke * big)), cv2.LINE_AA, 4)
        mask = cv2.resize(mask, None, fx=1 / big, fy=1 / big, interpolation=cv2.INTER_AREA)
        cols = np.flatnonzero(mask.max(0) > 40)
        return mask[:, cols[0]:cols[-1] + 1]
