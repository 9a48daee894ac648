"""A closed load: each client sends its next request when the last one is answered."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

Sender = Callable[[], bool]
# Opens a client in the thread that uses it; its connection ends with the block.
Opener = Callable[[], AbstractContextManager[Sender]]
Clock = Callable[[], float]
WARM_UPS = 2
PERCENTILES = (50, 90, 99)


@dataclass
class Answers:
    """Seconds of each request; appending needs no lock. `failed` are those that were refused."""

    took: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """A measurement ends at whichever comes first."""

    seconds: float
    requests: int


def run(
    clients: Sequence[Opener], bounds: Bounds, *, clock: Clock, begins: Callable[[], None]
) -> Answers:
    """Let all clients ask at the same time; what warms their connections up is not counted.

    `begins` is called between the warm-up and the first request that counts. The time of the
    whole is up to the last answer: none is cut off, and none is counted without its time.
    """
    answers, numbers = Answers(), itertools.count()
    started = 0.0

    def start() -> None:
        nonlocal started
        begins()
        started = clock()

    together = threading.Barrier(len(clients), action=start)

    def client(opened: Opener) -> None:
        try:
            with opened() as send:
                for _ in range(WARM_UPS):
                    send()
                together.wait()
                before = clock()
                while next(numbers) < bounds.requests and before - started < bounds.seconds:
                    done = send()
                    after = clock()
                    (answers.took if done else answers.failed).append(after - before)
                    before = after
        except BaseException:
            together.abort()
            raise

    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(client, one) for one in clients]
    errors = [error for one in running if (error := one.exception()) is not None]
    errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if errors:
        raise errors[0]
    answers.seconds = clock() - started
    return answers


def percentile(took: Sequence[float], of: int) -> float | None:
    """Return the nearest rank of what was answered; None when nothing was."""
    ordered = sorted(took)
    return ordered[math.ceil(of / 100 * len(ordered)) - 1] if ordered else None
