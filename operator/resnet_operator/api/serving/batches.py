"""The largest batch of the spec, and what may not be above it: rules of the whole spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.words import DEFAULT_BATCH_SIZES, ModelFormat
from resnet_operator.api.rules import Rule
from resnet_operator.api.serving.oneflow import IS_ONEFLOW
from resnet_operator.api.source.formats import FORMAT_OF_SPEC, format_of

if TYPE_CHECKING:
    from resnet_operator.api.spec import ResNetServiceSpec
    from resnet_operator.api.validation import Load

IS_OM = f"{FORMAT_OF_SPEC} == 'OM'"
# Of an OM only the file knows, what is too large is refused when it has been read; the batch of a
# OneFlow graph is maxBatchSize itself.
TOLD_BY_THE_FILE = {ModelFormat.OM, ModelFormat.ONEFLOW}
ANY = 1048576
LARGEST = (
    "(has(self.conversion) && has(self.conversion.batchSizes) ? "
    "self.conversion.batchSizes[self.conversion.batchSizes.size() - 1] : "
    f"{IS_OM} || {IS_ONEFLOW} ? {ANY} : {DEFAULT_BATCH_SIZES[-1]})"
)


def largest(spec: ResNetServiceSpec) -> int:
    """Return the largest batch that the artifact takes, as `LARGEST` does."""
    if spec.conversion and spec.conversion.batch_sizes:
        return spec.conversion.batch_sizes[-1]
    return ANY if format_of(spec.model) in TOLD_BY_THE_FILE else DEFAULT_BATCH_SIZES[-1]


def load_of(spec: ResNetServiceSpec) -> Load | None:
    benchmark = spec.validation.benchmark if spec.validation else None
    return benchmark.load if benchmark else None


def _max_batch_size(spec: ResNetServiceSpec) -> int | None:
    return spec.serving.batching.max_batch_size if spec.serving.batching else None


def _served(spec: ResNetServiceSpec) -> int:
    """Return the largest batch that Triton gathers."""
    declared = _max_batch_size(spec)
    return largest(spec) if declared is None else declared


def _prefers_more(spec: ResNetServiceSpec) -> bool:
    sizes = spec.serving.batching.preferred_batch_sizes if spec.serving.batching else None
    return max(sizes or [0]) > _served(spec)


def _loads_more(spec: ResNetServiceSpec) -> bool:
    load = load_of(spec)
    return load is not None and (load.batch_size or 0) > _served(spec)


BATCH_RULES = (
    Rule(
        "!has(self.serving) || !has(self.serving.batching) || "
        "!has(self.serving.batching.maxBatchSize) || "
        f"self.serving.batching.maxBatchSize <= {LARGEST}",
        lambda it: (_max_batch_size(it) or 0) > largest(it),
        "serving.batching.maxBatchSize may not be above the largest of "
        "conversion.batchSizes (default 8); raise batchSizes or lower maxBatchSize",
    ),
    Rule(
        "!has(self.serving) || !has(self.serving.batching) || "
        "!has(self.serving.batching.preferredBatchSizes) || "
        "self.serving.batching.preferredBatchSizes.all(size, size <= "
        "(has(self.serving.batching.maxBatchSize) ? self.serving.batching.maxBatchSize : "
        f"{LARGEST}))",
        _prefers_more,
        "remove what is above the largest batch (serving.batching.maxBatchSize, else the "
        "largest of conversion.batchSizes, default 8) from preferredBatchSizes",
    ),
    Rule(
        "!has(self.validation) || !has(self.validation.benchmark) || "
        "!has(self.validation.benchmark.load) || "
        "!has(self.validation.benchmark.load.batchSize) || "
        "self.validation.benchmark.load.batchSize <= "
        "(has(self.serving) && has(self.serving.batching) && "
        "has(self.serving.batching.maxBatchSize) ? self.serving.batching.maxBatchSize : "
        f"{LARGEST})",
        _loads_more,
        "write a validation.benchmark.load.batchSize that is not above the largest batch "
        "(serving.batching.maxBatchSize, else the largest of conversion.batchSizes, "
        "default 8)",
    ),
)
