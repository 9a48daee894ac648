"""Clients that ask without a pause, as a fleet of applications does, and count every answer.

Over HTTP and gRPC, each on connections that are kept and on new ones. A kept HTTP connection is
renewed every few seconds, as connection pools do: no HTTP server can tell a client to come back
elsewhere but by closing it. gRPC has GOAWAY for that, and Triton sends it by the connection's age.
Nothing is asked twice: what fails, fails. Used by the e2e tests and the runtime's.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http
from tests.support.patience import patient
from tritonclient.utils import np_to_triton_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS = 0.03  # two cores carry the cluster too
REQUEST_SECONDS = 30.0


@dataclass
class Load:
    """Four clients of one model; `with` begins and ends their work."""

    http: str
    grpc: str
    model: str
    batch: np.ndarray
    expected: np.ndarray
    tolerance: float
    pooled_seconds: float = 5.0
    pause_seconds: float = PAUSE_SECONDS
    answered: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        ways: dict[str, tuple[Callable[[], Any], float]] = {
            "HTTP, kept": (self._http, self.pooled_seconds),
            "HTTP, new": (self._http, 0.0),
            "gRPC, kept": (self._grpc, float("inf")),
            "gRPC, new": (self._grpc, 0.0),
        }
        for name, (connect, seconds) in ways.items():
            thread = threading.Thread(target=self._ask, args=(name, connect, seconds), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(REQUEST_SECONDS + 5)

    def goes_on(self, answers: int = 20, *, seconds: float = 60) -> None:
        """Wait until each of the clients has got some more answers."""
        wanted = {thread: self.answered[thread] + answers for thread in self.ways}
        end = time.monotonic() + patient(seconds)
        while any(self.answered[way] < number for way, number in wanted.items()):
            self.check("while nothing is changed")
            assert time.monotonic() < end, f"{dict(self.answered)}, wanted {wanted}"
            time.sleep(0.1)

    def check(self, when: str) -> None:
        """Fail the test if one request has failed so far."""
        total = len(self.failures) + sum(self.answered.values())
        assert not self.failures, f"{when}: {len(self.failures)} of {total}: {self.failures[:3]}"

    @property
    def ways(self) -> tuple[str, ...]:
        return ("HTTP, kept", "HTTP, new", "gRPC, kept", "gRPC, new")

    def _ask(self, way: str, connect: Callable[[], Any], seconds: float) -> None:
        client, since = connect(), time.monotonic()
        while not self._over.is_set():
            try:
                self._infer(client, by_http if way.startswith("HTTP") else by_grpc)
            except Exception as error:
                self.failures.append(f"{way} at {time.strftime('%X')}: {error!r}")
            else:
                self.answered[way] += 1
            if time.monotonic() - since >= seconds:
                client.close()
                client, since = connect(), time.monotonic()
            self._over.wait(self.pause_seconds)
        client.close()

    def _infer(self, client: Any, library: Any) -> None:
        kind = np_to_triton_dtype(self.batch.dtype)
        asked = library.InferInput("input", list(self.batch.shape), kind)
        asked.set_data_from_numpy(self.batch)
        limit = {"client_timeout": REQUEST_SECONDS} if library is by_grpc else {}
        answer = client.infer(self.model, [asked], **limit).as_numpy("logits")
        assert answer is not None
        np.testing.assert_allclose(answer, self.expected, atol=self.tolerance)

    def _http(self) -> Any:
        seconds = REQUEST_SECONDS
        return by_http.InferenceServerClient(
            self.http, connection_timeout=seconds, network_timeout=seconds
        )

    def _grpc(self) -> Any:
        # Without this, channels to one address share a connection.
        apart = [("grpc.use_local_subchannel_pool", 1)]
        return by_grpc.InferenceServerClient(self.grpc, channel_args=apart)
