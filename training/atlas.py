"""Glyph bitmaps of many faces, rendered once and reused for every plate."""

import random
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .strokes import StrokeFace

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAP = 48   # cap height of a glyph bitmap in pixels
PAD = 6    # room above and below for overshoot, Q's tail and erosion
FONTS = Path(__file__).parent / "runs" / "fonts"

# Italics look like no plate; these are skipped.
UNLIKELY = ("italic",)
# Which font files come near which countries' faces.
DIN_LIKE = ("OSP-DIN", "RG2014B", "RG2014C", "barlow-condensed", "barlow-semi",
            "saira-semi", "roboto-condensed", "oswald-latin-4", "oswald-latin-5")


def _font_face(path):
    """All glyphs of a font file scaled to one cap height, or None."""
    font = ImageFont.truetype(str(path), 96)
    top, bottom = font.getbbox("H")[1], font.getbbox("H")[3]
    scale = CAP / (bottom - top)
    face = {}
    for char in ALPHABET:
        if char == "1" and "routed" in path.name:
            continue  # a bare bar there, the same as its I
        image = Image.new("L", (220, 240), 0)
        ImageDraw.Draw(image).text((50, 60 - top + 20), char, 255, font=font)
        image = np.asarray(image)
        cols = np.flatnonzero(image.max(0) > 40)
        rim = round(PAD / scale)
        part = image[80 - rim:80 + (bottom - top) + rim, cols[0]:cols[-1] + 1]
        size = (max(3, round(part.shape[1] * scale)), CAP + 2 * PAD)
        face[char] = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return face


class Atlas:
    """Faces by kind: `belgian` strokes, `stroke` (any), `british`, `din`, `font` (any)."""

    def __init__(self, seed=1, strokes=160):
        rng = random.Random(seed)
        self.kinds = {"belgian": [], "stroke": [], "british": [], "din": [], "font": []}
        for kind in ("belgian", "stroke", "british"):
            for _ in range(strokes if kind != "british" else strokes // 3):
                face = StrokeFace(rng, kind)
                self.kinds[kind].append({c: face.glyph(c, CAP, PAD) for c in ALPHABET})
        for path in sorted(FONTS.glob("*")):
            if any(word in path.name for word in UNLIKELY):
                continue
            face = _font_face(path)
            self.kinds["font"].append(face)
            if path.name.startswith(DIN_LIKE):
                self.kinds["din"].append(face)
        for kind in ("din", "font"):
            self.kinds[kind] = self.kinds[kind] or self.kinds["stroke"]
        self.plain = self.kinds["font"]

    def pick(self, rng, weights):
        """A face of one of the kinds in `weights` ({kind: weight})."""
        kind = rng.choices(list(weights), list(weights.values()))[0]
        return rng.choice(self.kinds[kind])
