"""What is counted of whom, how sure a share is, and how many pods a share is."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.support.builders import NOW, pod_body

from resnet_operator.plan.serving.analysis.judge import Tally, fails_more, tally
from resnet_operator.plan.serving.analysis.shares import pods_of_step
from resnet_operator.plan.serving.analysis.state import Counted, State
from resnet_operator.plan.times import to_text
from resnet_operator.reading.counters import Counters
from resnet_operator.seen.workload import Pod

SINCE = to_text(NOW)
POD = Pod.from_body(pod_body("a"))
ELDER = Pod.from_body(pod_body("a", created=NOW - timedelta(hours=1)))
YOUNGER = Pod.from_body(pod_body("a", created=NOW + timedelta(seconds=9)))
NOW_COUNTED = Counters(answered=100, failed=10, p99_microseconds=5000)

COUNTED = (
    ("from what it had counted before", ELDER, (60, 5, 0, 0), 45, 5),
    ("from nothing, when it came later", YOUNGER, None, 110, 10),
    ("not at all, when its beginning is not known", ELDER, None, 0, 0),
    ("from nothing, when its container was started again", ELDER, (900, 2, 0, 0), 110, 10),
)


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case[0])
def test_a_pod_is_counted(case: tuple[str, Pod, Counted | None, int, int]) -> None:
    _, pod, before, requests, failed = case
    base = {pod.meta.uid: before} if before else {}
    found = tally([pod], {pod.meta.uid: NOW_COUNTED}, base, SINCE)
    assert (found.requests, found.failed) == (requests, failed)


def test_who_does_not_answer_counts_for_nothing() -> None:
    assert tally([POD], {}, {}, SINCE) == Tally()


def test_a_percentile_of_several_pods_is_weighted_by_their_requests() -> None:
    busy, idle = (Pod.from_body(pod_body(name, created=NOW)) for name in ("a", "b"))
    counters = {
        busy.meta.uid: Counters(answered=300, p99_microseconds=10_000),
        idle.meta.uid: Counters(answered=100, p99_microseconds=50_000),
    }
    assert tally([busy, idle], counters, {}, SINCE).p99_microseconds == 20_000


@pytest.mark.thorough  # two million draws
def test_a_share_that_is_allowed_is_seldom_called_too_high() -> None:
    """Two thousand steps of a revision that is just good enough, looked at ten times each."""
    chance, wrong = random.Random(156), 0
    for _ in range(2000):
        failed = 0
        for requests in range(100, 1001, 100):
            failed += sum(chance.random() < 0.01 for _ in range(100))
            new = Tally(pods=1, requests=requests, failed=failed)
            if fails_more(new, Tally(), Decimal("0.01"), over=False):
                wrong += 1
                break
    assert wrong < 10


def test_a_share_twice_too_high_is_found_within_some_thousand_requests() -> None:
    chance, found = random.Random(157), 0
    for _ in range(200):
        failed = sum(chance.random() < 0.02 for _ in range(4000))
        new = Tally(pods=1, requests=4000, failed=failed)
        found += fails_more(new, Tally(), Decimal("0.01"), over=False)
    assert found > 190


@pytest.mark.parametrize(
    ("percent", "wanted", "pods"),
    [
        *((10, 1, 1), (10, 2, 1), (10, 9, 1), (10, 20, 2), (50, 1, 1), (50, 2, 2), (50, 6, 6)),
        *((90, 4, 4), (99, 100, 100), (1, 1000, 10), (25, 3, 1), (33, 4, 2)),
    ],
)
def test_a_share_in_pods_beside_the_old_ones(percent: int, wanted: int, pods: int) -> None:
    assert pods_of_step(percent, wanted) == pods


@pytest.mark.parametrize(
    "state",
    [
        State(),
        State(step=1),
        State(step=1, since=SINCE, base={"a": (1, 2, 9, 8)}),
        State(since=SINCE, base={"a": (1, 2, 0, 0), "b": (0, 0, 3, 2)}, slow=SINCE),
    ],
    ids=str,
)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    assert State.read(state.text()) == state


def test_a_hundred_pods_fit_into_an_annotation() -> None:
    base = {
        f"{number:08x}-0000-4000-8000-{number:012x}": (10**9, 10**6, 10**5, 10**5)
        for number in range(400)
    }
    text = State(since=SINCE, base=base).text()
    assert State.read(text).base == base
    assert len(text) < 65_536, "of 262,144 that all annotations of an object may have"
