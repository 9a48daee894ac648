"""AIPP, the picture unit in front of the chip: its configuration and the contract that follows.

Called by `prepare`. With AIPP in the offline model a client sends bytes of pictures, not the
model's own floating-point input, so the served input changes type, layout and size with the pixel
format. AIPP crops and computes; it never resizes. Raw texts are read by `aipp_raw`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import invalid
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.pictures import CHANNELS, CSC_INPUT_BIAS, CSC_MATRIX, crop_box
from resnet_jobs.tools import aipp_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_contract.types import Preprocessing

FIELD = "spec.conversion.preprocessing"


@dataclass(frozen=True)
class Aipp:
    """`inputs` are the served ones. `preprocessing` is what the text amounts to in fields, or
    None for a raw text that fields cannot say.
    """

    text: str
    inputs: tuple[Tensor, ...]
    preprocessing: Preprocessing | None


def plan_aipp(preprocessing: Preprocessing, inputs: Sequence[Tensor]) -> Aipp:
    """AIPP for these inputs of the model; `InvalidSpec` where the order does not fit the model."""
    if preprocessing.raw_aipp is not None:
        return _from_raw(preprocessing.raw_aipp, inputs)
    rank = _picture_rank(inputs, preprocessing.pixel_format)
    picture = inputs[rank]
    _check_channels(preprocessing, picture)
    _check_window(preprocessing, picture)
    served = _served(
        picture,
        preprocessing.pixel_format,
        height=preprocessing.source_height,
        width=preprocessing.source_width,
    )
    return Aipp(
        text=_text(preprocessing, picture, rank=rank),
        inputs=tuple(served if index == rank else entry for index, entry in enumerate(inputs)),
        preprocessing=preprocessing,
    )


def _picture_rank(inputs: Sequence[Tensor], pixel_format: str) -> int:
    channels = CHANNELS[pixel_format]
    fitting = [
        rank
        for rank, entry in enumerate(inputs)
        if len(entry.dims) == 3 and entry.dims[0] == channels
    ]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{entry.name} {list(entry.dims)}" for entry in inputs)
    if fitting:
        raise invalid(
            f"{FIELD} fits several inputs of the model ({shown}): write rawAIPP with one aipp_op "
            "and related_input_rank for each"
        )
    nhwc = any(len(entry.dims) == 3 and entry.dims[-1] == channels for entry in inputs)
    hint = "export it with its channels first" if nhwc else "choose a pixelFormat that fits"
    raise invalid(
        f"{FIELD}.pixelFormat {pixel_format} needs an input of [{channels}, height, width]; the "
        f"model has {shown}: {hint}, or remove preprocessing"
    )


def _check_channels(preprocessing: Preprocessing, picture: Tensor) -> None:
    channels = picture.dims[0]
    for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        if values and len(values) != channels:
            raise invalid(
                f"{FIELD}.{name} has {len(values)} number(s), but input {picture.name} has "
                f"{channels} channel(s): write one for each"
            )
    if preprocessing.swap_red_blue and channels != 3:
        raise invalid(
            f"{FIELD}.swapRedBlue needs colours, and {preprocessing.pixel_format} has none: "
            "remove it"
        )


def _check_window(preprocessing: Preprocessing, picture: Tensor) -> None:
    """What AIPP cuts out must be what the model takes: nothing behind it changes the size."""
    height, width = picture.dims[1:]
    crop = preprocessing.crop
    if crop is not None and (crop.height, crop.width) != (height, width):
        raise invalid(
            f"{FIELD}.crop is {crop.height}x{crop.width}, but input {picture.name} takes "
            f"{height}x{width}, and AIPP does not resize: write height {height} and width {width}"
        )
    source = (preprocessing.source_height, preprocessing.source_width)
    top, left, _, _ = crop_box(preprocessing, (height, width))
    if top < 0 or left < 0 or top + height > source[0] or left + width > source[1]:
        raise invalid(
            f"{FIELD}.source is {source[0]}x{source[1]}, but the model takes {height}x{width} "
            "of it, and AIPP does not resize: let clients send pictures of at least that size"
        )


def _text(preprocessing: Preprocessing, picture: Tensor, *, rank: int) -> str:
    """The file for --insert_op_conf, with the names and the order of ModelZoo's recipes."""
    pixels, channels = preprocessing.pixel_format, picture.dims[0]
    source = (preprocessing.source_height, preprocessing.source_width)
    box = crop_box(preprocessing, (picture.dims[1], picture.dims[2]))
    is_yuv = pixels == "YUV420SP"
    swap = preprocessing.swap_red_blue and not is_yuv
    lines = [
        "aipp_mode: static",
        f"related_input_rank: {rank}",
        f"input_format: {pixels}_U8",
        f"src_image_size_w: {source[1]}",
        f"src_image_size_h: {source[0]}",
    ]
    if box != (0, 0, *source):
        top, left, height, width = box
        lines += ["crop: true", f"load_start_pos_w: {left}", f"load_start_pos_h: {top}",
                  f"crop_size_w: {width}", f"crop_size_h: {height}"]  # fmt: skip
    lines += [f"csc_switch: {str(is_yuv).lower()}", f"rbuv_swap_switch: {str(swap).lower()}"]
    if pixels == "XRGB8888":  # the unused byte comes first; AIPP gives the model the first three
        lines.append("ax_swap_switch: true")
    if is_yuv:
        lines += _colour_conversion(blue_first=preprocessing.swap_red_blue)
    mean = preprocessing.mean or (0.0,) * channels
    std = preprocessing.std or (1.0,) * channels
    lines += [f"min_chn_{index}: {value!r}" for index, value in enumerate(mean)]
    lines += [f"var_reci_chn_{index}: {1 / value:.16f}" for index, value in enumerate(std)]
    return "aipp_op {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def _colour_conversion(*, blue_first: bool) -> list[str]:
    """YUV to RGB, full-range BT.601. rbuv_swap_switch would exchange U and V instead, so for a
    model of blue, green, red the rows of the matrix change places.
    """
    rows = CSC_MATRIX[::-1] if blue_first else CSC_MATRIX
    lines = [
        f"matrix_r{row}c{column}: {number}"
        for row, numbers in enumerate(rows)
        for column, number in enumerate(numbers)
    ]
    return lines + [f"input_bias_{index}: {bias}" for index, bias in enumerate(CSC_INPUT_BIAS)]


