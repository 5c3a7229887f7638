"""Endless reader crops: 128x32 grey pictures and their labels."""

import random

import numpy as np

from . import degrade, plates
from .atlas import ALPHABET, Atlas

CODE = {char: i + 1 for i, char in enumerate(ALPHABET)}
LONGEST = 9


def crop(rng, atlas, strength):
    """One random crop and its text."""
    while True:
        plate = plates.draw(rng, atlas)
        grey = plate.image[:, :, 0]
        number = rng.randrange(len(plate.lines))
        text, *box = plate.lines[number]
        if not 1 <= len(text) <= LONGEST:
            continue
        left = plate.left
        if len(plate.lines) == 2:
            # The caller halves a two-line plate; so does this, not quite evenly.
            middle = grey.shape[0] * rng.uniform(0.48, 0.52)
            middle = max(middle, box[3] + 1) if number == 0 else min(middle, box[1] - 1)
            cut = round(middle)
            grey = grey[:cut] if number == 0 else grey[cut:]
            if number:
                box[1], box[3] = box[1] - cut, box[3] - cut
        grey = np.ascontiguousarray(grey)
        return degrade.capture(grey, box, left, rng, strength), text


def batches(seed, size, strength):
    """Yields (uint8 [size,1,32,128], int labels [size,LONGEST], lengths).

    `strength` is called for every batch and returns 0..1.
    """
    rng, atlas = random.Random(seed), Atlas(seed % 997)
    while True:
        level = strength()
        images = np.empty((size, 1, degrade.HIGH, degrade.WIDE), np.uint8)
        labels = np.zeros((size, LONGEST), np.int64)
        lengths = np.zeros(size, np.int64)
        for i in range(size):
            image, text = crop(rng, atlas, level * rng.uniform(0.35, 1.1))
            if rng.random() < 0.02:
                image = 255 - image
            images[i, 0], lengths[i] = image, len(text)
            labels[i, :len(text)] = [CODE[char] for char in text]
        yield images, labels, lengths
