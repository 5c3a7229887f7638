"""Turns a clean plate into what a camera sees, then cuts it as a detector would."""

import cv2
import numpy as np

WIDE, HIGH = 128, 32
_NOISE = np.random.default_rng(7).normal(0, 1, (700, 700)).astype(np.float32)


def noise(shape, rng):
    """A random window of a fixed field of Gaussian noise."""
    y, x = rng.randint(0, 700 - shape[0]), rng.randint(0, 700 - shape[1])
    return _NOISE[y:y + shape[0], x:x + shape[1]]


def light(image, rng, strength):
    """Gradients, shadows, glare, contrast and gamma; image is float 0..255."""
    height, width = image.shape[:2]
    if rng.random() < 0.6 * strength:
        a, b = rng.uniform(0.45, 1.1), rng.uniform(0.45, 1.1)
        ramp = np.linspace(a, b, width, dtype=np.float32)[None]
        if rng.random() < 0.5:
            ramp = np.linspace(a, b, height, dtype=np.float32)[:, None]
        image *= ramp.reshape(ramp.shape + (1,) * (image.ndim - 2))
    if rng.random() < 0.22 * strength:
        shade = np.ones((height, width), np.float32)
        x, slope = rng.uniform(-0.2, 1.2) * width, rng.uniform(-2, 2) * height
        side = 0 if rng.random() < 0.5 else width
        points = np.array([[side, 0], [x, 0], [x + slope, height], [side, height]], np.int32)
        if rng.random() < 0.4:
            y = rng.uniform(0, 1) * height
            points = np.array([[0, 0], [width, 0], [width, y * 1.1], [0, y * 0.9]], np.int32)
        cv2.fillPoly(shade, [points], rng.uniform(0.3, 0.8))
        shade = cv2.GaussianBlur(shade, (0, 0), rng.uniform(0.5, 4))
        image *= shade.reshape(shade.shape + (1,) * (image.ndim - 2))
    if rng.random() < 0.06 * strength:
        glare = np.zeros((height, width), np.float32)
        cv2.circle(glare, (rng.randint(0, width), rng.randint(0, height)), rng.randint(6, 40), rng.uniform(60, 220), -1)
        glare = cv2.GaussianBlur(glare, (0, 0), rng.uniform(6, 20))
        image += glare.reshape(glare.shape + (1,) * (image.ndim - 2))
    low = rng.uniform(0, 70) * strength
    high = 255 - rng.uniform(0, 150) * strength ** 2
    if rng.random() < 0.08:
        high = rng.uniform(255, 400)  # over-exposed
    image *= (max(high, low + 45) - low) / 255
    image += low
    gamma = np.exp(rng.gauss(0, 0.3))
    return 255 * np.clip(image / 255, 0, 1) ** gamma


def blur(image, rng, strength, scale=1.0):
    """Defocus and motion blur; `scale` is the plate's width over 130 px."""
    if rng.random() < 0.7:
        sigma = abs(rng.gauss(0, 0.75)) * strength * scale
        if sigma > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
    if rng.random() < 0.3 * strength:
        length = rng.uniform(1, 6) * scale * strength
        angle = rng.choice([0, 0, rng.uniform(0, np.pi)])
        size = int(length) * 2 + 3
        kernel = np.zeros((size, size), np.float32)
        mid, reach = size / 2 - 0.5, np.array([np.cos(angle), np.sin(angle)]) * length / 2
        a, b = ((mid - reach) * 16).astype(int), ((mid + reach) * 16).astype(int)
        cv2.line(kernel, tuple(map(int, a)), tuple(map(int, b)), 1.0, 1, cv2.LINE_AA, 4)
        image = cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-3))
    return image


def sensor(image, rng, strength):
    """Noise, sharpening, re-scaling and JPEG; float in, uint8 out."""
    if rng.random() < 0.7:
        grain = noise(image.shape[:2], rng) * abs(rng.gauss(0, 9)) * strength
        image = image + grain.reshape(grain.shape + (1,) * (image.ndim - 2))
    if rng.random() < 0.25:
        image = image + (image - cv2.GaussianBlur(image, (0, 0), 1.2)).reshape(image.shape) * rng.uniform(0.3, 1.6)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.2 * strength:
        height, width = image.shape[:2]
        factor = rng.uniform(0.5, 0.95)
        small = cv2.resize(image, (max(8, int(width * factor)), max(6, int(height * factor))), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    if rng.random() < 0.7:
        quality = int(rng.uniform(100 - 75 * strength, 97))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)
    return image


def surround(image, rng, tone_grey=True):
    """The plate on its holder and bumper: returns (canvas, offset x, offset y)."""
    height, width = image.shape[:2]
    mx, my = int(width * 0.22), int(height * 0.6)
    canvas = np.empty((height + 2 * my, width + 2 * mx), np.float32)
    canvas[:] = rng.choice([rng.uniform(0, 60), rng.uniform(0, 255)])
    if rng.random() < 0.7:
        ramp = np.linspace(rng.uniform(-40, 40), rng.uniform(-40, 40), canvas.shape[0], dtype=np.float32)
        canvas += ramp[:, None]
    for _ in range(rng.randint(0, 4)):
        y = rng.randint(0, canvas.shape[0])
        cv2.line(canvas, (0, y), (canvas.shape[1], y + rng.randint(-8, 8)), rng.uniform(0, 255), rng.randint(1, 8))
    if rng.random() < 0.6:
        rim = rng.randint(1, 9)
        foot = rim + (rng.randint(0, 12) if rng.random() < 0.5 else 0)
        cv2.rectangle(canvas, (mx - rim, my - rim), (mx + width + rim, my + height + foot), rng.uniform(0, 90), -1)
        if foot > rim + 4:
            _footer(canvas, rng, mx, my + height, width, foot)
    canvas[my:my + height, mx:mx + width] = image
    return canvas, mx, my


