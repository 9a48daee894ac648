"""The work queue: one key once, one worker a key, back-off with jitter, and "look again later".

The semantics are those of the queues that Go controllers use, with two additions: namespaces take
turns, and there is a second lane: what can wait is taken when nothing that cannot is waiting or
running. `watch` adds keys, `app` runs the workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable

from resnet_operator.telemetry.metrics import QUEUE_DEPTH, QUEUE_LATENCY_SECONDS
from resnet_operator.work.turns import Key, Turns

# Returns seconds after which to look again, WHEN_QUIET, or None. Raising means failure: back-off.
Work = Callable[[Key], Awaitable[float | None]]

WHEN_QUIET = 0.0
BASE_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 300.0
# What can wait does not wait for ever, however much comes in.
PATIENCE_SECONDS = 10.0

__all__ = ["WHEN_QUIET", "Key", "Work", "WorkQueue"]

log = logging.getLogger(__name__)


class WorkQueue:
    """A key that is worked on is worked on again if added."""

    def __init__(self, *, rng: random.Random | None = None, is_measured: bool = True) -> None:
        # The metric of waiting objects is of ResNetServices.
        self._is_measured = is_measured
        self._waiting = Turns()
        # What can wait, each with the timer that ends its patience.
        self._patient = Turns()
        self._patience: dict[Key, asyncio.TimerHandle] = {}
        self._running_patient: set[Key] = set()
        # What presses only because it has waited for so long.
        self._without_news: set[Key] = set()
        self._running: set[Key] = set()
        self._dirty: set[Key] = set()
        self._since: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret

    def add(self, key: Key) -> None:
        """Have the key worked on as soon as a worker is free."""
        self._without_news.discard(key)
        self._press(key)

    def _press(self, key: Key) -> None:
        if key in self._running:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._end_patience(key)
            self._waiting.add(key)
            self._since[key] = time.monotonic()
            self._measure()
            self._idle.clear()
            self._wake.set()

    def add_patient(self, key: Key) -> None:
        """Have the key worked on when nothing presses any more, or after PATIENCE_SECONDS."""
        if key in self._waiting or key in self._patient or key in self._dirty:
            return
        loop = asyncio.get_running_loop()
        self._patient.add(key)
        self._idle.clear()
        self._patience[key] = loop.call_later(PATIENCE_SECONDS, self._has_waited, key)
        if not self._pressing():
            self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the key worked on later; the sooner of two times wins."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, 0)
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def _has_waited(self, key: Key) -> None:
        """Let a key wait no longer, though nothing has happened."""
        self._without_news.add(key)
        self._press(key)

    def _end_patience(self, key: Key) -> None:
        self._patient.discard(key)
        if timer := self._patience.pop(key, None):
            timer.cancel()

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def is_pressed(self) -> bool:
        """Tell a worker whether other keys than its own are waiting or worked on."""
        return bool(self._waiting) or self._pressing() > 1

    def is_patient(self, key: Key) -> bool:
        """Tell the worker of a key whether nobody has added it since it was said to wait."""
        return key in self._running_patient or key in self._without_news

    def is_idle(self) -> bool:
        return not self._waiting and not self._patient and not self._running

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing is left to do, but not for longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _measure(self) -> None:
        if self._is_measured:
            QUEUE_DEPTH.set(len(self._waiting))

    def _pressing(self) -> int:
        return len(self._running) - len(self._running_patient)

    async def _get(self) -> Key:
        while not self._waiting and not (self._patient and not self._pressing()):
            self._wake.clear()
            await self._wake.wait()
        if self._waiting:
            key = self._waiting.take()
            waited = time.monotonic() - self._since.pop(key)
            if self._is_measured:
                QUEUE_LATENCY_SECONDS.observe(waited)
            self._measure()
        else:
            key = self._patient.take()
            self._end_patience(key)
            self._running_patient.add(key)
        self._running.add(key)
        return key

    async def work(self, do: Work) -> None:
        """Take keys and work on them, for ever; run as many of these as there are workers."""
        while True:
            key = await self._get()
            if timer := self._timers.pop(key, None):
                timer.cancel()
            try:
                again = await do(key)
            except Exception as error:
                self.add_after(key, self._delay(key, error))
            else:
                self._failures.pop(key, None)
                if again == WHEN_QUIET:
                    self.add_patient(key)
                elif again is not None:
                    self.add_after(key, again)
            finally:
                self._running.discard(key)
                self._running_patient.discard(key)
                self._without_news.discard(key)
                if key in self._dirty:
                    self._dirty.discard(key)
                    self.add(key)
                elif self._patient and not self._pressing():
                    self._wake.set()
                if self.is_idle():
                    self._idle.set()

    def _delay(self, key: Key, error: Exception) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # Bounded before the power: after four days of failures it would be no float any more.
        delay: float = min(BASE_DELAY_SECONDS * 2.0 ** min(failures, 32), MAX_DELAY_SECONDS)
        asked = getattr(error, "retry_after", None)
        delay = max(delay, asked or 0) * (1 + self._rng.random() / 4)
        log.warning(
            "reconcile failed, will retry",
            extra={"key": "/".join(key), "error": str(error), "seconds": round(delay, 1)},
            exc_info=not hasattr(error, "retry_after"),
        )
        return delay
