"""What both trainings share: a feeding process, averaging, runs on disk."""

import csv
import json
import math
import multiprocessing as mp
import os
import time
from pathlib import Path
from queue import Full

import torch

RUNS = Path(__file__).parent / "runs"


def _feed(queue, level, make, seed, size, options):
    import cv2
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    parent = os.getppid()
    for batch in make(seed, size, lambda: level.value, **options):
        while os.getppid() == parent:
            try:
                queue.put(batch, timeout=5)
                break
            except Full:
                continue
        else:
            queue.cancel_join_thread()
            return  # the training was killed


class Feeder:
    """One worker process that makes batches while the network trains."""

    def __init__(self, make, seed, size, depth=6, **options):
        context = mp.get_context("spawn")
        self.level = context.Value("d", 0.3)
        self.queue = context.Queue(depth)
        arguments = (self.queue, self.level, make, seed, size, options)
        self.process = context.Process(target=_feed, args=arguments, daemon=True)
        self.process.start()

    def next(self):
        return self.queue.get()

    def close(self):
        self.process.terminate()
        self.process.join()


class Average:
    """Exponential moving average of a network's weights and buffers."""

    def __init__(self, model, decay=0.998):
        self.decay, self.steps = decay, 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model):
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value.detach(), 1 - decay)
            else:
                self.state[key].copy_(value)


class Run:
    """A training's folder: config, curve, checkpoint; picks up where it stopped.

    Progress is measured in wall-clock minutes, not steps, so that the learning
    rate comes down in time whatever else the machine does.
    """

    def __init__(self, name, config):
        self.folder = RUNS / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = self.folder / "last.pt"
        self.curve = self.folder / "curve.csv"
        self.config = config
        (self.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        self.before = 0.0
        self.start = time.monotonic()
        self.step = 0

    def minutes(self):
        return self.before + (time.monotonic() - self.start) / 60

    def fraction(self):
        return min(1.0, self.minutes() / self.config["minutes"])

    def resume(self, model, optimiser, average):
        if not self.checkpoint.exists():
            return False
        saved = torch.load(self.checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, average.steps = saved["average"], saved["steps"]
        self.before, self.step = saved["minutes"], saved["step"]
        print(f"resumed at step {self.step}, minute {self.before:.1f}", flush=True)
        return True

    def save(self, model, optimiser, average):
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                 "average": average.state, "steps": average.steps,
                 "minutes": self.minutes(), "step": self.step}
        torch.save(state, self.checkpoint.with_suffix(".tmp"))
        os.replace(self.checkpoint.with_suffix(".tmp"), self.checkpoint)

    def log(self, **figures):
        row = {"step": self.step, "minutes": round(self.minutes(), 2), **figures}
        fresh = not self.curve.exists()
        with self.curve.open("a", newline="") as file:
            writer = csv.DictWriter(file, row.keys())
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{k} {v}" for k, v in row.items()), flush=True)

    def rate(self, peak):
        """Learning rate: short warm-up by steps, cosine by time."""
        warm = min(1.0, (self.step + 1) / 150)
        return peak * warm * max(0.01, 0.5 + 0.5 * math.cos(math.pi * self.fraction()))
