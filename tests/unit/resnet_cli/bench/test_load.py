"""The closed loop: bounds that hold, warm-ups that do not count, failures with their cause."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from resnet_cli.bench.load import WARM_UPS, Bounds, percentile, run

LONG = 1e9


class Time:
    """A clock that each answer moves on."""

    def __init__(self, *, takes: float) -> None:
        self.now, self.takes = 0.0, takes
        self.seen: Counter[str] = Counter()

    def __call__(self) -> float:
        return self.now

    @contextmanager
    def client(self) -> Iterator[object]:
        self.seen["opened"] += 1

        def send() -> bool:
            self.seen["sent"] += 1
            self.now += self.takes
            return self.seen["sent"] % 4 != 0

        yield send
        self.seen["closed"] += 1


def test_it_ends_after_its_time() -> None:
    time = Time(takes=0.5)
    found = run([time.client], Bounds(3, 1000), clock=time, begins=lambda: None)  # type: ignore[list-item]
    assert len(found.took) + len(found.failed) == 6
    assert found.seconds == pytest.approx(3)
    assert found.took == [0.5] * len(found.took)
    assert time.seen["closed"] == 1


@pytest.mark.parametrize("clients", [1, 3, 16])
def test_it_ends_after_its_requests_whoever_sent_them(clients: int) -> None:
    time = Time(takes=0.0)
    found = run([time.client] * clients, Bounds(LONG, 40), clock=time, begins=lambda: None)  # type: ignore[list-item]
    assert len(found.took) + len(found.failed) == 40
    assert time.seen["sent"] == 40 + clients * WARM_UPS
    assert time.seen["opened"] == time.seen["closed"] == clients
    assert len(found.failed) >= 9, "those that the server refused are counted apart"


def test_what_warms_up_is_over_when_it_begins() -> None:
    time = Time(takes=0.0)
    at: list[int] = []
    begins = lambda: at.append(time.seen["sent"])  # noqa: E731
    run([time.client] * 4, Bounds(LONG, 8), clock=time, begins=begins)  # type: ignore[list-item]
    assert at == [4 * WARM_UPS]


def test_what_ends_one_client_ends_all_and_is_told() -> None:
    numbers = itertools.count()

    @contextmanager
    def client() -> Iterator[object]:
        if next(numbers) == 2:
            raise ConnectionRefusedError("no port")
        yield lambda: True

    with pytest.raises(ConnectionRefusedError, match="no port"):
        run([client] * 4, Bounds(LONG, 10**9), clock=lambda: 0.0, begins=lambda: None)  # type: ignore[list-item]


PERCENTILES = [
    ("nothing was answered", [], 99, None),
    ("of one all are the same", [0.2], 50, 0.2),
    ("nearest rank, not a mean of two", [1.0, 2.0], 50, 1.0),
    ("the slowest of few", [3.0, 1.0, 2.0], 99, 3.0),
    ("of a hundred the last but one", [float(n) for n in range(100)], 99, 98.0),
]


@pytest.mark.parametrize(
    ("reason", "took", "of", "value"), PERCENTILES, ids=[row[0] for row in PERCENTILES]
)
def test_percentiles(reason: str, took: list[float], of: int, value: float | None) -> None:
    assert percentile(took, of) == value, reason