def _footer(canvas, rng, x0, y0, width, high):
    """Dealer names under the plate: small letter-like blobs."""
    x, tone = x0 + rng.randint(0, width // 2), rng.uniform(120, 255)
    for _ in range(rng.randint(4, 22)):
        wide = rng.randint(2, 5)
        cv2.rectangle(canvas, (x, y0 + 2), (x + wide, y0 + max(3, high - 3)), tone, rng.choice([-1, 1]))
        x += wide + rng.choice([1, 1, 2, 6])
        if x > x0 + width - 6:
            break


def capture(grey, box, left, rng, strength):
    """Photographs a grey plate and cuts it out again to 128x32.

    `box` is the text's box on the plate, `left` where the paper after the Euro
    band begins.  The cut never loses text, whatever its jitter.
    """
    height, width = grey.shape[:2]
    canvas, mx, my = surround(grey, rng)
    canvas = light(canvas, rng, strength)
    source = _cut(box, left, width, height, rng, strength) + np.array([mx, my], np.float32)

    # The plate in the camera's picture: size, foreshortening, tilt.
    wide = np.exp(rng.uniform(np.log(150 - 108 * strength), np.log(300)))
    tall = wide * height / width * rng.uniform(0.9, 1.0 + 0.7 * strength)
    margin = 6.0
    quad = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32)
    boxed = rng.random() < 0.22 * strength
    tilt = rng.gauss(0, (0.16 if boxed else 0.09) * strength) * wide
    quad[1:3, 1] += tilt
    quad[2:, 0] += rng.gauss(0, 0.12 * strength) * tall
    quad += np.array([[rng.gauss(0, 0.03 * strength) * tall for _ in range(2)] for _ in range(4)], np.float32)
    plain = np.array([[mx, my], [mx + width, my], [mx + width, my + height], [mx, my + height]], np.float32)
    matrix = cv2.getPerspectiveTransform(plain, quad)
    seen = cv2.perspectiveTransform(source[None], matrix)[0]
    low = seen.min(0) - margin
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    size = np.ceil(seen.max(0) - low + margin).astype(int)
    if boxed:
        # A cut along the axes, as boxes without corners give.
        x0, y0, x1, y1 = *seen.min(0), *seen.max(0)
        seen = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    factor = wide / width
    if factor < 0.8:
        canvas = cv2.GaussianBlur(canvas, (0, 0), 0.42 / factor)
    picture = cv2.warpPerspective(canvas, shift @ matrix, tuple(int(v) for v in size), flags=cv2.INTER_LINEAR,
                                  borderMode=cv2.BORDER_REPLICATE)
    picture = blur(picture, rng, strength, wide / 130)
    picture = sensor(picture, rng, strength)
    return rectify(picture, seen - low, WIDE, HIGH)


def rectify(picture, corners, wide, high):
    """Warps the quadrilateral to wide x high; large sources are smoothed first."""
    corners = np.asarray(corners, np.float32)
    span = np.linalg.norm(corners[1] - corners[0])
    if span > 1.6 * wide:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.35 * span / wide)
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _cut(box, left, width, height, rng, strength):
    """Corners of the cut on the plate: about 4 % / 8 % larger, jittered."""
    tx0, ty0, tx1, ty1 = box
    char = (ty1 - ty0) * 0.5
    x0, x1 = -0.04 * width, 1.04 * width
    y0, y1 = -0.08 * height, 1.08 * height
    if left > 0 and rng.random() < 0.3:
        x0 = rng.uniform(left * 0.8, max(left * 0.8, tx0 - 0.1 * char))
    loose = 1.0 if rng.random() < 0.78 else 2.5
    quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    shift = np.array([rng.gauss(0, 0.012 * width), rng.gauss(0, 0.04 * height)]) * loose * strength
    grow = np.array([rng.gauss(0, 0.02 * width), rng.gauss(0, 0.06 * height)]) * loose * strength
    sign = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    quad += shift + sign * grow
    quad += np.array([[rng.gauss(0, 0.012 * width), rng.gauss(0, 0.05 * height)] for _ in range(4)]) * strength
    # Keep the text whole: the corners stay outside its box (a hair's breadth in).
    quad[[0, 3], 0] = np.minimum(quad[[0, 3], 0], tx0 - 0.02 * char)
    quad[[1, 2], 0] = np.maximum(quad[[1, 2], 0], tx1 + 0.02 * char)
    quad[:2, 1] = np.minimum(quad[:2, 1], ty0 + 0.02 * char)
    quad[2:, 1] = np.maximum(quad[2:, 1], ty1 - 0.02 * char)
    return quad.astype(np.float32)
