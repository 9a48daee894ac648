"""From checked flags to an order: what is to be compiled, how, and where to.

The checks come in the order in which ATC makes them (hicann/ge, api/atc/main_impl.cc), because a
user sees only the first. Called by atc.py.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from ascend_simulator import chips
from ascend_simulator.choices import Choices, make_choices
from ascend_simulator.errors import AtcError
from ascend_simulator.flags import Flags
from ascend_simulator.paths import input_path, output_path

SHAPE_SAMPLE = '"input_name1:n1,c1,h1,w1"'


@dataclass(frozen=True)
class Order:
    """One conversion. `shapes` has -1 for the batch where `batches` are its profiles."""

    model: Path
    output: Path
    soc_version: str
    shapes: dict[str, tuple[int, ...]]
    batches: tuple[int, ...]
    precision: str
    choices: Choices
    host_code: str | None
    """The architecture in the file's name, when the .om carries code for the host."""
    aipp_file: Path | None
    """The file of --insert_op_conf."""


def make_order(flags: Flags, *, host_code: bool, home: str) -> Order:
    """`host_code`: the model has operators for the host, which is not seen in it here."""
    if flags["framework"] == "-1":
        raise AtcError(
            "E10007", "framework", "0(Caffe) or 1(MindSpore) or 3(TensorFlow) or 5(Onnx)"
        )
    for name in ("soc_version", "output", "model"):
        if not flags.get(name):
            raise AtcError("E10054", f"--{name}")
    soc_version = flags["soc_version"]
    if not chips.exists(soc_version):
        raise AtcError("E10001", soc_version, "--soc_version", "The chip is not known.")
    model = input_path("model", flags["model"])
    output = output_path("output", flags["output"])
    conf = flags.get("insert_op_conf")
    aipp_file = input_path("insert_op_conf", conf) if conf else None
    precision = _precision(flags, soc_version)
    mixed = precision.startswith("mixed")
    choices = make_choices(flags, home=home, mixed=mixed, soc_version=soc_version)
    _refuse_open_sizes(flags, aipp_file)
    shapes = parse_shapes(flags.get("input_shape", ""))
    batches = _batches(flags.get("dynamic_batch_size", ""), soc_version)
    _check_open_dimensions(shapes, dynamic=bool(batches))
    return Order(
        model,
        output,
        soc_version,
        shapes,
        batches,
        precision,
        choices,
        _host_architecture(flags, host_code=host_code),
        aipp_file,
    )


def _refuse_open_sizes(flags: Flags, aipp_file: Path | None) -> None:
    """What ATC says of them with AIPP; then that they are not simulated."""
    if flags.get("dynamic_image_size") and aipp_file:
        from ascend_simulator import aipp  # heavy: not for every command line

        ops = aipp.read_config(aipp_file)
        if any(op.crop or op.padding for op in ops):
            reason = "When --dynamic_image_size is set, crop and padding cannot be set to 'true'"
            raise AtcError("E10052", reason)
        if any(op.source_h or op.source_w for op in ops):
            reason = "When --dynamic_image_size is set, src_image_size_w and _h must be 0"
            raise AtcError("E10052", reason)
    for name in ("dynamic_image_size", "dynamic_dims"):
        if flags.get(name):
            raise AtcError("E10055", f"this simulator of CANN does not simulate --{name}")


def _host_architecture(flags: Flags, *, host_code: bool) -> str | None:
    """In the file's name only if the .om carries code for the host, as after cross-compiling."""
    machine = platform.machine()
    wanted = flags.get("host_env_cpu") or machine
    return wanted if host_code or wanted != machine else None


def _precision(flags: Flags, soc_version: str) -> str:
    """One word for both enums of ATC: what compile.py understands."""
    first, second = flags.get("precision_mode", ""), flags.get("precision_mode_v2", "")
    if first and second:
        raise AtcError("E10056", "--precision_mode", "--precision_mode_v2")
    chosen = first or second or "force_fp16"
    name = "precision_mode_v2" if second else "precision_mode"
    if "hif8" in chosen:
        raise AtcError("E10055", f"this simulator of CANN does not simulate --{name}={chosen}")
    if "bf" in chosen and not chips.has_bfloat16(soc_version):
        reason = f"{soc_version} does not support bfloat16."
        raise AtcError("E10001", chosen, f"--{name}", reason)
    return {
        "force_fp16": "fp16",
        "fp16": "fp16",
        "force_fp32": "cube_fp16",
        "cube_fp16in_fp32out": "cube_fp16",
        "must_keep_origin_dtype": "origin",
        "origin": "origin",
        "allow_fp32_to_fp16": "mixed_fp16",
        "allow_mix_precision": "mixed_fp16",
        "allow_mix_precision_fp16": "mixed_fp16",
        "mixed_float16": "mixed_fp16",
        "allow_mix_precision_bf16": "mixed_bf16",
        "allow_fp32_to_bf16": "mixed_bf16",
        "mixed_bfloat16": "mixed_bf16",
    }[chosen]


def parse_shapes(text: str) -> dict[str, tuple[int, ...]]:
    """`a:1,3,224,224;b:1,4`; a scalar is `b:`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in filter(None, text.split(";")):
        name, colon, numbers = part.rpartition(":")
        if not colon or not name:
            raise AtcError("E10002", text, "The input name or the colon is missing", SHAPE_SAMPLE)
        values = numbers.split(",") if numbers else []
        for value in values:
            if "~" in value:
                raise AtcError("E10055", "this simulator of CANN does not simulate shape ranges")
            if not re.fullmatch(r"-?\d+", value):
                raise AtcError("E10002", part, f"{value!r} is not an integer", SHAPE_SAMPLE)
        shapes[name] = tuple(int(value) for value in values)
    return shapes


def _batches(text: str, soc_version: str) -> tuple[int, ...]:
    if not text:
        return ()
    values = text.split(",")
    for value in values:
        if not re.fullmatch(r"-?\d+", value):
            reason = 'Write it as "1,2,4,8".'
            raise AtcError("E10003", text, "dynamic_batch_size", reason)
    batches = tuple(int(value) for value in values)
    if len(batches) < 2:
        raise AtcError("E10035", len(batches), 2)
    most = chips.most_profiles(soc_version)
    if len(batches) > most:
        raise AtcError("E10036", len(batches), most)
    for batch in batches:
        if batch <= 0:
            raise AtcError("E10038", batch)
    if len(set(batches)) != len(batches):
        raise AtcError("E10039")
    return batches


def _check_open_dimensions(shapes: dict[str, tuple[int, ...]], *, dynamic: bool) -> None:
    for name, shape in shapes.items():
        if dynamic and not shape:
            raise AtcError("E10012")
        for index, size in enumerate(shape):
            if dynamic and size == -1 and index > 0:
                raise AtcError("E10018", size, index)
            # The newest CANN takes -1 without profiles for a shape range; that is not simulated.
            if size <= 0 and not (dynamic and size == -1):
                raise AtcError("E10011", f"{name}:{','.join(map(str, shape))}", size)
    if dynamic and not any(shape[:1] == (-1,) for shape in shapes.values()):
        raise AtcError("E10031")
