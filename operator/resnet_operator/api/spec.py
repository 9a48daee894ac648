"""`spec` of a ResNetService. Each description is one sentence: `kubectl explain` prints it.

A field stands here only when it works. Defaults are written in the descriptions and resolved in
`resolve`; a default in the schema would change stored objects (`docs/decisions`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from resnet_contract.words import ModelFormat
from resnet_operator.api.base import ApiModel, cel, rule, text
from resnet_operator.api.conversion import OF_ATC, Conversion, OpSelectImplMode, PrecisionMode
from resnet_operator.api.gate.tuning import Tuning, tuning_rules
from resnet_operator.api.kubernetes.quantity import Quantity
from resnet_operator.api.model import FORMAT, Model
from resnet_operator.api.pod import ContainerResources
from resnet_operator.api.rollout import Rollout
from resnet_operator.api.serving.oneflow import IS_ONEFLOW, ONEFLOW_RULES
from resnet_operator.api.serving.pipeline import PIPELINE_RULES
from resnet_operator.api.serving.runtime import RUNTIME_RULES
from resnet_operator.api.serving.serving import Batching, BatchingMode, ServiceType, Serving, Warmup
from resnet_operator.api.serving.torch_aie import torch_aie_rules
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

IS_OM = f"{FORMAT.replace('self.', 'self.model.')} == 'OM'"
NOT_OF_OM = ("inputShapes", *(name for name in OF_ATC if name != "image"))
LARGEST = (
    "(has(self.conversion) && has(self.conversion.batchSizes) ? "
    "self.conversion.batchSizes[self.conversion.batchSizes.size() - 1] : "
    # Of an OM only the file knows, what is too large is refused when it has been read; the batch of
    # a OneFlow graph is maxBatchSize itself.
    f"{IS_OM} || {IS_ONEFLOW} ? 1048576 : 8)"
)


Template = Annotated[
    str,
    text(
        r"^vir[0-9]{2}(_[0-9a-z]+)*$",
        "write a vNPU template of MindCluster, for example vir02 or vir04_3c",
        max_length=32,
    ),
]


class Share(ApiModel):
    """A part of a chip; what it may say depends on the cluster's dialect."""

    memory: Quantity | None = Field(
        default=None,
        description="Memory of the chip for each replica, for example 4Gi: with HAMi what is asked "
        "for, else a bound below that of the share.",
    )
    template: Template | None = Field(
        default=None, description="Template of a static vNPU slice, for example vir02."
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "!has(self.memory) || !has(self.template)",
                "remove memory or template; a template has its own memory",
            ),
        )
    )


