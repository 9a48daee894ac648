"""`spec.conversion`: how ATC makes the offline model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, Image, cel, rule
from resnet_operator.api.pod import LabelMap, Resources, Tolerations

Batch = Annotated[int, Field(ge=1, le=2048)]
Dim = Annotated[int, Field(ge=1, le=65536)]
InputName = Annotated[str, Field(min_length=1, max_length=127)]


class PrecisionMode(StrEnum):
    """ATC's --precision_mode and --precision_mode_v2 in one list: one excludes the other."""

    FORCE_FP16 = "ForceFP16"
    FORCE_FP32 = "ForceFP32"
    CUBE_FP16_IN_FP32_OUT = "CubeFP16InFP32Out"
    ALLOW_FP32_TO_FP16 = "AllowFP32ToFP16"
    MUST_KEEP_ORIGIN_DTYPE = "MustKeepOriginDtype"
    ALLOW_MIX_PRECISION = "AllowMixPrecision"
    ALLOW_MIX_PRECISION_BF16 = "AllowMixPrecisionBF16"
    ALLOW_FP32_TO_BF16 = "AllowFP32ToBF16"
    FP16 = "FP16"
    ORIGIN = "Origin"
    MIXED_FLOAT16 = "MixedFloat16"
    MIXED_BFLOAT16 = "MixedBFloat16"


class OpSelectImplMode(StrEnum):
    HIGH_PERFORMANCE = "HighPerformance"
    HIGH_PRECISION = "HighPrecision"
    HIGH_PERFORMANCE_FOR_ALL = "HighPerformanceForAll"
    HIGH_PRECISION_FOR_ALL = "HighPrecisionForAll"


class Conversion(ApiModel):
    """How ATC makes the offline model; not used when the chip is CPU, but for batchSizes."""

    image: Image | None = Field(
        default=None,
        description="CANN toolkit image; default by chip from the operator's settings.",
    )
    batch_sizes: (
        Annotated[
            list[Batch],
            Field(
                min_length=1,
                max_length=100,
                json_schema_extra={
                    "x-kubernetes-list-type": "atomic",
                    **cel(
                        rule(
                            "self.all(i, self.exists_one(j, j == i))",
                            "remove the repeated batch size",
                        ),
                        rule(
                            "self.isSorted()",
                            "write the batch sizes in ascending order, for example [1, 2, 4, 8]",
                        ),
                    ),
                },
            ),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Batch sizes the chip runs: one is a static batch, several are ATC's dynamic "
            "profiles; default [1, 2, 4, 8]."
        ),
    )
    input_shapes: (
        Annotated[
            dict[InputName, Annotated[list[Dim], Field(max_length=8)]],
            Field(max_length=16),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Shape of each input without the batch dimension, where the model leaves it open."
        ),
    )
    precision_mode: PrecisionMode | None = Field(
        default=None, description="ATC's precision mode (v1 or v2); absent means no flag."
    )
    op_select_impl_mode: OpSelectImplMode | None = Field(
        default=None, description="ATC's --op_select_implmode; absent means no flag."
    )
    resources: Resources | None = Field(
        default=None,
        description="CPU and memory of ATC; default requests 500m CPU and 2Gi, no limits.",
    )
    node_selector: LabelMap | None = Field(
        default=None, description="Nodes on which the conversion may run; it needs no NPU."
    )
    tolerations: Tolerations | None = Field(
        default=None, description="Taints that the conversion tolerates."
    )
    timeout_seconds: int | None = Field(
        default=None, ge=10, le=86400, description="Limit of one attempt of ATC; default 3600."
    )
    retries: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Further attempts after a failure that a retry can help; default 2.",
    )
