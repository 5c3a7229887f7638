"""Draws one plate, flat and clean: paper, band, border, glyphs, seals, screws.

The same code serves the reader (one grey channel) and the detector (three):
`tone` turns a colour into what the canvas holds.
"""

import cv2
import numpy as np

from . import formats
from .atlas import CAP

HEIGHT = 64  # pixels of a drawn plate


class Plate:
    """A drawn plate: `image`, its text lines with their boxes, the band's edge."""

    def __init__(self, image, look):
        self.image, self.look = image, look
        self.lines = []      # (text, x0, y0, x1, y1) of each line
        self.left = 0.0      # where the paper without a left band begins
        self.right = float(image.shape[1])


def jitter(colour, rng, amount=22):
    """The colour moved a little, as age and light do."""
    shift = rng.gauss(0, amount * 0.5)
    return tuple(min(255, max(0, c + shift + rng.gauss(0, amount * 0.4))) for c in colour)


def grey_tone(rng):
    """A colour to grey mapping; cameras and infra-red weigh colours unlike."""
    weights = np.array([0.30, 0.59, 0.11]) + np.array([rng.uniform(-.12, .12) for _ in range(3)])
    weights = np.clip(weights, 0.02, 1)
    weights /= weights.sum()
    return lambda colour: (float(np.dot(weights, colour)),)


def rgb_tone(_rng):
    """Colours as they are."""
    return lambda colour: tuple(float(c) for c in colour)


def draw(rng, atlas, tone_maker=grey_tone, look_text=None):
    """A random plate, or one of the given (Look, lines)."""
    look, lines = look_text or formats.sample(rng)
    tone = tone_maker(rng)
    aspect = look.aspect * rng.uniform(0.94, 1.06)
    if look.lines == 1 and look.country not in "BX" and rng.random() < 0.06:
        aspect *= rng.uniform(0.7, 0.9)
    height = HEIGHT if look.lines == 1 else HEIGHT * 2
    width = int(height * aspect)
    paper, ink = jitter(look.paper, rng), jitter(look.ink, rng, 34)
    if rng.random() < 0.06:
        ink = jitter((60, 60, 70), rng)
    image = np.empty((height, width, len(tone(paper))), np.float32)
    image[:] = tone(paper)
    plate = Plate(image, look)
    _bands(plate, rng, atlas, tone)
    if look.border and rng.random() < 0.75:
        _border(image, rng, tone(ink if rng.random() < 0.8 else (70, 70, 70)))
    _text(plate, lines, rng, atlas, tone, ink)
    _wear(image, rng, tone)
    np.clip(image, 0, 255, out=image)
    return plate


def _bands(plate, rng, atlas, tone):
    """Blue Euro bands; their letters are never part of the label."""
    image, look = plate.image, plate.look
    height, width = image.shape[:2]
    unit = height if look.lines == 1 else height * 0.5
    sides = {"left": "l", "right": "r", "both": "lr", "none": ""}[look.band]
    if rng.random() < (0.12 if sides else 0.3):
        # Bands are missing, or were stuck on by the owner, also on the right.
        sides = "" if sides else rng.choice("lr")
    wide = int(unit * rng.uniform(0.34, 0.47))
    for side in sides:
        x0 = 0 if side == "l" else width - wide
        colour = jitter(rng.choice([(20, 60, 170), (10, 90, 190), (40, 70, 140)]), rng, 40)
        if rng.random() < 0.06:
            colour = jitter((200, 200, 60) if rng.random() < 0.5 else (200, 200, 200), rng, 60)
        top = int(rng.uniform(0, 0.05) * height)
        image[top:height - top, x0:x0 + wide] = tone(colour)
        _stars(image, rng, tone, x0 + wide / 2, height * rng.uniform(0.24, 0.36), wide * 0.3)
        letters = look.country if look.country != "X" else rng.choice(["B", "D", "SK", "F"])
        if side == "r" and rng.random() < 0.8:
            letters = rng.choice(["75", "59", "13", "RM", "MI", "99", "ROMA", "BZ"])
            form = rng.random()
            if form < 0.4:
                _oval(image, x0 + wide / 2, height * 0.28, wide * 0.3, wide * 0.3, rng, tone)
            elif form < 0.65:
                letters = ""
                _shield(image, x0 + wide / 2, height * 0.5, wide * 0.35, height * rng.uniform(0.2, 0.4), rng, tone)
            elif form < 0.75:
                letters = ""  # stars alone
        _band_letters(image, atlas, rng, letters, x0, wide, height, tone)
        if side == "l":
            plate.left = float(wide)
        else:
            plate.right = float(width - wide)


