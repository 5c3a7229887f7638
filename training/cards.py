"""Writes the model cards and runs/figures.md: python -m training.cards

Reads what export and evaluate left; no figure is typed by hand.
"""

import datetime
import hashlib
import json

from .atlas import ALPHABET
from .common import RUNS
from .export import MODELS

VERSION = "1"
# The lowest round confidence from which no read of the simulator's streets was wrong (`belfry anpr passages`), its
# share of the passages, and where; rendered crops alone would allow 0.88, but looks at one vehicle err alike.
THRESHOLD, COVERAGE, STREETS = 0.995, 0.952, "713 of 749 passages by day, by night, in rain and with plates one letter apart; none wrong"
SCORE_MIN, SCORE_MIN_FINE = 0.6, 0.7  # training.threshold, on rendered scenes
NOTE = ("The renderer was widened several times while this run went on (each time resumed); "
        "a fresh run sees all of it from the start and will not give the same bytes.")
INTERVAL = "right, of, per cent, lower and upper end of the 95 % Wilson interval"

FACTS = {
    "reader": {
        "input": [("name", "plates"), ("shape", "[N, 1, 32, 128] float32, N free"), ("colour", "grey"),
                  ("range", "0..1; rectified plate stretched to 128x32, corners grown by 4 % of the width and 8 % of the height")],
        "output": [("name", "logprobs"), ("shape", "[N, 32, 37] float32"),
                   ("meaning", "log-softmax; class 0 is the CTC blank, then the alphabet in order")],
        "data": "rendered plates only; no photograph was used for training",
        "licences": "renderer and stroke glyphs EUPL-1.2; fonts seen in training: SIL OFL (fontsource, OSP-DIN), roadgeek and routed-gothic (free, Debian)",
        "note": NOTE, "recipe": "residual CNN with CTC, 1.53 M parameters, AdamW, cosine by time, batch 64, bfloat16 on the CPU, averaged weights; python -m training.train_reader",
        "limits": [
            "One line of text only: a caller halves two-line plates (width under 2.4 heights) and reads both halves.",
            "At most nine characters; letters with accents and umlauts are returned as whatever base letter they resemble.",
            "O and 0, I and 1 are told apart by their place in formats seen in training; personalised plates may defeat that.",
            "The sets are small: the intervals are wide, and Belgian plates are represented by 38 crops.",
            "The development sets were looked at to improve the renderer, so these figures are optimistic for other cameras.",
            "Motorcycle, moped, infra-red and night plates were trained from rendering alone and hardly measured.",
            "Calibration was measured on rendered crops and confidence_threshold on the simulator's streets; real cameras may need their own.",
        ],
    },
    "detector": {
        "input": [("name", "image"), ("shape", "[N, 3, H, W] float32, H and W multiples of 32"), ("colour", "RGB"),
                  ("range", "0..1; letterbox padding 0.447")],
        "output": [("name", "pred"), ("shape", "[N, M, 13] float32"),
                   ("meaning", "score, box x0 y0 x1 y1, then x y of the top left, top right, bottom right and bottom left corner, in input pixels; suppression is the caller's")],
        "data": "rendered street scenes, and the first four fifths in time of each drive of the Romanian dash-camera set with its own and rendered plates",
        "licences": "renderer EUPL-1.2; plates-ro MIT",
        "note": NOTE, "recipe": "plain 3x3 convolutions, strides 8/16/32, 0.68 M parameters, AdamW, cosine by time, batch 16 at 320x320 and 6 at 512x512, bfloat16 on the CPU, averaged weights; python -m training.train_detector",
        "limits": [
            "Trained on plates about 17 to 520 input pixels wide; corners of plates over 300 are less exact, so pictures should not be enlarged to fill the input.",
            "The real training frames come from four dash-camera drives in Romania at dusk and night; all else was rendered.",
            "Boxes of plates-ro are loose by hand; recall at 0.5 overlap understates tight boxes there.",
            "Corners of two-line plates are coarse: of 120 rendered ones 106 are read on them with one way of halving, 114 with six, 117 on true corners.",
            "False boxes appear on text and grilles; a reading that is unsure should be dropped by the caller.",
            "Plates turned by more than about 25 degrees or cut by the picture's edge are unreliable.",
            "The development sets were looked at to improve the scenes, so these figures are optimistic for other cameras.",
        ],
    },
}


def text(value):
    """A TOML basic string."""
    return json.dumps(value, ensure_ascii=False)


