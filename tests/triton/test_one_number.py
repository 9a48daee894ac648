"""A network that answers one number a picture: the operator's own config.pbtxt in a real Triton."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper
from tests.support.builders import an_artifact, resolved, tensor
from tests.triton.server import DIGITS, RUNTIME, Model, Pod, pod
from tests.triton.test_ascend_om import Node, convert

from resnet_operator.render.triton.config import config_pbtxt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPECS: dict[str, dict[str, Any]] = {
    "AscendOM": {},
    "ONNXRuntime": {
        "accelerator": {"chip": "CPU"},
        "serving": {"resources": {"limits": {"cpu": "1"}}},
    },
}
SOURCES = {"AscendOM": "ascend_om.py", "ONNXRuntime": "onnxruntime_model.py"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample network with ArgMax behind it: its answer is [N], and two numbers go in."""
    model = onnx.load(DIGITS / "digits-resnet.onnx")
    last = [
        helper.make_node("ReduceMax", ["logits"], ["best"], name="best", axes=[1], keepdims=0),
        helper.make_node("Add", ["best", "offset"], ["score"], name="score"),
        helper.make_node("ArgMax", ["logits"], ["class"], name="class", axis=1, keepdims=0),
    ]
    model.graph.node.extend(last)
    model.graph.input.append(helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["N"]))
    del model.graph.output[:]
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("class", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"]),
        ]
    )
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module", params=list(SPECS))
def served(
    request: pytest.FixtureRequest, network: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pod]:
    runtime, folder = request.param, tmp_path_factory.mktemp("one-number")
    file, node = network, Node(folder)
    if runtime == "AscendOM":
        shapes = "--input_shape=input:-1,3,32,32;offset:-1"
        file = convert(folder, shapes, "--dynamic_batch_size=1,2,4,8", model=network)
    made = an_artifact(
        file=file.name,
        inputs=(tensor("input", 3, 32, 32), tensor("offset")),
        outputs=(tensor("class", data_type="INT64"), tensor("score")),
    )
    spec = {"model": {"name": "digits"}, **SPECS[runtime]}
    text = config_pbtxt(resolved=resolved(spec), artifact=made)
    model = Model(
        source=RUNTIME / SOURCES[runtime],
        file=file,
        labels=False,
        config=text.replace(f"/artifact/{file.name}", str(file)),
    )
    with pod(folder / "pod", model, env=node.env) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_clients_send_and_get_what_the_metadata_says(
    served: Pod, network: Path, protocol: str
) -> None:
    library = getattr(tritonclient, protocol)
    with np.load(DIGITS / "heldout.npz") as held_out:
        batch = held_out["pictures"][:3].transpose(0, 3, 1, 2).astype(np.float32) / 255
    offsets = np.array([0, 10, 100], np.float32)
    feeds = {"input": batch, "offset": offsets}
    expected = onnxruntime.InferenceSession(network).run(None, feeds)
    asked = []
    for name, array in (("input", batch), ("offset", offsets[:, None])):
        asked.append(library.InferInput(name, list(array.shape), "FP32"))
        asked[-1].set_data_from_numpy(array)
    with library.InferenceServerClient(getattr(served, protocol)) as client:
        answer = client.infer("digits", asked)
        metadata = client.get_model_metadata("digits", **as_dict(protocol))
    shapes = {one["name"]: [int(size) for size in one["shape"]] for one in metadata["outputs"]}
    assert shapes == {"class": [-1, 1], "score": [-1, 1]}
    assert answer.as_numpy("class").tolist() == expected[0][:, None].tolist()
    np.testing.assert_allclose(answer.as_numpy("score"), expected[1][:, None], atol=0.1)


def as_dict(protocol: str) -> dict[str, Any]:
    return {"as_json": True} if protocol == "grpc" else {}
