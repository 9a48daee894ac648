"""`predict.py` asks every sample: each is served by a real Triton with the input that it has there,
from a small network with random weights, since chips and other people's weights are not here.
"""

from __future__ import annotations

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
