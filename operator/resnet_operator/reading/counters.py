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
# Of the sampler in a new revision's pod: `resnet_runtime.sampler`.
COMPARED = "resnet_compared_answers"
AGREED = "resnet_agreed_answers"
# Whoever asked and went away is no failure of the model.
NO_FAILURE = {"CANCELED"}
QUANTILE = "0.99"
READ = (SUCCESS, FAILURE, SUMMARY, COMPARED, AGREED)
MOST_LINES = 10_000
SUMS = {SUCCESS, FAILURE, COMPARED, AGREED}
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


def counters_of(text: str, models: Iterable[str]) -> Counters | None:
    """Return the counters of the first of the models that was asked, else those of the last.

    None when the text has none of them, or is not of Triton.
    """
    lines = [line for line in text.splitlines() if line.startswith(READ)]
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
    if not any(sample.name in {SUCCESS, FAILURE} for sample in mine):
        return None
    if not all(0 <= sample.value <= MOST for sample in mine if sample.name in SUMS):
        return None
    slowest = [
        sample.value
        for sample in mine
        if sample.name == SUMMARY and sample.labels.get("quantile") == QUANTILE
    ]
    # Nobody was answered in that minute: NaN.
    told = [value for value in slowest if 0 <= value <= MOST]
    return Counters(
        answered=_sum(mine, SUCCESS),
        compared=_sum(mine, COMPARED),
        agreed=_sum(mine, AGREED),
        failed=sum(int(s.value) for s in mine if s.name == FAILURE and _is_failure(s)),
        p99_microseconds=int(max(told)) if told else None,
    )


def _sum(samples: Iterable[Sample], name: str) -> int:
    return sum(int(sample.value) for sample in samples if sample.name == name)


def _is_failure(sample: Sample) -> bool:
    return sample.labels.get("reason") not in NO_FAILURE
