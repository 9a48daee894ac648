"""What of `spec.tuning` is refused by the operator itself, and what the Job is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import merged, resolved

from resnet_contract.fields import Fields, OrderError
from resnet_contract.gate_blocks import parse_tuning
from resnet_contract.types import TritonSettings, Tuning
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.order import gate_order

Body = dict[str, Any]
GATE: Body = {
    "validation": {
        "dataset": {"uri": "pvc://data/set.tar", "format": "ImageFolder"},
        "thresholds": {"minTop1": "0.5"},
    },
    "conversion": {"batchSizes": [1, 4, 16]},
}
ASKED: Body = merged(GATE, {"tuning": {}})


@dataclass(frozen=True)
class Refused:
    reason: str
    spec: Body
    message: str

    def __str__(self) -> str:
        return self.reason


def overridden(text: str) -> Body:
    return merged(ASKED, {"serving": {"configOverrides": text}})


REFUSED = [
    Refused("no gate", {"tuning": {}}, "write validation"),
    Refused("latency of no load", merged(GATE, {"tuning": {"objective": "Latency"}}),
            "write validation.benchmark.load"),
    Refused("no batching", merged(ASKED, {"serving": {"batching": {"mode": "Disabled"}}}),
            "remove serving.batching.mode Disabled"),
    Refused("a queue delay of the user's own text",
            overridden("dynamic_batching { max_queue_delay_microseconds: 5 }"),
            "remove dynamic_batching.max_queue_delay_microseconds from serving.configOverrides"),
    Refused("preferred sizes of the user's own text",
            overridden("dynamic_batching { preferred_batch_size: 4 }"),
            "remove dynamic_batching.preferred_batch_size from serving.configOverrides"),
    Refused("a cache answers the same pictures for ever",
            overridden("response_cache { enable: true }"),
            "remove response_cache from serving.configOverrides"),
    Refused("warm-ups of a batch that may be too large then",
            overridden('model_warmup { name: "a" batch_size: 16 }'),
            "remove model_warmup from serving.configOverrides"),
]  # fmt: skip


@pytest.mark.parametrize("refused", REFUSED, ids=str)
def test_what_could_not_be_tuned_is_refused(refused: Refused) -> None:
    with pytest.raises(InvalidSpec) as caught:
        resolved(refused.spec)
    assert refused.message in caught.value.message


def test_other_overrides_stay_beside_tuning() -> None:
    spec = overridden("dynamic_batching { preserve_ordering: true }")
    assert resolved(spec).spec.tuning is not None


def tuning_of(spec: Body) -> Tuning:
    found = resolved(spec)
    assert found.spec.validation is not None
    order = gate_order(found.spec.validation, found)
    read = Fields(order, "spec").block("tuning", parse_tuning)
    assert read is not None
    return read


def test_the_job_is_told_the_defaults() -> None:
    assert tuning_of(ASKED) == Tuning(
        objective="Throughput",
        p99_milliseconds=None,
        batch_sizes=(1, 4, 16),
        instances=4,
        chips=1,
        seconds=1800,
        applies=False,
        declared=TritonSettings(16, (4, 16), 1000, 1),
    )


def test_the_job_is_told_what_the_object_says() -> None:
    asked = {
        "objective": "Latency",
        "p99Milliseconds": 20,
        "maxBatchSize": 4,
        "instancesPerChip": 2,
        "budgetMinutes": 5,
        "apply": "Auto",
    }
    serving = {"instancesPerChip": 3, "batching": {"maxQueueDelayMicroseconds": 0}}
    load = {"benchmark": {"load": {"concurrency": 4}}}
    more = {"tuning": asked, "serving": serving, "validation": load, "accelerator": {"count": 2}}
    assert tuning_of(merged(GATE, more)) == Tuning(
        objective="Latency",
        p99_milliseconds=20,
        batch_sizes=(1, 4),
        instances=2,
        chips=2,
        seconds=300,
        applies=True,
        declared=TritonSettings(16, (4, 16), 0, 3),
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"objective": "Speed", "declared": {}}, "is not known"),
        ({"objective": "Latency"}, "declared is missing"),
        ({"objective": "Latency", "declared": {}, "batchSizes": "8"}, "positive whole numbers"),
        ({"objective": "Latency", "declared": {}, "batchSizes": [8], "budgetMinutes": 241},
         "from 1 to 240"),
    ],
)  # fmt: skip
def test_an_order_that_nobody_could_carry_out(block: Body, message: str) -> None:
    with pytest.raises(OrderError, match=message):
        Fields({"tuning": {"declared": None} | block}, "spec").block("tuning", parse_tuning)
