"""The work queue, in virtual time: who is worked on, when, and never twice at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import deterministic
from tests.unit.resnet_operator.virtual_time import now, run

from resnet_operator.errors import Transient
from resnet_operator.work.queue import (
    BASE_DELAY_SECONDS,
    MAX_DELAY_SECONDS,
    PATIENCE_SECONDS,
    WHEN_QUIET,
    Key,
    Work,
    WorkQueue,
)
from resnet_operator.work.turns import Turns

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


class NoJitter(random.Random):
    def random(self) -> float:
        return 0.0


class FullJitter(random.Random):
    def random(self) -> float:
        return 1.0


class Recorder:
    """Work that notes when it was called; `answers` are what it returns or raises, in order."""

    def __init__(self, *answers: float | Exception | None) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[float, Key]] = []

    async def __call__(self, key: Key) -> float | None:
        self.calls.append((now(), key))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)
        return answer

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.calls]

    @property
    def keys(self) -> list[Key]:
        return [key for _, key in self.calls]


@asynccontextmanager
async def workers(queue: WorkQueue, do: Work, number: int = 1) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(do)) for _ in range(number)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        died = [r for r in results if not isinstance(r, asyncio.CancelledError)]
        assert not died, f"a worker died: {died}"


async def drain(turns: int = 20) -> None:
    """Let everything run that can run now."""
    for _ in range(turns):
        await asyncio.sleep(0)


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def wrapper() -> None:
        run(test())

    wrapper.__name__ = test.__name__
    wrapper.__doc__ = test.__doc__
    return wrapper


def a_queue() -> WorkQueue:
    return WorkQueue(rng=NoJitter())


@in_virtual_time
async def test_a_key_that_waits_is_not_queued_again() -> None:
    queue, do = a_queue(), Recorder()
    for key in (A, B, A, A, B):
        queue.add(key)
    async with workers(queue, do):
        await drain()
    assert do.keys == [A, B]
    assert queue.is_idle()


@in_virtual_time
async def test_a_key_added_while_it_is_worked_on_comes_again_once() -> None:
    queue, started, release = a_queue(), asyncio.Event(), asyncio.Event()
    calls: list[Key] = []

    async def do(key: Key) -> None:
        calls.append(key)
        started.set()
        await release.wait()

    queue.add(A)
    async with workers(queue, do, number=2):
        await started.wait()
        queue.add(A)
        queue.add(A)
        await drain()
        assert calls == [A], "a second worker must not take a key that is worked on"
        assert not queue.is_idle()
        release.set()
        await drain()
    assert calls == [A, A]


@in_virtual_time
async def test_different_keys_are_worked_on_side_by_side() -> None:
    queue, release, busy = a_queue(), asyncio.Event(), set()

    async def do(key: Key) -> None:
        busy.add(key)
        await release.wait()

    for key in (A, B, C):
        queue.add(key)
    async with workers(queue, do, number=2):
        await drain()
        assert busy == {A, B}
        release.set()
        await drain()
    assert busy == {A, B, C}


@in_virtual_time
async def test_one_key_that_fails_does_not_hold_up_another() -> None:
    queue, do = a_queue(), Recorder(ValueError("a bug"))
    queue.add(A)
    queue.add(B)
    async with workers(queue, do):
        await drain()
        assert do.keys == [A, B]


@in_virtual_time
async def test_back_off_doubles_up_to_the_limit() -> None:
    failures = 14
    queue, do = a_queue(), Recorder(*[ValueError("still broken")] * failures)
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(10_000)
    pauses = [b - a for a, b in zip(do.times, do.times[1:], strict=False)]
    doubled = [BASE_DELAY_SECONDS * 2**n for n in range(failures)]
    assert pauses == pytest.approx([min(pause, MAX_DELAY_SECONDS) for pause in doubled])
    assert len(do.calls) == failures + 1, "after a success nothing comes again by itself"


@in_virtual_time
async def test_a_success_resets_the_back_off() -> None:
    broken = ValueError("broken")
    queue, do = a_queue(), Recorder(broken, broken, broken, None, broken)
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(10)
        queue.add(A)
        await asyncio.sleep(10)
    assert do.times == pytest.approx([0, 0.5, 1.5, 3.5, 10, 10.5])


@in_virtual_time
async def test_an_object_that_fails_for_weeks_keeps_its_worker() -> None:
    """2 to the power of its failures is no float any more after four days."""
    queue, failures = a_queue(), 1100
    do = Recorder(*[Transient(500, "broken")] * failures)
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(failures * MAX_DELAY_SECONDS)
    assert len(do.calls) == failures + 1


@in_virtual_time
async def test_jitter_spreads_retries_by_a_quarter() -> None:
    queue, do = WorkQueue(rng=FullJitter()), Recorder(ValueError("broken"))
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(10)
    assert do.times == pytest.approx([0, BASE_DELAY_SECONDS * 1.25])


@in_virtual_time
async def test_the_server_may_ask_for_a_longer_pause() -> None:
    queue, do = a_queue(), Recorder(Transient(429, "slow down", retry_after=20))
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(60)
    assert do.times == pytest.approx([0, 20])


@in_virtual_time
async def test_a_key_that_changed_while_it_failed_is_not_held_back() -> None:
    queue, started = a_queue(), asyncio.Event()
    calls: list[float] = []

    async def do(key: Key) -> None:
        calls.append(now())
        started.set()
        await asyncio.sleep(1)
        if len(calls) == 1:
            raise ValueError("broken")

    queue.add(A)
    async with workers(queue, do):
        await started.wait()
        queue.add(A)
        await asyncio.sleep(30)
    assert calls == pytest.approx([0, 1]), "and its retry timer goes when it is worked on"


@dataclass(frozen=True)
class Later:
    reason: str
    seconds: tuple[float, ...]
    times: list[float]


LATER = (
    Later("one timer fires once", (5,), [5]),
    Later("the sooner of two times wins", (5, 3), [3]),
    Later("a later time does not push an earlier one away", (3, 5), [3]),
    Later("a time that is past means now", (-1,), [0]),
)


@pytest.mark.parametrize("case", LATER, ids=lambda case: case.reason)
def test_add_after(case: Later) -> None:
    async def test() -> None:
        queue, do = a_queue(), Recorder()
        for seconds in case.seconds:
            queue.add_after(A, seconds)
        async with workers(queue, do):
            await asyncio.sleep(60)
        assert do.times == pytest.approx(case.times), case.reason

    run(test())


@in_virtual_time
async def test_work_says_when_to_look_again() -> None:
    queue, do = a_queue(), Recorder(7.0, 7.0, None)
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(60)
    assert do.times == pytest.approx([0, 7, 14])


@in_virtual_time
async def test_work_that_comes_sooner_cancels_the_timer() -> None:
    """Else an object that changes often would be looked at twice each time."""
    queue, do = a_queue(), Recorder(7.0, None)
    queue.add(A)
    async with workers(queue, do):
        await asyncio.sleep(1)
        queue.add(A)
        await asyncio.sleep(60)
    assert do.times == pytest.approx([0, 1])


@in_virtual_time
async def test_a_cancelled_worker_gives_its_key_back() -> None:
    queue, started = a_queue(), asyncio.Event()

    async def hang(key: Key) -> None:
        started.set()
        await asyncio.Event().wait()

    queue.add(A)
    async with workers(queue, hang):
        await started.wait()
        queue.add(A)
    do = Recorder()
    async with workers(queue, do):
        await drain()
    assert do.keys == [A], "what was added meanwhile is not lost, and the key is not stuck"


@in_virtual_time
async def test_what_can_wait_waits_for_all_others() -> None:
    queue, do = a_queue(), Recorder(WHEN_QUIET, WHEN_QUIET, None, None, None)
    for key in (A, B, C):
        queue.add(key)
    async with workers(queue, do):
        await drain()
    assert do.keys == [A, B, C, A, B]
    assert queue.is_idle()


@in_virtual_time
async def test_what_can_wait_is_not_taken_while_others_are_worked_on() -> None:
    queue, release = a_queue(), asyncio.Event()
    calls: list[Key] = []

    async def do(key: Key) -> float | None:
        calls.append(key)
        if key == A and calls.count(A) == 1:
            return WHEN_QUIET
        if key == B:
            await release.wait()
        return None

    queue.add(B)
    queue.add(A)
    async with workers(queue, do, number=2):
        await drain()
        assert calls == [B, A], "a worker is free, but B presses"
        assert not queue.is_idle()
        release.set()
        await drain()
    assert calls == [B, A, A]


@in_virtual_time
async def test_what_can_wait_does_not_wait_for_ever() -> None:
    queue, do = a_queue(), Recorder(WHEN_QUIET)
    queue.add(A)

    async def busy(key: Key) -> float | None:
        if key == B:
            await asyncio.Event().wait()
        return await do(key)

    queue.add(B)
    async with workers(queue, busy, number=2):
        await asyncio.sleep(60)
    assert do.times == pytest.approx([0, PATIENCE_SECONDS])


@in_virtual_time
async def test_what_can_wait_is_worked_on_at_once_when_it_changes() -> None:
    queue, do = a_queue(), Recorder(WHEN_QUIET)

    async def busy(key: Key) -> float | None:
        if key == B:
            await asyncio.Event().wait()
        return await do(key)

    queue.add(A)
    queue.add(B)
    async with workers(queue, busy, number=2):
        await asyncio.sleep(1)
        queue.add(A)
        await asyncio.sleep(60)
    assert do.times == pytest.approx([0, 1]), "and once only"


@in_virtual_time
async def test_a_key_that_is_alone_sees_no_others() -> None:
    queue = a_queue()
    seen: list[tuple[Key, bool]] = []

    async def do(key: Key) -> None:
        seen.append((key, queue.is_pressed()))

    queue.add(A)
    async with workers(queue, do, number=2):
        await drain()
        queue.add(B)
        queue.add(C)
        await drain()
    assert seen == [(A, False), (B, True), (C, False)]


@in_virtual_time
async def test_namespaces_take_turns() -> None:
    """A tenant with a thousand objects does not delay one with two."""
    queue, do = a_queue(), Recorder()
    many = [("many", str(number)) for number in range(1000)]
    few = [("few", "a"), ("few", "b")]
    for key in (*many, *few):
        queue.add(key)
    async with workers(queue, do):
        await drain(2100)
    assert do.keys[:5] == [many[0], few[0], many[1], few[1], many[2]]
    assert do.keys[5:] == many[3:], "in the order they came"


@in_virtual_time
async def test_namespaces_take_turns_with_what_can_wait_too() -> None:
    many, few = [("many", str(number)) for number in range(4)], ("few", "a")
    queue, do = a_queue(), Recorder(*[WHEN_QUIET] * 5)
    for key in (*many, few):
        queue.add(key)
    async with workers(queue, do):
        await drain(40)
    assert do.keys[5:] == [many[0], few, *many[1:]]


@deterministic
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "discard"]),
            st.tuples(st.sampled_from("pqr"), st.sampled_from("abc")),
        )
    )
)
def test_turns_are_fair_and_lose_nothing(steps: list[tuple[str, Key]]) -> None:
    """Against a plain list: each namespace's keys in order, and never one twice before another."""
    turns, plain = Turns(), list[Key]()
    since: dict[str, set[str]] = {}  # who had a turn since a namespace began to wait
    for verb, key in steps:
        if verb == "add":
            turns.add(key)
            if key not in plain:
                plain.append(key)
        elif verb == "discard":
            turns.discard(key)
            plain = [other for other in plain if other != key]
        elif plain:
            taken = turns.take()
            assert taken == next(other for other in plain if other[0] == taken[0])
            plain.remove(taken)
            for namespace in {other[0] for other in plain} - {taken[0]}:
                seen = since.setdefault(namespace, set())
                assert taken[0] not in seen, f"{namespace} waits, and {taken[0]} comes twice"
                seen.add(taken[0])
            since.pop(taken[0], None)
        since = {name: seen for name, seen in since.items() if name in {k[0] for k in plain}}
        assert sorted(turns) == sorted(plain)
        assert len(turns) == len(plain)
        assert all(other in turns for other in plain)


@pytest.mark.parametrize("has_news", [False, True])
def test_who_has_waited_long_enough_has_no_news_by_that(has_news: bool) -> None:
    """What was planned for it is as good as before; only news would make it worthless."""

    async def test() -> None:
        queue, seen = a_queue(), []

        async def do(key: Key) -> float | None:
            if key == B:
                await asyncio.Event().wait()  # presses, for ever
            seen.append((now(), queue.is_patient(A)))
            return WHEN_QUIET if len(seen) == 1 else None

        queue.add(B)
        queue.add(A)
        async with workers(queue, do, number=2):
            await drain()
            await asyncio.sleep(PATIENCE_SECONDS - 1)
            if has_news:
                queue.add(A)
            await asyncio.sleep(2)
            assert not queue.is_patient(A)
        waited = PATIENCE_SECONDS - 1 if has_news else PATIENCE_SECONDS
        assert seen == [(0.0, False), (waited, not has_news)]

    run(test())
