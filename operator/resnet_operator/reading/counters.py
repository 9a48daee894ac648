"""What Triton counts of a model's requests, from the text that Prometheus reads. Pure.

Who answers at a pod's address is not known for sure: the text is bounded by its reader, a number
is bounded here, and what is no number of Triton's is nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from resnet_operator.names import ENSEMBLE, step_name
from resnet_operator.reading.failed import FAILED, FAILURE, SUCCESS, OfModel, asked_of

SUMMARY = "nv_inference_request_summary_us"
# Of our runtimes, as FAILED.
AGREED = "resnet_agreed_answers"
DIFFERED = "resnet_differing_answers"
QUANTILE = "0.99"
READ = (SUCCESS, FAILURE, SUMMARY, FAILED, AGREED, DIFFERED)
MOST_LINES = 10_000
SUMS = {SUCCESS, FAILURE, FAILED, AGREED, DIFFERED}
MOST = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Sums since Triton started; the 99th percentile is of the last minute.

    `compared` are answers that the old revision was asked for too, `agreed` those alike.
    """

    answered: int = 0
    failed: int = 0
    p99_microseconds: int | None = None
    compared: int = 0
    agreed: int = 0

    @property
    def requests(self) -> int:
        return self.answered + self.failed


def counters_of(text: str, network: str) -> Counters | None:
    """Return what a pod counts of a service; None when the text is not of a Triton with its model.

    The percentile is that of the pipeline, if anybody asks it.
    """
    lines = [line for line in text.splitlines() if line.startswith(READ)]
    try:
        # Without the comments: a declared counter would be called otherwise.
        families = text_string_to_metric_families("\n".join(lines[:MOST_LINES]) + "\n")
        samples = [sample for family in families for sample in family.samples]
    except (ValueError, KeyError, IndexError):
        return None
    if not all(0 <= sample.value <= MOST for sample in samples if sample.name in SUMS):
        return None
    if not any(_is_of(sample, network) and sample.name in {SUCCESS, FAILURE} for sample in samples):
        return None
    models: defaultdict[str, OfModel] = defaultdict(OfModel)
    for sample in samples:
        if sample.name in SUMS:
            model, reason = sample.labels.get("model", ""), sample.labels.get("reason", "")
            models[model].add(sample.name, reason, int(sample.value))
    agreed = _sum(samples, AGREED, network)
    asked, pipeline = asked_of(models, network), step_name(network, ENSEMBLE)
    return Counters(
        answered=asked.answered,
        # Whoever asked and went away is no failure of the model.
        failed=asked.failed - asked.canceled,
        p99_microseconds=_p99(samples, pipeline if models[pipeline].success else network),
        compared=agreed + _sum(samples, DIFFERED, network),
        agreed=agreed,
    )


def _p99(samples: Iterable[Sample], model: str) -> int | None:
    # Nobody was answered in that minute: NaN.
    told = [
        sample.value
        for sample in samples
        if sample.name == SUMMARY
        and _is_of(sample, model)
        and sample.labels.get("quantile") == QUANTILE
        and 0 <= sample.value <= MOST
    ]
    return int(max(told)) if told else None


def _sum(samples: Iterable[Sample], name: str, model: str) -> int:
    return sum(int(one.value) for one in samples if one.name == name and _is_of(one, model))


def _is_of(sample: Sample, model: str) -> bool:
    return bool(sample.labels.get("model") == model)
