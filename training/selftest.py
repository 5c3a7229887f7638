"""Checks of the training code that need no network and no data:
python -m unittest training.selftest"""

import random
import unittest

import numpy as np
import torch

from . import degrade, evaluate, formats, pipeline, plates, reader_data, train_detector
from .atlas import ALPHABET, Atlas
from .detector_model import Detector, decode
from .reader_model import CLASSES, Reader


class Rendering(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.atlas = Atlas(1, 4)

    def test_every_pattern_gives_readable_text(self):
        rng = random.Random(1)
        for look in formats.LOOKS:
            for pattern in look.patterns:
                for line in formats.fill(pattern, look.letters, rng).split("/"):
                    text = formats.label(line)
                    self.assertLessEqual(len(text), reader_data.LONGEST, pattern)
                    self.assertTrue(set(text) <= set(ALPHABET), text)

    def test_same_seed_same_crop(self):
        first = reader_data.crop(random.Random(5), self.atlas, 0.7)
        second = reader_data.crop(random.Random(5), self.atlas, 0.7)
        self.assertEqual(first[1], second[1])
        np.testing.assert_array_equal(first[0], second[0])

    def test_cut_keeps_the_text(self):
        rng = random.Random(2)
        for _ in range(200):
            quad = degrade._cut((40, 10, 280, 55), 30, 300, 64, rng, 1.0)
            self.assertLess(quad[[0, 3], 0].max(), 42)
            self.assertGreater(quad[[1, 2], 0].min(), 278)

    def test_text_stands_on_the_plate(self):
        rng = random.Random(3)
        for _ in range(100):
            plate = plates.draw(rng, self.atlas)
            for _, x0, _, x1, _ in plate.lines:
                self.assertGreater(x0, -3)
                self.assertLess(x1, plate.image.shape[1] + 3)


class Networks(unittest.TestCase):
    def test_shapes(self):
        with torch.no_grad():
            self.assertEqual(Reader().eval()(torch.zeros(2, 1, 32, 128)).shape, (2, 32, CLASSES))
            rows = Detector().eval()(torch.zeros(1, 3, 64, 96))
        self.assertEqual(rows.shape, (1, 12 * 8 + 6 * 4 + 3 * 2, 13))

    def test_decode_centres(self):
        raw = torch.zeros(1, 13, 2, 3)
        rows = decode(raw, 8)[0]
        self.assertTrue(torch.allclose(rows[0, 5:7], torch.tensor([4.0, 4.0])))
        self.assertTrue(torch.allclose(rows[5, 5:7], torch.tensor([20.0, 12.0])))

    def test_assignment_hits_the_plate(self):
        rows = torch.zeros(1, 6, 14)
        rows[0, 0, :4] = torch.tensor([100.0, 100.0, 150.0, 112.0])
        which = train_detector.assign(rows, 320, 8).reshape(40, 40)
        self.assertEqual(which[13, 15].item(), 0)
        self.assertEqual(which[0, 0].item(), -1)
        self.assertTrue((train_detector.assign(rows, 320, 32) < 0).all())


class Pipeline(unittest.TestCase):
    def test_greedy_reading(self):
        codes = [0, 2, 2, 0, 2, 11, 0]
        logprobs = np.full((len(codes), CLASSES), -9.0)
        logprobs[range(len(codes)), codes] = np.log(0.9)
        text, sure = pipeline.decode(logprobs)
        self.assertEqual(text, "11A")
        self.assertAlmostEqual(sure, 0.9)

    def test_suppression(self):
        rows = np.zeros((3, 13))
        rows[:, 0] = 0.5, 0.9, 0.8
        rows[:, 1:5] = [[0, 0, 10, 5], [1, 0, 11, 5], [40, 0, 50, 5]]
        self.assertEqual([row[0] for row in pipeline.suppress(rows)], [0.9, 0.8])

    def test_wilson(self):
        self.assertEqual(evaluate.wilson(35, 38), [35, 38, 92.1, 79.2, 97.3])
        self.assertEqual(evaluate.distance("1ABC234", "ABC23"), 2)


if __name__ == "__main__":
    unittest.main()
