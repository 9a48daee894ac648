"""Loads from one thread: at a server that speaks as Triton does, and at some that do not."""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.resnet_jobs import fake_triton

from resnet_contract.types import DeclaredTensor, ServedModel
from resnet_jobs.base.clock import SYSTEM_CLOCK
from resnet_jobs.base.errors import JobError
from resnet_jobs.evaluation.triton_client import Triton
from resnet_jobs.evaluation.tuning.load.requests import Answered, as_bytes
from resnet_jobs.evaluation.tuning.load.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURE = DeclaredTensor("input", "FP32", (3, 4, 4))
SCORES = DeclaredTensor("scores", "FP32", (2,))
LARGE = DeclaredTensor("input", "FP32", (3, 512, 512))  # more than a socket takes at once


def asked(address: str, tensor: DeclaredTensor = PICTURE, *, has_ended: bool = False) -> Triton:
    return Triton(
        address,
        ServedModel("m", (tensor,), (SCORES,), max_batch_size=2),
        tensor=tensor,
        output=SCORES,
        clock=SYSTEM_CLOCK,
        ended=lambda: has_ended,
    )


@contextmanager
def wired(triton: Triton, batches: list[Any], *, clients: int = 4) -> Iterator[Wire]:
    wire = Wire(
        triton.address,
        as_bytes(triton, batches),
        clients=clients,
        is_right=Answered(triton, len(batches[0])),
        clock=SYSTEM_CLOCK,
        ended=lambda: triton.has_ended,
    )
    try:
        yield wire
    finally:
        wire.close()


def pictures(tensor: DeclaredTensor = PICTURE, rows: int = 2) -> list[Any]:
    return [np.full((rows, *tensor.dims), number, np.float32) for number in range(3)]


def first_two(batch: Any) -> Any:
    return batch.reshape(len(batch), -1)[:, :2]


def until(requests: int) -> Callable[[int, float], bool]:
    return lambda answered, _: answered >= requests


@pytest.mark.parametrize("tensor", [PICTURE, LARGE], ids=["small", "larger than a socket takes"])
def test_a_closed_load_is_answered(tensor: DeclaredTensor) -> None:
    with fake_triton.running(first_two) as server:
        with wired(asked(server.address, tensor), pictures(tensor)) as wire:
            found = wire.closed(until(20))
        assert set(server.batches) == {(2, *tensor.dims)}
        assert len(server.batches) == found.requests
    assert found.failures == 0
    assert 20 <= found.requests < 24, "those that are in flight are waited for"
    assert len(found.milliseconds) == len(found.ends) == found.requests
    assert found.ends == sorted(found.ends)
    assert min(found.milliseconds) > 0


def test_an_open_load_sends_so_many_and_not_before_they_are_due() -> None:
    with (
        fake_triton.running(first_two) as server,
        wired(asked(server.address), pictures()) as wire,
    ):
        found = wire.open(200.0, total=40)
    assert (found.requests, found.failures) == (40, 0)
    assert found.ends[-1] - found.started >= 39 / 200


def test_the_same_connections_serve_one_load_after_the_other() -> None:
    with (
        fake_triton.running(first_two) as server,
        wired(asked(server.address), pictures(), clients=2) as wire,
    ):
        found = [wire.closed(until(6)) for _ in range(3)]
    assert all(one.requests >= 6 and not one.failures for one in found)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda batch: first_two(batch)[:1], "scores of fewer samples"),
        (lambda batch: batch.reshape(len(batch), -1)[:, :3], "of more classes"),
        (lambda batch: first_two(batch).reshape(0, 7), "a refusal"),
    ],
)
def test_an_answer_that_is_wrong_is_a_failure(answer: Any, reason: str) -> None:
    with (
        fake_triton.running(answer) as server,
        wired(asked(server.address), pictures()) as wire,
    ):
        found = wire.closed(until(8))
    assert found.failures == found.requests >= 8, reason
    assert found.ends == []


class Rude:
    """Accepts, reads, and answers with these bytes before it hangs up."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):  # who hangs up first does not matter
                caller.recv(1 << 16)
                caller.sendall(self._says)

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
    ],
)
def test_a_connection_that_is_cut_is_a_failure_and_made_again(says: bytes) -> None:
    server = Rude(says)
    try:
        with wired(asked(server.address), pictures(), clients=2) as wire:
            found = wire.closed(until(6))
    finally:
        server.end()
    assert found.failures == found.requests >= 6


def test_a_triton_that_ended_ends_the_load() -> None:
    server = Rude(b"")
    try:
        triton = asked(server.address, has_ended=True)
        with (
            wired(triton, pictures(), clients=1) as wire,
            pytest.raises(JobError, match="ended while it was measured"),
        ):
            wire.closed(until(6))
    finally:
        server.end()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with (
        pytest.raises(JobError, match="does not accept connections"),
        wired(asked(address), pictures()),
    ):
        pass
