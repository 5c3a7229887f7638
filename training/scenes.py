"""Rendered street scenes for the detector: cars, walls, signs, and plates on them."""

import cv2
import numpy as np

from . import plates
from .degrade import noise

SIGN_WORDS = "abcdefghijklmnopqrstuvwxyz"


def colour(rng, grey=0.35):
    """A random colour, often nearly grey."""
    if rng.random() < grey:
        v = rng.uniform(5, 250)
        return tuple(v + rng.uniform(-12, 12) for _ in range(3))
    return tuple(rng.uniform(0, 255) for _ in range(3))


def texture(size, rng):
    """A soft coloured field with a grain."""
    generator = np.random.default_rng(rng.getrandbits(32))
    cells = rng.choice([2, 3, 5, 9, 20])
    field = generator.random((cells, cells, 3), np.float32)
    field = field.mean(2, keepdims=True) * 0.7 + field * 0.3
    image = cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)
    spread = rng.uniform(20, 160)
    image = (image - 0.5) * spread + np.array(colour(rng, 0.6), np.float32)
    if rng.random() < 0.5:
        image += noise((size, size), rng)[:, :, None] * rng.uniform(3, 30)
    return image


def leaves(size, rng):
    """Overlapping patches of all sizes: the statistics of natural pictures."""
    generator = np.random.default_rng(rng.getrandbits(32))
    image = np.empty((size, size, 3), np.float32)
    image[:] = colour(rng, 0.6)
    palette = [np.array(colour(rng, 0.55)) for _ in range(rng.randint(3, 9))]
    largest = rng.uniform(20, 160)
    for radius in np.sort(2.0 + largest * generator.pareto(1.6, 900) ** 1.0 * 0.12)[::-1]:
        radius = min(radius, size / 2)
        x, y = generator.integers(0, size, 2)
        tone = tuple(rng.choice(palette) * rng.uniform(0.6, 1.3))
        form = rng.random()
        if form < 0.4:
            cv2.ellipse(image, (int(x), int(y)), (int(radius), max(1, int(radius * rng.uniform(0.3, 1)))),
                        rng.uniform(0, 180), 0, 360, tone, -1, cv2.LINE_AA)
        elif form < 0.7:
            tall = radius * rng.uniform(0.1, 1.2)
            cv2.rectangle(image, (int(x - radius), int(y - tall)), (int(x + radius), int(y + tall)), tone, -1)
        else:
            points = generator.normal(0, radius * 0.7, (rng.randint(3, 6), 2)) + (x, y)
            cv2.fillPoly(image, [points.astype(np.int32)], tone, cv2.LINE_AA)
    image += noise((size, size), rng)[:, :, None] * rng.uniform(2, 16)
    return image


