"""The client library against a real Triton: bytes and floats, both protocols, asyncio."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from samples import predict
from tests.support.patience import patient
from tests.triton.server import DIGITS, Pod, digits_on_cpu, pod
from tests.unit.resnet_cli import recorded
from tests.unit.resnet_cli.recorded import Recorded

from resnet_cli.asking.counters import fetch, read_counters
from resnet_cli.asking.how import How
from resnet_cli.bench.load import Bounds
from resnet_cli.commands.bench import Options, bench
from resnet_cli.exits import Exit
from resnet_cli.show import Output, Screen
from resnet_client import AsyncClient, Client, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

import numpy as np

PICTURES = sorted((DIGITS / "pictures").glob("*.png"))
NAMES = [path.stem for path in PICTURES]


def of_bytes(folder: Path) -> Path:
    """The sample network with its scaling inside: uint8 pictures [N, 32, 32, 3]."""
    model = onnx.load(DIGITS / "digits-resnet.onnx")
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("picture", TensorProto.UINT8, ["N", 32, 32, 3])
    )
    numbers = {"mean": 78.0, "std": 96.0}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()
    )
    first = [
        helper.make_node("Cast", ["picture"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["t", "mean"], ["s"]),
        helper.make_node("Div", ["s", "std"], ["input"]),
    ]
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*first, *kept])
    onnx.save(model, folder / "bytes.onnx")
    return folder / "bytes.onnx"


@pytest.fixture(scope="module", params=["FP32", "UINT8"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("client")
    changes = {}
    if request.param == "UINT8":
        changes = {
            "file": of_bytes(folder),
            "input": "picture",
            "type": "UINT8",
            "layout": "NHWC",
            "dims": (32, 32, 3),
        }
    with pod(folder, digits_on_cpu(max_batch=4, **changes)) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_each_picture_is_called_by_its_name(served: Pod, protocol: str) -> None:
    with Client(getattr(served, protocol), "digits", protocol=protocol) as client:
        assert client.contract.max_batch == 4
        found = client.classify(PICTURES, top=2)
    assert [labels[0].name for labels in found] == NAMES, "in as many requests as it takes"
    assert all(len(labels) == 2 for labels in found)
    assert all(labels[0].score > labels[1].score for labels in found)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_and_so_with_asyncio(served: Pod, protocol: str) -> None:
    async with AsyncClient(getattr(served, protocol), "digits", protocol=protocol) as client:
        found = await client.classify(PICTURES[:3], top=1)
        assert [labels[0].name for labels in found] == NAMES[:3]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_errors_say_what_to_do(served: Pod, protocol: str) -> None:
    address = getattr(served, protocol)
    with (
        Client(address, "cats", protocol=protocol) as client,
        pytest.raises(ClientError, match="does not serve a model 'cats'"),
    ):
        client.classify(PICTURES[:1])
    with (
        Client("127.0.0.1:9", "digits", protocol=protocol) as client,
        pytest.raises(ClientError, match=r"no answer from 127\.0\.0\.1:9"),
    ):
        client.classify(PICTURES[:1])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sample_prints_labels(
    served: Pod, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = ["--protocol", protocol, "--url", getattr(served, protocol), "--model", "digits"]
    assert predict.main([*address, *map(str, PICTURES)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown if line.startswith("  1  ")] == NAMES


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_bench_counts_what_triton_counts(served: Pod, protocol: str) -> None:
    """With Triton's own split of each request, and its counters as `top` reads them."""
    out = io.StringIO()
    port = int(served.metrics.rpartition(":")[2])
    cluster = Recorded([recorded.service("Ready", "serving", ready="True")], ports={8002: port})

    def answered() -> float:
        text = fetch(cluster, recorded.NAMESPACE, recorded.POD, 8002)
        return read_counters(text, "digits").requests

    before = answered()
    code = bench(
        cluster,
        Screen(file=out),
        name=recorded.NAME,
        options=Options("1,3", "1,4", Bounds(20, 60), limit=300),
        how=How(getattr(served, protocol), grpc=protocol == "grpc"),
        svg_file=None,
        output=Output.JSON,
    )
    assert code is Exit.DONE
    points = json.loads(out.getvalue())["points"]
    assert [(one["batch"], one["concurrency"]) for one in points] == [
        (1, 1),
        (1, 3),
        (4, 1),
        (4, 3),
    ]
    for one in points:
        assert (one["requests"], one["failed"]) == (60, 0)
        assert one["server"]["requests"] == 60, "neither the warm-up nor what was before"
        assert one["server"]["inferences"] == 60 * one["batch"]
        own = [value for key, value in one["server"].items() if key.endswith("Microseconds")]
        assert 0 < sum(own) / 1000 < one["averageMilliseconds"]
    with_warm_ups = 2 + 4 * 60 + 2 * (1 + 3) * 2
    deadline = time.monotonic() + patient(10)
    while answered() - before < with_warm_ups and time.monotonic() < deadline:
        time.sleep(0.02)
    assert answered() - before == with_warm_ups
