"""What Triton counts of a model's requests, from the text that Prometheus reads. Pure.

Who answers at a pod's address is not known for sure: the text is bounded by its reader, a number
is bounded here, and what is no number of Triton's is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

FAMILY = "nv_inference_request_"
SUCCESS = f"{FAMILY}success"
FAILURE = f"{FAMILY}failure"
SUMMARY = f"{FAMILY}summary_us"
# Whoever asked and went away is no failure of the model.
NO_FAILURE = {"CANCELED"}
QUANTILE = "0.99"
MOST_LINES = 10_000
MOST = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Sums since Triton started; the 99th percentile is of the last minute."""

    answered: int = 0
    failed: int = 0
    p99_microseconds: int | None = None

    @property
    def requests(self) -> int:
        return self.answered + self.failed


def counters_of(text: str, models: Iterable[str]) -> Counters | None:
    """Return the counters of the first of the models that was asked, else those of the last.

    None when the text has none of them, or is not of Triton.
    """
    lines = [line for line in text.splitlines() if line.startswith((SUCCESS, FAILURE, SUMMARY))]
    try:
        # Without the comments: a declared counter would be called otherwise.
        families = text_string_to_metric_families("\n".join(lines[:MOST_LINES]) + "\n")
        samples = [sample for family in families for sample in family.samples]
    except (ValueError, KeyError, IndexError):
        return None
    found = [one for model in models if (one := _of_model(samples, model)) is not None]
    return next((one for one in found if one.requests), found[-1] if found else None)


def _of_model(samples: Iterable[Sample], model: str) -> Counters | None:
    mine = [sample for sample in samples if sample.labels.get("model") == model]
    values = [sample.value for sample in mine if sample.name in {SUCCESS, FAILURE}]
    if not values or not all(0 <= value <= MOST for value in values):
        return None
    slowest = [
        sample.value
        for sample in mine
        if sample.name == SUMMARY and sample.labels.get("quantile") == QUANTILE
    ]
    # Nobody was answered in that minute: NaN.
    told = [value for value in slowest if 0 <= value <= MOST]
    return Counters(
        answered=sum(int(s.value) for s in mine if s.name == SUCCESS),
        failed=sum(int(s.value) for s in mine if s.name == FAILURE and _is_failure(s)),
        p99_microseconds=int(max(told)) if told else None,
    )


def _is_failure(sample: Sample) -> bool:
    return sample.labels.get("reason") not in NO_FAILURE
