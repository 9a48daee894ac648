"""`spec.conversion.quantization`: AMCT's calibration before ATC."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_contract.words import MOST_CALIBRATION_BATCHES, CalibrationFormat
from resnet_operator.api.base import ApiModel, Image, Sha256, ascii_text, optional
from resnet_operator.api.rules import Rule, given
from resnet_operator.api.source.uri import FileSetUri


class Calibration(ApiModel):
    uri: FileSetUri
    sha256: Sha256 | None = optional(
        "SHA-256 of the file in hexadecimal; checked after the download."
    )
    format: CalibrationFormat | None = optional(
        "Images are prepared by conversion.preprocessing, RawBatches are .bin files of one "
        "FP32 batch each, Npy is one array; default Images."
    )
    batches: int | None = optional(
        "Batches to calibrate with; default 5.", ge=1, le=MOST_CALIBRATION_BATCHES
    )


class Quantization(ApiModel):
    """Post-training quantization to INT8 by AMCT."""

    image: Image | None = optional("Image with amct_onnx; default from the operator's settings.")
    calibration: Calibration = Field(description="The pictures that AMCT measures ranges with.")
    skip_layers: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=253)]],
            Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "set"}),
        ]
        | None
    ) = optional("Names of ONNX nodes to leave unquantized.")
    joint_quantization: bool | None = optional(
        "AMCT's joint_quant; absent means AMCT's own default."
    )
    raw_config: Annotated[str, *ascii_text("AMCT")] | None = optional(
        "AMCT's calibration configuration, instead of skipLayers and jointQuantization."
    )

    RULES = (
        Rule(
            "!has(self.rawConfig) || (!has(self.skipLayers) && !has(self.jointQuantization))",
            lambda it: it.raw_config is not None and given(it, ["skipLayers", "jointQuantization"]),
            "remove skipLayers and jointQuantization, or rawConfig; it replaces them",
        ),
    )
