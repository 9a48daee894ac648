"""When a failed attempt is followed by another, for conversions and validations alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.times import to_text
from resnet_operator.plan.trouble.retry import after
from resnet_operator.record.artifact import Failure

FAILED = datetime(2026, 5, 9, 12, tzinfo=UTC)
PAUSES = (60.0, 300.0)
NEVER = None
NOW = 0.0
CASES: list[tuple[str, dict[str, Any], dict[str, Any], float | None]] = [
    ("the first pause", {}, {}, 60.0),
    ("a part of it is over", {}, {"later": 45}, 15.0),
    ("all of it is over", {}, {"later": 60}, NOW),
    ("the second pause", {"attempt": 2}, {}, 300.0),
    ("the last pause counts for all later ones", {"attempt": 3}, {}, 300.0),
    ("the attempts are used up", {"attempt": 4}, {"later": 900}, NEVER),
    ("the user must act", {"permanent": True}, {"later": 900}, NEVER),
    ("asked for, though the user must act", {"permanent": True}, {"asked": True}, NOW),
    ("asked for, though the attempts are used up", {"attempt": 9}, {"asked": True}, NOW),
    ("a result that was lost", {"reason": "ResultLost"}, {}, NOW),
    ("a message that cannot be read", {"reason": "MessageInvalid"}, {}, NOW),
    ("lost each time", {"reason": "ResultLost", "attempt": 4}, {}, NEVER),
    ("no retries at all", {}, {"retries": 0}, NEVER),
]


@pytest.mark.parametrize(("why", "failed", "asked", "left"), CASES, ids=[case[0] for case in CASES])
def test_another_attempt(
    why: str, failed: dict[str, Any], asked: dict[str, Any], left: float | None
) -> None:
    given: dict[str, Any] = {"attempt": 1, "reason": "OutOfMemory", "permanent": False} | failed
    found = after(
        Failure(message="no room", detail="the log", time=to_text(FAILED), **given),
        asked=asked.get("asked", False),
        retries=asked.get("retries", 3),
        pauses=PAUSES,
        default=Reason.CONVERSION_FAILED,
        now=FAILED + timedelta(seconds=asked.get("later", 0)),
    )
    assert (found.problem.message, found.problem.detail) == ("no room", "the log")
    assert found.is_over is (left is NEVER), why
    assert found.now is (left == NOW), why
    if left:
        assert found.seconds_left == left, why
        pause = PAUSES[min(given["attempt"], 2) - 1]
        assert found.time == to_text(FAILED + timedelta(seconds=pause)), why


def test_a_reason_of_no_ours_becomes_that_of_the_step() -> None:
    failure = Failure(
        attempt=1, reason="Strange", message="m", permanent=True, time=to_text(FAILED)
    )
    found = after(
        failure, asked=False, retries=3, pauses=PAUSES, default=Reason.EVALUATION_FAILED, now=FAILED
    )
    assert found.problem.reason is Reason.EVALUATION_FAILED
