"""The blocks of the order that only the gate reads: data set, stated load, diagnosis.

Called by `order.parse_order`.
"""

from __future__ import annotations

from types import MappingProxyType

from resnet_contract.address import parse_source
from resnet_contract.fields import Fields, invalid, sha256
from resnet_contract.types import Dataset, Diagnose, StatedLoad
from resnet_contract.words import (
    DEFAULT_LOAD_BATCH,
    MOST_CONCURRENCY,
    MOST_LOAD_BATCH,
    MOST_REQUESTS_PER_SECOND,
    DatasetFormat,
    DiagnoseWhen,
)


def parse_dataset(fields: Fields | None) -> Dataset | None:
    if fields is None:
        return None
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


def parse_load(fields: Fields | None) -> StatedLoad | None:
    if fields is None:
        return None
    if fields.has("concurrency") == fields.has("requestsPerSecond"):
        raise invalid(f"{fields.at} needs one of concurrency and requestsPerSecond")
    return StatedLoad(
        concurrency=fields.whole("concurrency", maximum=MOST_CONCURRENCY),
        requests_per_second=fields.whole("requestsPerSecond", maximum=MOST_REQUESTS_PER_SECOND),
        batch=fields.whole("batchSize", maximum=MOST_LOAD_BATCH) or DEFAULT_LOAD_BATCH,
    )


def parse_diagnose(fields: Fields | None) -> Diagnose | None:
    if fields is None:
        return None
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
    )
