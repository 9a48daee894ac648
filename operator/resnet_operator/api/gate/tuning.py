"""`spec.tuning`: the settings of Triton are looked for in the gate's Job, which owns a chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.words import (
    MOST_P99_MILLISECONDS,
    MOST_TUNED_INSTANCES,
    MOST_TUNING_MINUTES,
    TuningApply,
    TuningObjective,
)
from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.rules import Rule
from resnet_operator.api.serving.batches import LARGEST, largest, load_of
from resnet_operator.api.serving.oneflow import IS_ONEFLOW, is_oneflow
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.serving.serving import BatchingMode

if TYPE_CHECKING:
    from resnet_operator.api.spec import ResNetServiceSpec


class Tuning(ApiModel):
    """What to look for, within which bounds, and what to do with what was found."""

    objective: TuningObjective | None = optional(
        "Throughput looks for the most images per second, Latency for the lowest 99th "
        "percentile at validation.benchmark.load; default Throughput."
    )
    p99_milliseconds: int | None = optional(
        "Highest 99th percentile that settings may have; no limit when absent.",
        ge=1,
        le=MOST_P99_MILLISECONDS,
    )
    max_batch_size: int | None = optional(
        "Largest batch to try; default the largest of conversion.batchSizes.", ge=1, le=2048
    )
    instances_per_chip: int | None = optional(
        "Most instances on one chip to try; default 4.", ge=1, le=MOST_TUNED_INSTANCES
    )
    budget_minutes: int | None = optional(
        "Longest time to look for settings; default 30.", ge=1, le=MOST_TUNING_MINUTES
    )
    apply: TuningApply | None = optional(
        "Suggest writes what was found as a patch into the status, Auto rolls it out as a "
        "revision; default Suggest."
    )


LOAD = "self.validation.benchmark.load"
HAS_LOAD = (
    "has(self.validation) && has(self.validation.benchmark) && has(self.validation.benchmark.load)"
)
COMPILING = {Runtime.ONEFLOW, Runtime.TORCH_AIE}


def _most(spec: ResNetServiceSpec) -> int | None:
    return spec.tuning.max_batch_size if spec.tuning else None


def _has_no_load(spec: ResNetServiceSpec) -> bool:
    objective = spec.tuning.objective if spec.tuning else None
    return objective is TuningObjective.LATENCY and load_of(spec) is None


def _is_below_the_load(spec: ResNetServiceSpec) -> bool:
    most, load = _most(spec), load_of(spec)
    return most is not None and load is not None and (load.batch_size or 0) > most


def _is_static(spec: ResNetServiceSpec) -> bool:
    batching = spec.serving.batching
    is_off = batching is not None and batching.mode is BatchingMode.DISABLED
    return spec.tuning is not None and is_off


def _compiles_while_loading(spec: ResNetServiceSpec) -> bool:
    compiles = is_oneflow(spec) or spec.serving.runtime in COMPILING
    return spec.tuning is not None and compiles


# Rules of the whole spec.
TUNING_RULES = (
    Rule(
        "!has(self.tuning) || has(self.validation)",
        lambda it: it.tuning is not None and it.validation is None,
        "write validation: tuning runs in the gate's Job and sends the pictures of its data "
        "set, or remove tuning",
    ),
    Rule(
        "!has(self.tuning) || !has(self.tuning.objective) || "
        f"self.tuning.objective != 'Latency' || ({HAS_LOAD})",
        _has_no_load,
        "write validation.benchmark.load: a latency is only comparable at a stated load, for "
        "example {concurrency: 4}, or choose tuning.objective Throughput",
    ),
    Rule(
        "!has(self.tuning) || !has(self.tuning.maxBatchSize) || "
        f"self.tuning.maxBatchSize <= {LARGEST}",
        lambda it: (_most(it) or 0) > largest(it),
        "write a tuning.maxBatchSize that is not above the largest of conversion.batchSizes "
        "(default 8), or raise batchSizes",
    ),
    Rule(
        f"!has(self.tuning) || !has(self.tuning.maxBatchSize) || !({HAS_LOAD}) || "
        f"!has({LOAD}.batchSize) || {LOAD}.batchSize <= self.tuning.maxBatchSize",
        _is_below_the_load,
        "write a tuning.maxBatchSize that is not below validation.benchmark.load.batchSize",
    ),
    Rule(
        "!has(self.tuning) || !has(self.serving) || !has(self.serving.batching) || "
        "!has(self.serving.batching.mode) || self.serving.batching.mode != 'Disabled'",
        _is_static,
        "remove serving.batching.mode Disabled; tuning chooses how requests are gathered",
    ),
    Rule(
        f"!has(self.tuning) || (!({IS_ONEFLOW}) && !(has(self.serving) && "
        "has(self.serving.runtime) && self.serving.runtime in ['OneFlow', 'TorchAIE']))",
        _compiles_while_loading,
        "remove tuning; runtimes OneFlow and TorchAIE compile while they load, each trial "
        "would take minutes",
    ),
)
