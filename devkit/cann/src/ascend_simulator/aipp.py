"""AIPP, the preprocessing in front of a network: the file of --insert_op_conf, read and checked.

compiler.py calls it; aipp_graph.py makes operators of the result. Sources: GE's
graph_metadef/proto/insert_op.proto for the fields, its AIPP user guide for limits and defaults.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ascend_simulator import textproto
from ascend_simulator.errors import AtcError

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = {"YUV420SP_U8": 1, "XRGB8888_U8": 2, "RGB888_U8": 3, "YUV400_U8": 4}
"""What AIPP documents; the proto has more words, which the chips of our table do not take."""
_ENUMS = {
    "AippMode": {"undefined": 0, "static": 1, "dynamic": 2},
    "InputFormat": {
        "UNDEFINED": 0,
        **FORMATS,
        "NC1HWC0DI_FP16": 5,
        "NC1HWC0DI_S8": 6,
        "ARGB8888_U8": 7,
        "YUYV_U8": 8,
        "YUV422SP_U8": 9,
        "AYUV444_U8": 10,
        **{word: 11 + i for i, word in enumerate(("RAW10", "RAW12", "RAW16", "RAW24"))},
        **{word: 15 + i for i, word in enumerate(("RGB16", "RGB20", "RGB24"))},
        **{word: 18 + i for i, word in enumerate(("RGB8_IR", "RGB16_IR", "RGB24_IR"))},
    },
}
_MATRIX = tuple(f"matrix_r{row}c{column}" for row in range(3) for column in range(3))
_BIASES = tuple(f"{kind}_bias_{i}" for kind in ("output", "input") for i in range(3))
_PADDING = tuple(f"{side}_padding_size" for side in ("left", "right", "top", "bottom"))
_SCHEMA = textproto.Schema(
    "domi",
    {
        "InsertNewOps": {
            "aipp_op": "repeated AippOpParams",
            "multi_shape_op": "repeated MultiShapeOpParams",
        },
        "AippOpParams": {
            "aipp_mode": "AippMode",
            "related_input_rank": "uint32",
            "related_input_name": "string",
            "input_edge_idx": "repeated uint32",
            "max_src_image_size": "uint32",
            "support_rotation": "bool",
            "input_format": "InputFormat",
            "csc_switch": "bool",
            "cpadding_value": "float",
            "rbuv_swap_switch": "bool",
            "ax_swap_switch": "bool",
            "single_line_mode": "bool",
            "src_image_size_w": "int32",
            "src_image_size_h": "int32",
            "crop": "bool",
            "load_start_pos_w": "int32",
            "load_start_pos_h": "int32",
            "crop_size_w": "int32",
            "crop_size_h": "int32",
            "resize": "bool",
            "resize_output_w": "int32",
            "resize_output_h": "int32",
            "padding": "bool",
            **dict.fromkeys(_PADDING, "int32"),
            "padding_value": "float",
            **{f"mean_chn_{i}": "int32" for i in range(4)},
            **{f"min_chn_{i}": "float" for i in range(4)},
            **{f"var_reci_chn_{i}": "repeated float" for i in range(4)},
            **dict.fromkeys((*_MATRIX, *_BIASES), "repeated int32"),
            "raw_rgbir_to_f16_n": "uint32",
        },
        "MultiShapeOpParams": {
            "mode": "uint32",
            "related_input_rank": "uint32",
            "batch_list": "repeated uint32",
        },
    },
    _ENUMS,
)
_YUV_TO_RGB = (298, 0, 409, 298, -100, -208, 298, 516, 0)
_RGB_TO_YUV = (66, 129, 25, -38, -74, 112, 112, -94, -18)
_LARGEST_FP16 = 65504.0


@dataclass(frozen=True)
class Aipp:
    """One checked aipp_op, with the defaults filled in and no switched-off field left in force."""

    rank: int
    input_format: str
    source_h: int
    """0: the network's own."""
    source_w: int
    swap_rb: bool
    swap_ax: bool
    crop: tuple[int, int, int, int] | None
    """top, left, height, width; a size of 0 is the network's own."""
    matrix: tuple[int, ...] | None
    bias: tuple[int, int, int]
    """Subtracted before the matrix (from YUV) or added behind it (from RGB)."""
    mean: tuple[int, ...]
    minimum: tuple[float, ...]
    reciprocal: tuple[float, ...]
    padding: tuple[int, int, int, int] | None
    """left, right, top, bottom"""
    padding_value: float

    @property
    def is_yuv(self) -> bool:
        return self.input_format.startswith("YUV")

    def record(self) -> dict[str, Any]:
        """What the .om keeps of it."""
        return asdict(self)


def read_config(path: Path) -> list[Aipp]:
    """Every aipp_op of the file."""
    try:
        config = textproto.read(_SCHEMA, "InsertNewOps", path.read_bytes())
    except OSError as error:
        raise AtcError("E13001", path, error.strerror) from error
    except textproto.TextProtoError as error:
        trace = (f"google::protobuf::TextFormat::Parse failed: {error}",)
        raise AtcError("E19005", path, trace=trace) from error
    if config.multi_shape_op:
        raise AtcError("E10055", "this simulator of CANN does not simulate multi_shape_op")
    if not config.aipp_op:
        _refuse("the file has no aipp_op")
    ops = [_check(op) for op in config.aipp_op]
    if len({op.rank for op in ops}) != len(ops):
        _refuse("two aipp_op have the same related_input_rank")
    return ops


def _refuse(reason: str) -> None:
    raise AtcError("E10052", reason)


