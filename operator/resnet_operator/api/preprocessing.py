"""`spec.conversion.preprocessing`: what AIPP does on the chip, so that clients send pictures."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from resnet_contract.words import MAX_SIDE, MIN_WIDTH, PixelFormat
from resnet_operator.api.base import ApiModel, ascii_text, optional
from resnet_operator.api.rules import Rule, given

Height = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Width = Annotated[int, Field(ge=MIN_WIDTH, le=MAX_SIDE)]
Offset = Annotated[int, Field(ge=0, le=MAX_SIDE - 1)]
PerChannel = Field(min_length=1, max_length=3)
# Of mean and std wherever a picture is scaled, here and in `serving.pipeline`.
MEANS_OF_PIXELS = Rule(
    "!has(self.mean) || self.mean.all(m, m == 0.0) || self.mean.exists(m, m > 1.0)",
    lambda it: any(it.mean or ()) and not any(m > 1.0 for m in it.mean),
    "write mean and std on the scale 0..255; these look like 0..1: multiply by 255",
)
SCALES_ABOVE_ZERO = Rule(
    "!has(self.std) || self.std.all(s, s > 0.0)",
    lambda it: not all(it.std or ()),
    "write standard deviations above 0",
)
FIELDS = ("pixelFormat", "source", "crop", "mean", "std", "swapRedBlue")


class Size(ApiModel):
    height: Height = Field(description="Height in pixels.")
    width: Width = Field(description="Width in pixels.")


class Crop(ApiModel):
    top: Offset | None = optional("First row; default centred.")
    left: Offset | None = optional("First column; default centred.")
    height: Height = Field(description="Height in pixels.")
    width: Height = Field(description="Width in pixels.")


CONVERTED = "v0.1.0 took it and converted it; its artifact serves as it did"


def _counts_otherwise(block: Preprocessing, name: str) -> bool:
    """Tell whether there are neither one number for all colours nor one for each."""
    numbers = getattr(block, name)
    if numbers is None or block.pixel_format is None:
        return False
    return len(numbers) not in ({1} if block.pixel_format is PixelFormat.YUV400 else {1, 3})


def _has_half_colours(block: Preprocessing) -> bool:
    return block.pixel_format is PixelFormat.YUV420SP


def _is_odd(number: int) -> bool:
    return number % 2 == 1


def _reaches_out(block: Preprocessing) -> bool:
    crop, source = block.crop, block.source
    if crop is None or source is None:
        return False
    below, beside = (crop.top or 0) + crop.height, (crop.left or 0) + crop.width
    return below > source.height or beside > source.width


class Preprocessing(ApiModel):
    """The steps in AIPP's order: swap, crop, colour, (x - mean) / std. AIPP does not resize."""

    pixel_format: PixelFormat | None = optional(
        "What clients send: RGB888, XRGB8888, YUV420SP or YUV400."
    )
    source: Size | None = optional("Size of the pictures clients send.")
    crop: Crop | None = optional(
        "Part of the picture the model gets; default its input size, from the centre."
    )
    mean: Annotated[list[Annotated[float, Field(ge=0, le=255)]], PerChannel] | None = optional(
        "Mean of each channel, on the scale 0..255; default 0."
    )
    std: Annotated[list[Annotated[float, Field(ge=0, le=65504)]], PerChannel] | None = optional(
        "Standard deviation of each channel, on the scale 0..255; default 1."
    )
    swap_red_blue: bool | None = optional("True for a model that wants BGR; default false.")
    raw_aipp: Annotated[str, *ascii_text("ATC")] | None = Field(
        default=None,
        alias="rawAIPP",
        description="AIPP configuration as ATC reads it, instead of all other fields.",
    )

    RULES = (
        Rule(
            "has(self.rawAIPP) != (has(self.pixelFormat) && has(self.source))",
            lambda it: (it.raw_aipp is not None) == (None not in (it.pixel_format, it.source)),
            "write pixelFormat and source, or rawAIPP alone",
        ),
        Rule(
            "!has(self.rawAIPP) || !(" + " || ".join(f"has(self.{name})" for name in FIELDS) + ")",
            lambda it: it.raw_aipp is not None and given(it, FIELDS),
            "remove the fields beside rawAIPP; it replaces them",
        ),
        Rule(
            "!has(self.mean) || !has(self.std) || self.mean.size() == self.std.size()",
            lambda it: None not in (it.mean, it.std) and len(it.mean) != len(it.std),
            "write as many numbers in std as in mean",
        ),
        MEANS_OF_PIXELS,
        SCALES_ABOVE_ZERO,
        Rule(
            "!has(self.std) || self.std.exists(s, s >= 1.0)",
            lambda it: it.std is not None and max(it.std) < 1.0,
            "write mean and std on the scale 0..255; these look like 0..1: multiply by 255",
        ),
        *(
            Rule(
                f"!has(self.{name}) || !has(self.pixelFormat) || self.{name}.size() in "
                "(self.pixelFormat == 'YUV400' ? [1] : [1, 3])",
                partial(_counts_otherwise, name=name),
                "write one number for all colours or one for each of the three (YUV400 has "
                "one), in mean and in std",
                borne=CONVERTED,
            )
            for name in ("mean", "std")
        ),
        Rule(
            "!has(self.swapRedBlue) || !self.swapRedBlue || !has(self.pixelFormat) || "
            "self.pixelFormat != 'YUV400'",
            lambda it: it.swap_red_blue and it.pixel_format is PixelFormat.YUV400,
            "remove swapRedBlue; YUV400 has no colours",
            borne=CONVERTED,
        ),
        Rule(
            "!has(self.pixelFormat) || self.pixelFormat != 'YUV420SP' || !has(self.crop) || "
            "((!has(self.crop.top) || self.crop.top % 2 == 0) && "
            "(!has(self.crop.left) || self.crop.left % 2 == 0))",
            lambda it: (
                _has_half_colours(it)
                and it.crop is not None
                and any(_is_odd(side or 0) for side in (it.crop.top, it.crop.left))
            ),
            "write an even crop.top and crop.left; YUV420SP has one colour for four pixels",
        ),
        Rule(
            "!has(self.pixelFormat) || self.pixelFormat != 'YUV420SP' || !has(self.source) || "
            "(self.source.height % 2 == 0 && self.source.width % 2 == 0)",
            lambda it: (
                _has_half_colours(it)
                and it.source is not None
                and any(_is_odd(side) for side in (it.source.height, it.source.width))
            ),
            "write an even height and width; YUV420SP has one colour for four pixels",
        ),
        Rule(
            "!has(self.crop) || !has(self.source) || "
            "((has(self.crop.top) ? self.crop.top : 0) + self.crop.height "
            "<= self.source.height && "
            "(has(self.crop.left) ? self.crop.left : 0) + self.crop.width "
            "<= self.source.width)",
            _reaches_out,
            "write a crop that lies within source; AIPP cannot enlarge a picture",
        ),
    )
