"""Format OneFlow in the API: its own block of `spec.serving`, and the rules it brings."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from resnet_operator.api.base import ApiModel, rule
from resnet_operator.api.conversion import OF_ATC

# Fields of conversion that mean nothing for a graph that is served as it was saved.
UNUSED = ("batchSizes", "inputShapes", *OF_ATC)


class Xrt(StrEnum):
    TENSOR_RT = "TensorRT"
    OPEN_VINO = "OpenVINO"


class OneFlow(ApiModel):
    """How OneFlow's backend runs the graph."""

    xrt: Xrt | None = Field(
        default=None,
        description=(
            "Compiler that takes the graph over, if the image has it: TensorRT on a GPU, OpenVINO "
            "on a CPU; default OneFlow itself."
        ),
    )


def oneflow_model_rules() -> tuple[dict[str, str], ...]:
    """Return the rules of spec.model."""
    return tuple(
        rule(
            "!has(self.format) || self.format != 'OneFlow' || "
            f"(has(self.{field}) && self.{field}.all(t, "
            f"t.name.matches('^{kind}_(0|[1-9]|1[0-5])$') && "
            f"int(t.name.substring({len(kind) + 1})) < self.{field}.size() && "
            f"self.{field}[int(t.name.substring({len(kind) + 1}))].name == t.name))",
            f"write {field} in the order of the graph, and name them {kind}_0, {kind}_1 and so on; "
            "OneFlow's backend knows no other names",
        )
        for field, kind in (("inputs", "INPUT"), ("outputs", "OUTPUT"))
    )


def _given(path: str) -> str:
    """Return the CEL that tells whether a field two levels down is there."""
    block, field = path.split(".")
    return f"(has(self.{block}) && has(self.{block}.{field}))"


IS_ONEFLOW = "(has(self.model.format) && self.model.format == 'OneFlow')"
BATCHING = "(has(self.serving) && has(self.serving.batching) && has(self.serving.batching.{}))"
XRT = "has(self.serving) && has(self.serving.oneflow) && has(self.serving.oneflow.xrt)"

ONEFLOW_RULES = (
    rule(
        f"{IS_ONEFLOW} ? self.accelerator.chip in ['GPU', 'CPU'] : self.accelerator.chip != 'GPU'",
        "write chip GPU (or CPU) with model.format OneFlow, and an Ascend chip or CPU with others; "
        "OneFlow's backend knows no NPU, and nothing else is served on a GPU",
    ),
    rule(
        f"!{IS_ONEFLOW} || !has(self.conversion) || !("
        + " || ".join(f"has(self.conversion.{name})" for name in UNUSED)
        + ")",
        "remove from conversion what changes the model; a OneFlow graph is served as it was saved, "
        "and its batch is serving.batching.maxBatchSize",
    ),
    rule(
        f"!{IS_ONEFLOW} || !{_given('serving.instancesPerChip')} || "
        "self.serving.instancesPerChip == 1",
        "remove serving.instancesPerChip and raise serving.replicas; OneFlow runs the instances of "
        "one process one after the other",
    ),
    rule(
        f"!{IS_ONEFLOW} || !{BATCHING.format('preferredBatchSizes')}",
        "remove preferredBatchSizes; OneFlow's backend pads every run to maxBatchSize",
    ),
    rule(
        f"!{IS_ONEFLOW} || !has(self.rollout) || !has(self.rollout.analysis) || "
        "!has(self.rollout.analysis.maxP99Increase)",
        "remove rollout.analysis.maxP99Increase; OneFlow's Triton counts no quantiles of latency",
    ),
    rule(
        f"!{IS_ONEFLOW} || !has(self.rollout) || !has(self.rollout.analysis) || "
        "!has(self.rollout.analysis.minAgreement)",
        "remove rollout.analysis.minAgreement; OneFlow's backend compares no answers",
    ),
    rule(
        f"{IS_ONEFLOW} || !(has(self.serving) && has(self.serving.oneflow))",
        "remove serving.oneflow, or write model.format: OneFlow",
    ),
    rule(
        f"!({XRT}) || self.serving.oneflow.xrt == "
        "(self.accelerator.chip == 'CPU' ? 'OpenVINO' : 'TensorRT')",
        "write xrt TensorRT with chip GPU, or OpenVINO with chip CPU",
    ),
)
