"""A resync looks at everything once in its period, and never at everything at once."""

from __future__ import annotations

from collections import Counter

import pytest

from resnet_operator.work.rounds import Rounds

SIZES = ((1, 600.0), (17, 600.0), (10_000, 600.0), (3, 1.0), (5, 2.0))


@pytest.mark.parametrize(("size", "period"), SIZES)
def test_each_one_once_in_a_period(size: int, period: float) -> None:
    keys = [("ns", str(number)) for number in range(size)]
    rounds = Rounds(period, lambda: keys)
    seen: Counter[tuple[str, str]] = Counter()
    most = 0
    for _ in range(int(period) * 3):
        due = rounds.due(1.0)
        seen.update(due)
        most = max(most, len(due))
    assert set(seen) == set(keys)
    assert set(seen.values()) <= {2, 3}
    assert most <= size / period + 1


def test_a_busy_loop_owes_one_round_and_no_more() -> None:
    rounds = Rounds(10.0, lambda: [("ns", "a"), ("ns", "b")])
    assert len(rounds.due(3600.0)) == 2
    assert rounds.due(0.1) == []


def test_what_comes_and_goes_is_met_by_the_next_round() -> None:
    keys = [("ns", "a")]
    rounds = Rounds(1.0, lambda: keys)
    assert rounds.due(1.0) == [("ns", "a")]
    keys[:] = [("ns", "b"), ("ns", "c")]
    assert set(rounds.due(1.0)) == {("ns", "b"), ("ns", "c")}
    keys.clear()
    assert rounds.due(1.0) == []
    keys.append(("ns", "d"))
    assert rounds.due(1.0) == [("ns", "d")]
