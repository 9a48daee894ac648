"""Many requests in flight from one thread: a load takes little of its own machine, and evenly.

A thread for each client would wait for the others' turns at the interpreter, five milliseconds at a
time, and take a processor that the server is measured on. Here every connection is a socket of one
loop, its requests are bytes that were made before, and of an answer only what differs is read.
"""

from __future__ import annotations

import contextlib
import gc
import selectors
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resnet_jobs.evaluation.latency import LATE_SECONDS
from resnet_jobs.evaluation.triton_client import ANSWER_SECONDS, GONE, failed
from resnet_jobs.evaluation.tuning.load.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from resnet_jobs.base.clock import Clock

    IsRight = Callable[[int, bytes], bool]  # of the length of the answer's head, and its body

LOOK_SECONDS = 0.5  # whether the server is still there, while nothing is answered


@dataclass
class Answers:
    """When each request ended (seconds of the clock) and how long it took."""

    ends: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    failures: int = 0
    started: float = 0.0
    ended: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.ends) + self.failures


class Wire:
    """So many connections to one server, used by one load after the other."""

    def __init__(
        self,
        address: str,
        requests: Sequence[bytes],
        *,
        clients: int,
        is_right: IsRight,
        clock: Clock,
        ended: Callable[[], bool],
    ) -> None:
        self._requests = requests
        self._is_right = is_right
        self._clock = clock
        self._ended = ended
        self._selector = selectors.DefaultSelector()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._begun = 0
        try:
            for number in range(clients):
                self._idle.append(Connection(address, number))
                self._watch(self._idle[-1], selectors.EVENT_READ)
        except OSError as error:
            self.close()
            raise self._lost(error) from error

    def closed(self, enough: Callable[[int, float], bool]) -> Answers:
        """Each client sends when it is answered, until requests and seconds are enough."""
        answers = Answers()

        def due(now: float) -> float | None:
            return None if enough(answers.requests, now - answers.started) else now

        return self._drive(answers, due)

    def open(self, rate: float, total: int) -> Answers:
        """So many a second at even intervals; what was due a minute ago is given up."""
        answers = Answers()
        number = 0

        def due(now: float) -> float | None:
            nonlocal number
            while number < total:
                at = answers.started + number / rate
                if at > now:
                    return at
                number += 1
                if now - at < LATE_SECONDS:
                    return at
                answers.failures += 1
            return None

        return self._drive(answers, due)

    def close(self) -> None:
        for one in (*self._idle, *self._busy):
            one.socket.close()
        self._selector.close()

    def _drive(self, answers: Answers, due: Callable[[float], float | None]) -> Answers:
        with without_collection():
            answers.started = self._clock.monotonic()
            while True:
                now = self._clock.monotonic()
                at: float | None = now
                while self._idle and (at := due(now)) is not None and at <= now:
                    self._begin(self._idle.pop(), answers, due=at, now=now)
                if not self._busy and at is None:
                    break
                waits = LOOK_SECONDS if at is None or not self._idle else max(0.0, at - now)
                self._take(answers, min(waits, LOOK_SECONDS))
            answers.ended = self._clock.monotonic()
        return answers

    def _begin(self, one: Connection, answers: Answers, *, due: float, now: float) -> None:
        request = self._requests[self._begun % len(self._requests)]
        self._begun += 1
        self._busy.add(one)
        try:
            if one.begin(request, due=due, now=now):
                self._watch(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
        except OSError as error:
            self._fail(one, answers, error)

    def _take(self, answers: Answers, seconds: float) -> None:
        found = self._selector.select(seconds)
        if not found:
            self._look(answers)
        for key, events in found:
            one: Connection = key.data
            try:
                if events & selectors.EVENT_WRITE and not one.send():
                    self._watch(one, selectors.EVENT_READ)
                answer = one.receive() if events & selectors.EVENT_READ else None
            except (OSError, KeyError, ValueError, IndexError) as error:
                self._fail(one, answers, error)
                continue
            if answer is not None:
                self._done(one, answers, good=answer[0] >= 0 and self._is_right(*answer))

    def _done(self, one: Connection, answers: Answers, *, good: bool) -> None:
        now = self._clock.monotonic()
        if good:
            answers.ends.append(now)
            answers.milliseconds.append((now - one.due) * 1000)
        else:
            answers.failures += 1
        self._busy.discard(one)
        self._idle.append(one)

    def _fail(self, one: Connection, answers: Answers, error: Exception) -> None:
        """A request that was not answered; its client comes back with a new connection."""
        self._selector.unregister(one.socket)
        try:
            one.reconnect()
        except OSError:
            raise self._lost(error) from error
        self._watch(one, selectors.EVENT_READ)
        if self._ended():
            raise self._lost(error) from error
        if one in self._busy:
            self._done(one, answers, good=False)

    def _look(self, answers: Answers) -> None:
        if self._ended():
            raise failed(GONE.format("ended while it was measured"))
        now = self._clock.monotonic()
        for one in [one for one in self._busy if now - one.sent_at > ANSWER_SECONDS]:
            self._fail(one, answers, TimeoutError("no answer in time"))

    def _watch(self, one: Connection, events: int) -> None:
        if one.socket in self._selector.get_map():
            self._selector.modify(one.socket, events, one)
        else:
            self._selector.register(one.socket, events, one)

    def _lost(self, error: Exception) -> Exception:
        if self._ended():
            return failed(GONE.format("ended while it was measured"))
        return failed(f"Triton does not accept connections: {error}", detail=str(error))


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """A collection of the evaluator's own garbage would be a pause of the server's answers."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
