"""Loads against a server whose time is computed: what a client waits, and what is counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.types import StatedLoad
from resnet_jobs.base.clock import SYSTEM_CLOCK
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.evaluation import latency
from resnet_jobs.evaluation.latency import Waited, clients_of, is_enough, run_load, summary

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Server:
    """One at a time; `service(n)` is how many seconds the nth request takes."""

    time: FakeTime
    service: Callable[[int], float]
    fails: Callable[[int], bool] = lambda _: False
    sent: int = field(default=-latency.WARM_UPS)

    def send(self) -> bool:
        number, self.sent = self.sent, self.sent + 1
        self.time.now += self.service(number)
        return not self.fails(number)


def measured(server: Server, *, rate: float | None, seconds: float = 4.0) -> Waited:
    return run_load([server.send], rate=rate, seconds=seconds, clock=server.time.clock)


def test_a_closed_load_waits_only_for_answers(fake_time: FakeTime) -> None:
    """Every hundredth request takes a second: seen once in each hundred, however long it took."""
    server = Server(fake_time, lambda n: 1.0 if n % 100 == 99 else 0.01)
    found = summary(measured(server, rate=None, seconds=1.0))
    assert found["requests"] == 200, "a second is too short for a percentile"
    assert found["failedRequests"] == 0
    assert (found["p50Milliseconds"], found["p90Milliseconds"]) == (10.0, 10.0)
    assert found["p99Milliseconds"] == 10.0
    assert found["maxMilliseconds"] == 1000.0
    assert fake_time.naps == []


def test_an_open_load_counts_from_when_a_request_was_due(fake_time: FakeTime) -> None:
    """A server that stalls for a second keeps the hundred requests of that second waiting."""
    server = Server(fake_time, lambda n: 1.0 if n == 100 else 0.002)
    found = summary(measured(server, rate=100))
    assert found["requests"] == 400
    assert found["p50Milliseconds"] == pytest.approx(2.0)
    assert found["p90Milliseconds"] > 500, "a closed load would have shown 2"
    assert found["p99Milliseconds"] < found["maxMilliseconds"] == pytest.approx(1000.0)


def test_an_open_load_that_is_too_much_gets_slower_and_slower(fake_time: FakeTime) -> None:
    server = Server(fake_time, lambda _: 0.02)
    found = summary(measured(server, rate=100, seconds=4))
    assert found["requestsPerSecond"] == pytest.approx(50, rel=0.01), "what it can do"
    assert found["p99Milliseconds"] == pytest.approx(10 * 0.99 * 400, rel=0.01)


def test_what_was_due_a_minute_ago_is_given_up(fake_time: FakeTime) -> None:
    """Else a load far above what is possible would keep the chip for hours."""
    server = Server(fake_time, lambda _: 1.0)
    found = summary(measured(server, rate=100, seconds=4))
    assert found["requests"] == 400
    assert server.sent < 70
    assert found["failedRequests"] > 330
    assert found["p99Milliseconds"] is None, "no answer, no percentile"


@pytest.mark.parametrize(
    ("failing", "want", "reason"),
    [
        (2, 10.0, "one of a hundred: the 99th percentile is that of the slowest answer"),
        (3, None, "more than one of a hundred: what 99 % wait is not known"),
    ],
)
def test_a_failed_request_is_slower_than_any_answer(
    fake_time: FakeTime, failing: int, want: float | None, reason: str
) -> None:
    server = Server(fake_time, lambda _: 0.01, fails=lambda n: n < failing)
    found = summary(measured(server, rate=None, seconds=1.0))
    assert (found["requests"], found["failedRequests"]) == (200, failing)
    assert found["p99Milliseconds"] == want, reason


def test_nothing_answered_is_no_number() -> None:
    found = summary(Waited(failures=[1.0], seconds=1.0))
    assert [found[f"p{of}Milliseconds"] for of in latency.PERCENTILES] == [None] * 3
    assert found["maxMilliseconds"] is None


@pytest.mark.parametrize(
    ("requests", "elapsed", "want"),
    [(199, 9.0, False), (200, 7.9, False), (200, 8.0, True), (1, 119.9, False), (1, 120.0, True)],
)
def test_how_long_a_closed_load_lasts(requests: int, elapsed: float, want: bool) -> None:
    assert is_enough(requests, elapsed, 8.0) is want


@pytest.mark.parametrize(
    ("load", "megabytes", "want"),
    [
        (StatedLoad(concurrency=3, requests_per_second=None, batch=1), 1, 3),
        (StatedLoad(concurrency=None, requests_per_second=1, batch=1), 1, 16),
        (StatedLoad(concurrency=None, requests_per_second=50, batch=1), 1, 50),
        (StatedLoad(concurrency=None, requests_per_second=2000, batch=1), 1, 128),
        (StatedLoad(concurrency=None, requests_per_second=50, batch=8), 48, 5),
        (StatedLoad(concurrency=None, requests_per_second=50, batch=8), 300, 2),
    ],
)
def test_how_many_clients_send(load: StatedLoad, megabytes: int, want: int) -> None:
    assert clients_of(load, request_bytes=megabytes * 2**20) == want


def test_many_clients_begin_together_and_share_the_requests() -> None:
    """With real threads: each request is sent once, and none before all are warm."""
    lock, warm, sent = threading.Lock(), 0, 0

    def send() -> bool:
        nonlocal warm, sent
        with lock:
            if warm < 8 * latency.WARM_UPS:
                warm += 1
            else:
                sent += 1
        return True

    found = run_load([send] * 8, rate=1e6, seconds=0.001, clock=SYSTEM_CLOCK)
    assert found.requests == sent == 1000


def test_a_triton_that_ended_is_the_cause_and_not_the_waiting(fake_time: FakeTime) -> None:
    def die() -> bool:
        raise JobError(Reason.EVALUATION_FAILED, "Triton ended")

    with pytest.raises(JobError, match="Triton ended"):
        run_load([lambda: True, lambda: True, die], rate=None, seconds=1, clock=fake_time.clock)
