"""Reference R3: a saved OneFlow graph on a GPU. OneFlow's image and the GPUs are stand-ins."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http as triton
from tests.e2e.story import LABELS, MODEL, PICTURES, Story, digits_batch, expected_logits

if TYPE_CHECKING:
    from tests.e2e.files import FileServer

pytestmark = [pytest.mark.images("serving-oneflow"), pytest.mark.xdist_group("oneflow")]
NAME = "digits_oneflow"
# The stand-in computes the ONNX file; the other one is there as a real folder has more than one.
GRAPH = {"stand-in.onnx": MODEL.read_bytes(), "model.mlir": b"no graph of OneFlow's\n"}


def oneflow(story: Story, name: str = "digits", **parts: Any) -> dict[str, Any]:
    model = {
        "uri": "pvc://models/digits_oneflow",
        "format": "OneFlow",
        "name": NAME,
        "inputs": [{"name": "INPUT_0", "dataType": "FP32", "dims": [3, 32, 32]}],
        "outputs": [{"name": "OUTPUT_0", "dataType": "FP32", "dims": [10]}],
        "classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}},
    }
    parts = {"accelerator": {"chip": "GPU"}, **parts}
    return story.service(name, **{**parts, "model": {**model, **parts.get("model", {})}})


def put_folder(story: Story) -> None:
    """Put the folder on a claim, by a pod that copies it from a ConfigMap."""
    claim, loader = story.operator.claim_with_sample("models")
    loader["spec"]["containers"][0]["command"] = [
        *("sh", "-c", "mkdir /models/digits_oneflow && cp -L /in/* /models/digits_oneflow/")
    ]
    loader["spec"]["volumes"][1]["configMap"]["name"] = "digits-graph"
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "digits-graph"},
            "binaryData": {name: base64.b64encode(data).decode() for name, data in GRAPH.items()},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "digits-labels"},
            "data": {"labels.txt": LABELS.read_text()},
        },
        claim,
        loader,
    )
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/loader", "--timeout=5m")
    story.delete("pod", "loader")


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in GRAPH.items():
            member = tarfile.TarInfo(f"digits_oneflow/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def ask(story: Story, batch: np.ndarray, *, class_count: int = 0, name: str = "digits") -> Any:
    """Ask as the client of OneFlow's guide does."""
    tensor = triton.InferInput("INPUT_0", list(batch.shape), "FP32")
    tensor.set_data_from_numpy(batch)
    wanted = triton.InferRequestedOutput("OUTPUT_0", class_count=class_count)
    return story.client(name).infer(NAME, [tensor], outputs=[wanted]).as_numpy("OUTPUT_0")


def test_r3(story: Story, files: FileServer) -> None:
    put_folder(story)
    story.apply(oneflow(story))
    status = story.wait_ready()
    assert status["batch"] == "1"
    assert [tensor["name"] for tensor in status["model"]["inputs"]] == ["INPUT_0"]
    artifact = status["artifact"]
    assert (artifact["chip"], artifact["origin"]) == ("GPU", "Copied")

    (pod,) = story.items("pods", "app.kubernetes.io/component=serving")
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "--model-store=/models" in container["args"]
    address = story.address()
    with urllib.request.urlopen(f"http://{address}:8000/v2/health/ready", timeout=5) as answer:
        assert answer.status == 200
    config = story.client().get_model_config(NAME)
    assert (config["backend"], config["max_batch_size"]) == ("oneflow", 1)

    labels = LABELS.read_text().split()
    expected = expected_logits(digits_batch(PICTURES))
    for picture, logits in zip(PICTURES, expected, strict=True):
        found = ask(story, digits_batch([picture]), class_count=3).ravel()
        best = [labels[index] for index in np.argsort(logits)[::-1][:3]]
        assert [item.decode().split(":")[2] for item in found] == best

    # The same folder as an archive is the same artifact: nothing is stored twice.
    files.content["digits.tar.gz"] = archive()
    batched = {"batching": {"maxBatchSize": 4}}
    uri = {"uri": f"{files.url}/digits.tar.gz"}
    story.apply(oneflow(story, "archive", model=uri, serving=batched))
    second = story.wait_ready("archive")
    assert second["artifact"]["sha256"] == artifact["sha256"]
    assert second["artifact"]["origin"] == "Reused"
    batch = digits_batch(PICTURES[:3])
    np.testing.assert_allclose(ask(story, batch, name="archive"), expected[:3], atol=1e-3)

    # There are two GPUs, and both are taken.
    story.patch("resnetservice", "digits", {"spec": {"serving": {"replicas": 2}}})
    condition = story.wait_reason("Unschedulable")
    assert "nvidia.com/gpu" in condition["message"], json.dumps(condition)


def test_what_is_no_graph_is_told(story: Story) -> None:
    put_folder(story)
    file = {"uri": "pvc://models/digits_oneflow/model.mlir"}
    story.apply(oneflow(story, model=file))
    assert story.wait_reason("UnsupportedModel")["message"].startswith(
        "the source is the one file model.mlir; write the folder that flow.save(graph, folder) made"
    )
