"""What clients wait at a stated load: closed (requests in flight) or open (requests a second).

Called by `evaluate` after the data set's run, when everything is warm. In an open load a request is
timed from when it was due, not from when a client was free to send it: else a server that stalls
would be asked less and look fast.
"""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_jobs.evaluation.triton_client import BYTES_IN_FLIGHT, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from resnet_contract.types import StatedLoad
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.triton_client import Triton

    Sender = Callable[[], bool]

LEAST_REQUESTS = 200  # below, a 99th percentile is hardly more than the slowest of them
MOST_SECONDS = 120.0  # of a closed load that does not get there
LATE_SECONDS = 60.0  # an open load gives up what was due so long ago
MOST_CLIENTS = 128  # of an open load: enough for requests that take a second at 128 a second
LEAST_CLIENTS = 16
VARIETY = 16  # different batches, sent in turn
WARM_UPS = 2
PERCENTILES = (50, 90, 99)


@dataclass
class Waited:
    """Milliseconds of each answer; `list.append` needs no lock."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.milliseconds) + len(self.failures)


def clients_of(load: StatedLoad, *, request_bytes: int) -> int:
    """How many send at the same time. An open load never has more requests on their way."""
    if load.concurrency is not None:
        return load.concurrency
    wanted = min(MOST_CLIENTS, max(LEAST_CLIENTS, load.requests_per_second or 0))
    return max(2, min(wanted, BYTES_IN_FLIGHT // request_bytes))


def senders_of(
    triton: Triton, full_batch: Callable[[int, int], Any], *, rows: int, clients: int
) -> list[Sender]:
    """Clients that all send the same few different batches in turn."""
    batches = [full_batch(number, rows) for number in range(min(clients, VARIETY))]
    return [triton.sender(batches) for _ in range(clients)]


def run_load(
    senders: Sequence[Sender],
    *,
    rate: float | None,
    seconds: float,
    clock: Clock,
) -> Waited:
    """One client a sender: without a rate each sends when it is answered."""
    waited = Waited()
    started = 0.0

    def start() -> None:
        nonlocal started
        started = clock.monotonic()

    together = threading.Barrier(len(senders), action=start)
    numbers = itertools.count()

    def client(send: Sender) -> None:
        try:
            for _ in range(WARM_UPS):
                send()
        except BaseException:
            together.abort()
            raise
        together.wait()
        if rate is None:
            closed_client(send, waited, started=started, seconds=seconds, clock=clock)
        else:
            total = max(LEAST_REQUESTS, math.ceil(rate * seconds))
            due = ((number, started + number / rate) for number in numbers)
            open_client(send, waited, due=due, total=total, clock=clock)

    with workers(len(senders)) as pool:
        raise_first([pool.submit(client, send) for send in senders])
    waited.seconds = clock.monotonic() - started
    return waited


def closed_client(
    send: Sender, waited: Waited, *, started: float, seconds: float, clock: Clock
) -> None:
    """Send until time and requests are enough, all clients together."""
    before = clock.monotonic()
    while not is_enough(waited.requests, before - started, seconds):
        done = send()
        after = clock.monotonic()
        (waited.milliseconds if done else waited.failures).append((after - before) * 1000)
        before = after


def is_enough(requests: int, elapsed: float, seconds: float) -> bool:
    return elapsed >= MOST_SECONDS or (elapsed >= seconds and requests >= LEAST_REQUESTS)


def open_client(send: Sender, waited: Waited, *, due: Any, total: int, clock: Clock) -> None:
    """Take the next request that nobody has taken, and send it when it is due."""
    for number, at in due:
        if number >= total:
            return
        late = clock.monotonic() - at
        if late < 0:
            clock.sleep(-late)
        if late >= LATE_SECONDS:
            waited.failures.append(late * 1000)
            continue
        done = send()
        took = (clock.monotonic() - at) * 1000
        (waited.milliseconds if done else waited.failures).append(took)


def raise_first(running: Sequence[Future[None]]) -> None:
    """The cause, and not that the other clients waited for one that failed."""
    errors = [error for one in running if (error := one.exception()) is not None]
    errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if errors:
        raise errors[0]


def summary(waited: Waited) -> dict[str, Any]:
    """Percentiles by nearest rank over all requests; a failed one is slower than any answer."""
    times = sorted(waited.milliseconds)
    ranks = {of: math.ceil(of / 100 * waited.requests) for of in PERCENTILES}
    percentiles = {
        f"p{of}Milliseconds": round(times[rank - 1], 3) if 0 < rank <= len(times) else None
        for of, rank in ranks.items()
    }
    answered = len(times) / waited.seconds if waited.seconds else 0.0
    return {
        "requests": waited.requests,
        "failedRequests": len(waited.failures),
        "seconds": round(waited.seconds, 3),
        "requestsPerSecond": round(answered, 2),
        **percentiles,
        "maxMilliseconds": round(times[-1], 3) if times else None,
    }