def _stars(image, rng, tone, cx, cy, radius):
    gold = tone((230, 200, 40))
    if rng.random() < 0.15:
        return
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        at = (round(cx + radius * np.cos(angle)), round(cy + radius * np.sin(angle)))
        cv2.circle(image, at, max(1, round(radius * 0.12)), gold, -1)


def _band_letters(image, atlas, rng, letters, x0, wide, height, tone):
    size = height * rng.uniform(0.2, 0.34)
    face = rng.choice(atlas.plain)
    masks = [_scaled(face[c], size, 1.0) for c in letters if c in face]
    total = sum(m.shape[1] + 2 for m in masks)
    shrink = min(1.0, wide * 0.85 / max(total, 1))
    x = x0 + (wide - total * shrink) / 2
    for mask in masks:
        if shrink < 1:
            mask = cv2.resize(mask, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        _blend(image, mask, x, height * 0.92 - mask.shape[0], tone((240, 240, 240)))
        x += mask.shape[1] + 2


def _border(image, rng, colour):
    height, width = image.shape[:2]
    inset = rng.randint(0, 3)
    thick = rng.choice([1, 1, 2, 2, 3])
    cv2.rectangle(image, (inset, inset), (width - 1 - inset, height - 1 - inset), colour, thick)


def _scaled(mask, cap, wide):
    """A glyph bitmap at another cap height and relative width."""
    scale = cap / CAP
    size = (max(2, round(mask.shape[1] * scale * wide)), max(4, round(mask.shape[0] * scale)))
    return cv2.resize(mask, size, interpolation=cv2.INTER_AREA)


def _blend(image, mask, x, y, colour):
    """Paints the mask in a colour; parts outside the canvas are cut off."""
    x, y = round(x), round(y)
    x0, y0 = max(x, 0), max(y, 0)
    x1 = min(x + mask.shape[1], image.shape[1])
    y1 = min(y + mask.shape[0], image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    alpha = mask[y0 - y:y1 - y, x0 - x:x1 - x, None].astype(np.float32) / 255
    part = image[y0:y1, x0:x1]
    part += alpha * (np.array(colour, np.float32) - part)


def _text(plate, lines, rng, atlas, tone, ink):
    look, image = plate.look, plate.image
    height = image.shape[0]
    face = atlas.pick(rng, look.faces)
    cap = height * look.cap * rng.uniform(0.93, 1.08)
    emboss = rng.uniform(0, 0.35) if rng.random() < 0.5 else 0
    room = (plate.left, plate.right)
    two = len(lines) == 2
    for number, line in enumerate(lines):
        middle = height * (0.5 + rng.gauss(0, 0.012))
        left = room[0]
        if two:
            middle = height * ((0.27 if number == 0 else 0.73) + rng.gauss(0, 0.008))
            left = 0 if number else room[0]
        items = _layout(line, face, atlas, cap, look, rng)
        box = _paint(image, items, (left, room[1]), middle, cap, rng, tone, ink, emboss)
        plate.lines.append((formats.label(line), *box))


def _layout(line, face, atlas, cap, look, rng):
    """Masks, marks and advances of a line: [kind, mask or mark, advance]."""
    wide = rng.uniform(0.88, 1.14)
    gap = cap * rng.uniform(0.10, 0.24)
    pitch = look.pitch * (HEIGHT if look.lines == 1 else HEIGHT * 2)
    if rng.random() < 0.25:
        pitch = 0.0
    items = []
    for char in line:
        if not char.isalnum():
            advance = {"-": 0.42, " ": 0.36, ".": 0.3, "~": 0.45, "%": 0.62, "!": 0.6, "#": 0.45, "@": 0.4}[char]
            advance = advance * cap * rng.uniform(0.8, 1.25)
            if pitch:
                advance = max(advance, pitch * rng.uniform(0.62, 1.0))
            items.append((char, None, advance))
            continue
        glyph = face.get(char)
        if glyph is None:
            glyph = rng.choice(atlas.kinds["stroke"])[char]
        mask = _scaled(glyph, cap, wide)
        items.append(("glyph", mask, max(pitch, mask.shape[1] + gap * 0.4) if pitch else mask.shape[1] + gap))
    return items


def _paint(image, items, room, middle, cap, rng, tone, ink, emboss):
    """Lays the items out within the room; returns the text's box."""
    total = sum(item[2] for item in items)
    free = room[1] - room[0] - 0.16 * cap
    squeeze = min(1.0, free / total)
    slack = room[1] - room[0] - total * squeeze
    x = room[0] + slack * min(0.9, max(0.1, rng.gauss(0.5, 0.12)))
    ink_tone = np.array(tone(ink))
    start, stop = None, x
    for kind, mask, advance in items:
        advance *= squeeze
        if kind == "glyph":
            if squeeze < 1:
                mask = cv2.resize(mask, None, fx=squeeze, fy=1, interpolation=cv2.INTER_AREA)
            at = x + (advance - mask.shape[1]) / 2
            top = middle - mask.shape[0] / 2
            if emboss:
                _blend(image, (mask * emboss).astype(np.uint8), at + 1.5, top + 1.5, ink_tone * 0.3)
            _blend(image, mask, at, top, ink_tone)
            start = at if start is None else start
            stop = at + mask.shape[1]
        else:
            _mark(image, kind, x, advance, middle, cap, rng, tone, ink)
        x += advance
    return start, middle - cap / 2, stop, middle + cap / 2


def _mark(image, kind, x, advance, middle, cap, rng, tone, ink):
    """Hyphens, seals, stickers: whatever stands between the groups."""
    cx = x + advance / 2
    if kind in "-~" and rng.random() < 0.93:
        half = min(advance * 0.45, cap * rng.uniform(0.06, 0.13))
        y = middle + cap * rng.gauss(0.02, 0.03)
        thick = cap * rng.uniform(0.035, 0.075)
        cv2.rectangle(image, (round(cx - half), round(y - thick)), (round(cx + half), round(y + thick)), tone(ink), -1)
    if kind == ".":
        cv2.circle(image, (round(cx), round(middle + cap * rng.choice([0, 0.42]))), max(1, round(cap * .07)), tone(ink), -1)
    if kind == "~":
        _oval(image, cx, middle - cap * rng.uniform(0.2, 0.45), cap * 0.1, cap * 0.16, rng, tone)
    if kind == "%" and rng.random() < 0.9:
        radius = min(advance * 0.46, cap * rng.uniform(0.15, 0.24))
        for sign in (-1, 1):
            if rng.random() < 0.85:
                _oval(image, cx, middle + sign * cap * 0.27, radius, radius, rng, tone)
    if kind == "@":
        _oval(image, cx, middle + cap * rng.gauss(0, 0.05), cap * 0.09, cap * 0.09, rng, tone)
    if kind == "!" and rng.random() < 0.9:
        _shield(image, cx, middle, advance * 0.42, cap * rng.uniform(0.22, 0.46), rng, tone)
    if kind == "#":
        _oval(image, cx, middle + cap * rng.uniform(-0.1, 0.4), cap * 0.12, cap * 0.15, rng, tone, True)


def _oval(image, cx, cy, rx, ry, rng, tone, square=False):
    """A seal, sticker or shield of random colour with something inside."""
    colours = [(190, 190, 190), (150, 150, 150), (200, 30, 30), (30, 130, 60), (200, 150, 40),
               (60, 80, 160), (90, 70, 60), (225, 225, 225)]
    at, size = (round(cx), round(cy)), (max(1, round(rx)), max(1, round(ry)))
    for shrink in (1.0, 0.75, 0.4):
        colour = tone(jitter(rng.choice(colours), rng))
        part = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
        if square:
            cv2.rectangle(image, (at[0] - part[0], at[1] - part[1]), (at[0] + part[0], at[1] + part[1]), colour, -1)
        else:
            cv2.ellipse(image, at, part, 0, 0, 360, colour, -1, cv2.LINE_AA)


def _shield(image, cx, cy, rx, ry, rng, tone):
    """A coat of arms: a pointed field with bars, crosses and a beast's blob."""
    bright = [(200, 30, 30), (240, 240, 240), (30, 70, 170), (240, 200, 40), (40, 40, 40), (60, 130, 70)]
    x0, x1, y0, y1 = cx - rx, cx + rx, cy - ry, cy + ry
    knee = y0 + (y1 - y0) * rng.uniform(0.4, 0.95)
    field = np.array([[x0, y0], [x1, y0], [x1, knee], [cx, y1], [x0, knee]], np.int32)
    cv2.fillPoly(image, [field], tone(jitter(rng.choice(bright), rng)), cv2.LINE_AA)
    for _ in range(rng.randint(0, 3)):
        colour, thick = tone(jitter(rng.choice(bright), rng)), max(1, round(rx * rng.uniform(0.15, 0.5)))
        if rng.random() < 0.5:
            cv2.line(image, (round(cx), round(y0)), (round(cx), round(knee)), colour, thick)
        else:
            y = round(rng.uniform(y0, knee))
            cv2.line(image, (round(x0), y), (round(x1), y), colour, thick)
    if rng.random() < 0.4:
        blob = np.array([[cx + rx * rng.uniform(-.9, .9), cy + ry * rng.uniform(-.8, .7)] for _ in range(7)], np.int32)
        cv2.fillPoly(image, [blob], tone(jitter(rng.choice(bright), rng)), cv2.LINE_AA)
    if rng.random() < 0.7:
        cv2.polylines(image, [field], True, tone(jitter(rng.choice(bright), rng)), 1, cv2.LINE_AA)


def _wear(image, rng, tone):
    """Screws, tow hooks, scratches, mud and stains."""
    height, width = image.shape[:2]
    if rng.random() < 0.4:
        colour = tone(jitter(rng.choice([(60, 60, 60), (150, 150, 150), (230, 230, 230), (90, 60, 40)]), rng))
        y = height * rng.choice([0.5, 0.15, 0.85, rng.random()])
        inset = rng.choice([0.04, 0.12, 0.25, 0.3]) * width
        for x in (inset, width - inset):
            cv2.circle(image, (round(x), round(y)), max(1, round(HEIGHT * rng.uniform(0.02, 0.06))), colour, -1, cv2.LINE_AA)
    if rng.random() < 0.06:
        cv2.circle(image, (round(width * rng.gauss(0.5, 0.15)), round(height * rng.uniform(0.7, 1.1))),
                   round(HEIGHT * rng.uniform(0.08, 0.16)), tone((40, 40, 40)), -1, cv2.LINE_AA)
    if rng.random() < 0.05:
        # A sticker or picture where a band would be.
        _oval(image, width * rng.choice([0.04, 0.96]), height * rng.uniform(0.3, 0.7), height * 0.14, height * 0.2, rng, tone)
    if rng.random() < 0.15:
        for _ in range(rng.randint(1, 12)):
            at = (rng.randint(0, width), rng.randint(0, height))
            cv2.circle(image, at, rng.randint(1, 2), tone(jitter((110, 95, 80), rng, 60)), -1)
    if rng.random() < 0.12:
        mud = cv2.resize(np.random.default_rng(rng.getrandbits(32)).random((4, 12)).astype(np.float32),
                         (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
        mud = np.clip(mud * rng.uniform(0.2, 0.8), 0, 0.7)
        image += mud * (np.array(tone((110, 100, 90)), np.float32) - image)
