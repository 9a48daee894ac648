"""What can wait is looked at when nothing else is, with a share of one core, and is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.resnet_operator.virtual_time import now, run

from resnet_operator.work.background import HANDFUL, PATIENCE_SECONDS, Background, pause
from resnet_operator.work.queue import Key, Work, WorkQueue

KEYS = [("ns", f"{number:02}") for number in range(3 * HANDFUL)]
NEWS = ("ns", "news")
COST = 0.01  # of CPU, for one look


class Looks:
    """Work that costs CPU, which is counted, and no time."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.cpu = 0.0

    async def __call__(self, key: Key) -> None:
        self.keys.append(key)
        self.cpu += COST


@asynccontextmanager
async def running(queue: WorkQueue, background: Background, do: Work) -> AsyncIterator[None]:
    work = [asyncio.create_task(queue.work(do)) for _ in range(4)]
    tasks = [*work, asyncio.create_task(background.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


@pytest.mark.parametrize(
    ("used", "share", "expected"),
    [(0.1, 0.5, 0.1), (0.1, 0.25, 0.3), (0.1, 1.0, 0.0), (0.0, 0.5, 0.0), (-1.0, 0.5, 0.0)],
    ids=["half a core", "a quarter", "a whole one", "nothing used", "a clock that goes back"],
)
def test_the_pause_leaves_the_rest_of_the_core(used: float, share: float, expected: float) -> None:
    assert pause(used, share) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_all_are_looked_at_once_with_the_share(share: float) -> None:
    async def test() -> None:
        queue, looks = WorkQueue(), Looks()
        background = Background(queue, share=share, cpu=lambda: looks.cpu)
        background.begin(KEYS)
        assert background.left == len(KEYS)
        async with running(queue, background, looks):
            begun = now()
            while background.left:
                await asyncio.sleep(COST)
            spent = now() - begun
            await asyncio.sleep(100)
        assert looks.keys == KEYS
        last = HANDFUL * COST  # after the last handful nobody waits
        rest = (looks.cpu - last) * (1 / share - 1)
        assert spent == pytest.approx(rest, abs=2 * COST)

    run(test())


def test_news_come_before_all_that_waits() -> None:
    async def test() -> None:
        queue, looks = WorkQueue(), Looks()
        background = Background(queue, cpu=lambda: looks.cpu)
        background.begin(KEYS)
        async with running(queue, background, looks):
            while len(looks.keys) < HANDFUL:
                await asyncio.sleep(0)
            queue.add(NEWS)
            await asyncio.sleep(100)
        assert looks.keys.index(NEWS) == HANDFUL

    run(test())


def test_nothing_is_begun_while_others_are_worked_on() -> None:
    async def test() -> None:
        queue, looks, done = WorkQueue(), Looks(), asyncio.Event()

        async def work(key: Key) -> None:
            if key == NEWS:
                await done.wait()
            await looks(key)

        background = Background(queue, cpu=lambda: looks.cpu)
        queue.add(NEWS)
        async with running(queue, background, work):
            await asyncio.sleep(0)
            background.begin(KEYS)
            await asyncio.sleep(PATIENCE_SECONDS / 2)
            assert looks.keys == []
            done.set()
            await asyncio.sleep(100)
        assert looks.keys == [NEWS, *KEYS]

    run(test())


def test_a_request_that_hangs_stops_nobody_for_ever() -> None:
    async def test() -> None:
        queue, looks = WorkQueue(), Looks()

        async def work(key: Key) -> None:
            if key == NEWS:
                await asyncio.Event().wait()
            await looks(key)

        background = Background(queue, cpu=lambda: looks.cpu)
        queue.add(NEWS)
        background.begin(KEYS)
        async with running(queue, background, work):
            await asyncio.sleep(1000)
        assert looks.keys == KEYS

    run(test())


def test_who_takes_over_again_begins_again() -> None:
    async def test() -> None:
        queue, looks = WorkQueue(), Looks()
        background = Background(queue, cpu=lambda: looks.cpu)
        background.begin(KEYS)
        async with running(queue, background, looks):
            while len(looks.keys) < HANDFUL:
                await asyncio.sleep(0)
        async with running(queue, background, looks):
            background.begin(KEYS)
            await asyncio.sleep(100)
            assert background.is_idle()
        assert looks.keys[HANDFUL:] == KEYS

    run(test())


def test_is_idle_only_when_nothing_is_left() -> None:
    async def test() -> None:
        queue, looks = WorkQueue(), Looks()
        background = Background(queue, cpu=lambda: looks.cpu)
        assert background.is_idle()
        background.begin(KEYS[:1])
        assert not background.is_idle()
        async with running(queue, background, looks):
            await asyncio.sleep(1)
        assert background.is_idle()

    run(test())
