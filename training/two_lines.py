"""Reads rendered two-line plates end to end: python -m training.two_lines

How much of a reading is lost by the detector's corners, and by each way of
halving. Nothing here is trained on; seeds differ from those of the trainings.
"""

import argparse
import random
from pathlib import Path

import numpy as np

from . import detector_data, formats, pipeline, plates, scenes
from .atlas import Atlas
from .evaluate import grey_of, wilson
from .export import MODELS

SEED, SIZE = 91_007, 480


def pictures(count):
    """Yields (picture, corners, text) of scenes with one two-line plate, lines about 15 to 40 pixels high."""
    rng, atlas = random.Random(SEED), Atlas(SEED % 997, 40)
    backdrops = scenes.Backdrops(rng, count=20)
    while count:
        plate = plates.draw(rng, atlas, plates.rgb_tone, formats.sample(rng, short=True))
        if plate.look.lines != 2:
            continue
        image = backdrops.crop(SIZE, rng)
        unit = rng.uniform(60, 150)
        cx, cy = rng.uniform(0.35, 0.65) * SIZE, rng.uniform(0.35, 0.65) * SIZE
        scenes.car(image, rng, atlas, cx, cy, unit)
        quad = scenes.quad_at(rng, plate, cx, cy, unit, 0.7)
        scenes.paste(image, rng, plate, quad, rng.uniform(0.5, 1.05))
        image = detector_data.photograph(image, rng, 0.5)
        count -= 1
        yield image, quad, "".join(line[0] for line in plate.lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    detector = pipeline.session(options.models / "plate-detector" / "model.onnx")
    reader = pipeline.session(options.models / "plate-reader" / "model.onnx")
    on_truth = on_found = found = 0
    for image, quad, text in pictures(options.count):
        grey = grey_of(np.ascontiguousarray(image))
        on_truth += pipeline.read_plate(reader, grey, quad)[0] == text
        low, high = quad.min(0), quad.max(0)
        near = [p for p in pipeline.detect(detector, image, threshold=0.3)
                if pipeline.overlap(p[1:5], (*low, *high)) > 0.3]
        found += bool(near)
        on_found += bool(near) and pipeline.read_plate(reader, grey, near[0][5:])[0] == text
    print("found", wilson(found, options.count))
    print("read on true corners", wilson(on_truth, options.count))
    print("read on the detector's corners", wilson(on_found, options.count))


if __name__ == "__main__":
    main()
