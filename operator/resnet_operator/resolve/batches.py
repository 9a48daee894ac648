"""Which batch sizes there are, and what Triton is told of them. Pure.

Called by `resolve`; and by `plan.contract` once more for an OM whose batch sizes only the file
tells. Until then there are none.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_contract.types import preferred_by_default
from resnet_contract.words import DEFAULT_BATCH_SIZES, ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.config_overrides import check_overrides

ONE_BATCH_SIZE = (8,)
DECLARED = "conversion.batchSizes"


@dataclass(frozen=True, kw_only=True)
class Batches:
    """`largest` is Triton's max_batch_size; all is empty while the sizes are not known."""

    sizes: tuple[int, ...] = ()
    largest: int = 0
    preferred: tuple[int, ...] = ()


def declared_batches(spec: ResNetServiceSpec, model_format: ModelFormat) -> Batches:
    """Return what is declared or the default; nothing for an OM that tells its own."""
    conversion = spec.conversion
    if conversion and conversion.batch_sizes:
        return fitted_batches(spec, tuple(conversion.batch_sizes))
    if model_format is ModelFormat.OM:
        return Batches()
    if model_format is ModelFormat.ONEFLOW:
        # Every run is padded to this, so nobody pays for more than they ask for.
        batching = spec.serving.batching
        return fitted_batches(spec, ((batching and batching.max_batch_size) or 1,))
    quantized = conversion is not None and conversion.quantization is not None
    # One size is compiled as it is, several as a range, which costs speed on the chip.
    one = quantized or spec.serving.runtime is Runtime.TORCH_AIE
    return fitted_batches(spec, ONE_BATCH_SIZE if one else DEFAULT_BATCH_SIZES)


def fitted_batches(
    spec: ResNetServiceSpec, sizes: tuple[int, ...], *, origin: str = DECLARED
) -> Batches:
    """Return how these sizes are served; raises InvalidSpec where spec.serving does not fit."""
    batching = spec.serving.batching
    largest = (batching and batching.max_batch_size) or sizes[-1]
    if largest > sizes[-1]:
        raise InvalidSpec(
            f"serving.batching.maxBatchSize is {largest}, the largest of {origin} is {sizes[-1]}; "
            f"{'lower' if origin != DECLARED else 'raise batchSizes or lower'} maxBatchSize"
        )
    benchmark = spec.validation.benchmark if spec.validation else None
    asked = (benchmark and benchmark.load and benchmark.load.batch_size) or 1
    if asked > largest:
        raise InvalidSpec(
            f"validation.benchmark.load.batchSize is {asked}, the largest batch that is served is "
            f"{largest}; lower load.batchSize"
        )
    most = spec.tuning and spec.tuning.max_batch_size
    if most and most > sizes[-1]:
        raise InvalidSpec(
            f"tuning.maxBatchSize is {most}, the largest of {origin} is {sizes[-1]}; "
            "lower tuning.maxBatchSize"
        )
    if most and most < asked:
        raise InvalidSpec(
            f"tuning.maxBatchSize is {most}, below validation.benchmark.load.batchSize, {asked}; "
            "raise tuning.maxBatchSize or lower load.batchSize"
        )
    if spec.serving.config_overrides:
        kind = "KIND_GPU" if spec.accelerator.chip == "GPU" else "KIND_CPU"
        check_overrides(spec.serving.config_overrides, max_batch_size=largest, kind=kind)
    preferred = _preferred(spec, sizes, largest)
    return Batches(sizes=sizes, largest=largest, preferred=preferred)


def _preferred(spec: ResNetServiceSpec, sizes: tuple[int, ...], largest: int) -> tuple[int, ...]:
    batching = spec.serving.batching
    if batching and batching.preferred_batch_sizes:
        too_large = [size for size in batching.preferred_batch_sizes if size > largest]
        if too_large:
            raise InvalidSpec(
                f"serving.batching.preferredBatchSizes has {too_large[0]}, above the largest "
                f"batch {largest}; remove it"
            )
        return tuple(batching.preferred_batch_sizes)
    return preferred_by_default(sizes, largest)
