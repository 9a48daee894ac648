"""`spec.conversion`: how ATC makes the offline model."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Annotated

from pydantic import Field
from pydantic.alias_generators import to_camel

from resnet_contract.words import MOST_PROFILES, HostArchitecture, OutputType
from resnet_operator.api.base import ApiModel, Image, ObjectName, optional
from resnet_operator.api.kubernetes.pods import Tolerations
from resnet_operator.api.pod import LabelMap, Resources
from resnet_operator.api.preprocessing import Preprocessing
from resnet_operator.api.quantization import Quantization
from resnet_operator.api.rules import Rule, Rules

Batch = Annotated[int, Field(ge=1, le=2048)]
Dim = Annotated[int, Field(ge=1, le=65536)]
InputName = Annotated[str, Field(min_length=1, max_length=127)]


class Role(Enum):
    """What a field of conversion is for: metadata of the field, read by `fields_with`."""

    ATC = "means nothing where ATC does not run"
    DECIDES = "decides the artifact: a part of the source key"
    ORDERED = "decides the artifact too, and a Job reads it under the same name"
    MEANS = "how it is made: what failed is tried again with others"


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


# What would undo a quantization.
UNDOING = {PrecisionMode.FORCE_FP32, PrecisionMode.MUST_KEEP_ORIGIN_DTYPE, PrecisionMode.ORIGIN}


class OpSelectImplMode(StrEnum):
    HIGH_PERFORMANCE = "HighPerformance"
    HIGH_PRECISION = "HighPrecision"
    HIGH_PERFORMANCE_FOR_ALL = "HighPerformanceForAll"
    HIGH_PRECISION_FOR_ALL = "HighPrecisionForAll"


# What ATC takes beside the fields here, and nothing that the operator sets itself or that would
# leave the OM incomplete. `resnet_jobs.tools.atc` knows what each may hold; a test compares both.
EXTRA_ARGS = (
    "--ac_parallel_enable",
    "--aicore_num",
    "--buffer_optimize",
    "--core_type",
    "--deterministic",
    "--disable_reuse_memory",
    "--enable_single_stream",
    "--input_fp16_nodes",
    "--is_weight_clip",
    "--jit_compile",
    "--log",
    "--oo_level",
    "--op_debug_level",
    "--optypelist_for_implmode",
    "--out_nodes",
    "--sparsity",
)
FileText = Annotated[str, Field(min_length=1, max_length=8192)]


BatchSizes = Annotated[
    list[Batch],
    Field(
        min_length=1,
        max_length=MOST_PROFILES,
    ),
    Rules(
        Rule(
            "self.all(i, self.exists_one(j, j == i))",
            lambda sizes: len(set(sizes)) < len(sizes),
            "remove the repeated batch size",
        ),
        Rule(
            "self.isSorted()",
            lambda sizes: sizes != sorted(sizes),
            "write the batch sizes in ascending order, for example [1, 2, 4, 8]",
        ),
    ),
]
ExtraArgs = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(min_length=1, max_length=1024)],
    ],
    Field(max_length=16),
    Rules(
        Rule(
            "self.all(k, k in [" + ", ".join(f"'{name}'" for name in EXTRA_ARGS) + "])",
            lambda options: not options.keys() <= set(EXTRA_ARGS),
            "remove what is no field and not one of " + ", ".join(EXTRA_ARGS),
        )
    ),
]


class ConfigFiles(ApiModel):
    """Files that ATC reads, as text."""

    fusion_switch: FileText | None = optional("Fusion passes to switch off: --fusion_switch_file.")
    op_precision: FileText | None = optional("Precision of single operators: --op_precision_mode.")
    mix_list: FileText | None = optional(
        "Operators of the mixed precision modes, as JSON: --modify_mixlist."
    )
    keep_dtype: FileText | None = optional("Operators that keep their type: --keep_dtype.")


class OpCompilerCache(ApiModel):
    persistent_volume_claim: ObjectName = Field(
        description="Claim in the object's namespace that keeps compiled operators."
    )


class Conversion(ApiModel):
    """How ATC makes the offline model; not used when the chip is CPU, but for batchSizes."""

    image: Annotated[Image | None, Role.ATC, Role.DECIDES] = optional(
        "CANN toolkit image; default by chip from the operator's settings."
    )
    batch_sizes: Annotated[BatchSizes | None, Role.DECIDES] = optional(
        "Batch sizes the chip runs: one is a static batch, several are ATC's dynamic "
        "profiles; default [1, 2, 4, 8], with quantization [8], of an OM its own."
    )
    input_shapes: Annotated[
        Annotated[dict[InputName, Annotated[list[Dim], Field(max_length=8)]], Field(max_length=16)]
        | None,
        Role.ORDERED,
    ] = optional("Shape of each input without the batch dimension, where the model leaves it open.")
    precision_mode: Annotated[PrecisionMode | None, Role.ATC, Role.ORDERED] = optional(
        "ATC's precision mode (v1 or v2); absent means no flag."
    )
    op_select_impl_mode: Annotated[OpSelectImplMode | None, Role.ATC, Role.ORDERED] = optional(
        "ATC's --op_select_implmode; absent means no flag."
    )
    preprocessing: Annotated[Preprocessing | None, Role.ATC, Role.ORDERED] = optional(
        "What the chip does with a picture before the model; clients then send uint8."
    )
    quantization: Annotated[Quantization | None, Role.ATC, Role.ORDERED] = optional(
        "Quantization to INT8 by AMCT before ATC; one batch size only."
    )
    small_channel: Annotated[bool | None, Role.ATC, Role.DECIDES] = optional(
        "ATC's --enable_small_channel for the first convolution; default true with fields of "
        "preprocessing."
    )
    output_type: Annotated[OutputType | None, Role.ATC, Role.ORDERED] = optional(
        "ATC's --output_type of all outputs; absent means no flag."
    )
    first_layer_quantization: Annotated[bool | None, Role.ATC, Role.ORDERED] = optional(
        "Quantize the first convolution after AIPP; for 310P and 310B; default false."
    )
    host_architecture: Annotated[HostArchitecture | None, Role.ATC, Role.ORDERED] = optional(
        "Architecture of the nodes that serve; default that of the conversion's node."
    )
    config_files: Annotated[ConfigFiles | None, Role.ATC, Role.ORDERED] = optional(
        "Configuration files of ATC, as text."
    )
    op_compiler_cache: Annotated[OpCompilerCache | None, Role.ATC] = optional(
        "Where ATC keeps compiled operators for later conversions."
    )
    extra_args: Annotated[ExtraArgs | None, Role.ATC, Role.ORDERED] = optional(
        "Further options of ATC and their values, from a fixed list."
    )
    resources: Annotated[Resources | None, Role.MEANS] = optional(
        "CPU and memory of ATC; default requests 500m CPU and 2Gi, no limits."
    )
    node_selector: Annotated[LabelMap | None, Role.MEANS] = optional(
        "Nodes on which the conversion may run; it needs no NPU."
    )
    tolerations: Annotated[Tolerations | None, Role.MEANS] = optional(
        "Taints that the conversion tolerates."
    )
    timeout_seconds: Annotated[int | None, Role.MEANS] = optional(
        "Limit of one attempt of ATC; default 3600.", ge=10, le=86400
    )
    retries: int | None = optional(
        "Further attempts after a failure that a retry can help; default 2.", ge=0, le=10
    )

    RULES = (
        Rule(
            "!has(self.quantization) || !has(self.batchSizes) || self.batchSizes.size() == 1",
            lambda it: it.quantization is not None and len(it.batch_sizes or [1]) != 1,
            "write one batch size with quantization; ATC makes no dynamic profiles of a "
            "quantized model",
        ),
        Rule(
            "!has(self.quantization) || !has(self.precisionMode) || "
            "!(self.precisionMode in ['ForceFP32', 'MustKeepOriginDtype', 'Origin'])",
            lambda it: it.quantization is not None and it.precision_mode in UNDOING,
            "choose another precisionMode; ATC refuses ForceFP32, MustKeepOriginDtype and "
            "Origin for a quantized model",
        ),
        Rule(
            "!has(self.smallChannel) || !self.smallChannel || has(self.preprocessing)",
            lambda it: it.small_channel and it.preprocessing is None,
            "remove smallChannel or add preprocessing; ATC uses it with AIPP only",
        ),
        Rule(
            "!has(self.firstLayerQuantization) || !self.firstLayerQuantization || "
            "has(self.preprocessing)",
            lambda it: it.first_layer_quantization and it.preprocessing is None,
            "remove firstLayerQuantization or add preprocessing; ATC uses it with AIPP only",
        ),
    )


def fields_with(*roles: Role) -> tuple[str, ...]:
    """Return the names of the fields with one of the roles, in their order."""
    fields = Conversion.model_fields.items()
    return tuple(name for name, field in fields if not set(roles).isdisjoint(field.metadata))


OF_ATC = tuple(to_camel(name) for name in fields_with(Role.ATC))
