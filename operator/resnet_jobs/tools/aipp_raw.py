"""Reads an AIPP configuration that its author wrote as text, to learn what clients must send.

Called by `aipp`. The text goes to ATC as it is; ATC is the judge of what is not looked at here. A
small reader of protobuf's text format is enough and knows no schema of one CANN version, but a
mistyped field is still found: ATC's own answer to it is "parse file failed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resnet_contract.types import Crop, Preprocessing
from resnet_jobs.base.errors import invalid
from resnet_jobs.pictures import CHANNELS, CSC_INPUT_BIAS, CSC_MATRIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from resnet_jobs.model.inspect import Tensor

FIELD = "spec.conversion.preprocessing.rawAIPP"
FORMATS = {f"{name}_U8": name for name in CHANNELS}
MATRIX = tuple(f"matrix_r{row}c{column}" for row in range(3) for column in range(3))
PADDING = ("left_padding_size", "right_padding_size", "top_padding_size", "bottom_padding_size")
KNOWN = {
    "aipp_mode", "related_input_rank", "related_input_name", "input_edge_idx", "max_src_image_size",
    "support_rotation", "input_format", "src_image_size_w", "src_image_size_h", "crop",
    "load_start_pos_w", "load_start_pos_h", "crop_size_w", "crop_size_h", "resize",
    "resize_output_w", "resize_output_h", "padding", "padding_value", "csc_switch",
    "rbuv_swap_switch", "ax_swap_switch", "single_line_mode", "cpadding_value",
    "raw_rgbir_to_f16_n", *PADDING, *MATRIX,
    *(f"{name}_{index}" for name in ("output_bias", "input_bias") for index in range(3)),
    *(f"{name}_chn_{index}" for name in ("mean", "min", "var_reci") for index in range(4)),
}  # fmt: skip
# What is not white space or a comment: a name or number, a quoted text, or one sign.
_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<token>[\w.+-]+|"[^"\n]*"|'[^'\n]*'|[^\s\w])""")


