"""What a pod says of settings is read strictly: they may become the settings of other pods."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import merged, resolved
from tests.unit.resnet_operator.api.gate.test_tuning import ASKED, GATE
from tests.unit.resnet_operator.plan.gate.test_tuning import FOUND, SETTINGS

from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import read_object
from resnet_operator.record.tuning import TuningResult, tuning_at_key

MISFITS: list[tuple[str, Any]] = [
    ("no object", "Better"),
    ("another word", FOUND | {"result": "Best"}),
    ("a message without end", FOUND | {"message": "x" * 241}),
    ("no message", FOUND | {"message": None}),
    ("trials that are no number", FOUND | {"trials": "many"}),
    ("settings that are a list", FOUND | {"settings": [8]}),
    ("no batch", FOUND | {"settings": SETTINGS | {"maxBatchSize": 0}}),
    ("a batch beyond Triton's", FOUND | {"settings": SETTINGS | {"maxBatchSize": 2049}}),
    ("no instance", FOUND | {"settings": SETTINGS | {"instancesPerChip": 0}}),
    ("a preferred size above the largest", FOUND | {"settings": SETTINGS | {"maxBatchSize": 4}}),
    ("a preferred size that is a text",
     FOUND | {"settings": SETTINGS | {"preferredBatchSizes": ["8 ] evil"]}}),
    ("preferred sizes that are none", FOUND | {"settings": SETTINGS | {"preferredBatchSizes": 8}}),
    ("a delay of hours",
     FOUND | {"settings": SETTINGS | {"maxQueueDelayMicroseconds": 3_600_000_000}}),
    ("a speed that is a number", FOUND | {"measured": 4000}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "value"), MISFITS, ids=[one[0] for one in MISFITS])
def test_what_no_evaluator_would_say(reason: str, value: Any) -> None:
    with pytest.raises(Misfit):
        TuningResult.from_json(value)


def test_it_comes_back_from_the_record_as_it_was() -> None:
    import json
    from decimal import Decimal

    said = read_object(json.dumps(FOUND), number=Decimal)
    found = TuningResult.from_json(said)
    assert found is not None
    assert found.to_json() == FOUND
    again = TuningResult.from_json(read_object(json.dumps(found.to_json()), number=Decimal))
    assert again == found


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": {"p99Milliseconds": 5}},
        {"tuning": {"budgetMinutes": 5}},
        {"tuning": {"apply": "Auto"}},
        {"accelerator": {"count": 2}},
        {"serving": {"configOverrides": "dynamic_batching { preserve_ordering: true }"}},
    ],
    ids=str,
)
def test_what_settings_depend_on_is_a_part_of_the_key(change: dict[str, Any]) -> None:
    before, after = (tuning_at_key(resolved(spec).spec) for spec in (ASKED, merged(ASKED, change)))
    assert before != after


def test_what_was_suggested_can_be_taken_without_another_run() -> None:
    taken = merged(ASKED, {"serving": {"instancesPerChip": 2, "batching": {"maxBatchSize": 4}}})
    assert tuning_at_key(resolved(taken).spec) == tuning_at_key(resolved(ASKED).spec)


def test_without_tuning_no_key_changes() -> None:
    assert tuning_at_key(resolved(GATE).spec) == {}
