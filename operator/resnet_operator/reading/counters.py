"""What Triton counts of a model's requests, from the text that Prometheus reads. Pure.

Who answers at a pod's address is not known for sure: the text is bounded by its reader, a number
is bounded here, and what is no number of Triton's is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from resnet_operator.reading.failed import FAILED, FAILURE, SUCCESS, failures_of

SUMMARY = "nv_inference_request_summary_us"
# Of our runtimes, as FAILED.
COMPARED = "resnet_compared_answers"
AGREED = "resnet_agreed_answers"
QUANTILE = "0.99"
READ = (SUCCESS, FAILURE, SUMMARY, FAILED, COMPARED, AGREED)
MOST_LINES = 10_000
SUMS = {SUCCESS, FAILURE, FAILED, COMPARED, AGREED}
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


def counters_of(text: str, models: Sequence[str]) -> Counters | None:
    """Return the counters of the first of the models that was asked, else those of the last.

    None when the text has none of them, or is not of Triton. What a runtime counts is of the last.
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
    ours = [sample for sample in samples if sample.labels.get("model") in models]
    found = [one for model in models if (one := _of_model(samples, model, ours)) is not None]
    return next((one for one in found if one.requests), found[-1] if found else None)


def _of_model(samples: Iterable[Sample], model: str, ours: Sequence[Sample]) -> Counters | None:
    mine = [sample for sample in samples if sample.labels.get("model") == model]
    if not any(sample.name in {SUCCESS, FAILURE} for sample in mine):
        return None
    by_reason: dict[str, int] = {}
    for sample in mine:
        if sample.name == FAILURE:
            reason = sample.labels.get("reason", "")
            by_reason[reason] = by_reason.get(reason, 0) + int(sample.value)
    failures = failures_of(by_reason, _sum(ours, FAILED))
    # Nobody was answered in that minute: NaN.
    told = [
        sample.value
        for sample in mine
        if sample.name == SUMMARY
        and sample.labels.get("quantile") == QUANTILE
        and 0 <= sample.value <= MOST
    ]
    return Counters(
        answered=max(_sum(mine, SUCCESS) - failures.missed, 0),
        # Whoever asked and went away is no failure of the model.
        failed=failures.refused + failures.in_model,
        p99_microseconds=int(max(told)) if told else None,
        compared=_sum(ours, COMPARED),
        agreed=_sum(ours, AGREED),
    )


def _sum(samples: Iterable[Sample], name: str) -> int:
    return sum(int(sample.value) for sample in samples if sample.name == name)
