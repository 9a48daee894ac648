"""What Triton and our model.py cost: throughput behind Triton against ONNX Runtime alone.

    python tests/perf/triton_ratio.py [--rounds 20] [--protocol http|grpc]

Same model (a full-size ResNet-50), same threads, batch 8. All are measured in many short turns,
one after the other, because a machine is rarely quiet: the median of the ratios counts, not the
seconds. ONNX Runtime alone is measured twice: as it comes, and with its waiting threads asleep as
in our model.py; the second is what Triton costs, the first what a user would compare with. The
client runs on the same cores as the server, so its own work is part of the price. The CPU column
is the time that all our processes (client, server, stub) used for one batch.
The aim of the project is 95 %; the program prints and judges nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

import onnxruntime  # noqa: E402
import tritonclient.grpc  # noqa: E402
import tritonclient.http  # noqa: E402
from samples.light_resnet50 import light_resnet50  # noqa: E402
from tests.triton.server import RUNTIME, Model, Pod, pod  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BATCH = 8
DIMS = (3, 224, 224)
WARM_UP = 3
COLUMNS = ("ONNX Runtime as it comes", "ONNX Runtime set as ours", "Triton")


def alone(path: Path, threads: int, tensor: Any, *, spin: bool) -> Callable[[int], None]:
    """A function that runs n batches on ONNX Runtime in this process."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(count: int) -> None:
        for _ in range(count):
            session.run(["softmax"], {"data": tensor})

    return run


def behind_http(running: Pod, tensor: Any, flight: int) -> Callable[[int], None]:
    """A function that has n batches answered by Triton, `flight` of them under way at any time."""
    client = tritonclient.http.InferenceServerClient(running.http, concurrency=flight)
    request = tritonclient.http.InferInput("data", list(tensor.shape), "FP32")
    request.set_data_from_numpy(tensor)

    def run(count: int) -> None:
        under_way: deque[Any] = deque()
        for _ in range(count):
            under_way.append(client.async_infer("light", [request]))
            if len(under_way) >= flight:
                under_way.popleft().get_result()
        while under_way:
            under_way.popleft().get_result()

    return run


def behind_grpc(running: Pod, tensor: Any, flight: int) -> Callable[[int], None]:
    """The same over gRPC."""
    client = tritonclient.grpc.InferenceServerClient(running.grpc)
    request = tritonclient.grpc.InferInput("data", list(tensor.shape), "FP32")
    request.set_data_from_numpy(tensor)

    def run(count: int) -> None:
        from queue import Queue

        answers: Queue[Any] = Queue()
        for sent in range(count):
            if sent >= flight:
                check(answers.get())
            client.async_infer("light", [request], lambda result, error: answers.put(error))
        for _ in range(min(flight, count)):
            check(answers.get())

    return run


def check(error: Any) -> None:
    if error is not None:
        raise error


class Turn(NamedTuple):
    """One measurement."""

    rate: float  # pictures a second
    cpu: float  # seconds of CPU for each batch


def cpu_seconds(pids: Iterable[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def timed(run: Callable[[int], None], *, batches: int, rows: int, pids: Iterable[int]) -> Turn:
    """Measure calls of `rows` pictures each; the pids are the processes whose work it is."""
    cpu, start = cpu_seconds(pids), time.perf_counter()
    run(batches * BATCH // rows)
    seconds = time.perf_counter() - start
    return Turn(batches * BATCH / seconds, (cpu_seconds(pids) - cpu) / batches)


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    path = folder / "light-resnet50.onnx"
    path.write_bytes(light_resnet50().SerializeToString())
    model = Model(
        name="light",
        source=RUNTIME / "onnxruntime_model.py",
        file=path,
        input="data",
        output="softmax",
        dims=DIMS,
        classes=1000,
        labels=False,
        max_batch=BATCH,
        parameters={"intra_op_threads": str(arguments.threads)},
    )
    tensor = np.random.default_rng(0).random((BATCH, *DIMS), dtype=np.float32)
    spinning = alone(path, arguments.threads, tensor, spin=True)
    sleeping = alone(path, arguments.threads, tensor, spin=False)
    with pod(folder / "pod", model) as running:
        running.wait_ready()
        connect = behind_http if arguments.protocol == "http" else behind_grpc
        rows, flight = arguments.rows, 2 * BATCH // arguments.rows
        served = connect(running, tensor[:rows], flight)
        spinning(WARM_UP)
        sleeping(WARM_UP)
        served(WARM_UP * flight)
        print(f"{arguments.protocol}, {arguments.threads} threads, batch {BATCH}, {rows} pictures")
        print(f"in each of {flight} requests in flight, {os.cpu_count()} cores")
        pids = [os.getpid(), *running.descendants()]
        print("round " + "".join(f"{name:>28}" for name in COLUMNS))
        turns: list[list[Turn]] = []
        for number in range(1, arguments.rounds + 1):
            turns.append([])
            for run, size in ((spinning, BATCH), (sleeping, BATCH), (served, rows)):
                turns[-1].append(timed(run, batches=arguments.batches, rows=size, pids=pids))
            cells = "".join(f"{turn.rate:13.2f}/s {turn.cpu:8.3f} s CPU" for turn in turns[-1])
            print(f"{number:5} {cells}", flush=True)
        for index, name in enumerate(COLUMNS[:-1]):
            speed = statistics.median(turn[-1].rate / turn[index].rate for turn in turns)
            cpu = statistics.median(turn[index].cpu / turn[-1].cpu for turn in turns)
            print(f"Triton / {name}: {speed:.1%} of its throughput, {cpu:.1%} by CPU time")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batches", type=int, default=4, help="batches in each turn")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--rows",
        type=int,
        choices=[1, 2, 4, 8],
        default=BATCH,
        help="pictures in one request; below 8 Triton's dynamic batching makes the batch of 8",
    )
    parser.add_argument("--protocol", choices=["http", "grpc"], default="http")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
