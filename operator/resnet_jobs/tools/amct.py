"""AMCT's configuration and command line, and what is refused before its minutes are spent.

Called by `prepare` when the order has spec.conversion.quantization: `check_order` first, which
needs no model, `plan_quantization` last. The container `quantize` then runs what lies in
conf/quantize.json, and ATC compiles the model that comes of it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import invalid, unsupported
from resnet_jobs.base.progress import say
from resnet_jobs.base.workspace import write_json
from resnet_jobs.model.inspect import nodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_contract.types import Preprocessing, Quantization
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.tools.calibration import CalibrationSet

FIELD = "spec.conversion.quantization"
# What AMCT quantizes of an ONNX model, by the vendor's table; the last two only with both inputs
# measured, in newer releases.
LAYER_TYPES = ("Conv", "Gemm", "MatMul", "ConvTranspose", "AveragePool", "MaxPool", "Add")
QUANTIZED_TYPES = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul")
OPSETS = range(8, 19)
SAFE_OPSET = 14  # what AMCT reads with every ONNX Runtime it was ever paired with
_BATCH_NUM = re.compile(r"^[^#\n]*?\bbatch_num\s*:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class QuantizationPlan:
    """`model` is what ATC gets; `content` is the part of the content key that comes from here."""

    model: Path
    content: dict[str, Any]
    notes: list[str]


def check_order(spec: JobSpec) -> None:
    """`InvalidSpec` for what no model and no calibration set could make right."""
    if spec.quantization is None:
        return
    if spec.is_cpu:
        raise invalid(
            f"{FIELD} is for Ascend chips: ONNX Runtime on a CPU cannot run what AMCT writes; "
            "leave it out"
        )
    if spec.quantized or spec.format == "OM":
        which = "spec.model.quantized says so" if spec.quantized else "an OM is compiled"
        raise invalid(f"the model is quantized or compiled already ({which}): leave {FIELD} out")
    if len(spec.batch_sizes) > 1:
        raise invalid(
            f"spec.conversion.batchSizes {list(spec.batch_sizes)} and {FIELD}: ATC compiles a "
            "quantized model for one batch size only; write one, for example [8]"
        )
    raw = spec.quantization.raw_config
    if raw is not None:
        _check_raw(raw, batches=spec.quantization.calibration.batches)


def plan_quantization(
    spec: JobSpec,
    workspace: Workspace,
    *,
    model: Any,
    inputs: Sequence[Tensor],
    inside: Sequence[Tensor],
    opset: int,
    preprocessing: Preprocessing | None,
) -> QuantizationPlan:
    """Writes quant.cfg, the calibration batches and quantize.json.

    `inputs` are the model's own, before AIPP, `inside` the same as AMCT is told of them;
    `preprocessing` is the structured block or what a
    raw AIPP text amounts to, None without either.
    """
    from resnet_jobs.tools.calibration import write_calibration

    wish = spec.quantization
    if wish is None:
        raise ValueError("the order asks for no quantization")
    check_model(model, opset=opset)
    check_skipped(model, wish.skip_layers)
    config = config_text(wish)
    workspace.quant_cfg.parent.mkdir(parents=True, exist_ok=True)
    workspace.quant_cfg.write_text(config, encoding="ascii")
    calibration = write_calibration(spec, workspace, inputs, preprocessing=preprocessing)
    argv = build_argv(workspace, inside, calibration)
    say("command: " + " ".join(argv))
    write_json(
        workspace.quant_plan,
        {"argv": argv, "opset": opset, "timeoutSeconds": spec.timeout_seconds},
    )
    return QuantizationPlan(
        model=workspace.deploy_model,
        content={
            "config": hashlib.sha256(config.encode("ascii")).hexdigest(),
            "calibration": calibration.sha256,
            "batch": calibration.batch,
        },
        notes=_notes(calibration, opset),
    )


def config_text(wish: Quantization) -> str:
    """quant.cfg. The number of batches always stands here and never on the command line too."""
    batch_num = f"batch_num : {wish.calibration.batches}\n"
    if wish.raw_config is not None:
        raw = wish.raw_config if wish.raw_config.endswith("\n") else wish.raw_config + "\n"
        return raw if _BATCH_NUM.search(raw) else batch_num + raw
    lines = ["joint_quant : true\n"] if wish.joint_quantization else []
    lines += [f'skip_layers : "{_quoted(name)}"\n' for name in wish.skip_layers]
    return batch_num + "".join(lines)


def build_argv(
    workspace: Workspace, inputs: Sequence[Tensor], calibration: CalibrationSet
) -> list[str]:
    """The driver runs the list without a shell, so nothing in it is quoted."""
    shapes = ";".join(
        f"{tensor.name}:{','.join(map(str, (calibration.batch, *tensor.dims)))}"
        for tensor in inputs
    )
    return [
        "amct_onnx",
        "calibration",
        f"--model={workspace.model}",
        f"--save_path={workspace.quantized_prefix}",
        f"--input_shape={shapes}",
        f"--data_dir={';'.join(f'{folder}/' for folder in calibration.folders)}",
        f"--data_types={';'.join(calibration.data_types)}",
        f"--calibration_config={workspace.quant_cfg}",
    ]


def check_model(model: Any, *, opset: int) -> None:
    """`UnsupportedModel` for what AMCT cannot read, or has nothing to do with."""
    kinds = {node.op_type for node in nodes(model.graph)}
    quantized = sorted(k for k in kinds if k in QUANTIZED_TYPES or k.startswith("Ascend"))
    if quantized:
        raise unsupported(
            f"the model is quantized already ({', '.join(quantized[:3])}): leave {FIELD} out, and "
            "set spec.model.quantized for one that AMCT wrote"
        )
    if opset not in OPSETS:
        raise unsupported(
            f"the model has opset {opset}, but AMCT reads {OPSETS.start} to {OPSETS.stop - 1}: "
            "export it again with opset 13"
        )
    if not kinds & set(LAYER_TYPES):
        raise unsupported(
            f"the model has nothing that AMCT quantizes ({', '.join(LAYER_TYPES[:4])}): leave "
            f"{FIELD} out"
        )


def check_skipped(model: Any, skipped: Sequence[str]) -> None:
    """`InvalidSpec` for a name that is no quantizable layer of the model, with similar ones."""
    layers = {node.name: node.op_type for node in nodes(model.graph) if node.name}
    candidates = [name for name, kind in layers.items() if kind in LAYER_TYPES]
    for name in skipped:
        if name in candidates:
            continue
        if name in layers:
            raise invalid(
                f'{FIELD}.skipLayers "{_short(name)}" is a {layers[name]}, which AMCT never '
                f"quantizes ({', '.join(LAYER_TYPES)}): take it out"
            )
        close = difflib.get_close_matches(name, candidates, n=3, cutoff=0.4) or candidates[:3]
        have = ", ".join(map(_short, close)) or "none, its layers have no names: export it again"
        raise invalid(
            f'{FIELD}.skipLayers "{_short(name)}" is no layer of the model; it has for example: '
            f"{have}"
        )


def _check_raw(raw: str, *, batches: int) -> None:
    odd = next((character for character in raw if ord(character) > 126), None)
    if odd is not None:
        line = raw[: raw.index(odd)].count("\n") + 1
        raise invalid(
            f"{FIELD}.rawConfig has the character {odd!r} in line {line}, which AMCT cannot read: "
            "write plain ASCII, for example : instead of the full-width colon"
        )
    for number in _BATCH_NUM.findall(raw):
        if number != str(batches):
            raise invalid(
                f"{FIELD}.rawConfig says batch_num {number[:20]}, calibration.batches says "
                f"{batches}: write the same number, or take batch_num out"
            )


def _notes(calibration: CalibrationSet, opset: int) -> list[str]:
    notes = [f"calibrating with {calibration.batches} batches of {calibration.batch}"]
    if opset > SAFE_OPSET:
        notes.append(f"opset {opset} needs AMCT with ONNX Runtime 1.16 or later")
    return notes


def _quoted(name: str) -> str:
    """The inside of a string in protobuf's text format, in plain ASCII."""
    plain = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in plain)


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:28]}…{name[-28:]}"