@dataclass(frozen=True)
class Block:
    """One aipp_op: its fields as written, numbers read where they are asked for."""

    fields: Mapping[str, str]

    @property
    def rank(self) -> int:
        return self.whole("related_input_rank")

    @property
    def pixel_format(self) -> str:
        return FORMATS[self.fields["input_format"]]

    def whole(self, name: str) -> int:
        text = self.fields.get(name, "0")
        if not re.fullmatch(r"[+-]?\d+", text):
            raise invalid(f'{FIELD}: {name} "{text[:40]}" must be a whole number')
        return int(text)

    def number(self, name: str, default: float) -> float:
        text = self.fields.get(name)
        try:
            return default if text is None else float(text.rstrip("fF"))
        except ValueError as error:
            raise invalid(f'{FIELD}: {name} "{(text or "")[:40]}" must be a number') from error

    def flag(self, name: str) -> bool:
        text = self.fields.get(name, "false")
        if text not in ("true", "false", "True", "False", "t", "f", "1", "0"):
            raise invalid(f'{FIELD}: {name} "{text[:40]}" must be true or false')
        return text in ("true", "True", "t", "1")

    def source(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the pictures clients send; 0 stands for the model's own size."""
        return self.whole("src_image_size_h") or height, self.whole("src_image_size_w") or width


def parse_aipp(text: str) -> list[Block]:
    """All aipp_op of the text, each checked as far as it concerns what clients send."""
    _check_ascii(text)
    tokens = [found["token"] for found in _TOKEN.finditer(text) if found["token"]]
    blocks = [_checked(Block(fields)) for fields in _blocks(iter(tokens))]
    if not blocks:
        raise invalid(f"{FIELD} has no block: write aipp_op {{ aipp_mode: static … }}")
    ranks = [block.rank for block in blocks]
    if len(set(ranks)) < len(ranks):
        raise invalid(
            f"{FIELD} has two aipp_op for one input: write a related_input_rank of its own in each"
        )
    return blocks


def _check_ascii(text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        for sign in line:
            if not (sign.isascii() and (sign.isprintable() or sign == "\t")):
                what = "full-width character" if "\uff00" <= sign <= "\uffef" else "character"
                raise invalid(
                    f"{FIELD} line {number} has the {what} {sign!r}: write plain ASCII, ATC reads "
                    "nothing else"
                )


def _blocks(tokens: Iterator[str]) -> Iterator[dict[str, str]]:
    for name in tokens:
        if name in (",", ";"):
            continue
        if name != "aipp_op":
            raise invalid(
                f'{FIELD}: "{name[:40]}" stands outside of aipp_op {{ … }}: write it inside'
            )
        opening = next(tokens, "")
        if opening == ":":
            opening = next(tokens, "")
        if opening not in ("{", "<"):
            raise invalid(f"{FIELD}: aipp_op needs {{ after it")
        yield _fields(tokens, closing="}" if opening == "{" else ">")


def _fields(tokens: Iterator[str], *, closing: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name in tokens:
        if name == closing:
            return fields
        if name in (",", ";"):
            continue
        if name not in KNOWN:
            raise invalid(f'{FIELD}: "{name[:40]}" is no field of AIPP; check the spelling')
        colon, value = next(tokens, ""), next(tokens, "")
        if colon != ":" or not value or value in "{}<>:,;":
            raise invalid(f"{FIELD}: {name} needs a colon and a value after it")
        if name in fields and name != "input_edge_idx":
            raise invalid(f"{FIELD}: {name} stands there twice; remove one")
        fields[name] = value.strip("\"'")
    raise invalid(f"{FIELD}: a closing {closing} is missing")


def _checked(block: Block) -> Block:
    fields = block.fields
    mode = fields.get("aipp_mode")
    if mode in ("dynamic", "2"):
        raise invalid(
            f"{FIELD}: dynamic AIPP takes its parameters with every request, which Triton's "
            "clients cannot send: write aipp_mode: static"
        )
    if mode not in ("static", "1"):
        raise invalid(f"{FIELD}: aipp_mode must be there: write aipp_mode: static")
    if fields.get("input_format") not in FORMATS:
        shown = fields.get("input_format", "missing")
        raise invalid(f"{FIELD}: input_format is {shown[:40]}; write one of {', '.join(FORMATS)}")
    if block.flag("resize"):
        raise invalid(f"{FIELD}: AIPP does not resize: let clients send the right size")
    if block.rank < 0:
        _out_of_range("related_input_rank", block.rank, 0, 31)
    for name, least in (("src_image_size_h", 1), ("src_image_size_w", 2)):
        size = block.whole(name)
        if size and not least <= size <= 4096:
            _out_of_range(name, size, least, 4096)
        if size % 2 and block.pixel_format == "YUV420SP":
            raise invalid(f"{FIELD}: {name} is {size}; with YUV420SP_U8 it must be even")
    return block


def _out_of_range(name: str, value: int, least: int, most: int) -> NoReturn:
    raise invalid(f"{FIELD}: {name} is {value}; write {least} to {most}")


def check_window(block: Block, *, name: str, height: int, width: int) -> None:
    """What comes out of AIPP must have the model's size."""
    source = block.source(height, width)
    made = list(source)
    if block.flag("crop"):
        made = [block.whole("crop_size_h") or height, block.whole("crop_size_w") or width]
        ends = (
            block.whole("load_start_pos_h") + made[0],
            block.whole("load_start_pos_w") + made[1],
        )
        if ends[0] > source[0] or ends[1] > source[1]:
            raise invalid(
                f"{FIELD}: the crop ends at {ends[0]}x{ends[1]}, outside of the picture of "
                f"{source[0]}x{source[1]}; correct load_start_pos or crop_size"
            )
    if block.flag("padding"):
        left, right, top, bottom = (block.whole(side) for side in PADDING)
        made = [made[0] + top + bottom, made[1] + left + right]
    if made != [height, width]:
        raise invalid(
            f"{FIELD} gives pictures of {made[0]}x{made[1]}, but input {name} takes "
            f"{height}x{width}, and AIPP does not resize: correct crop or src_image_size"
        )


def as_preprocessing(block: Block, picture: Tensor) -> Preprocessing | None:
    """The same as fields, for whoever must compute what AIPP computes; None where they cannot
    say it: padding, another colour conversion, or channels that fields do not exchange.
    """
    channels = picture.dims[0]
    swap = block.flag("rbuv_swap_switch")
    is_yuv = block.pixel_format == "YUV420SP"
    plain = block.flag("csc_switch") == is_yuv and block.flag("ax_swap_switch") == (
        block.pixel_format == "XRGB8888"
    )
    if block.flag("padding") or not plain or channels != CHANNELS[block.pixel_format]:
        return None
    if is_yuv:
        matrix = tuple(block.whole(name) for name in MATRIX)
        bias = tuple(block.whole(f"input_bias_{index}") for index in range(3))
        blue_first = {sum(rows, ()): rows != CSC_MATRIX for rows in (CSC_MATRIX, CSC_MATRIX[::-1])}
        if swap or bias != CSC_INPUT_BIAS or matrix not in blue_first:
            return None
        swap = blue_first[matrix]
    scales = [block.number(f"var_reci_chn_{index}", 1.0) for index in range(channels)]
    if not all(scales):
        return None
    height, width = block.source(picture.dims[1], picture.dims[2])
    crop = None
    if block.flag("crop"):
        crop = Crop(
            top=block.whole("load_start_pos_h"),
            left=block.whole("load_start_pos_w"),
            height=block.whole("crop_size_h") or picture.dims[1],
            width=block.whole("crop_size_w") or picture.dims[2],
        )
    mean = (
        block.number(f"mean_chn_{index}", 0.0) + block.number(f"min_chn_{index}", 0.0)
        for index in range(channels)
    )
    return Preprocessing(
        pixel_format=block.pixel_format,
        source_height=height,
        source_width=width,
        crop=crop,
        mean=tuple(mean),
        std=tuple(1 / scale for scale in scales),
        swap_red_blue=swap,
        raw_aipp=None,
    )
