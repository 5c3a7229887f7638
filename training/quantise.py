"""Tries int8 (and bf16) variants of both models: python -m training.quantise

Static quantisation of the convolutions, calibrated on rendered pictures alone.
Accuracy on the evaluation sets and speed on one thread go to runs/quantised.json;
the models in models/ are not touched: who likes a variant better copies it.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

from . import evaluate, pipeline, reader_data, scenes
from .atlas import Atlas
from .common import RUNS
from .export import MODELS
from .threshold import scene

SEED = 31_337
INPUTS = {"reader": "plates", "detector": "image"}
SHAPES = {"reader": (1, 1, 32, 128), "detector": (1, 3, 384, 640)}


class Rendered(CalibrationDataReader):
    """Rendered inputs of a model, one after another."""

    def __init__(self, kind, count):
        rng, atlas = random.Random(SEED), Atlas(SEED % 997, 40)
        if kind == "reader":
            crops = (reader_data.crop(rng, atlas, rng.uniform(0.3, 1.0))[0] for _ in range(count))
            made = (crop[None, None].astype(np.float32) / 255 for crop in crops)
        else:
            backdrops = scenes.Backdrops(rng, count=10)
            made = (pipeline.letterbox(scene(rng, atlas, backdrops, 640, 384)[0], 640, 384)[0] for _ in range(count))
        self.left = [{INPUTS[kind]: tensor.astype(np.float32)} for tensor in made]

    def get_next(self):
        return self.left.pop() if self.left else None


def convolutions(path):
    """Names of the convolutions in order."""
    return [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]


def int8(kind, source, target, count, spare):
    """Quantises; `spare` convolutions at each end stay in float."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        names = convolutions(ready)
        kept = names[:spare] + names[len(names) - spare:] if spare else []
        quantize_static(str(ready), str(target), Rendered(kind, count), quant_format=QuantFormat.QDQ,
                        op_types_to_quantize=["Conv", "Add", "Relu", "MaxPool"], per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=kept,
                        calibrate_method=CalibrationMethod.Percentile if kind == "reader" else CalibrationMethod.MinMax)


def milliseconds(path, kind, count):
    """Median and lowest time of one input on one thread."""
    run, tensor = pipeline.session(path), np.random.default_rng(1).random(SHAPES[kind], np.float32)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run.run(None, {INPUTS[kind]: tensor})
        times.append(1000 * (time.perf_counter() - start))
    return [round(float(np.median(times)), 2), round(min(times), 2)]


def measure(detector, reader):
    """The sets of the card, in one row."""
    detector, reader = pipeline.session(detector), pipeline.session(reader)
    out = {f"crops-eu {g}": evaluate.read_whole(reader, g).figures()["strict"] for g in ("be", "o")}
    for name in ("plates-eu", "plates-nl"):
        result, figures = evaluate.end_to_end(detector, reader, name, (640, 384), 0.6)
        out[name] = figures["strict"]
        if name == "plates-nl":
            out["plates-nl vote"] = evaluate.vote(result)
    held = evaluate.detection(detector, (640, 384), 0.6)
    out["plates-ro"], out["plates-ro extra"] = held["recall50"], held["extra"]
    return out


def bf16(source, target):
    """Weights and activations as bfloat16; says why it does not run where it does not."""
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            halves = ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, onnx.TensorProto.BFLOAT16, values.shape,
                                                    halves.tobytes(), raw=True))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    del model.graph.value_info[:]
    onnx.save(model, target)
    try:
        pipeline.session(target)
        return "runs"
    except Exception as error:  # noqa: BLE001 (any refusal is the finding)
        return str(error).splitlines()[0][:200]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="rendered inputs for the calibration")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    folder = RUNS / "quantised"
    folder.mkdir(parents=True, exist_ok=True)
    plain = {kind: MODELS / f"plate-{kind}" / "model.onnx" for kind in INPUTS}
    variants = {"float32": plain}
    out = {"onnxruntime": ort.__version__, "rows": {}}
    for spare in (0, 1, 3):
        made = {kind: folder / f"{kind}-int8-{spare}.onnx" for kind in INPUTS}
        for kind, target in made.items():
            int8(kind, plain[kind], target, options.count, spare)
        variants[f"int8, {spare} float at each end"] = made
    out["bf16"] = {kind: bf16(plain[kind], folder / f"{kind}-bf16.onnx") for kind in INPUTS}
    print(json.dumps(out["bf16"]), flush=True)
    for name, paths in variants.items():
        row = {f"{kind} ms": milliseconds(path, kind, options.rounds) for kind, path in paths.items()}
        row["bytes"] = sum(path.stat().st_size for path in paths.values())
        print(name, json.dumps(row), flush=True)
        if evaluate.DATA.exists():
            # One model at a time, so that a loss has a name; then both.
            for label, pair in (("detector", (paths["detector"], plain["reader"])),
                                ("reader", (plain["detector"], paths["reader"])),
                                ("both", (paths["detector"], paths["reader"]))):
                if name != "float32" or label == "both":
                    row[label] = measure(*pair)
                    print(name, label, json.dumps(row[label]), flush=True)
        out["rows"][name] = row
        (RUNS / "quantised.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
