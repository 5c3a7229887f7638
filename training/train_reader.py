"""Trains the reader: python -m training.train_reader --minutes 40"""

import argparse
import time

import torch
from torch.nn import functional

from . import reader_data
from .atlas import ALPHABET
from .common import Average, Feeder, Run
from .reader_model import Reader


def greedy(logprobs):
    """Best path: repeats and blanks removed."""
    texts = []
    for row in logprobs.argmax(2).tolist():
        before, text = 0, []
        for code in row:
            if code not in (0, before):
                text.append(ALPHABET[code - 1])
            before = code
        texts.append("".join(text))
    return texts


def texts_of(labels, lengths):
    """The texts that a batch's label codes stand for."""
    return ["".join(ALPHABET[c - 1] for c in row[:n])
            for row, n in zip(labels.tolist(), lengths.tolist())]


def loss_of(model, images, labels, lengths, half):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        logprobs = model(images)
    frames = torch.full((len(images),), logprobs.shape[1], dtype=torch.long)
    loss = functional.ctc_loss(logprobs.transpose(0, 1), labels, frames, lengths, zero_infinity=True)
    return loss, logprobs


def train(config):
    torch.manual_seed(config["seed"])
    torch.set_num_threads(config["threads"])
    model = Reader().to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config["rate"], weight_decay=0.02)
    average = Average(model)
    run = Run(config["name"], config)
    run.resume(model, optimiser, average)
    if config["restart_clock"]:
        run.before = 0.0
    # A resumed training must not see the same crops again.
    feeder = Feeder(reader_data.batches, config["seed"] + run.step, config["batch"])
    model.train()
    try:
        loop(model, optimiser, average, run, feeder, config)
    finally:
        feeder.close()


def loop(model, optimiser, average, run, feeder, config):
    total, good, seen, since = 0.0, 0, 0, time.monotonic()
    while run.fraction() < 1:
        ramp = min(1.0, run.step / config["ramp"])
        feeder.level.value = 0.35 + 0.65 * ramp
        images, labels, lengths = feeder.next()
        images = torch.from_numpy(images).float().div_(255)
        labels, lengths = torch.from_numpy(labels), torch.from_numpy(lengths)
        for group in optimiser.param_groups:
            group["lr"] = run.rate(config["rate"])
        loss, logprobs = loss_of(model, images, labels, lengths, config["half"])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        average.update(model)
        run.step += 1
        total, seen = total + loss.item(), seen + 1
        if run.step % 50 == 0:
            good = sum(a == b for a, b in zip(greedy(logprobs), texts_of(labels, lengths)))
            speed = seen * config["batch"] / (time.monotonic() - since)
            run.log(loss=round(total / seen, 4), right=round(good / len(images), 3),
                    level=round(feeder.level.value, 2), speed=round(speed))
            total, seen, since = 0.0, 0, time.monotonic()
        if run.step % 250 == 0:
            run.save(model, optimiser, average)
    run.save(model, optimiser, average)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="reader")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--ramp", type=int, default=1500, help="steps until full degradation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart-clock", action="store_true", help="resume weights, begin the time anew")
    parser.add_argument("--full", dest="half", action="store_false", help="float32 instead of bfloat16")
    train(vars(parser.parse_args()))


if __name__ == "__main__":
    main()
