"""Measures what the reader's certainty is worth: python -m training.calibrate

On freshly rendered crops (never seen in training, no photograph): the
probability that CTC gives the text read, against how often it is right.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch

from . import pipeline, reader_data
from .atlas import Atlas
from .common import RUNS
from .export import MODELS

SEED = 77_001
PRECISION = 0.995


def observe(reader, count, seed=SEED):
    """[(probability of the text read, right)] of rendered crops."""
    rng, atlas, found = random.Random(seed), Atlas(seed % 997), []
    for _ in range(0, count, 64):
        crops, truths = zip(*(reader_data.crop(rng, atlas, rng.uniform(0.3, 1.0)) for _ in range(64)), strict=True)
        tensor = np.stack(crops)[:, None].astype(np.float32) / 255
        for rows, truth in zip(reader.run(None, {"plates": tensor})[0], truths, strict=True):
            text, _ = pipeline.decode(rows)
            if text:
                found.append((text_probability(rows, text), text == truth))
    return sorted(found)


def text_probability(rows, text):
    """The sum over all CTC paths that spell the text."""
    codes = torch.tensor([[reader_data.CODE[c] for c in text]])
    loss = torch.nn.functional.ctc_loss(torch.from_numpy(rows)[:, None], codes, torch.tensor([len(rows)]),
                                        torch.tensor([len(text)]), reduction="sum")
    return float(torch.exp(-loss).clamp(max=1.0))


def rising(found, bins=14):
    """Pairs (certainty, share right) over equally filled bins, made monotone."""
    groups = []
    for part in np.array_split(np.array(found, float), bins):
        groups.append([part[:, 0].mean(), part[:, 1].mean(), len(part)])
        # Pool neighbours until the share right rises with the certainty.
        while len(groups) > 1 and groups[-2][1] >= groups[-1][1]:
            (x0, y0, n0), (x1, y1, n1) = groups[-2:]
            n = n0 + n1
            groups[-2:] = [[(x0 * n0 + x1 * n1) / n, (y0 * n0 + y1 * n1) / n, n]]
    pairs = []
    for x, y, n in groups:
        # No certainty beyond what so many crops can show.
        pair = [round(x, 4), round(min(y, 1 - 1 / (n + 2)), 4)]
        if not pairs or (pair[0] > pairs[-1][0] and pair[1] >= pairs[-1][1]):
            pairs.append(pair)
    return pairs


def threshold(found):
    """Lowest certainty from which PRECISION of the readings are right."""
    right = np.array([r for _, r in found], float)[::-1]
    shares = np.cumsum(right) / np.arange(1, len(right) + 1)
    good = np.flatnonzero(shares >= PRECISION)
    if not len(good):
        return None, 0.0
    last = good[-1]
    return found[len(found) - 1 - last][0], (last + 1) / len(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--count", type=int, default=6400)
    options = parser.parse_args()
    reader = pipeline.session(options.models / "plate-reader" / "model.onnx")
    found = observe(reader, options.count)
    pairs = rising(found)
    raw, kept = threshold(found)
    result = {"crops": len(found), "right": sum(r for _, r in found), "calibration": pairs, "raw_threshold": raw,
              "confidence_threshold": None, "coverage": round(kept, 3)}
    if raw is not None:
        result["confidence_threshold"] = round(float(np.interp(raw, *zip(*pairs, strict=True))), 4)
    (RUNS / "calibration.json").write_text(json.dumps(result) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