def _need(condition: object, reason: str) -> None:
    if not condition:
        _refuse(reason)


def _within(op: Any, name: str, low: float, high: float, *, or_zero: bool = False) -> None:
    value = getattr(op, name)
    ok = low <= value <= high or (or_zero and value == 0)
    zero = " or 0" if or_zero else ""
    _need(ok, f"{name} is {value:g}; the range is [{low:g}, {high:g}]{zero}")


def _check(op: Any) -> Aipp:
    modes = {number: word for word, number in _ENUMS["AippMode"].items()}
    mode = modes[op.aipp_mode]
    _need(
        mode != "undefined",
        "when insert AIPP op, aipp_mode must be configured as static or dynamic",
    )
    for name in (*(f"var_reci_chn_{i}" for i in range(4)), *_MATRIX, *_BIASES, "input_edge_idx"):
        _need(len(getattr(op, name)) <= 1, f"The parameter {name} can not be configed repeatedly")
    if mode == "dynamic":
        _need(
            op.max_src_image_size > 0,
            "for dynamic AIPP params, max_src_image_size must greater than 0",
        )
        raise AtcError("E10055", "this simulator of CANN does not simulate dynamic AIPP")
    _need(op.input_format, "Input format of AIPP conf is undefined")
    formats = {number: word for word, number in _ENUMS["InputFormat"].items()}
    input_format = formats[op.input_format]
    _need(
        input_format in FORMATS,
        f"input_format {input_format} is not one of {', '.join(FORMATS)}",
    )
    for name in ("resize", "single_line_mode", "support_rotation"):
        _need(not getattr(op, name), f"{name} is reserved and must be false")
    _check_sizes(op, input_format)
    _check_numbers(op)
    return _checked(op, input_format)


def _check_sizes(op: Any, input_format: str) -> None:
    _within(op, "src_image_size_w", 2, 4096, or_zero=True)
    _within(op, "src_image_size_h", 1, 4096, or_zero=True)
    even = input_format == "YUV420SP_U8"
    for name in ("src_image_size_w", "src_image_size_h"):
        _need(not even or getattr(op, name) % 2 == 0, f"{name} of YUV420SP_U8 must be even")
    if op.crop or op.padding:
        for name in ("src_image_size_w", "src_image_size_h"):
            _need(getattr(op, name), f"{name} must be given with crop or padding")
    for name in ("load_start_pos_w", "load_start_pos_h"):
        _within(op, name, 0, 4095)
        _need(
            not (even and op.crop) or getattr(op, name) % 2 == 0,
            f"{name} of YUV420SP_U8 must be even",
        )
    for name in ("crop_size_w", "crop_size_h"):
        _within(op, name, 0, 4096)
        _need(
            not (op.crop and op.padding) or getattr(op, name), f"{name} must be given with padding"
        )
    for axis in "wh":
        end = getattr(op, f"load_start_pos_{axis}") + getattr(op, f"crop_size_{axis}")
        source = getattr(op, f"src_image_size_{axis}")
        _need(
            not op.crop or end <= source,
            f"load_start_pos_{axis} + crop_size_{axis} is {end}, more than "
            f"src_image_size_{axis} {source}",
        )
    for name in _PADDING:
        _within(op, name, 0, 32)


def _check_numbers(op: Any) -> None:
    for i in range(4):
        _within(op, f"mean_chn_{i}", 0, 255)
        _within(op, f"min_chn_{i}", 0, 255)
        for value in getattr(op, f"var_reci_chn_{i}"):
            _need(abs(value) <= _LARGEST_FP16, f"var_reci_chn_{i} is no half-precision number")
    for name in _MATRIX:
        for value in getattr(op, name):
            _need(-32677 <= value <= 32676, f"{name} is {value}; the range is [-32677, 32676]")
    for name in _BIASES:
        for value in getattr(op, name):
            _need(0 <= value <= 255, f"{name} is {value}; the range is [0, 255]")
    _within(op, "padding_value", -_LARGEST_FP16, _LARGEST_FP16)


def _checked(op: Any, input_format: str) -> Aipp:
    def first(name: str, default: float) -> Any:
        return next(iter(getattr(op, name)), default)

    yuv = input_format.startswith("YUV")
    matrix = None
    if op.csc_switch:
        defaults = _YUV_TO_RGB if yuv else _RGB_TO_YUV
        matrix = tuple(first(name, value) for name, value in zip(_MATRIX, defaults, strict=True))
    kind = "input" if yuv else "output"
    bias = tuple(first(f"{kind}_bias_{i}", value) for i, value in enumerate((16, 128, 128)))
    return Aipp(
        rank=op.related_input_rank,
        input_format=input_format,
        source_h=op.src_image_size_h,
        source_w=op.src_image_size_w,
        swap_rb=op.rbuv_swap_switch,
        swap_ax=op.ax_swap_switch,
        crop=(op.load_start_pos_h, op.load_start_pos_w, op.crop_size_h, op.crop_size_w)
        if op.crop
        else None,
        matrix=matrix,
        bias=(bias[0], bias[1], bias[2]),
        mean=tuple(getattr(op, f"mean_chn_{i}") for i in range(4)),
        minimum=tuple(getattr(op, f"min_chn_{i}") for i in range(4)),
        reciprocal=tuple(first(f"var_reci_chn_{i}", 1.0) for i in range(4)),
        padding=(
            op.left_padding_size,
            op.right_padding_size,
            op.top_padding_size,
            op.bottom_padding_size,
        )
        if op.padding
        else None,
        padding_value=op.padding_value,
    )
