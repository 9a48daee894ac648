#!/usr/bin/env python3
"""How many pictures a second a pipeline answers, beside a client that prepares them itself.

    tests/perf/pipeline.py --rounds 5 --network light

Both ways use one pod as the operator renders it (runtime ONNXRuntime), gRPC, the same file, and
the same number of requests of one picture in flight. "client" unpacks, resizes and scales in this
process and sends the tensor; "pipeline" sends the file. Each round measures one after the other,
so that a slow moment of the machine meets both. The network `digits` is so small that nearly all
of the time is the price of the way; `light` is a ResNet-50, as deep as it is but for narrow layers.
Here client and server share the cores: what the pipeline takes from clients is not free, it moves.
The CPU columns are the seconds of all processes for 100 pictures. It prints and judges nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

import tritonclient.grpc  # noqa: E402
from samples.light_resnet50 import light_resnet50  # noqa: E402
from tests.perf.triton_ratio import cpu_seconds  # noqa: E402
from tests.support.builders import an_artifact, tensor  # noqa: E402
from tests.triton.image_python import image_path  # noqa: E402
from tests.triton.rendered import rendered  # noqa: E402
from tests.triton.server import DIGITS, Pod, pod  # noqa: E402

from resnet_contract.types import Crop, Preprocessing  # noqa: E402
from resnet_jobs.pictures import decode, normalise, to_source  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
WARM_UP = 32


class Network(NamedTuple):
    """Which file is served, its names, the side of its input, and that before the middle is cut."""

    path: Path
    input: str
    output: str
    classes: int
    side: int
    zoomed: int


class Turn(NamedTuple):
    """One measurement."""

    rate: float  # pictures a second
    cpu: float  # seconds of CPU for 100 pictures


def choose(name: str, folder: Path) -> Network:
    if name == "digits":
        return Network(DIGITS / "digits-resnet.onnx", "input", "logits", 10, 32, 36)
    path = folder / "light-resnet50.onnx"
    path.write_bytes(light_resnet50().SerializeToString())
    return Network(path, "data", "softmax", 1000, 224, 256)


def photograph(width: int, height: int) -> bytes:
    """A JPEG of about the size that a photograph of this size has."""
    chance = np.random.default_rng(1)
    rough = chance.integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    picture = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def start(network: Network, threads: int, folder: Path) -> Any:
    spec: dict[str, Any] = {
        "accelerator": {"chip": "CPU"},
        "serving": {
            "resources": {"limits": {"cpu": str(threads)}},
            "pipeline": {
                "resizeShortSide": network.zoomed,
                "mean": list(MEAN),
                "std": list(STD),
            },
        },
    }
    artifact = an_artifact(
        file="model.onnx",
        inputs=(tensor(network.input, 3, network.side, network.side),),
        outputs=(tensor(network.output, network.classes),),
    )
    model = rendered(spec, artifact, file=network.path, labels=None)
    return pod(folder / "pod", model, env={"PATH": image_path()})


def client_prepares(running: Pod, network: Network, file: bytes) -> Callable[[], Any]:
    client = tritonclient.grpc.InferenceServerClient(running.grpc)
    crop = Crop(top=None, left=None, height=network.side, width=network.side)
    zoomed = network.zoomed
    how = Preprocessing("RGB888", zoomed, zoomed, crop, MEAN, STD, False, None)
    size = (network.side, network.side)

    def ask() -> Any:
        sent = normalise(to_source(decode(file), how), how, size)[None]
        request = tritonclient.grpc.InferInput(network.input, list(sent.shape), "FP32")
        request.set_data_from_numpy(sent)
        return client.infer("digits", [request]).as_numpy(network.output)

    return ask


def server_prepares(running: Pod, network: Network, file: bytes) -> Callable[[], Any]:
    client = tritonclient.grpc.InferenceServerClient(running.grpc)

    def ask() -> Any:
        request = tritonclient.grpc.InferInput("picture", [1, 1], "BYTES")
        request.set_data_from_numpy(np.array([[file]], dtype=np.object_))
        return client.infer("digits-pipeline", [request]).as_numpy(network.output)

    return ask


def timed(ask: Callable[[], Any], *, count: int, flight: int, pids: list[int]) -> Turn:
    with ThreadPoolExecutor(flight) as pool:
        cpu, start_time = cpu_seconds(pids), time.perf_counter()
        for answer in [pool.submit(ask) for _ in range(count)]:
            answer.result()
        seconds = time.perf_counter() - start_time
    return Turn(count / seconds, (cpu_seconds(pids) - cpu) * 100 / count)


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    network = choose(arguments.network, folder)
    file = photograph(arguments.width, arguments.height)
    flight = arguments.flight
    with start(network, arguments.threads, folder) as running:
        running.wait_ready()
        ways = {
            "client": client_prepares(running, network, file),
            "pipeline": server_prepares(running, network, file),
        }
        client, pipeline = (ask() for ask in ways.values())
        np.testing.assert_allclose(client, pipeline, rtol=1e-3, atol=1e-5)
        pids = [os.getpid(), *running.descendants()]
        for ask in ways.values():
            timed(ask, count=WARM_UP, flight=flight, pids=pids)
        tensor_bytes = 4 * 3 * network.side**2
        print(
            f"{arguments.network}, {arguments.width}x{arguments.height} JPEG of {len(file)} bytes"
        )
        print(f"(as a tensor {tensor_bytes}), {flight} requests in flight, {os.cpu_count()} cores")
        print("round " + "".join(f"{name:>30}" for name in ways))
        turns: list[list[Turn]] = []
        for number in range(1, arguments.rounds + 1):
            turns.append(
                [
                    timed(ask, count=arguments.count, flight=flight, pids=pids)
                    for ask in ways.values()
                ]
            )
            cells = "".join(f"{turn.rate:13.1f}/s {turn.cpu:8.2f} s CPU" for turn in turns[-1])
            print(f"{number:5} {cells}", flush=True)
        speed = statistics.median(turn[1].rate / turn[0].rate for turn in turns)
        cpu = statistics.median(turn[0].cpu / turn[1].cpu for turn in turns)
        print(f"pipeline / client: {speed:.1%} of its throughput, {cpu:.1%} by CPU time")
        print(f"bytes sent: {len(file) / tensor_bytes:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--network", choices=["digits", "light"], default="light")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=200, help="pictures in each turn")
    parser.add_argument("--flight", type=int, default=16, help="requests at a time")
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