class Backdrops:
    """A store of natural-looking pictures, cut out anew for every scene."""

    def __init__(self, rng, count=70, size=480):
        self.size = size
        self.items = [np.clip(leaves(size, rng), 0, 255).astype(np.uint8) for _ in range(count)]

    def crop(self, size, rng):
        span = rng.randint(size // 4, self.size)
        x, y = rng.randint(0, self.size - span), rng.randint(0, self.size - span)
        part = rng.choice(self.items)[y:y + span, x:x + span]
        part = cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        if rng.random() < 0.5:
            part = np.ascontiguousarray(part[:, ::-1])
        shift = np.array([rng.uniform(-50, 50)] * 3, np.float32) + [rng.uniform(-20, 20) for _ in range(3)]
        return part * np.float32(rng.uniform(0.5, 1.2)) + shift.astype(np.float32)


def backdrop(size, rng):
    """Sky, houses with windows, foliage, road."""
    image = texture(size, rng)
    horizon = int(size * rng.uniform(0.1, 0.6))
    road = np.array([rng.uniform(40, 150)] * 3, np.float32) + rng.uniform(-10, 10)
    image[horizon:] = road + (image[horizon:] - image[horizon:].mean()) * 0.4
    for _ in range(rng.randint(0, 5)):
        x0, wide = rng.randint(-40, size), rng.randint(30, size)
        y0 = rng.randint(-60, horizon)
        cv2.rectangle(image, (x0, y0), (x0 + wide, horizon), colour(rng, 0.7), -1)
        _windows(image, rng, x0, y0, wide, horizon)
    for _ in range(rng.randint(0, 6)):
        points = np.array([[rng.randint(-50, size + 50), rng.randint(-50, size + 50)] for _ in range(rng.randint(3, 6))])
        cv2.fillPoly(image, [points.astype(np.int32)], colour(rng, 0.5), cv2.LINE_AA)
    for _ in range(rng.randint(0, 8)):
        a = (rng.randint(0, size), rng.randint(0, size))
        b = (rng.randint(0, size), rng.randint(0, size))
        cv2.line(image, a, b, colour(rng, 0.7), rng.randint(1, 7), cv2.LINE_AA)
    if rng.random() < 0.3:
        _leaves(image, rng, size)
    return image


def _windows(image, rng, x0, y0, wide, horizon):
    tone, step = colour(rng, 0.8), rng.randint(8, 30)
    if rng.random() < 0.3:
        return
    for y in range(y0 + 4, horizon - step // 2, step):
        for x in range(x0 + 4, x0 + wide - step // 2, step):
            cv2.rectangle(image, (x, y), (x + step // 2, y + int(step * 0.6)), tone, -1)


def _leaves(image, rng, size):
    generator = np.random.default_rng(rng.getrandbits(32))
    x0, y0, extent = rng.randint(0, size), rng.randint(0, size), rng.randint(30, size // 2)
    for dx, dy, v in generator.random((rng.randint(60, 250), 3)):
        at = (int(x0 + (dx - 0.5) * extent), int(y0 + (dy - 0.5) * extent))
        cv2.circle(image, at, 1 + int(v * 4), (v * 70, 40 + v * 110, v * 60), -1)


def write(image, rng, atlas, text, x, y, high, tone, squeeze=1.0):
    """Small text in a random font straight onto the picture."""
    face = rng.choice(atlas.plain)
    for char in text.upper():
        if char == " " or char not in face:
            x += high * 0.5
            continue
        mask = plates._scaled(face[char], max(3, high), squeeze)
        plates._blend(image, mask, x, y, tone)
        x += mask.shape[1] + max(1, high * 0.12)
    return x


def sign(image, rng, atlas):
    """A shop sign, road sign or lettering: text that is no plate."""
    size = image.shape[0]
    high = rng.uniform(5, 34)
    x, y = rng.uniform(-30, size), rng.uniform(0, size)
    rows = rng.choice([1, 1, 2, 3, 5])
    words = ["".join(rng.choice(SIGN_WORDS + "0123456789" * (rng.random() < 0.3)) for _ in range(rng.randint(3, 12)))
             + (" " + "".join(rng.choice(SIGN_WORDS) for _ in range(rng.randint(2, 9))) if rng.random() < 0.5 else "")
             for _ in range(rows)]
    if rng.random() < 0.6:
        # Boards: mostly in colours or shapes that plates do not have.
        wide = max(len(w) for w in words) * high * 0.75
        tall = rows * high * 1.5 + high
        ground = colour(rng, 0.15) if rows == 1 else colour(rng)
        cv2.rectangle(image, (int(x - high * 1.5), int(y - high * 1.2)), (int(x + wide + high), int(y + tall)), ground, -1)
    tone = colour(rng, 0.5)
    for number, word in enumerate(words):
        write(image, rng, atlas, word, x, y + number * high * 1.5, high, tone)


def decoy(image, rng, atlas):
    """What a detector likes to take for a plate: street signs, badges, stripes, lattices, rows of lamps."""
    size = image.shape[0]
    unit = float(np.exp(rng.uniform(np.log(24), np.log(0.6 * size))))
    x, y = rng.uniform(-0.2 * unit, size - 0.5 * unit), rng.uniform(0, size)
    rng.choice([_street_sign, _name, _stripes, _lattice, _lamps])(image, rng, atlas, x, y, unit)


def _word(rng):
    return "".join(rng.choice(SIGN_WORDS) for _ in range(rng.randint(3, 12)))


def _street_sign(image, rng, atlas, x, y, unit):
    """A dark or strongly coloured board of a plate's shape, often with a pointed end."""
    tall = unit * rng.uniform(0.14, 0.4)
    tone = rng.choice([(25, 50, 130), (20, 90, 50), (60, 60, 70), (120, 20, 25), (15, 15, 18)])
    ground = tuple(v * rng.uniform(0.6, 1.4) for v in tone)
    tip = tall * rng.choice([0, 0.5])
    outline = np.array([[x, y], [x + unit, y], [x + unit + tip, y + tall / 2], [x + unit, y + tall], [x, y + tall]])
    cv2.fillPoly(image, [outline.astype(np.int32)], ground, cv2.LINE_AA)
    word, light = _word(rng), (rng.uniform(170, 255),) * 3
    high = min(tall * 0.7, 1.5 * unit / len(word))
    write(image, rng, atlas, word, x + 0.06 * unit, y + (tall - high) / 2, max(3, high), light)


def _name(image, rng, atlas, x, y, unit):
    """A maker's or a shop's name, in letters without a board of their own."""
    word = _word(rng)[:8]
    high = max(3, unit / len(word) * rng.uniform(0.9, 1.5))
    ground = image[int(min(max(y, 0), image.shape[0] - 1)), int(min(max(x, 0), image.shape[1] - 1))]
    tone = tuple(float(v) for v in np.clip(ground + rng.choice([-1, 1]) * rng.uniform(40, 150), 0, 255))
    if rng.random() < 0.5:
        write(image, rng, atlas, word, x + max(1, high / 14), y + max(1, high / 14), high, tuple(v * 0.4 for v in tone))
    write(image, rng, atlas, word, x, y, high, tone)


def _stripes(image, rng, atlas, x, y, unit):
    """Hazard stripes, crossings, kerbs."""
    tall, count = unit * rng.uniform(0.12, 0.4), rng.randint(3, 9)
    slant = tall * rng.uniform(-1.5, 1.5)
    a, b = colour(rng, 0.8), colour(rng, 0.6)
    step = unit / (2 * count)
    for i in range(2 * count):
        left = x + i * step
        part = np.array([[left + slant, y], [left + step + slant, y], [left + step, y + tall], [left, y + tall]])
        if i % 2 == 0:
            cv2.fillPoly(image, [part.astype(np.int32)], a, cv2.LINE_AA)
        elif count < 7:
            cv2.fillPoly(image, [part.astype(np.int32)], b, cv2.LINE_AA)


def _lattice(image, rng, atlas, x, y, unit):
    """Window frames, fences, gratings."""
    tall = unit * rng.uniform(0.25, 1.0)
    cv2.rectangle(image, (int(x), int(y)), (int(x + unit), int(y + tall)), colour(rng, 0.8), -1)
    tone, thick = colour(rng, 0.8), max(1, int(unit * rng.uniform(0.01, 0.05)))
    lean = unit * rng.uniform(-0.2, 0.2)
    for i in range(rng.randint(3, 9) + 1):
        at = int(x + unit * i / 6)
        cv2.line(image, (at, int(y)), (int(at + lean), int(y + tall)), tone, thick, cv2.LINE_AA)
    for i in range(rng.randint(1, 5) + 1):
        at = int(y + tall * i / 3)
        cv2.line(image, (int(x), at), (int(x + unit), int(at + lean * 0.3)), tone, thick, cv2.LINE_AA)


def _lamps(image, rng, atlas, x, y, unit):
    """A row of small lamps or their reflections: plate lights, rows of LEDs."""
    count = rng.choice([2, 2, 3, 6, 10])
    for i in range(count):
        lamp(image, rng, x + unit * i / count, y + rng.uniform(-0.02, 0.02) * unit, max(1, unit * rng.uniform(0.02, 0.1)))


def lamp(image, rng, x, y, radius):
    """A light; at night with a halo."""
    tone = rng.choice([(255, 240, 220), (250, 40, 40), (255, 150, 40), (210, 215, 225), (140, 15, 20)])
    shape = (max(1, int(radius * rng.uniform(0.8, 2))), max(1, int(radius * rng.uniform(0.6, 1.4))))
    cv2.ellipse(image, (int(x), int(y)), shape, 0, 0, 360, tone, -1, cv2.LINE_AA)
    if rng.random() < 0.3:
        cv2.ellipse(image, (int(x), int(y)), (max(1, shape[0] // 2), max(1, shape[1] // 2)), 0, 0, 360, (255, 255, 255), -1)
    if rng.random() < 0.25:
        reach = int(radius * 5) + 2
        x0, y0 = max(0, int(x) - reach), max(0, int(y) - reach)
        part = image[y0:int(y) + reach, x0:int(x) + reach]
        if part.size:
            yy, xx = np.mgrid[0:part.shape[0], 0:part.shape[1]].astype(np.float32)
            far = ((xx + x0 - x) ** 2 + (yy + y0 - y) ** 2) / max(radius, 1) ** 2
            part += np.exp(-far / 5)[:, :, None] * np.array(tone, np.float32) * 0.7


def car(image, rng, atlas, cx, cy, unit):
    """A car's front or rear around (cx, cy), `unit` the width of its plate.

    The plate's place is left to the caller; grilles, lamps, badges, bumpers and
    windows around it are drawn here.
    """
    body = np.array(colour(rng, 0.6))
    half, top, foot = unit * rng.uniform(1.4, 2.2), unit * rng.uniform(0.6, 2.2), unit * rng.uniform(0.3, 1.0)
    low, high = cy + foot, cy - top
    lean = unit * rng.uniform(0, 0.35)
    shape = np.array([[cx - half, low], [cx - half, cy - top * 0.5], [cx - half + lean, high],
                      [cx + half - lean, high], [cx + half, cy - top * 0.5], [cx + half, low]])
    cv2.fillPoly(image, [shape.astype(np.int32)], tuple(body), cv2.LINE_AA)
    roof = high - unit * rng.uniform(0.4, 1.3)
    glass = np.array([[cx - half + lean, high], [cx - half + lean * 2.5, roof], [cx + half - lean * 2.5, roof], [cx + half - lean, high]])
    cv2.fillPoly(image, [glass.astype(np.int32)], tuple(np.array(colour(rng, 0.9)) * 0.5), cv2.LINE_AA)
    for _ in range(rng.randint(1, 5)):
        y = cy + rng.uniform(-top, foot)
        shade = tuple(body * rng.uniform(0.4, 1.3))
        cv2.line(image, (int(cx - half), int(y)), (int(cx + half), int(y + unit * rng.uniform(-.05, .05))), shade, max(1, int(unit * rng.uniform(0.01, 0.12))), cv2.LINE_AA)
    if rng.random() < 0.5:
        bumper = cy + unit * rng.uniform(-0.25, 0.25)
        tone = tuple(body) if rng.random() < 0.4 else colour(rng, 0.95)
        cv2.rectangle(image, (int(cx - half * 1.02), int(bumper)), (int(cx + half * 1.02), int(low)), tone, -1)
    if rng.random() < 0.6:
        _grille(image, rng, cx, cy - unit * rng.uniform(0.1, 0.7), unit)
    gap = half * rng.uniform(0.6, 0.92)
    rise = top * rng.uniform(0.1, 0.7)
    for side in (-1, 1):
        lamp(image, rng, cx + side * gap, cy - rise, unit * rng.uniform(0.1, 0.3))
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        _badge(image, rng, atlas, cx, cy, unit)
    shadow = rng.uniform(10, 50)
    cv2.rectangle(image, (int(cx - half), int(low)), (int(cx + half), int(low + unit * 0.2)), (shadow,) * 3, -1)
    for side in (-1, 1):
        at = (int(cx + side * half * 0.85), int(low))
        cv2.ellipse(image, at, (max(1, int(unit * 0.18)), max(1, int(unit * 0.3))), 0, 0, 360, (25, 25, 28), -1, cv2.LINE_AA)


def _badge(image, rng, atlas, cx, cy, unit):
    """Lettering on the body, or the oval sticker of a country: no plates."""
    x, y = cx + rng.uniform(-1.2, 0.7) * unit, cy - unit * rng.uniform(0.25, 1.0)
    high = unit * rng.uniform(0.05, 0.2)
    word = "".join(rng.choice(SIGN_WORDS + "0123456789" * (rng.random() < 0.4)) for _ in range(rng.randint(2, 9)))
    if rng.random() < 0.25:
        cv2.ellipse(image, (int(x), int(y)), (max(1, int(high * 1.5)), max(1, int(high))), 0, 0, 360, (240, 240, 240), -1, cv2.LINE_AA)
        write(image, rng, atlas, word[:2], x - high * 0.7, y - high * 0.45, high * 0.8, (20, 20, 20))
        return
    tone = np.array(colour(rng, 0.95))
    wide = rng.uniform(0.8, 1.8)
    if rng.random() < 0.5:  # raised letters throw a shadow
        write(image, rng, atlas, word, x + 1, y + 1, high, tuple(tone * 0.3), wide)
    write(image, rng, atlas, word, x, y, high, tuple(tone), wide)


def _grille(image, rng, cx, cy, unit):
    wide, tall = unit * rng.uniform(0.4, 1.2), unit * rng.uniform(0.08, 0.35)
    tone = tuple([rng.uniform(5, 70)] * 3)
    cv2.rectangle(image, (int(cx - wide), int(cy - tall)), (int(cx + wide), int(cy + tall)), tone, -1)
    bars, bright = rng.randint(2, 9), tuple([rng.uniform(40, 230)] * 3)
    for i in range(bars):
        if rng.random() < 0.7:
            y = int(cy - tall + 2 * tall * (i + 0.5) / bars)
            cv2.line(image, (int(cx - wide), y), (int(cx + wide), y), bright, 1)
        else:
            x = int(cx - wide + 2 * wide * (i + 0.5) / bars)
            cv2.line(image, (x, int(cy - tall)), (x, int(cy + tall)), bright, 1)


def quad_at(rng, plate, cx, cy, unit, steep=1.0):
    """The corners of a plate about `unit` wide, seen from somewhere."""
    height, width = plate.image.shape[:2]
    squash = 1.0 - abs(rng.gauss(0, 0.16)) * steep
    wide = unit * max(0.45, squash)
    tall = unit * height / width * rng.uniform(0.9, 1.12)
    quad = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * (wide, tall)
    angle = rng.gauss(0, 0.06 if rng.random() < 0.6 else 0.2) * steep
    angle = max(-0.55, min(0.55, angle))
    quad[:, 1] += quad[:, 0] * np.tan(angle)
    quad[:, 0] += quad[:, 1] * rng.gauss(0, 0.1) * steep
    taper = 1 + rng.gauss(0, 0.06) * steep
    quad[1:3, 1] *= taper
    return quad + (cx, cy)


def paste(image, rng, plate, quad, dim):
    """Warps a plate with its holder into the picture; `dim` scales its light."""
    source = plate.image.astype(np.float32)
    height, width = source.shape[:2]
    rim = rng.choice([0, 0, 2, 4, 7])
    foot = rim + (rng.randint(3, 10) if rim and rng.random() < 0.5 else 0)
    if rim:
        tone = rng.uniform(5, 70)
        source = cv2.copyMakeBorder(source, rim, foot, rim, rim, cv2.BORDER_CONSTANT, value=(tone,) * 3)
    shade = np.linspace(rng.uniform(0.75, 1.1), rng.uniform(0.75, 1.1), source.shape[0], dtype=np.float32)
    source = np.ascontiguousarray(np.minimum(source * shade[:, None, None] * dim, 255))
    factor = np.linalg.norm(quad[1] - quad[0]) / width
    if factor < 0.8:
        source = cv2.GaussianBlur(source, (0, 0), 0.42 / factor)
    plain = np.array([[rim, rim], [rim + width, rim], [rim + width, rim + height], [rim, rim + height]], np.float32)
    low = np.floor(quad.min(0) - 12 * factor - 2)
    high = np.ceil(quad.max(0) + 12 * factor + 2)
    low, high = np.maximum(low, 0), np.minimum(high, image.shape[1])
    if (high - low).min() < 2:
        return
    matrix = cv2.getPerspectiveTransform(plain, (quad - low).astype(np.float32))
    size = tuple(int(v) for v in high - low)
    warped = cv2.warpPerspective(source, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.warpPerspective(np.ones(source.shape[:2], np.float32), matrix, size, flags=cv2.INTER_LINEAR)[:, :, None]
    part = image[int(low[1]):int(high[1]), int(low[0]):int(high[0])]
    part += alpha * (warped - part)