def _served(picture: Tensor, pixel_format: str, *, height: int, width: int) -> Tensor:
    """What a client sends; YUV420SP is one plane of luma rows above rows of U and V."""
    if pixel_format == "YUV420SP":
        return replace(picture, data_type="UINT8", dims=(height * 3 // 2, width, 1), layout=None)
    depth = {"RGB888": 3, "XRGB8888": 4, "YUV400": 1}[pixel_format]
    return replace(picture, data_type="UINT8", dims=(height, width, depth), layout="NHWC")


def _from_raw(text: str, inputs: Sequence[Tensor]) -> Aipp:
    served = list(inputs)
    blocks = aipp_raw.parse_aipp(text)
    for block in blocks:
        if block.rank >= len(inputs):
            raise invalid(
                f"{FIELD}.rawAIPP: related_input_rank is {block.rank}, but the model has "
                f"{len(inputs)} input(s); the first is 0"
            )
        picture = inputs[block.rank]
        if len(picture.dims) != 3 or picture.dims[0] not in (1, 3, 4):
            raise invalid(
                f"{FIELD}.rawAIPP: input {picture.name} {list(picture.dims)} is no picture of "
                "[channels, height, width]; correct related_input_rank"
            )
        aipp_raw.check_window(block, name=picture.name, height=picture.dims[1],
                              width=picture.dims[2])  # fmt: skip
        height, width = block.source(picture.dims[1], picture.dims[2])
        served[block.rank] = _served(picture, block.pixel_format, height=height, width=width)
    single = (
        aipp_raw.as_preprocessing(blocks[0], inputs[blocks[0].rank]) if len(blocks) == 1 else None
    )
    return Aipp(text=text.rstrip() + "\n", inputs=tuple(served), preprocessing=single)
