"""What a load is said to be, when the machine has paused in the middle of it."""

from __future__ import annotations

import pytest

from resnet_jobs.evaluation.tuning.load.windows import summary
from resnet_jobs.evaluation.tuning.load.wire import Answers


def answered(count: int, *, each: float = 0.001, waited: float = 5.0) -> Answers:
    ends = [100.0 + each * (number + 1) for number in range(count)]
    return Answers(ends, [waited] * count, started=100.0, ended=ends[-1] if ends else 100.0)


def paused(answers: Answers, *, at: int, seconds: float, in_flight: int) -> Answers:
    """Everything that was in flight waits, and all that follows is later."""
    ends = [end + seconds * (number >= at) for number, end in enumerate(answers.ends)]
    times = [
        took + 1000 * seconds * (at <= number < at + in_flight)
        for number, took in enumerate(answers.milliseconds)
    ]
    return Answers(ends, times, started=answers.started, ended=ends[-1])


def test_one_pause_of_the_machine_is_not_the_number() -> None:
    calm = summary(answered(2000))
    found = summary(paused(answered(2000), at=700, seconds=0.3, in_flight=64))
    assert calm["requestsPerSecond"] == pytest.approx(1000, rel=0.01)
    assert found["requestsPerSecond"] == pytest.approx(1000, rel=0.01)
    assert found["p99Milliseconds"] == calm["p99Milliseconds"] == 5.0


def test_what_is_slow_all_the_time_is_slow() -> None:
    """Two of every hundred, in each window: no pause, but how it is."""
    answers = answered(2000)
    answers.milliseconds = [80.0 if number % 50 == 0 else 5.0 for number in range(2000)]
    assert summary(answers)["p99Milliseconds"] == 80.0
    assert summary(answers)["p90Milliseconds"] == 5.0


def test_a_few_answers_are_one_window() -> None:
    found = summary(answered(50, each=0.1, waited=100.0))
    assert found["requestsPerSecond"] == pytest.approx(10.0)
    assert found["p99Milliseconds"] == 100.0


@pytest.mark.parametrize(
    ("failures", "want", "reason"),
    [(10, 5.0, "one of a hundred"), (11, None, "more: what 99 % wait is not known")],
)
def test_failures_take_the_percentiles_away(failures: int, want: float | None, reason: str) -> None:
    answers = answered(1000 - failures)
    answers.failures = failures
    assert summary(answers)["p99Milliseconds"] == want, reason
    assert summary(answers)["failedRequests"] == failures


def test_nothing_answered_is_no_number() -> None:
    found = summary(Answers(failures=7, started=1.0, ended=2.0))
    assert found["p99Milliseconds"] is None
    assert (found["requests"], found["requestsPerSecond"]) == (7, 0.0)
