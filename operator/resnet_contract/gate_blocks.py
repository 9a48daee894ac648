"""The blocks of the order that only the gate reads: data set, stated load, diagnosis, tuning.

Called by `order.parse_order`.
"""

from __future__ import annotations

from types import MappingProxyType

from resnet_contract.address import parse_source
from resnet_contract.fields import Fields, invalid, is_positive, sha256
from resnet_contract.types import Dataset, Diagnose, StatedLoad, TritonSettings, Tuning
from resnet_contract.words import (
    DEFAULT_LOAD_BATCH,
    DEFAULT_TUNED_INSTANCES,
    DEFAULT_TUNING_MINUTES,
    MOST_CALIBRATION_BATCHES,
    MOST_CONCURRENCY,
    MOST_LOAD_BATCH,
    MOST_P99_MILLISECONDS,
    MOST_PROFILES,
    MOST_QUEUE_DELAY_MICROSECONDS,
    MOST_REQUESTS_PER_SECOND,
    MOST_TUNED_INSTANCES,
    MOST_TUNING_MINUTES,
    DatasetFormat,
    DiagnoseWhen,
    TuningApply,
    TuningObjective,
)


def parse_dataset(fields: Fields) -> Dataset:
    labels = fields.text("labels")
    if labels is not None and (labels.startswith("/") or ".." in labels.split("/")):
        raise invalid(
            f'{fields.name("labels")} "{labels[:60]}" must be a path inside the dataset, without '
            '".." and from the top'
        )
    return Dataset(
        source=parse_source(fields.values.get("uri"), field=fields.name("uri")),
        sha256=sha256(fields),
        format=fields.needed_choice("format", tuple(DatasetFormat)),
        labels=labels,
    )


def parse_load(fields: Fields) -> StatedLoad:
    if fields.has("concurrency") == fields.has("requestsPerSecond"):
        raise invalid(f"{fields.at} needs one of concurrency and requestsPerSecond")
    return StatedLoad(
        concurrency=fields.whole("concurrency", maximum=MOST_CONCURRENCY),
        requests_per_second=fields.whole("requestsPerSecond", maximum=MOST_REQUESTS_PER_SECOND),
        batch=fields.whole("batchSize", maximum=MOST_LOAD_BATCH) or DEFAULT_LOAD_BATCH,
    )


def parse_diagnose(fields: Fields) -> Diagnose:
    thresholds = fields.values.get("thresholds")
    given = thresholds if isinstance(thresholds, dict) else {}
    try:
        limits = {str(name): float(limit) for name, limit in given.items()}
    except (TypeError, ValueError) as error:
        raise invalid(f"{fields.name('thresholds')} must be decimals in quotes") from error
    when = fields.needed_choice("when", tuple(DiagnoseWhen))
    return Diagnose(
        when=when,
        thresholds=MappingProxyType(limits),
        quantized=fields.flag("quantized"),
        skip_layers=None if fields.flag("rawConfig") else fields.texts("skipLayers"),
        joint=fields.flag("jointQuantization"),
        calibration_batches=fields.whole("calibrationBatches", maximum=MOST_CALIBRATION_BATCHES),
    )


def parse_tuning(fields: Fields) -> Tuning:
    declared = fields.child("declared")
    if declared is None:
        raise invalid(f"{fields.name('declared')} is missing: the operator sets it")
    minutes = fields.whole("budgetMinutes", maximum=MOST_TUNING_MINUTES)
    return Tuning(
        objective=fields.needed_choice("objective", tuple(TuningObjective)),
        p99_milliseconds=fields.whole("p99Milliseconds", maximum=MOST_P99_MILLISECONDS),
        batch_sizes=_sizes(fields, "batchSizes"),
        instances=fields.whole("instancesPerChip", maximum=MOST_TUNED_INSTANCES)
        or DEFAULT_TUNED_INSTANCES,
        chips=fields.whole("chips") or 1,
        seconds=60 * (minutes or DEFAULT_TUNING_MINUTES),
        applies=fields.choice("apply", tuple(TuningApply)) == TuningApply.AUTO,
        declared=_settings(declared),
    )


def _settings(fields: Fields) -> TritonSettings:
    return TritonSettings(
        max_batch=fields.needed_whole("maxBatchSize", minimum=0),
        preferred=_sizes(fields, "preferredBatchSizes"),
        delay_microseconds=fields.needed_whole(
            "maxQueueDelayMicroseconds", minimum=0, maximum=MOST_QUEUE_DELAY_MICROSECONDS
        ),
        instances=fields.needed_whole("instancesPerChip"),
    )


def _sizes(fields: Fields, key: str) -> tuple[int, ...]:
    """Batch sizes; none while only an OM knows them."""
    value = fields.values.get(key)
    given = value if isinstance(value, list) else [None]
    if not all(map(is_positive, given)) or len(given) > MOST_PROFILES:
        raise invalid(f"{fields.name(key)} must be positive whole numbers")
    return tuple(given)