def accuracy_lines(kind, accuracy):
    """Lines of the [accuracy] table that concern this model."""
    lines = [f"# figures: {INTERVAL}"]
    for name, figures in accuracy.items():
        if not isinstance(figures, dict) or name.startswith("milliseconds"):
            continue
        detects = "recall50" in figures
        if detects != (kind == "detector"):
            continue
        keys = ("recall50", "recall30", "extra") if detects else ("strict", "merged", "cer", "vote")
        parts = [f"{k} = {json.dumps(figures[k])}" for k in keys if k in figures]
        lines.append(f"{text(name)} = {{ {', '.join(parts)} }}")
    if kind == "reader":
        for name, figures in accuracy.items():
            if "end to end" in name and isinstance(figures, dict):
                parts = [f"{k} = {json.dumps(figures[k])}" for k in ("strict", "merged", "cer", "vote") if k in figures]
                lines.append(f"{text(name)} = {{ {', '.join(parts)} }}")
    return lines


def reader_lines():
    """What only the reader's card has; the calibration is of rendered crops."""
    lines, path = [f'alphabet = "{ALPHABET}"'], RUNS / "calibration.json"
    if path.exists():
        found = json.loads(path.read_text())
        lines.append(f"calibration = {json.dumps(found['calibration'])}")
    lines += [f"confidence_threshold = {THRESHOLD}", f"threshold_coverage = {COVERAGE}  # {STREETS}"]
    return lines


def card(kind, accuracy):
    """The text of a card.toml."""
    facts, path = FACTS[kind], MODELS / f"plate-{kind}" / "model.onnx"
    config = json.loads((RUNS / kind / "config.json").read_text())
    saved = json.loads((RUNS / kind / "exported.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [f'name = "plate-{kind}"', f'kind = "{kind}"', f"version = {text(VERSION)}",
             f'date = "{datetime.date.today().isoformat()}"', 'license = "EUPL-1.2"', f'sha256 = "{digest}"']
    lines += reader_lines() if kind == "reader" else [f"score_min = {SCORE_MIN}", f"score_min_fine = {SCORE_MIN_FINE}"]
    lines += ["limits = ["] + [f"  {text(limit)}," for limit in facts["limits"]] + ["]"]
    for table in ("input", "output"):
        lines += ["", f"[{table}]"] + [f"{key} = {text(value)}" for key, value in facts[table]]
    lines += ["", "[training]", f'data = {text(facts["data"])}', f'licences = {text(facts["licences"])}',
              f'steps = {saved["step"]}', f'minutes = {saved["minutes"]}', f'seed = {config["seed"]}',
              f'batch = {config["batch"]}', f'recipe = {text(facts["recipe"])}', f'note = {text(facts["note"])}']
    lines += ["", "[accuracy]"] + accuracy_lines(kind, accuracy)
    return "\n".join(lines) + "\n"


def share(figure):
    """A Wilson row as Markdown."""
    good, total, percent, low, high = figure
    return f"{percent} ({low}–{high}), {good}/{total}"


def tables(accuracy):
    """The Markdown tables of models/README.md."""
    lines = ["| set | strict | O/0, I/1, B/8 merged | CER % | vote per vehicle |", "|---|---|---|---|---|"]
    for name, figures in accuracy.items():
        if isinstance(figures, dict) and "strict" in figures:
            vote = share(figures["vote"]) if "vote" in figures else "–"
            lines.append(f"| {name} | {share(figures['strict'])} | {share(figures['merged'])} | {figures['cer']} | {vote} |")
    lines += ["", "| set | recall at overlap 0.5 | at 0.3 | further boxes a picture |", "|---|---|---|---|"]
    for name, figures in accuracy.items():
        if isinstance(figures, dict) and "recall50" in figures:
            lines.append(f"| {name} | {share(figures['recall50'])} | {share(figures['recall30'])} | {figures['extra']} |")
    lines += ["", "| certainty at least | kept | of these right |", "|---|---|---|"]
    for limit, kept, total, good in accuracy["reliability end to end 640x384"]:
        right = share_of(good, kept)
        lines.append(f"| {limit} | {kept}/{total} ({share_of(kept, total)}) | {good}/{kept} ({right}) |")
    lines += ["", "| one thread | median ms |", "|---|---|"]
    lines += [f"| {k} | {v} |" for k, v in accuracy["milliseconds one thread"].items()]
    return "\n".join(lines)


def share_of(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"


def main():
    path = RUNS / "accuracy.json"
    accuracy = json.loads(path.read_text()) if path.exists() else {}
    for kind in FACTS:
        (MODELS / f"plate-{kind}" / "card.toml").write_text(card(kind, accuracy))
    if accuracy:
        (RUNS / "figures.md").write_text(tables(accuracy) + "\n")


if __name__ == "__main__":
    main()
