"""One picture, three ways: the AIPP text of `prepare` run by the simulated chip, the arithmetic
with which calibration and evaluator stand in for the chip, and the textbook's formula.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from tests.unit.devkit.cann.networks import through_aipp

from resnet_contract.types import Crop, Preprocessing
from resnet_jobs import pictures
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools.aipp import plan_aipp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCE = (20, 24)
COLOURS = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
TO_YUV = np.linalg.inv(TO_RGB)


class Case(NamedTuple):
    reason: str
    pixels: str
    size: tuple[int, int]
    crop: Crop | None = None
    swap: bool = False
    numbers: Mapping[str, tuple[float, ...]] = MappingProxyType({})

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(
            pixel_format=self.pixels,
            source_height=SOURCE[0],
            source_width=SOURCE[1],
            crop=self.crop,
            mean=self.numbers.get("mean", ()),
            std=self.numbers.get("std", ()),
            swap_red_blue=self.swap,
            raw_aipp=None,
        )

    @property
    def channels(self) -> int:
        return pictures.CHANNELS[self.pixels]


MIDDLE, CORNER = Crop(None, None, 12, 16), Crop(4, 2, 12, 16)
CASES = [
    Case("RGB as it is", "RGB888", SOURCE),
    Case("RGB: a recipe's mean and std", "RGB888", SOURCE, numbers=COLOURS),
    Case("RGB: the middle by default", "RGB888", (12, 16), numbers=COLOURS),
    Case("RGB: the middle of what is left is odd", "RGB888", (13, 17), numbers=COLOURS),
    Case("RGB: the middle, said", "RGB888", (12, 16), MIDDLE, numbers=COLOURS),
    Case("RGB: a corner", "RGB888", (12, 16), CORNER, numbers=COLOURS),
    Case("BGR: mean and std are in the model's order", "RGB888", SOURCE, None, True, COLOURS),
    Case("BGR: a corner", "RGB888", (12, 16), CORNER, True, COLOURS),
    Case("no std: only shifted", "RGB888", SOURCE, numbers={"mean": COLOURS["mean"]}),
    Case("a std of a large reciprocal", "RGB888", SOURCE, numbers={"std": (0.5, 0.25, 1.0)}),
    Case("XRGB: the first byte is nothing", "XRGB8888", SOURCE, numbers=COLOURS),
    Case("XRGB to BGR, a corner", "XRGB8888", (12, 16), CORNER, True, COLOURS),
    Case("YUV there and back", "YUV420SP", SOURCE),
    Case("YUV: a recipe's mean and std", "YUV420SP", SOURCE, numbers=COLOURS),
    Case("YUV: a corner, even as its colours", "YUV420SP", (12, 16), CORNER, False, COLOURS),
    Case("YUV to BGR: the matrix turns, not U and V", "YUV420SP", SOURCE, None, True, COLOURS),
    Case("grey as it is", "YUV400", SOURCE),
    Case("grey: a corner, one mean, one std", "YUV400", (12, 16), CORNER, False,
         {"mean": (127.5,), "std": (64.0,)}),
]  # fmt: skip


def photo() -> np.ndarray:
    """Smooth, as pictures are, with every colour in it; and a hard edge."""
    rows, columns = np.mgrid[0 : SOURCE[0], 0 : SOURCE[1]]
    planes = [rows * 12, columns * 10, 255 - rows * 5 - columns * 5]
    picture = np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)
    picture[6:9, 7:12] = (255, 0, 128)
    return picture


def tolerance(case: Case) -> float:
    """Half precision of x - mean (up to 255: steps of 1/8) and of the factor and the product."""
    factor = 1 / min(case.numbers.get("std", (1.0,)))
    return (1 / 16 + 255 * 2**-11 + 255 * 2**-11) * factor


def textbook(case: Case, picture: np.ndarray) -> np.ndarray:
    """[C, h, w] in double precision, without AIPP's or pictures' code: crop, colours, scaling."""
    value = picture.astype(np.float64)
    if case.pixels.startswith("YUV"):
        yuv = value @ TO_YUV.T
        if case.pixels == "YUV400":
            value = yuv[..., :1]
        else:
            height, width = SOURCE[0] // 2, SOURCE[1] // 2
            few = yuv[..., 1:].reshape(height, 2, width, 2, 2).mean(axis=(1, 3))
            yuv[..., 1:] = few.repeat(2, axis=0).repeat(2, axis=1)
            value = (yuv @ TO_RGB.T).clip(0, 255)
    if case.swap:
        value = value[..., ::-1]
    middle = tuple((have - want) // 2 for have, want in zip(SOURCE, case.size, strict=True))
    corner = case.crop is not None and case.crop.top is not None
    top, left = (4, 2) if corner else middle
    value = value[top : top + case.size[0], left : left + case.size[1]]
    mean = np.array(case.numbers.get("mean", (0.0,)))
    std = np.array(case.numbers.get("std", (1.0,)))
    return np.asarray(((value - mean) / std).transpose(2, 0, 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_chip_and_stand_in_see_the_same(workdir: Path, case: Case) -> None:
    preprocessing, picture = case.preprocessing(), photo()
    planned = plan_aipp(preprocessing, [Tensor("image", "FP32", (case.channels, *case.size))])
    sent = pictures.encode_pixels(picture, case.pixels)
    assert planned.inputs[0].dims == sent.shape, "a client sends what the contract names"

    seen = through_aipp(workdir, planned.text, sent, case.size, case.channels)
    stand_in = pictures.normalise(picture, preprocessing, case.size)
    assert np.abs(seen - stand_in).max() <= tolerance(case)

    # Bytes of Y, U and V, a matrix in 1/256, whole numbers on the way back.
    levels = 3.0 if case.pixels == "YUV420SP" else 0.6 if case.pixels == "YUV400" else 0.0
    factor = 1 / min(case.numbers.get("std", (1.0,)))
    assert np.abs(stand_in - textbook(case, picture)).max() <= levels * factor + 1e-3


def test_the_cases_would_notice() -> None:
    """A swap, another crop or another format moves the values by far more than the tolerance."""
    found: dict[str, Any] = {case.reason: textbook(case, photo()) for case in CASES}
    others = [
        ("RGB: a recipe's mean and std", "BGR: mean and std are in the model's order"),
        ("RGB: the middle, said", "RGB: a corner"),
        ("YUV: a recipe's mean and std", "YUV to BGR: the matrix turns, not U and V"),
    ]
    for one, other in others:
        assert np.abs(found[one] - found[other]).max() > 0.5, (one, other)
