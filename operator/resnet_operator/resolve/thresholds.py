"""Which thresholds of the gate can never be judged: known before any Job, and so refused before it.

Called by `resolve`. What cannot be computed here is the same in `resnet_jobs.commands.evaluate`.
"""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec


def check_bars(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Refuse thresholds on what is not measured: latency at no load, likeness to no source."""
    benchmark = spec.validation.benchmark if spec.validation else None
    if benchmark and benchmark.max_p99_milliseconds is not None and benchmark.load is None:
        raise InvalidSpec(
            "write validation.benchmark.load: maxP99Milliseconds is only comparable at a stated "
            "load, for example {concurrency: 4}"
        )
    load = benchmark and benchmark.load
    if load and (load.concurrency is None) == (load.requests_per_second is None):
        raise InvalidSpec(
            "write one of concurrency and requestsPerSecond in validation.benchmark.load"
        )
    thresholds = spec.validation.thresholds if spec.validation else None
    if thresholds and thresholds.needing_reference and (why := _no_reference(spec, model_format)):
        raise InvalidSpec(f"remove validation.thresholds.{thresholds.needing_reference[0]}; {why}")


def _no_reference(spec: ResNetServiceSpec, model_format: ModelFormat) -> str:
    if model_format is ModelFormat.OM:
        return "there is no source model to compare an OM with"
    if spec.model.quantized:
        return "only ATC can read what AMCT has quantized, so there is nothing to compare with"
    preprocessing = spec.conversion and spec.conversion.preprocessing
    if preprocessing and preprocessing.raw_aipp is not None:
        return "what the source model would see is not known with preprocessing.rawAIPP"
    return ""
