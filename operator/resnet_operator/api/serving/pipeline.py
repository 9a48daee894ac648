"""`spec.serving.pipeline`: clients send a JPEG, and the server does what was the client's part."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from resnet_contract.words import Interpolation
from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.preprocessing import MEANS_OF_PIXELS, SCALES_ABOVE_ZERO
from resnet_operator.api.rules import Rule, given
from resnet_operator.api.serving.oneflow import IS_ONEFLOW, is_oneflow

if TYPE_CHECKING:
    from resnet_operator.api.preprocessing import Preprocessing
    from resnet_operator.api.spec import ResNetServiceSpec

# What Pillow unpacks without a warning of its own.
MOST_PIXELS = 89_478_485
OfThree = Field(min_length=1, max_length=3)


class Decode(StrEnum):
    AUTO = "Auto"
    JPEG = "JPEG"
    PNG = "PNG"


class Pipeline(ApiModel):
    """A second model <name>-pipeline: picture file, resize, middle cut out, model, softmax."""

    decode: Decode | None = optional("Kind of picture that is taken; default Auto, JPEG and PNG.")
    resize_short_side: Annotated[int, Field(ge=1, le=4096)] | None = optional(
        "Short side in pixels before the middle is cut out; default what the publisher says, "
        "else it just covers the input."
    )
    interpolation: Interpolation | None = optional(
        "Filter by which pictures are resized; default what the publisher says, else Bilinear."
    )
    mean: Annotated[list[Annotated[float, Field(ge=0, le=255)]], OfThree] | None = optional(
        "Mean of each colour, or of all, for a float input, from 0 to 255; default what the "
        "publisher says, else 0."
    )
    std: Annotated[list[Annotated[float, Field(ge=0, le=65504)]], OfThree] | None = optional(
        "Standard deviation of each colour, or of all, on the same scale; default what the "
        "publisher says, else 1."
    )
    swap_red_blue: bool | None = optional("True for a float input that wants BGR; default false.")
    softmax: bool | None = optional(
        "True answers probabilities instead of the first output's scores; default no."
    )
    max_pixels: Annotated[int, Field(ge=1, le=MOST_PIXELS)] | None = optional(
        "Largest picture that is unpacked; default 25000000 pixels."
    )
    max_bytes: Annotated[int, Field(ge=1024, le=2**26)] | None = optional(
        "Largest picture file that is taken; default 16777216 bytes."
    )

    RULES = (
        MEANS_OF_PIXELS,
        SCALES_ABOVE_ZERO,
        Rule(
            "(!has(self.mean) || self.mean.size() != 2) && "
            "(!has(self.std) || self.std.size() != 2)",
            lambda it: 2 in {len(it.mean or ()), len(it.std or ())},
            "write one number for all colours or one for each of the three, in mean and in std",
        ),
    )


HAS = "has(self.serving) && has(self.serving.pipeline)"
PREPROCESSED = "has(self.conversion) && has(self.conversion.preprocessing)"
OF_THE_CHIP = ("mean", "std", "swapRedBlue")


def _preprocessing(spec: ResNetServiceSpec) -> Preprocessing | None:
    """Return what the chip does, where the server has steps of its own."""
    conversion = spec.conversion if spec.serving.pipeline else None
    return conversion.preprocessing if conversion else None


def _does_it_twice(spec: ResNetServiceSpec) -> bool:
    return _preprocessing(spec) is not None and given(spec.serving.pipeline, OF_THE_CHIP)


def _does_not_tell(spec: ResNetServiceSpec) -> bool:
    found = _preprocessing(spec)
    return found is not None and found.raw_aipp is not None


# Rules of the whole spec: what the chip does already, the server must not do again.
PIPELINE_RULES = (
    Rule(
        f"!({HAS} && {PREPROCESSED}) || !(has(self.serving.pipeline.mean) || "
        "has(self.serving.pipeline.std) || has(self.serving.pipeline.swapRedBlue))",
        _does_it_twice,
        "remove mean, std and swapRedBlue from serving.pipeline; conversion.preprocessing does "
        "that on the chip",
    ),
    Rule(
        f"!({HAS} && {PREPROCESSED}) || !has(self.conversion.preprocessing.rawAIPP)",
        _does_not_tell,
        "write conversion.preprocessing by its fields, or remove serving.pipeline; rawAIPP does "
        "not tell what is to be sent",
    ),
    Rule(
        f"!({HAS} && {IS_ONEFLOW})",
        lambda it: it.serving.pipeline is not None and is_oneflow(it),
        "remove serving.pipeline; OneFlow's image is not made for its Python steps",
    ),
)
