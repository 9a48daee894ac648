"""`predict.py` asks every sample: each is served by a real Triton with the input that it has there,
from a small network with random weights, since chips and other people's weights are not here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from samples import predict
from tests.support.builders import an_artifact, tensor
from tests.triton.image_python import image_path
from tests.triton.rendered import rendered
from tests.triton.server import DIGITS, digits_on_cpu, pod
from tests.unit.resnet_cli import recorded
from typer.testing import CliRunner

from resnet_cli import app, session
from resnet_cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = sorted(DIGITS.parent.glob("*.yaml"))
CLASSES = 10
PICTURES = sorted((DIGITS / "pictures").glob("*.png"))[:3]


def spec_of(path: Path) -> dict[str, Any]:
    bodies = yaml.safe_load_all(path.read_text())
    (body,) = (one for one in bodies if one["kind"] == "ResNetService")
    return dict(body["spec"])


def served_input(spec: dict[str, Any]) -> tuple[str, str, tuple[int, ...], str]:
    """Name, type, dims and layout, as `prepare` reports them of the sample's model."""
    declared = spec["model"].get("inputs")
    if declared:
        return declared[0]["name"], declared[0]["dataType"], tuple(declared[0]["dims"]), "NCHW"
    shapes = spec.get("conversion", {}).get("inputShapes") or {}
    aipp = spec.get("conversion", {}).get("preprocessing")
    if aipp:
        return "input", "UINT8", (aipp["source"]["height"], aipp["source"]["width"], 3), "NHWC"
    side = 32 if "digits" in spec["model"]["uri"] else 224
    return "input", "FP32", tuple(shapes.get("input", (3, side, side))), "NCHW"


def network(folder: Path, kind: str, dims: tuple[int, ...], layout: str) -> Path:
    """Average colours and ten random scores of them."""
    weights = np.random.default_rng(2).standard_normal((3, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["input"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["nchw"],
                         perm=[0, 3, 1, 2] if layout == "NHWC" else [0, 1, 2, 3]),
        helper.make_node("GlobalAveragePool", ["nchw"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]  # fmt: skip
    types = {"FP32": TensorProto.FLOAT, "FP16": TensorProto.FLOAT16, "UINT8": TensorProto.UINT8}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", types[kind], ["N", *dims])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "net.onnx"))
    return folder / "net.onnx"


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 9


@pytest.fixture(params=SAMPLES, ids=lambda path: path.stem)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, str]]:
    spec = spec_of(request.param)
    name, kind, dims, layout = served_input(spec)
    file = network(tmp_path, kind, dims, layout)
    pipeline = spec.get("serving", {}).get("pipeline")
    if pipeline:
        inputs = (tensor("input", *dims, data_type=kind),)
        artifact = an_artifact(
            chip="CPU", file="model.onnx", inputs=inputs, outputs=(tensor("logits", CLASSES),)
        )
        model = rendered(
            {"accelerator": {"chip": "CPU"}, "serving": {"pipeline": pipeline}},
            artifact,
            file=file,
            labels=(DIGITS / "labels.txt").read_text(),
        )
        asked = "digits-pipeline"
    else:
        del name  # clients find the input by its place in the contract
        model = digits_on_cpu(file=file, type=kind, dims=dims, layout=layout, max_batch=2)
        asked = "digits"
    # The preparing of pictures needs what the serving image has.
    environment = {"PATH": image_path()} if pipeline else {}
    with pod(tmp_path / "pod", model, env=environment) as running:
        yield running.wait_ready(), asked


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sample_is_asked(
    served: tuple[Any, str], protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running, asked = served
    address = ["--protocol", protocol, "--url", getattr(running, protocol), "--model", asked]
    assert predict.main([*address, *map(str, PICTURES)]) == 0
    shown = capsys.readouterr().out.splitlines()
    labels = (DIGITS / "labels.txt").read_text().split()
    best = [line.split()[1] for line in shown if line.startswith("  1  ")]
    assert len(best) == len(PICTURES)
    assert set(best) <= set(labels), "in words, not in numbers"


def cluster_of(running: Any, asked: str) -> recorded.Recorded:
    """A cluster that shows the service, and whose forwarded ports are the real Triton's."""
    model = {"name": "digits"} | ({} if asked == "digits" else {"pipeline": asked})
    status = {"model": model, "endpoints": {"http": "digits:8000", "grpc": "digits:8001"}}
    ready = recorded.condition("Ready", "True", "")
    triton = recorded.container("triton", recorded.running())
    found = [
        recorded.service("Ready", "serving", phase="Ready", ready="True", status=status),
        recorded.deployment(ready=1),
        recorded.serving_pod(triton, phase="Running", conditions=(ready,)),
    ]
    addresses = {8000: running.http, 8001: running.grpc}
    return recorded.Recorded(
        found, ports={port: int(url.rpartition(":")[2]) for port, url in addresses.items()}
    )


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_command_asks_the_sample(
    served: tuple[Any, str], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubectl resnet predict`, through a port that it forwards itself."""
    it = cluster_of(*served)
    monkeypatch.setattr(session, "connect", lambda **_: it)
    flags = ["--grpc"] if protocol == "grpc" else []
    words = ["predict", recorded.NAME, *map(str, PICTURES), *flags]
    done = CliRunner().invoke(app.app, [*words, "-o", "json"])
    assert done.exit_code == Exit.DONE, done.output
    labels = (DIGITS / "labels.txt").read_text().split()
    rows = json.loads(done.stdout)
    assert [row["picture"] for row in rows] == list(map(str, PICTURES))
    for row in rows:
        found = [one["label"] for one in row["labels"]]
        assert len(found) == 3
        assert set(found) <= set(labels), "in words, not in numbers"
    assert it.asked[-1].endswith(":8001" if flags else ":8000"), "by a forwarded port"
    assert CliRunner().invoke(app.app, words).exit_code == Exit.DONE