class Accelerator(ApiModel):
    """What the replicas run on."""

    chip: str = Field(
        max_length=32,
        description="Soc version of the Ascend chip, for example Ascend310P3, or CPU or GPU.",
        json_schema_extra=cel(
            rule(
                "self in ['CPU', 'GPU'] || self.matches('^Ascend[0-9]{3}[A-Za-z0-9_-]*$')",
                "write CPU, GPU or the soc version of the chip, for example Ascend310P3 "
                "('npu-smi info' prints 310P3 in its Name column: put Ascend before it)",
            ),
            rule(
                "self != 'Ascend310P'",
                "write the whole soc version: Ascend310P1, Ascend310P3, Ascend310P5 or Ascend310P7",
            ),
            rule(
                "self != 'Ascend310B'",
                "write the whole soc version: Ascend310B1, Ascend310B2, Ascend310B3 or Ascend310B4",
            ),
        ),
    )
    count: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Chips for each replica, over which its instances are spread; default 1.",
    )
    slice: Template | None = Field(
        default=None,
        description="Older name of share.template; whole chips when both are absent.",
    )
    share: Share | None = Field(
        default=None,
        description="A part of a chip that other pods use too; whole chips when absent.",
    )
    resource_name: (
        Annotated[
            str,
            text(
                r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
                "write the resource as nodes show it, for example huawei.com/Ascend310P",
                max_length=253,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Extended resource to ask for; default by chip from the operator's settings.",
    )


class ResNetServiceSpec(ApiModel):
    """What to serve, on which chip, and how."""

    suspend: bool | None = Field(
        default=None, description="True removes the pods and keeps the artifact; default false."
    )
    model: Model = Field(description="Where the model lies and what it is called.")
    accelerator: Accelerator = Field(description="What the replicas run on.")
    conversion: Conversion | None = Field(
        default=None, description="How the model is converted for the chip."
    )
    validation: Validation | None = Field(
        default=None, description="A gate: an artifact that does not pass it gets no traffic."
    )
    tuning: Tuning | None = Field(
        default=None, description="Settings of Triton that are looked for in the gate's Job."
    )
    serving: Serving = Field(default_factory=Serving, description="How Triton serves the model.")
    rollout: Rollout | None = Field(default=None, description="How changes are rolled out.")
    container_resources: ContainerResources | None = Field(
        default=None, description="Requests and limits of the operator's own containers."
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "!has(self.serving) || !has(self.serving.batching) || "
                "!has(self.serving.batching.maxBatchSize) || "
                f"self.serving.batching.maxBatchSize <= {LARGEST}",
                "serving.batching.maxBatchSize may not be above the largest of "
                "conversion.batchSizes (default 8); raise batchSizes or lower maxBatchSize",
            ),
            rule(
                "!has(self.serving) || !has(self.serving.batching) || "
                "!has(self.serving.batching.preferredBatchSizes) || "
                "self.serving.batching.preferredBatchSizes.all(size, size <= "
                "(has(self.serving.batching.maxBatchSize) ? self.serving.batching.maxBatchSize : "
                f"{LARGEST}))",
                "remove what is above the largest batch (serving.batching.maxBatchSize, else the "
                "largest of conversion.batchSizes, default 8) from preferredBatchSizes",
            ),
            rule(
                "!has(self.validation) || !has(self.validation.benchmark) || "
                "!has(self.validation.benchmark.load) || "
                "!has(self.validation.benchmark.load.batchSize) || "
                "self.validation.benchmark.load.batchSize <= "
                "(has(self.serving) && has(self.serving.batching) && "
                "has(self.serving.batching.maxBatchSize) ? self.serving.batching.maxBatchSize : "
                f"{LARGEST})",
                "write a validation.benchmark.load.batchSize that is not above the largest batch "
                "(serving.batching.maxBatchSize, else the largest of conversion.batchSizes, "
                "default 8)",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.accelerator.resourceName)",
                "remove accelerator.resourceName; chip CPU asks for no device",
            ),
            rule(
                "!has(self.accelerator.slice) || (self.accelerator.chip.startsWith('Ascend') && "
                "(!has(self.accelerator.count) || self.accelerator.count == 1))",
                "remove accelerator.slice, or write an Ascend chip and count 1; a pod gets one "
                "slice at most",
            ),
            rule(
                "!has(self.accelerator.share) || (self.accelerator.chip.startsWith('Ascend') && "
                "(!has(self.accelerator.count) || self.accelerator.count == 1))",
                "remove accelerator.share, or write an Ascend chip and count 1; a pod gets one "
                "share at most",
            ),
            rule(
                "!has(self.accelerator.share) || !has(self.accelerator.slice)",
                "remove accelerator.slice; accelerator.share.template is its new name",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.accelerator.count)",
                "remove accelerator.count; chip CPU asks for no device",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.conversion) || "
                "!(" + " || ".join(f"has(self.conversion.{name})" for name in OF_ATC) + ")",
                "remove from conversion what is not batchSizes or inputShapes; "
                "chip CPU runs the model as it is, and clients send its own input",
            ),
            rule(
                f"self.accelerator.chip != 'CPU' || !({IS_OM})",
                "write an Ascend chip; an OM runs on the chip it was made for, not on a CPU",
            ),
            rule(
                "!has(self.conversion) || "
                "!(" + " || ".join(f"has(self.conversion.{name})" for name in NOT_OF_OM) + ") || "
                f"!({IS_OM})",
                "remove from conversion what changes the model; an OM is served as it is and not "
                "converted again",
            ),
            rule(
                "!has(self.conversion) || !has(self.conversion.precisionMode) || "
                "!self.conversion.precisionMode.contains('BF') || !self.accelerator.chip.matches("
                "'^Ascend(310|310P.*|910A|910B|910Pro.*|910Premium.*)$')",
                "choose a precisionMode without bfloat16; Ascend310, Ascend310P and the first "
                "Ascend910 have none",
            ),
            rule(
                "!has(self.rollout) || !has(self.rollout.analysis) || "
                "!has(self.rollout.analysis.mode) || self.rollout.analysis.mode != 'Mirror' || "
                "(has(self.serving) && has(self.serving.httpRoute))",
                "write serving.httpRoute, or rollout.analysis.mode: Share; a Gateway makes the "
                "copies of requests",
            ),
            *tuning_rules(LARGEST, IS_ONEFLOW),
            *ONEFLOW_RULES,
            *PIPELINE_RULES,
            *RUNTIME_RULES,
            *torch_aie_rules(FORMAT.replace("self.", "self.model."), OF_ATC),
        )
    )
