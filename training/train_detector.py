"""Trains the detector: python -m training.train_detector --minutes 40"""

import argparse
import time

import torch
from torch.nn import functional

from . import detector_data
from .common import Average, Feeder, Run
from .detector_model import STRIDES, Detector, decode

# Plate widths in pixels that each stride learns; neighbours overlap.
RANGES = {8: (0, 76), 16: (52, 190), 32: (130, 1e9)}


def assign(rows, size, stride):
    """Which cells of a stride answer for which plate.

    Gives `which` [N,cells], the plate's index or -1 for background, -2 for
    cells that are neither (ignored), for rows [N,MOST,FIELDS].
    """
    cells = size // stride
    line = (torch.arange(cells) + 0.5) * stride
    y, x = [v.reshape(1, 1, -1) for v in torch.meshgrid(line, line, indexing="ij")]
    x0, y0, x1, y1 = [rows[:, :, i:i + 1] for i in range(4)]
    wide, tall = x1 - x0, y1 - y0
    reach_x = (0.25 * wide).clamp(0.51 * stride, 1.5 * stride)
    reach_y = (0.25 * tall).clamp(0.51 * stride, 1.5 * stride)
    far_x = (x - (x0 + x1) / 2).abs() / reach_x
    far_y = (y - (y0 + y1) / 2).abs() / reach_y
    far = torch.maximum(far_x, far_y)
    real = wide > 0
    skip = rows[:, :, 13:14] > 0
    low, high = RANGES[stride]
    scale = torch.maximum(wide, 2.2 * tall)
    fits = (scale >= low) & (scale < high)
    near_fit = (scale >= low / 1.4) & (scale < high * 1.4)
    positive = (far <= 1) & fits & real & ~skip
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    ignored = ((far <= 2) & near_fit & real) | (inside & skip & real)
    cost = torch.where(positive, far, torch.full_like(far, 1e9))
    best, which = cost.min(1)
    which = torch.where(best < 1e8, which, torch.full_like(which, -1))
    return torch.where((which < 0) & ignored.any(1), torch.full_like(which, -2), which)


def overlap_loss(found, wanted):
    """1 - generalised intersection over union of matching boxes."""
    low, high = torch.maximum(found[:, :2], wanted[:, :2]), torch.minimum(found[:, 2:], wanted[:, 2:])
    both = (high - low).clamp(min=0).prod(1)
    area = (found[:, 2:] - found[:, :2]).prod(1) + (wanted[:, 2:] - wanted[:, :2]).prod(1) - both
    hull = (torch.maximum(found[:, 2:], wanted[:, 2:]) - torch.minimum(found[:, :2], wanted[:, :2])).prod(1)
    return 1 - both / area.clamp(min=1e-3) + (hull - area) / hull.clamp(min=1e-3)


def score_loss(logit, which, n, cell, worth):
    """Cross entropy towards the box's worth; easy background counts little."""
    truth = torch.zeros_like(logit)
    truth[n, cell] = worth
    weight = 0.6 * logit.detach().sigmoid() ** 2
    weight[n, cell] = 1.0
    weight = weight * (which != -2)
    return (functional.binary_cross_entropy_with_logits(logit, truth, reduction="none") * weight).sum()


def loss_of(model, images, rows, half):
    """The three losses of a batch: score, box, corners."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        maps = model.maps(images)
    score = box = corner = 0.0
    count = corner_count = 1e-3
    for raw, stride in zip(maps, STRIDES):
        raw = raw.float()
        which = assign(rows, images.shape[2], stride)
        n, cell = torch.nonzero(which >= 0, as_tuple=True)
        found = decode(raw, stride)[n, cell]
        wanted = rows[n, which[n, cell]]
        # Hand-drawn boxes of real frames are loose: they count less.
        weight = 0.3 + 0.7 * wanted[:, 12]
        miss = overlap_loss(found[:, 1:5], wanted[:, :4])
        box = box + (miss * weight).sum()
        # The score also says how good the box is, so that the best one survives.
        worth = (1 - miss.detach()).clamp(0.3, 1.0)
        score = score + score_loss(raw[:, 0].flatten(1), which, n, cell, worth)
        if not len(n):
            continue
        tall = (wanted[:, 11] - wanted[:, 5]).abs().clamp(min=4)[:, None]
        miss = functional.smooth_l1_loss(found[:, 5:] / tall, wanted[:, 4:12] / tall, reduction="none", beta=0.1)
        corner = corner + (miss.mean(1) * wanted[:, 12]).sum()
        count, corner_count = count + len(n), corner_count + wanted[:, 12].sum()
    return score / count, box / count, corner / corner_count


def train(config):
    torch.manual_seed(config["seed"])
    torch.set_num_threads(config["threads"])
    model = Detector().to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config["rate"], weight_decay=0.02)
    average = Average(model)
    run = Run(config["name"], config)
    run.resume(model, optimiser, average)
    if config["restart_clock"]:
        run.before = 0.0
    feeder = Feeder(detector_data.batches, config["seed"] + run.step, config["batch"], real_share=config["real"])
    model.train()
    try:
        loop(model, optimiser, average, run, feeder, config)
    finally:
        feeder.close()


def loop(model, optimiser, average, run, feeder, config):
    total, seen, since = torch.zeros(3), 0, time.monotonic()
    while run.fraction() < 1:
        images, rows, _ = feeder.next()
        images = torch.from_numpy(images).float().div_(255).contiguous(memory_format=torch.channels_last)
        rows = torch.from_numpy(rows)
        for group in optimiser.param_groups:
            group["lr"] = run.rate(config["rate"])
        parts = loss_of(model, images, rows, config["half"])
        optimiser.zero_grad(set_to_none=True)
        (2 * parts[0] + parts[1] + 2 * parts[2]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 8.0)
        optimiser.step()
        average.update(model)
        run.step += 1
        total, seen = total + torch.stack([p.detach() for p in parts]), seen + 1
        if run.step % 50 == 0:
            speed = seen * config["batch"] / (time.monotonic() - since)
            score, box, corner = (total / seen).tolist()
            run.log(score=round(score, 4), box=round(box, 4), corner=round(corner, 4), speed=round(speed, 1))
            total, seen, since = torch.zeros(3), 0, time.monotonic()
        if run.step % 200 == 0:
            run.save(model, optimiser, average)
    run.save(model, optimiser, average)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="detector")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--real", type=float, default=0.45, help="share of dash-camera frames")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart-clock", action="store_true", help="resume weights, begin the time anew")
    parser.add_argument("--full", dest="half", action="store_false", help="float32 instead of bfloat16")
    train(vars(parser.parse_args()))


if __name__ == "__main__":
    main()
