"""`spec` of a ResNetService. Each description is one sentence: `kubectl explain` prints it.

A field stands here only when it works. Defaults are written in the descriptions and resolved in
`resolve`; a default in the schema would change stored objects (`docs/decisions`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_contract.words import ModelFormat
from resnet_operator.api.base import ApiModel, optional, text
from resnet_operator.api.conversion import OF_ATC, Conversion, OpSelectImplMode, PrecisionMode
from resnet_operator.api.gate.tuning import TUNING_RULES, Tuning
from resnet_operator.api.kubernetes.quantity import Quantity
from resnet_operator.api.model import Model
from resnet_operator.api.pod import ContainerResources
from resnet_operator.api.rollout import AnalysisMode, Rollout
from resnet_operator.api.rules import Rule, Rules, given, matches
from resnet_operator.api.serving.batches import BATCH_RULES, IS_OM
from resnet_operator.api.serving.oneflow import ONEFLOW_RULES
from resnet_operator.api.serving.pipeline import PIPELINE_RULES
from resnet_operator.api.serving.runtime import RUNTIME_RULES
from resnet_operator.api.serving.serving import Batching, BatchingMode, ServiceType, Serving, Warmup
from resnet_operator.api.serving.torch_aie import TORCH_AIE_RULES
from resnet_operator.api.source.formats import format_of
from resnet_operator.api.validation import Validation

__all__ = [
    "Accelerator",
    "Batching",
    "BatchingMode",
    "Conversion",
    "Model",
    "ModelFormat",
    "OpSelectImplMode",
    "PrecisionMode",
    "ResNetServiceSpec",
    "Rollout",
    "ServiceType",
    "Serving",
    "Share",
    "Validation",
    "Warmup",
]

Template = Annotated[
    str,
    *text(
        r"^vir[0-9]{2}(_[0-9a-z]+)*$",
        "write a vNPU template of MindCluster, for example vir02 or vir04_3c",
        max_length=32,
    ),
]


class Share(ApiModel):
    """A part of a chip; what it may say depends on the cluster's dialect."""

    memory: Quantity | None = optional(
        "Memory of the chip for each replica, for example 4Gi: with HAMi what is asked "
        "for, else a bound below that of the share."
    )
    template: Template | None = optional("Template of a static vNPU slice, for example vir02.")

    RULES = (
        Rule(
            "!has(self.memory) || !has(self.template)",
            lambda it: it.memory is not None and it.template is not None,
            "remove memory or template; a template has its own memory",
        ),
    )


SOC_VERSION = "^Ascend[0-9]{3}[A-Za-z0-9_-]*$"
Chip = Annotated[
    str,
    Field(max_length=32),
    Rules(
        Rule(
            f"self in ['CPU', 'GPU'] || self.matches('{SOC_VERSION}')",
            lambda chip: chip not in {"CPU", "GPU"} and not matches(SOC_VERSION, chip),
            "write CPU, GPU or the soc version of the chip, for example Ascend310P3 "
            "('npu-smi info' prints 310P3 in its Name column: put Ascend before it)",
        ),
        Rule(
            "self != 'Ascend310P'",
            lambda chip: chip == "Ascend310P",
            "write the whole soc version: Ascend310P1, Ascend310P3, Ascend310P5 or Ascend310P7",
        ),
        Rule(
            "self != 'Ascend310B'",
            lambda chip: chip == "Ascend310B",
            "write the whole soc version: Ascend310B1, Ascend310B2, Ascend310B3 or Ascend310B4",
        ),
    ),
]


class Accelerator(ApiModel):
    """What the replicas run on."""

    chip: Chip = Field(
        description="Soc version of the Ascend chip, for example Ascend310P3, or CPU or GPU."
    )
    count: int | None = optional(
        "Chips for each replica, over which its instances are spread; default 1.", ge=1, le=16
    )
    slice: Template | None = optional(
        "Older name of share.template; whole chips when both are absent."
    )
    share: Share | None = optional(
        "A part of a chip that other pods use too; whole chips when absent."
    )
    resource_name: (
        Annotated[
            str,
            *text(
                r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
                "write the resource as nodes show it, for example huawei.com/Ascend310P",
                max_length=253,
            ),
        ]
        | None
    ) = optional("Extended resource to ask for; default by chip from the operator's settings.")


def _is_whole(accelerator: Accelerator) -> bool:
    """Tell whether it is one chip of Ascend's, of which a part can be given."""
    return accelerator.chip.startswith("Ascend") and accelerator.count in {None, 1}


def _mirrors_nothing(spec: ResNetServiceSpec) -> bool:
    analysis = spec.rollout.analysis if spec.rollout else None
    mirrors = analysis is not None and analysis.mode is AnalysisMode.MIRROR
    return mirrors and spec.serving.http_route is None


def _lacks_bfloat(spec: ResNetServiceSpec) -> bool:
    mode = spec.conversion.precision_mode if spec.conversion else None
    return mode is not None and "BF" in mode and matches(NO_BFLOAT, spec.accelerator.chip)


