"""`spec.tuning`: the settings of Triton are looked for in the gate's Job, which owns a chip."""

from __future__ import annotations

from pydantic import Field

from resnet_contract.words import (
    MOST_P99_MILLISECONDS,
    MOST_TUNED_INSTANCES,
    MOST_TUNING_MINUTES,
    TuningApply,
    TuningObjective,
)
from resnet_operator.api.base import ApiModel, rule


class Tuning(ApiModel):
    """What to look for, within which bounds, and what to do with what was found."""

    objective: TuningObjective | None = Field(
        default=None,
        description=(
            "Throughput looks for the most images per second, Latency for the lowest 99th "
            "percentile at validation.benchmark.load; default Throughput."
        ),
    )
    p99_milliseconds: int | None = Field(
        default=None,
        ge=1,
        le=MOST_P99_MILLISECONDS,
        description="Highest 99th percentile that settings may have; no limit when absent.",
    )
    max_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=2048,
        description="Largest batch to try; default the largest of conversion.batchSizes.",
    )
    instances_per_chip: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TUNED_INSTANCES,
        description="Most instances on one chip to try; default 4.",
    )
    budget_minutes: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TUNING_MINUTES,
        description="Longest time to look for settings; default 30.",
    )
    apply: TuningApply | None = Field(
        default=None,
        description=(
            "Suggest writes what was found as a patch into the status, Auto rolls it out as a "
            "revision; default Suggest."
        ),
    )


def tuning_rules(largest: str, is_oneflow: str) -> tuple[dict[str, str], ...]:
    """Return the rules of the whole spec; `largest` is the expression of the largest batch."""
    load = "self.validation.benchmark.load"
    has_load = (
        "has(self.validation) && has(self.validation.benchmark) && "
        "has(self.validation.benchmark.load)"
    )
    return (
        rule(
            "!has(self.tuning) || has(self.validation)",
            "write validation: tuning runs in the gate's Job and sends the pictures of its data "
            "set, or remove tuning",
        ),
        rule(
            "!has(self.tuning) || !has(self.tuning.objective) || "
            f"self.tuning.objective != 'Latency' || ({has_load})",
            "write validation.benchmark.load: a latency is only comparable at a stated load, for "
            "example {concurrency: 4}, or choose tuning.objective Throughput",
        ),
        rule(
            "!has(self.tuning) || !has(self.tuning.maxBatchSize) || "
            f"self.tuning.maxBatchSize <= {largest}",
            "write a tuning.maxBatchSize that is not above the largest of conversion.batchSizes "
            "(default 8), or raise batchSizes",
        ),
        rule(
            f"!has(self.tuning) || !has(self.tuning.maxBatchSize) || !({has_load}) || "
            f"!has({load}.batchSize) || {load}.batchSize <= self.tuning.maxBatchSize",
            "write a tuning.maxBatchSize that is not below validation.benchmark.load.batchSize",
        ),
        rule(
            "!has(self.tuning) || !has(self.serving) || !has(self.serving.batching) || "
            "!has(self.serving.batching.mode) || self.serving.batching.mode != 'Disabled'",
            "remove serving.batching.mode Disabled; tuning chooses how requests are gathered",
        ),
        rule(
            f"!has(self.tuning) || (!({is_oneflow}) && !(has(self.serving) && "
            "has(self.serving.runtime) && self.serving.runtime in ['OneFlow', 'TorchAIE']))",
            "remove tuning; runtimes OneFlow and TorchAIE compile while they load, each trial "
            "would take minutes",
        ),
    )
