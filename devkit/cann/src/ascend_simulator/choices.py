"""The finer wishes of a command line: files, switches and nodes by name. Called by order.py.

What an option alone may say is checked in flags.py, what a file may say in sidefiles.py; here it is
put together, with what excludes or needs what.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ascend_simulator import sidefiles
from ascend_simulator.errors import AtcError
from ascend_simulator.paths import input_path

if TYPE_CHECKING:
    from ascend_simulator.flags import Flags

OUTPUT_TYPES = ("FP32", "FP16", "UINT8", "INT8")
DYNAMIC_WITHOUT_AIPP = "dynamic_dims"


@dataclass(frozen=True)
class OutNode:
    """`name:index`, or the name of an output of the ONNX model."""

    name: str
    index: int | None


@dataclass(frozen=True)
class Choices:
    """All of them; a field that nobody set changes nothing."""

    given: dict[str, str] = field(default_factory=dict)
    """The options as given, for the .om's record and for the cache's key."""
    fusion: dict[str, str] = field(default_factory=dict)
    op_precision: dict[str, str] = field(default_factory=dict)
    mix_lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    kept_types: tuple[str, ...] = ()
    first_layer_quantization: bool = False
    out_nodes: tuple[OutNode, ...] = ()
    output_type: str = ""
    output_types: dict[str, str] = field(default_factory=dict)
    """`node:index` -> type, where they differ."""
    fp16_inputs: tuple[str, ...] = ()
    cache: Path | None = None
    """The folder of compiled operators."""
    cache_forced: bool = False
    """Compile anew and write it there."""


PLACES = frozenset(("model", "output", "om", "json", "debug_dir", "log", "mode", "check_report"))
"""Options that say where, not what."""


def make_choices(flags: Flags, *, home: str, mixed: bool, soc_version: str) -> Choices:
    _check_pairs(flags)

    def file(name: str) -> Path | None:
        return input_path(name, flags[name]) if flags.get(name) else None

    mix = file("modify_mixlist")
    if mix and not mixed:
        reason = "It needs a mixed precision: allow_mix_precision or mixed_float16."
        raise AtcError("E10001", flags["modify_mixlist"], "--modify_mixlist", reason)
    compression = file("compression_optimize_conf")
    first_layer = sidefiles.first_layer_quantization(compression) if compression else False
    if first_layer and not soc_version.startswith(("Ascend310P", "Ascend310B")):
        reason = f"{soc_version} does not support enable_first_layer_quantization."
        raise AtcError("E10001", compression, "--compression_optimize_conf", reason)
    fusion, precision, kept = (
        file(name) for name in ("fusion_switch_file", "op_precision_mode", "keep_dtype")
    )
    out_nodes = tuple(map(_out_node, filter(None, flags.get("out_nodes", "").split(";"))))
    simple, by_node = _output_types(flags, bool(out_nodes))
    mode = flags.get("op_compiler_cache_mode", "disable")
    folder = Path(flags.get("op_compiler_cache_dir") or f"{home}/atc_data")
    return Choices(
        given={name: value for name, value in flags.items() if name not in PLACES},
        fusion=sidefiles.fusion_switches(fusion) if fusion else {},
        op_precision=sidefiles.op_precisions(precision) if precision else {},
        mix_lists=sidefiles.mix_lists(mix) if mix else {},
        kept_types=sidefiles.kept_types(kept) if kept else (),
        first_layer_quantization=first_layer,
        out_nodes=out_nodes,
        output_type=simple,
        output_types=by_node,
        fp16_inputs=tuple(filter(None, flags.get("input_fp16_nodes", "").split(";"))),
        cache=folder if mode in {"enable", "force"} else None,
        cache_forced=mode == "force",
    )


def _check_pairs(flags: Flags) -> None:
    """What needs or excludes what."""
    if flags.get("optypelist_for_implmode") and not flags.get("op_select_implmode"):
        raise AtcError(
            "E10001",
            flags["optypelist_for_implmode"],
            "--optypelist_for_implmode",
            "It needs --op_select_implmode.",
        )
    if flags.get("enable_compress_weight") == "true" and flags.get("compress_weight_conf"):
        raise AtcError("E10047", "enable_compress_weight", "compress_weight_conf")
    if not flags.get("insert_op_conf"):
        return
    if flags.get("dynamic_dims"):
        reason = "dynamic_dims does not support AIPP."
        raise AtcError("E10001", flags["dynamic_dims"], "--dynamic_dims", reason)
    if flags.get("input_format") not in {None, "", "NCHW"}:
        reason = "AIPP takes an ONNX model in NCHW only."
        raise AtcError("E10001", flags["input_format"], "--input_format", reason)


def _out_node(text: str) -> OutNode:
    name, colon, index = text.rpartition(":")
    if not colon:
        return OutNode(text, None)
    if not name or not index.isdigit():
        raise AtcError("E10001", text, "--out_nodes", "Write node:0;node2:0.")
    return OutNode(name, int(index))


def _output_types(flags: Flags, has_nodes: bool) -> tuple[str, dict[str, str]]:
    """One type for all outputs, or one for each `node:index`."""
    text = flags.get("output_type", "")
    if not text or text in OUTPUT_TYPES:
        return text, {}
    types = {}
    for part in text.split(";"):
        match = re.fullmatch(r"(.+:\d+):(\w+)", part)
        if not match or match[2] not in OUTPUT_TYPES:
            reason = f"The value must be one of [{', '.join(OUTPUT_TYPES)}], or node:0:FP16."
            raise AtcError("E10001", text, "--output_type", reason)
        types[match[1]] = match[2]
    if not has_nodes:
        raise AtcError("E10001", text, "--output_type", "Types of nodes need --out_nodes.")
    return "", types
