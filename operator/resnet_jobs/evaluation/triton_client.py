"""Triton in the container beside: wait for the model, send batches, keep it busy for a while.

`evaluate` measures through the same HTTP interface that clients use, so that queues, copies and our
model.py are in the numbers. One client a thread: tritonclient's are not shared.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from resnet_contract.types import DeclaredTensor, ServedModel
    from resnet_jobs.base.clock import Clock

POLL_SECONDS = 1.0
ANSWER_SECONDS = 600.0  # for one batch: a processor may be slow, but not that slow
REQUESTS_PER_INSTANCE = 2  # one is computed while the next is copied
LEAST_REQUESTS = 4
BYTES_IN_FLIGHT = 256 * 2**20  # of tensors; the client copies each once more
GONE = "Triton {}: the message of the container triton says why"


@dataclass(frozen=True)
class Load:
    """A saturated run: full batches, several in flight, for some seconds."""

    images: int
    seconds: float
    requests_in_flight: int
    batch: int

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


class Triton:
    """`ended` tells whether the serving container has said that it is over."""

    def __init__(
        self,
        address: str,
        model: ServedModel,
        *,
        tensor: DeclaredTensor,
        output: DeclaredTensor,
        clock: Clock,
        ended: Callable[[], bool],
    ) -> None:
        self._address = address
        self._model = model
        self._tensor = tensor
        self._output = output
        self._clock = clock
        self._ended = ended
        self._local = threading.local()

    @property
    def model_name(self) -> str:
        return self._model.name

    @property
    def _client(self) -> Any:
        from tritonclient.http import InferenceServerClient

        if not hasattr(self._local, "client"):
            self._local.client = InferenceServerClient(
                self._address, connection_timeout=10.0, network_timeout=ANSWER_SECONDS
            )
            _HERE.clients.append(self._local.client)
        return self._local.client

    def wait_ready(self, seconds: float, *, progress: Callable[[float], None]) -> None:
        """Until the model can be asked; `EvaluationFailed` after `seconds`, or if Triton ended."""
        started = self._clock.monotonic()
        while not self.is_ready():
            waited = self._clock.monotonic() - started
            if self._ended():
                raise failed(GONE.format("ended before the model was ready"))
            if waited >= seconds:
                raise failed(
                    f'the model "{self._model.name}" was not ready after {waited:.0f} s: the log '
                    "of the container triton says what it is doing"
                )
            progress(waited)
            self._clock.sleep(POLL_SECONDS)

    def is_ready(self) -> bool:
        try:
            return bool(self._client.is_model_ready(self._model.name))
        except Exception:  # not listening yet; gevent and the client have no common base
            return False

    def version(self) -> str:
        return str(self._ask("get_server_metadata")["version"])

    def requests_in_flight(self, *, rows: int, sample_bytes: int) -> int:
        """How many requests of so many samples keep every instance busy, if they fit in here."""
        config = self._ask("get_model_config", self._model.name)
        instances = sum(int(one.get("count", 1)) for one in config.get("instance_group", []))
        parts = -(-self._model.max_batch_size // rows)  # Triton joins them to a full batch
        wanted = max(LEAST_REQUESTS, REQUESTS_PER_INSTANCE * instances * parts)
        fitting = BYTES_IN_FLIGHT // (rows * sample_bytes)
        return max(min(wanted, fitting), REQUESTS_PER_INSTANCE)

    def infer(self, batch: Any) -> Any:
        """The scores [n, classes] of a batch."""
        return self._send(self.request(batch), rows=len(batch))

    def sender(self, batches: Sequence[Any]) -> Callable[[], bool]:
        """A function that sends the next of the batches, for one thread; false when it failed.

        `EvaluationFailed` once Triton has ended: nothing that follows would be a measurement.
        """
        prepared = itertools.cycle([(self.request(batch), len(batch)) for batch in batches])

        def send() -> bool:
            inputs, rows = next(prepared)
            try:
                self._send(inputs, rows=rows)
            except JobError:
                if self._ended():
                    raise
                return False
            return True

        return send

    @property
    def output(self) -> DeclaredTensor:
        return self._output

    @property
    def address(self) -> str:
        return self._address

    @property
    def has_ended(self) -> bool:
        return self._ended()

    def hang_up(self) -> None:
        """Close this thread's connection: a server that is to end waits for those it has."""
        if hasattr(self._local, "client"):
            self._local.client.close()
            _HERE.clients.remove(self._local.client)
            del self._local.client

    def saturate(self, pool: ThreadPoolExecutor, batches: Sequence[Any], *, seconds: float) -> Load:
        """Send the batches again and again, as many at a time as there are."""
        prepared = [self.request(batch) for batch in batches]
        size = len(batches[0])
        started = self._clock.monotonic()

        def repeat(inputs: Sequence[Any]) -> int:
            sent = 0
            while not sent or self._clock.monotonic() - started < seconds:
                self._send(inputs, rows=size)
                sent += 1
            return sent

        sent = sum(pool.map(repeat, prepared))
        return Load(
            images=sent * size,
            seconds=self._clock.monotonic() - started,
            requests_in_flight=len(prepared),
            batch=size,
        )

    def request(self, batch: Any) -> list[Any]:
        from tritonclient.http import InferInput

        value = InferInput(self._tensor.name, list(batch.shape), self._tensor.data_type)
        value.set_data_from_numpy(batch)
        return [value]

    def wanted(self) -> Any:
        from tritonclient.http import InferRequestedOutput

        return InferRequestedOutput(self._output.name, binary_data=True)

    def _send(self, inputs: Sequence[Any], *, rows: int) -> Any:
        name, wanted = self._output.name, self.wanted()
        scores = self._ask("infer", self._model.name, inputs, outputs=[wanted]).as_numpy(name)
        if scores is None or scores.shape != (rows, *self._output.dims):
            shape = None if scores is None else list(scores.shape)
            raise failed(f'Triton answered {rows} samples with "{name}" {shape}')
        return scores

    def _ask(self, call: str, *arguments: Any, **more: Any) -> Any:
        try:
            return getattr(self._client, call)(*arguments, **more)
        except Exception as error:  # the client's, gevent's and the socket's errors
            if self._ended():
                raise failed(GONE.format("ended while it was measured")) from error
            words = clip(str(error) or type(error).__name__, 200)
            raise failed(f"Triton refused a request: {words}", detail=str(error)) from error


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for as many requests; after a failure nobody waits for what is still in flight."""
    pool = ThreadPoolExecutor(count)
    together = threading.Barrier(count)  # so that no thread takes the turn of another one
    try:
        for _ in range(count):  # a pool starts threads when it likes; to leave, all have to be here
            pool.submit(together.wait)
        yield pool
        for _ in range(count):
            pool.submit(_leave, together)
    except BaseException:
        together.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


class _Here(threading.local):
    """The clients that a thread has made."""

    def __init__(self) -> None:
        self.clients: list[Any] = []


_HERE = _Here()


def _leave(together: threading.Barrier) -> None:
    """Close the thread's clients, and the loop with its files that gevent keeps for each thread:
    it outlives the thread otherwise, and a tuning has thousands of them.
    """
    together.wait()
    if not _HERE.clients:
        return
    for client in _HERE.clients:
        client.close()
    _HERE.clients.clear()
    import gevent

    gevent.get_hub().destroy(destroy_loop=True)


def failed(message: str, *, detail: str = "", exit_code: int | None = None) -> JobError:
    return JobError(Reason.EVALUATION_FAILED, message, detail=detail, exit_code=exit_code)
