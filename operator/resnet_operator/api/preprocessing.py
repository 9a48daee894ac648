"""`spec.conversion.preprocessing`: what AIPP does on the chip, so that clients send pictures."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from resnet_contract.words import MAX_SIDE, MIN_WIDTH, PixelFormat
from resnet_operator.api.base import ApiModel, cel, rule

Height = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Width = Annotated[int, Field(ge=MIN_WIDTH, le=MAX_SIDE)]
Offset = Annotated[int, Field(ge=0, le=MAX_SIDE - 1)]
PerChannel = Field(
    min_length=1, max_length=3, json_schema_extra={"x-kubernetes-list-type": "atomic"}
)
# Of mean and std wherever a picture is scaled, here and in `serving.pipeline`.
MEANS_OF_PIXELS = rule(
    "!has(self.mean) || self.mean.all(m, m == 0.0) || self.mean.exists(m, m > 1.0)",
    "write mean and std on the scale 0..255; these look like 0..1: multiply by 255",
)
SCALES_ABOVE_ZERO = rule(
    "!has(self.std) || self.std.all(s, s > 0.0)",
    "write standard deviations above 0",
)
FIELDS = ("pixelFormat", "source", "crop", "mean", "std", "swapRedBlue")


class Size(ApiModel):
    height: Height = Field(description="Height in pixels.")
    width: Width = Field(description="Width in pixels.")


class Crop(ApiModel):
    top: Offset | None = Field(default=None, description="First row; default centred.")
    left: Offset | None = Field(default=None, description="First column; default centred.")
    height: Height = Field(description="Height in pixels.")
    width: Height = Field(description="Width in pixels.")


class Preprocessing(ApiModel):
    """The steps in AIPP's order: swap, crop, colour, (x - mean) / std. AIPP does not resize."""

    pixel_format: PixelFormat | None = Field(
        default=None, description="What clients send: RGB888, XRGB8888, YUV420SP or YUV400."
    )
    source: Size | None = Field(default=None, description="Size of the pictures clients send.")
    crop: Crop | None = Field(
        default=None,
        description="Part of the picture the model gets; default its input size, from the centre.",
    )
    mean: Annotated[list[Annotated[float, Field(ge=0, le=255)]], PerChannel] | None = Field(
        default=None, description="Mean of each channel, on the scale 0..255; default 0."
    )
    std: Annotated[list[Annotated[float, Field(ge=0, le=65504)]], PerChannel] | None = Field(
        default=None,
        description="Standard deviation of each channel, on the scale 0..255; default 1.",
    )
    swap_red_blue: bool | None = Field(
        default=None, description="True for a model that wants BGR; default false."
    )
    raw_aipp: str | None = Field(
        default=None,
        alias="rawAIPP",
        min_length=1,
        max_length=8192,
        description="AIPP configuration as ATC reads it, instead of all other fields.",
        json_schema_extra=cel(
            rule(
                r"self.matches(r'^[\x09\x0a\x0d\x20-\x7e]*$')",
                "write plain ASCII; full-width colons, for example, are refused by ATC",
            )
        ),
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "has(self.rawAIPP) != (has(self.pixelFormat) && has(self.source))",
                "write pixelFormat and source, or rawAIPP alone",
            ),
            rule(
                "!has(self.rawAIPP) || !("
                + " || ".join(f"has(self.{name})" for name in FIELDS)
                + ")",
                "remove the fields beside rawAIPP; it replaces them",
            ),
            rule(
                "!has(self.mean) || !has(self.std) || self.mean.size() == self.std.size()",
                "write as many numbers in std as in mean",
            ),
            MEANS_OF_PIXELS,
            SCALES_ABOVE_ZERO,
            rule(
                "!has(self.std) || self.std.exists(s, s >= 1.0)",
                "write mean and std on the scale 0..255; these look like 0..1: multiply by 255",
            ),
            *(
                rule(
                    f"!has(self.{name}) || !has(self.pixelFormat) || self.{name}.size() in "
                    "(self.pixelFormat == 'YUV400' ? [1] : [1, 3])",
                    "write one number for all colours or one for each of the three (YUV400 has "
                    "one), in mean and in std",
                )
                for name in ("mean", "std")
            ),
            rule(
                "!has(self.swapRedBlue) || !self.swapRedBlue || !has(self.pixelFormat) || "
                "self.pixelFormat != 'YUV400'",
                "remove swapRedBlue; YUV400 has no colours",
            ),
            rule(
                "!has(self.pixelFormat) || self.pixelFormat != 'YUV420SP' || !has(self.crop) || "
                "((!has(self.crop.top) || self.crop.top % 2 == 0) && "
                "(!has(self.crop.left) || self.crop.left % 2 == 0))",
                "write an even crop.top and crop.left; YUV420SP has one colour for four pixels",
            ),
            rule(
                "!has(self.pixelFormat) || self.pixelFormat != 'YUV420SP' || !has(self.source) || "
                "(self.source.height % 2 == 0 && self.source.width % 2 == 0)",
                "write an even height and width; YUV420SP has one colour for four pixels",
            ),
            rule(
                "!has(self.crop) || !has(self.source) || "
                "((has(self.crop.top) ? self.crop.top : 0) + self.crop.height "
                "<= self.source.height && "
                "(has(self.crop.left) ? self.crop.left : 0) + self.crop.width "
                "<= self.source.width)",
                "write a crop that lies within source; AIPP cannot enlarge a picture",
            ),
        )
    )
