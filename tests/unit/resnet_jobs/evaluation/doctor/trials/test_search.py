"""The smallest change that passes, found without asking for each."""

from __future__ import annotations

import pytest

from resnet_jobs.evaluation.doctor.trials.search import smallest


@pytest.mark.parametrize("most", [1, 2, 3, 7, 16, 100])
def test_the_least_count_is_found_in_few_questions(most: int) -> None:
    for least in range(1, most + 1):
        asked: list[int] = []

        def passes(count: int, least: int = least, asked: list[int] = asked) -> bool:
            asked.append(count)
            return count >= least

        assert smallest(most, passes) == least
        assert len(asked) == len(set(asked)), "nothing is asked twice"
        assert len(asked) <= 2 * max(1, most.bit_length()) + 1
        assert max(asked) <= most


def test_when_nothing_suffices() -> None:
    assert smallest(16, lambda _: False) is None


@pytest.mark.parametrize(
    ("answers", "want", "reason"),
    [
        ([None], None, "no time for one question"),
        ([False, None], None, "nothing has passed yet"),
        ([False, False, False, True, None], 8, "not the least, but one that passes"),
    ],
)
def test_when_the_time_is_over(answers: list[bool | None], want: int | None, reason: str) -> None:
    left = list(answers)
    assert smallest(16, lambda _: left.pop(0)) == want, reason
