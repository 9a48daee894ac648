"""The command `amct_onnx {calibration,convert}`: arguments, messages, files.

Arguments may be abbreviated and written `--name value` or `--name=value`, as argparse allows.
Messages go to stdout and to ./amct_log/amct_onnx.log; a refusal ends with status 1.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from amct_onnx import __version__, config
from amct_onnx.errors import AmctError

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNTIMES = {"1.8": 14, "1.9": 14, "1.16": 16, "1.20": 18}
"""ONNX Runtime of an AMCT release -> the highest opset that it takes."""
LOG = logging.getLogger("amct_onnx")
REFUSED = 1


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    chosen = parser.parse_args(list(arguments))
    if not chosen.command:
        parser.print_help()
        return 0
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    try:
        Path("amct_log").mkdir(exist_ok=True)
        handlers.append(logging.FileHandler(Path("amct_log") / "amct_onnx.log"))
    except OSError as error:
        print(f"ERROR - [AMCT]:[AMCT]: {error.filename}: {error.strerror}", file=sys.stderr)
        return REFUSED
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(levelname)s - [AMCT]:[%(part)s]: %(message)s"))
    LOG.handlers, LOG.propagate = handlers, False
    LOG.setLevel(logging.INFO)
    try:
        # The real one does not say this: nobody shall take the result for the real thing.
        say("AMCT", f"amct_onnx {__version__}: no Huawei software.")
        if chosen.command == "convert":
            raise AmctError("AMCT", "convert (a QAT model) is not simulated; the real AMCT has it.")
        _calibrate(chosen)
    except AmctError as error:
        LOG.error(str(error), extra={"part": error.part})
        return REFUSED
    except OSError as error:
        LOG.error("%s: %s", error.filename, error.strerror, extra={"part": "Utils"})
        return REFUSED
    finally:
        for handler in handlers:
            handler.close()
    return 0


def say(part: str, sentence: str) -> None:
    LOG.info(sentence, extra={"part": part})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amct_onnx", description=f"AMCT {__version__}: this is a simulator of Huawei's AMCT."
    )
    parser.add_argument("--version", action="version", version=f"amct_onnx {__version__}")
    commands = parser.add_subparsers(dest="command")
    calibration = commands.add_parser("calibration", help="post-training quantization")
    calibration.add_argument("--model", required=True, help="the ONNX file")
    calibration.add_argument("--save_path", required=True, help="the prefix of the results")
    calibration.add_argument("--input_shape", help='"name:1,3,224,224;…"')
    calibration.add_argument("--data_dir", help='"folder;folder2": .bin files for each input')
    calibration.add_argument("--data_types", help='"float32;…"')
    calibration.add_argument("--evaluator", help="a Python script instead of data")
    calibration.add_argument("--calibration_config", help="an AMCTConfig in protobuf's text format")
    calibration.add_argument("--batch_num", type=int, help="how many batches are used (1)")
    convert = commands.add_parser("convert", help="a QAT model to a deployable one")
    convert.add_argument("--model", required=True)
    convert.add_argument("--save_path", required=True)
    return parser


def _calibrate(chosen: argparse.Namespace) -> None:
    data = (chosen.input_shape, chosen.data_dir, chosen.data_types)
    if chosen.evaluator:
        if any(data):
            sentence = "evaluator excludes input_shape, data_dir and data_types."
            raise AmctError("Command", sentence)
        raise AmctError("Command", "evaluator is not simulated; the real AMCT has it.")
    if not all(data):
        sentence = "input_shape, data_dir and data_types are required without evaluator."
        raise AmctError("Command", sentence)
    settings = config.Config()
    if chosen.calibration_config:
        settings = config.read(Path(chosen.calibration_config))
    if chosen.batch_num is not None and settings.batch_num is not None:
        raise AmctError("Command", "batch_num is given twice: as an option and in the config.")
    batch_num = settings.batch_num if chosen.batch_num is None else chosen.batch_num
    batch_num = 1 if batch_num is None else batch_num
    if batch_num < 1:
        raise AmctError("Command", "batch_num must be greater than 0.")
    prefix = Path(chosen.save_path)
    if not prefix.name or chosen.save_path.endswith("/"):
        raise AmctError("Command", "save_path must end with a prefix for the files.")
    _run(chosen, settings, batch_num, prefix)


def _run(chosen: argparse.Namespace, settings: config.Config, batch_num: int, prefix: Path) -> None:
    # Heavy, and not needed to refuse a command line.
    import onnx

    from amct_onnx import calibrate, save
    from amct_onnx.data import Batches, parse_shapes
    from amct_onnx.network import load

    runtime = os.environ.get("SIMULATED_AMCT_RUNTIME", "1.20")
    network = load(Path(chosen.model), RUNTIMES.get(runtime, 18))
    shapes = parse_shapes(chosen.input_shape)
    names = {value.name for value in network.graph.input}
    if names != set(shapes):
        sentence = (
            f"input_shape names {', '.join(shapes)}; the model's inputs are {', '.join(names)}."
        )
        raise AmctError("Utils", sentence)
    batches = Batches(shapes, chosen.data_dir.split(";"), chosen.data_types.split(";"))
    if settings.do_fusion:
        count = network.fold_normalizations(settings.skip_fusion_layers)
        say("Optimizer", f"{count} BatchNormalization operators are fused into convolutions.")
    layers = network.layers(settings)
    say("Configuration", f"{len(layers)} layers are quantized.")
    algorithms = {layer.name: settings.algorithm(layer.name, layer.kind) for layer in layers}
    scales = calibrate.activation_scales(
        network,
        layers,
        batches.first(batch_num),
        algorithms,
        lambda number: say("Calibration", f"batch {number} of {batch_num} is calibrated."),
    )
    by_name = {node.name: node for node in network.graph.node}
    quantized = {}
    for layer in layers:
        weights = network.array(by_name[layer.name].input[1])
        weight_scale = calibrate.weight_scales(weights, layer, algorithms[layer.name])
        quantized[layer.name] = save.quantize(network, layer, scales[layer.name], weight_scale)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for kind, model in (
        ("deploy", save.deploy(network, quantized)),
        ("fake_quant", save.fake_quant(network, quantized)),
    ):
        path = f"{prefix}_{kind}_model.onnx"
        onnx.save(model, path)
        say("Utils", f"The model file is saved in {path}")
    content = save.record(list(quantized.values()), batch_num, joint=settings.joint_quant)
    save.write_json(Path(f"{prefix}_quant.json"), content)
    say("Utils", f"The quantization record is saved in {prefix}_quant.json")
