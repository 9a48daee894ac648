"""The server beside us with other settings, and loads on it: what `tune` asks of a `Bench`.

`resnet_runtime.trials` answers in Triton's container, through the folder that both share: it ends
the server and starts it again with the settings of the request.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_contract.types import StatedLoad
from resnet_jobs.base.errors import clip
from resnet_jobs.evaluation.latency import LEAST_REQUESTS, VARIETY, clients_of
from resnet_jobs.evaluation.triton_client import BYTES_IN_FLIGHT, failed
from resnet_jobs.evaluation.tuning.load.requests import Answered, as_bytes
from resnet_jobs.evaluation.tuning.load.windows import summary
from resnet_jobs.evaluation.tuning.load.wire import Wire
from resnet_jobs.evaluation.tuning.score import PERCENTILES, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from resnet_contract.types import TritonSettings
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.triton_client import Triton

POLL_SECONDS = 0.1
TAKEN_SECONDS = 90.0  # Triton's own time to end, and more
ANSWER_BYTES = 1 << 16
SHOWN = ("requests", "failedRequests", *PERCENTILES)
MOST_TIMES = 4  # of a slow model: so many times as long, for the sake of enough requests
WARM_UPS = 2  # of each client, before a load
MOST_WARMING = 64


@dataclass
class TritonBench:
    """`full_batch` makes one of several different batches.

    `load` is what the object states where latency is looked for; else only its batch counts.
    """

    folder: Path
    triton: Triton
    full_batch: Callable[[int, int], Any]
    load: StatedLoad
    sample_bytes: int
    chips: int
    seconds: float
    load_seconds: float
    clock: Clock
    ended: Callable[[], bool]
    number: int = 0
    prepared: list[bytes] = field(default_factory=list)

    @property
    def most_concurrency(self) -> int:
        return max(1, BYTES_IN_FLIGHT // (self.load.batch * self.sample_bytes))

    def use(self, settings: TritonSettings) -> str:
        """Ask for the settings and wait until the model can be asked."""
        self.number += 1
        self.folder.mkdir(exist_ok=True)
        said = settings.to_json()
        said["instances"] = self.chips * said.pop("instancesPerChip")
        part = self.folder / "request.part"
        request = {"number": self.number, "model": self.triton.model_name, "settings": said}
        part.write_text(json.dumps(request))
        part.replace(self.folder / "request.json")
        answer = self._wait(lambda: self._answer() is not None, TAKEN_SECONDS)
        if not answer:
            raise failed("the serving container has not taken the settings in time")
        self._wait(lambda: self._problem() != "" or self.triton.is_ready(), self.load_seconds)
        problem = self._problem() or ("" if self.triton.is_ready() else "it was not ready in time")
        self.triton.hang_up()
        if not problem:
            self._warm_up(settings)
        return problem

    def run(self, concurrency: int, effort: int) -> Run:
        """The stated load, if there is one; else so many requests in flight."""
        if self.load.requests_per_second is not None:
            return self._open(self.load.requests_per_second, effort)
        return self._loaded(None, self.load.concurrency or concurrency, effort)

    def run_open(self, images_per_second: float, effort: int) -> Run:
        return self._open(images_per_second / self.load.batch, effort)

    def _open(self, rate: float, effort: int) -> Run:
        load = StatedLoad(None, math.ceil(rate), self.load.batch)
        clients = clients_of(load, request_bytes=self.load.batch * self.sample_bytes)
        return self._loaded(rate, clients, effort)

    def _loaded(self, rate: float | None, clients: int, effort: int) -> Run:
        rows, seconds = self.load.batch, self.seconds * effort
        wire = self._wire(clients)
        try:
            wire.closed(lambda requests, _: requests >= WARM_UPS * clients)
            if rate is None:
                found = summary(wire.closed(enough(seconds)))
            else:
                found = summary(wire.open(rate, max(LEAST_REQUESTS, math.ceil(rate * seconds))))
        finally:
            wire.close()
        p99 = found["p99Milliseconds"]
        return Run(
            concurrency=clients,
            images_per_second=found["requestsPerSecond"] * rows,
            p99=float("inf") if p99 is None else p99,
            numbers={name: found[name] for name in SHOWN},
        )

    def _wire(self, clients: int) -> Wire:
        return Wire(
            self.triton.address,
            self._requests(),
            clients=clients,
            is_right=Answered(self.triton, self.load.batch),
            clock=self.clock,
            ended=lambda: self.ended() or self.triton.has_ended,
        )

    def _requests(self) -> list[bytes]:
        if not self.prepared:
            rows = self.load.batch
            self.prepared = as_bytes(
                self.triton, [self.full_batch(number, rows) for number in range(VARIETY)]
            )
        return self.prepared

    def _warm_up(self, settings: TritonSettings) -> None:
        """What a new server does the first time, it does before anything is measured."""
        least = settings.max_batch * self.chips * settings.instances
        clients = max(1, min(self.most_concurrency, -(-2 * least // self.load.batch)))
        wire = self._wire(min(clients, MOST_WARMING))
        try:
            wire.closed(enough(self.seconds / 2, most_seconds=self.seconds, least=LEAST_REQUESTS))
        finally:
            wire.close()

    def _wait(self, is_so: Callable[[], bool], seconds: float) -> bool:
        until = self.clock.monotonic() + seconds
        while not is_so():
            if self.ended():
                raise failed("Triton's container ended while settings were tried")
            if self.clock.monotonic() > until:
                return False
            self.clock.sleep(POLL_SECONDS)
        return True

    def _problem(self) -> str:
        """Why the server with these settings has ended, if it has."""
        answer = self._answer()
        if answer is None or answer.get("ok"):
            return ""
        return clip(str(answer.get("message") or "it ended"), 200)

    def _answer(self) -> dict[str, Any] | None:
        """What was said of this request; an older answer is none."""
        try:
            with (self.folder / "answer.json").open("rb") as file:
                said = json.loads(file.read(ANSWER_BYTES))
            return said if said["number"] == self.number else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def enough(
    seconds: float, *, most_seconds: float | None = None, least: int = LEAST_REQUESTS
) -> Callable[[int, float], bool]:
    """A closed load is over when time and requests are enough, or the time is by far."""
    most = MOST_TIMES * seconds if most_seconds is None else most_seconds

    def is_over(requests: int, elapsed: float) -> bool:
        return elapsed >= most or (elapsed >= seconds and requests >= least)

    return is_over
