"""Loads follow loads by the hundred when settings are looked for: none leaves anything open."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.resnet_jobs import fake_triton

from resnet_contract.types import DeclaredTensor, ServedModel
from resnet_jobs.base.clock import SYSTEM_CLOCK
from resnet_jobs.evaluation import latency
from resnet_jobs.evaluation.latency import run_load
from resnet_jobs.evaluation.triton_client import Triton, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = 4
PATIENCE = 30.0
PICTURE = DeclaredTensor("input", "FP32", (3, 4, 4))
SCORES = DeclaredTensor("scores", "FP32", (2,))
BATCHES = [np.full((2, 3, 4, 4), number, np.float32) for number in range(THREADS)]


@pytest.fixture(autouse=True)
def _short_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "LEAST_REQUESTS", 3 * THREADS)


@pytest.fixture
def others() -> set[threading.Thread]:
    """The threads of servers of other tests, whose clients may never hang up."""
    return set(threading.enumerate())


@pytest.fixture
def triton(others: set[threading.Thread]) -> Iterator[Triton]:
    served = ServedModel("m", (PICTURE,), (SCORES,), max_batch_size=2)
    with fake_triton.running(lambda batch: batch.reshape(len(batch), -1)[:, :2]) as server:
        yield Triton(
            server.address,
            served,
            tensor=PICTURE,
            output=SCORES,
            clock=SYSTEM_CLOCK,
            ended=lambda: False,
        )


def closed(triton: Triton) -> None:
    senders = [triton.sender(BATCHES) for _ in range(THREADS)]
    run_load(senders, rate=None, seconds=0.0, clock=SYSTEM_CLOCK)


def opened(triton: Triton) -> None:
    senders = [triton.sender(BATCHES) for _ in range(THREADS)]
    run_load(senders, rate=2000.0, seconds=0.0, clock=SYSTEM_CLOCK)


def saturated(triton: Triton) -> None:
    with workers(THREADS) as pool:
        triton.saturate(pool, BATCHES, seconds=0.0)


def one_of_four(triton: Triton) -> None:
    """Threads that were never needed have nothing to close, and nobody waits for them."""
    with workers(THREADS) as pool:
        pool.submit(triton.infer, BATCHES[0]).result()


def more_work_than_threads(triton: Triton) -> None:
    """A thread that takes the next piece by itself is no sign that another one is free."""
    with workers(THREADS) as pool:
        list(pool.map(triton.infer, 10 * BATCHES))


def refused(triton: Triton) -> None:
    """A request that fails is counted; its thread goes on and ends as the others."""
    strange = np.zeros((2, 1), np.float32)
    senders = [triton.sender([*BATCHES, strange]) for _ in range(THREADS)]
    assert run_load(senders, rate=None, seconds=0.0, clock=SYSTEM_CLOCK).failures


def files_open(others: set[threading.Thread]) -> int:
    """When the server, which is of this process too, has seen who has hung up."""
    for thread in set(threading.enumerate()) - others:
        if "process_request_thread" in thread.name:
            thread.join(timeout=PATIENCE)
    return len(list(Path("/proc/self/fd").iterdir()))


LOADS = [closed, opened, saturated, one_of_four, more_work_than_threads, refused]


@pytest.mark.parametrize("load", LOADS)
def test_a_load_leaves_no_file_open(
    load: Callable[[Triton], Any], triton: Triton, others: set[threading.Thread]
) -> None:
    load(triton)  # libraries and their own files
    before = files_open(others)
    for _ in range(3):
        load(triton)
    assert files_open(others) <= before


def test_work_that_fails_is_told_and_the_rest_left(triton: Triton) -> None:
    def asked() -> None:
        with workers(THREADS) as pool:
            pool.submit(triton.infer, BATCHES[0]).result()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asked()
