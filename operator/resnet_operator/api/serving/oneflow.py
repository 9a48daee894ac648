"""Format OneFlow in the API: its own block of `spec.serving`, and the rules it brings."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from resnet_contract.words import ModelFormat
from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.conversion import OF_ATC
from resnet_operator.api.rules import Rule, given

if TYPE_CHECKING:
    from resnet_operator.api.model import DeclaredTensor, Model
    from resnet_operator.api.spec import ResNetServiceSpec

# Fields of conversion that mean nothing for a graph that is served as it was saved.
UNUSED = ("batchSizes", "inputShapes", *OF_ATC)


class Xrt(StrEnum):
    TENSOR_RT = "TensorRT"
    OPEN_VINO = "OpenVINO"


class OneFlow(ApiModel):
    """How OneFlow's backend runs the graph."""

    xrt: Xrt | None = optional(
        "Compiler that takes the graph over, if the image has it: TensorRT on a GPU, OpenVINO "
        "on a CPU; default OneFlow itself."
    )


def _misnamed(tensors: Sequence[DeclaredTensor] | None, kind: str) -> bool:
    names = [tensor.name for tensor in tensors or ()]
    return names != [f"{kind}_{index}" for index in range(max(len(names), 1))]


def oneflow_model_rules() -> tuple[Rule, ...]:
    """Return the rules of spec.model."""
    return tuple(
        Rule(
            "!has(self.format) || self.format != 'OneFlow' || "
            f"(has(self.{field}) && self.{field}.all(t, "
            f"t.name.matches('^{kind}_(0|[1-9]|1[0-5])$') && "
            f"int(t.name.substring({len(kind) + 1})) < self.{field}.size() && "
            f"self.{field}[int(t.name.substring({len(kind) + 1}))].name == t.name))",
            partial(_breaks_order, field=field, kind=kind),
            f"write {field} in the order of the graph, and name them {kind}_0, {kind}_1 and so on; "
            "OneFlow's backend knows no other names",
        )
        for field, kind in (("inputs", "INPUT"), ("outputs", "OUTPUT"))
    )


def _breaks_order(model: Model, *, field: str, kind: str) -> bool:
    return model.format is ModelFormat.ONEFLOW and _misnamed(getattr(model, field), kind)


def _given(path: str) -> str:
    """Return the CEL that tells whether a field two levels down is there."""
    block, field = path.split(".")
    return f"(has(self.{block}) && has(self.{block}.{field}))"


IS_ONEFLOW = "(has(self.model.format) && self.model.format == 'OneFlow')"
BATCHING = "(has(self.serving) && has(self.serving.batching) && has(self.serving.batching.{}))"
XRT = "has(self.serving) && has(self.serving.oneflow) && has(self.serving.oneflow.xrt)"


def is_oneflow(spec: ResNetServiceSpec) -> bool:
    return spec.model.format is ModelFormat.ONEFLOW


def _wrong_chip(spec: ResNetServiceSpec) -> bool:
    chip = spec.accelerator.chip
    return chip not in {"GPU", "CPU"} if is_oneflow(spec) else chip == "GPU"


def _wrong_compiler(spec: ResNetServiceSpec) -> bool:
    xrt = spec.serving.oneflow and spec.serving.oneflow.xrt
    fitting = Xrt.OPEN_VINO if spec.accelerator.chip == "CPU" else Xrt.TENSOR_RT
    return bool(xrt) and xrt is not fitting


def _analysis_asks(spec: ResNetServiceSpec, field: str) -> bool:
    analysis = spec.rollout and spec.rollout.analysis
    return is_oneflow(spec) and getattr(analysis, field, None) is not None


ONEFLOW_RULES = (
    Rule(
        f"{IS_ONEFLOW} ? self.accelerator.chip in ['GPU', 'CPU'] : self.accelerator.chip != 'GPU'",
        _wrong_chip,
        "write chip GPU (or CPU) with model.format OneFlow, and an Ascend chip or CPU with others; "
        "OneFlow's backend knows no NPU, and nothing else is served on a GPU",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !has(self.conversion) || !("
        + " || ".join(f"has(self.conversion.{name})" for name in UNUSED)
        + ")",
        lambda it: is_oneflow(it) and given(it.conversion, UNUSED),
        "remove from conversion what changes the model; a OneFlow graph is served as it was saved, "
        "and its batch is serving.batching.maxBatchSize",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !{_given('serving.instancesPerChip')} || "
        "self.serving.instancesPerChip == 1",
        lambda it: is_oneflow(it) and it.serving.instances_per_chip not in {None, 1},
        "remove serving.instancesPerChip and raise serving.replicas; OneFlow runs the instances of "
        "one process one after the other",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !{BATCHING.format('preferredBatchSizes')}",
        lambda it: is_oneflow(it) and given(it.serving.batching, ["preferredBatchSizes"]),
        "remove preferredBatchSizes; OneFlow's backend pads every run to maxBatchSize",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !has(self.rollout) || !has(self.rollout.analysis) || "
        "!has(self.rollout.analysis.maxP99Increase)",
        lambda it: _analysis_asks(it, "max_p99_increase"),
        "remove rollout.analysis.maxP99Increase; OneFlow's Triton counts no quantiles of latency",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !has(self.rollout) || !has(self.rollout.analysis) || "
        "!has(self.rollout.analysis.minAgreement)",
        lambda it: _analysis_asks(it, "min_agreement"),
        "remove rollout.analysis.minAgreement; OneFlow's backend compares no answers",
    ),
    Rule(
        f"!{IS_ONEFLOW} || !has(self.validation)",
        lambda it: is_oneflow(it) and it.validation is not None,
        "remove validation; nothing here can compute what OneFlow should answer",
    ),
    Rule(
        f"{IS_ONEFLOW} || !(has(self.serving) && has(self.serving.oneflow))",
        lambda it: not is_oneflow(it) and it.serving.oneflow is not None,
        "remove serving.oneflow, or write model.format: OneFlow",
    ),
    Rule(
        f"!({XRT}) || self.serving.oneflow.xrt == "
        "(self.accelerator.chip == 'CPU' ? 'OpenVINO' : 'TensorRT')",
        _wrong_compiler,
        "write xrt TensorRT with chip GPU, or OpenVINO with chip CPU",
    ),
)