NOT_OF_OM = ("inputShapes", *(name for name in OF_ATC if name != "image"))
NO_BFLOAT = "^Ascend(310|310P.*|910A|910B|910Pro.*|910Premium.*)$"
ACCELERATOR_RULES = (
    Rule(
        "self.accelerator.chip != 'CPU' || !has(self.accelerator.resourceName)",
        lambda it: it.accelerator.chip == "CPU" and it.accelerator.resource_name is not None,
        "remove accelerator.resourceName; chip CPU asks for no device",
    ),
    Rule(
        "!has(self.accelerator.slice) || (self.accelerator.chip.startsWith('Ascend') && "
        "(!has(self.accelerator.count) || self.accelerator.count == 1))",
        lambda it: it.accelerator.slice is not None and not _is_whole(it.accelerator),
        "remove accelerator.slice, or write an Ascend chip and count 1; a pod gets one "
        "slice at most",
    ),
    Rule(
        "!has(self.accelerator.share) || (self.accelerator.chip.startsWith('Ascend') && "
        "(!has(self.accelerator.count) || self.accelerator.count == 1))",
        lambda it: it.accelerator.share is not None and not _is_whole(it.accelerator),
        "remove accelerator.share, or write an Ascend chip and count 1; a pod gets one "
        "share at most",
    ),
    Rule(
        "!has(self.accelerator.share) || !has(self.accelerator.slice)",
        lambda it: it.accelerator.share is not None and it.accelerator.slice is not None,
        "remove accelerator.slice; accelerator.share.template is its new name",
    ),
    Rule(
        "self.accelerator.chip != 'CPU' || !has(self.accelerator.count)",
        lambda it: it.accelerator.chip == "CPU" and it.accelerator.count is not None,
        "remove accelerator.count; chip CPU asks for no device",
    ),
)
CONVERSION_RULES = (
    Rule(
        "self.accelerator.chip != 'CPU' || !has(self.conversion) || "
        "!(" + " || ".join(f"has(self.conversion.{name})" for name in OF_ATC) + ")",
        lambda it: it.accelerator.chip == "CPU" and given(it.conversion, OF_ATC),
        "remove from conversion what is not batchSizes or inputShapes; "
        "chip CPU runs the model as it is, and clients send its own input",
    ),
    Rule(
        f"self.accelerator.chip != 'CPU' || !({IS_OM})",
        lambda it: it.accelerator.chip == "CPU" and format_of(it.model) is ModelFormat.OM,
        "write an Ascend chip; an OM runs on the chip it was made for, not on a CPU",
    ),
    Rule(
        "!has(self.conversion) || "
        "!(" + " || ".join(f"has(self.conversion.{name})" for name in NOT_OF_OM) + ") || "
        f"!({IS_OM})",
        lambda it: given(it.conversion, NOT_OF_OM) and format_of(it.model) is ModelFormat.OM,
        "remove from conversion what changes the model; an OM is served as it is and not "
        "converted again",
    ),
    Rule(
        "!has(self.conversion) || !has(self.conversion.precisionMode) || "
        "!self.conversion.precisionMode.contains('BF') || !self.accelerator.chip.matches("
        f"'{NO_BFLOAT}')",
        _lacks_bfloat,
        "choose a precisionMode without bfloat16; Ascend310, Ascend310P and the first "
        "Ascend910 have none",
    ),
)
ROLLOUT_RULE = Rule(
    "!has(self.rollout) || !has(self.rollout.analysis) || "
    "!has(self.rollout.analysis.mode) || self.rollout.analysis.mode != 'Mirror' || "
    "(has(self.serving) && has(self.serving.httpRoute))",
    _mirrors_nothing,
    "write serving.httpRoute, or rollout.analysis.mode: Share; a Gateway makes the "
    "copies of requests",
)


class ResNetServiceSpec(ApiModel):
    """What to serve, on which chip, and how."""

    suspend: bool | None = optional("True removes the pods and keeps the artifact; default false.")
    model: Model = Field(description="Where the model lies and what it is called.")
    accelerator: Accelerator = Field(description="What the replicas run on.")
    conversion: Conversion | None = optional("How the model is converted for the chip.")
    validation: Validation | None = optional(
        "A gate: an artifact that does not pass it gets no traffic."
    )
    tuning: Tuning | None = optional("Settings of Triton that are looked for in the gate's Job.")
    serving: Serving = Field(default_factory=Serving, description="How Triton serves the model.")
    rollout: Rollout | None = optional("How changes are rolled out.")
    container_resources: ContainerResources | None = optional(
        "Requests and limits of the operator's own containers."
    )

    RULES = (
        *BATCH_RULES,
        *ACCELERATOR_RULES,
        *CONVERSION_RULES,
        ROLLOUT_RULE,
        *TUNING_RULES,
        *ONEFLOW_RULES,
        *PIPELINE_RULES,
        *RUNTIME_RULES,
        *TORCH_AIE_RULES,
    )
