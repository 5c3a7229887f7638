"""Writes the ONNX files: python -m training.export [reader] [detector]"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from .common import RUNS
from .detector_model import Detector
from .pipeline import session
from .reader_model import Reader

MODELS = Path(__file__).resolve().parents[1] / "models"
CONTRACT = {
    "reader": (Reader, "plates", "logprobs", (2, 1, 32, 128), {0: "n"}, {0: "n"}),
    "detector": (Detector, "image", "pred", (1, 3, 384, 640), {0: "n", 2: "h", 3: "w"}, {0: "n", 1: "m"}),
}


def export(kind, run, folder):
    """Exports the averaged weights of a run and compares both runtimes."""
    maker, source, result, shape, moving_in, moving_out = CONTRACT[kind]
    model = maker()
    saved = torch.load(RUNS / run / "last.pt", weights_only=True)
    model.load_state_dict(saved["average"])
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    torch.onnx.export(model, (torch.rand(shape),), str(path), input_names=[source], output_names=[result],
                      dynamic_axes={source: moving_in, result: moving_out}, opset_version=17, dynamo=False)
    other = (3, *shape[1:]) if kind == "reader" else (2, 3, 736, 1280)
    probe = torch.rand(other)
    with torch.no_grad():
        ours = model(probe).numpy()
    theirs = session(path).run(None, {source: probe.numpy()})[0]
    record = {"step": saved["step"], "minutes": round(saved["minutes"])}
    (RUNS / run / "exported.json").write_text(json.dumps(record) + "\n")
    worst = float(np.abs(ours - theirs).max())
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {theirs.shape}, largest difference {worst:.1e}, "
          f"step {saved['step']}")
    assert worst < 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["reader", "detector"])
    parser.add_argument("--run", help="name of the run, if not that of the kind")
    parser.add_argument("--to", type=Path, default=MODELS, help="folder of the models")
    options = parser.parse_args()
    for kind in options.kinds or ["reader", "detector"]:
        export(kind, options.run or kind, options.to / f"plate-{kind}")


if __name__ == "__main__":
    main()
