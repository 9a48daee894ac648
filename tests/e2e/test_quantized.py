"""The vendor's recipe by one `kubectl apply`: AIPP, AMCT, a static batch of 24, uint8 pictures."""

from __future__ import annotations

import base64
import pickle
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tritonclient.http
from tests.e2e.story import Story
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from tests.e2e.files import FileServer

pytestmark = pytest.mark.images("amct")
DIGITS = ROOT / "samples" / "digits"
PAIRS = ROOT / "samples" / "pairs"
# The two commands of the vendor's guide for ResNet50_mmlab, by flag.
GUIDES_ATC = {
    "--framework": "5",
    "--model": "…",
    "--output": "…",
    "--input_format": "NCHW",
    "--input_shape": "input:24,3,32,32",
    "--insert_op_conf": "…",
    "--enable_small_channel": "1",
    "--op_select_implmode": "high_performance",
    "--soc_version": "Ascend310P3",
    "--log": "error",
}
GUIDES_AMCT = {
    "--model": "…",
    "--save_path": "…",
    "--input_shape": "input:24,3,32,32",
    "--data_dir": "…",
    "--data_types": "float32",
    "--calibration_config": "…",
}
PREPROCESSING = {
    "pixelFormat": "RGB888",
    "source": {"height": 32, "width": 32},
    "mean": [78, 78, 78],
    "std": [96, 96, 96],
}
CALIBRATION = {"uri": "configmap://digits-calibration/calibration.tar", "batches": 5}


def put_calibration(story: Story) -> None:
    archive = (DIGITS / "calibration.tar").read_bytes()
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "digits-calibration"},
            "binaryData": {"calibration.tar": base64.b64encode(archive).decode()},
        }
    )


def accuracy(story: Story) -> float:
    """Send the whole held-out set as the pictures are; the last batch is shorter."""
    with np.load(DIGITS / "heldout.npz") as held_out:
        pictures, labels = held_out["pictures"], held_out["labels"]
    right = 0
    for start in range(0, len(pictures), 24):
        batch = pictures[start : start + 24]
        asked = tritonclient.http.InferInput("input", list(batch.shape), "UINT8")
        asked.set_data_from_numpy(batch)
        with story.client() as client:
            answer = client.infer("digits", [asked]).as_numpy("logits")
        right += int((answer.argmax(1) == labels[start : start + 24]).sum())
    return right / len(labels)


def test_the_reference_recipe(story: Story) -> None:
    story.put_sample()
    put_calibration(story)
    conversion = {
        "batchSizes": [24],
        "inputShapes": {"input": [3, 32, 32]},
        "opSelectImplMode": "HighPerformance",
        "preprocessing": PREPROCESSING,
        "quantization": {"calibration": CALIBRATION, "jointQuantization": True},
    }
    model = {"uri": "configmap://digits-model/digits-resnet.onnx"}
    story.apply(story.service(model=model, conversion=conversion))
    status = story.wait_ready()

    assert status["model"]["inputs"] == [
        {"name": "input", "dataType": "UINT8", "dims": [32, 32, 3], "layout": "NHWC"}
    ], "clients send pictures"
    artifact = status["artifact"]
    assert artifact["command"] == [
        "atc",
        "--framework=5",
        "--model=/scratch/quant/model_deploy_model.onnx",
        "--output=/scratch/out/model",
        "--input_format=NCHW",
        "--input_shape=input:24,3,32,32",
        "--insert_op_conf=/scratch/conf/aipp.conf",
        "--enable_small_channel=1",
        "--op_select_implmode=high_performance",
        "--soc_version=Ascend310P3",
        "--log=error",
    ]
    assert artifact["quantizeCommand"][:2] == ["amct_onnx", "calibration"]
    assert "simulator" in artifact["quantizer"]
    assert accuracy(story) >= 0.97, "of 200 pictures that the network has never seen"


def test_the_reference_from_its_checkpoint(story: Story, files: FileServer) -> None:
    """From what mmcls publishes, by one apply: nobody exports, labels or converts anything."""
    for path in PAIRS.iterdir():
        files.content[path.name] = path.read_bytes()
    calibration = {"uri": f"{files.url}/calibration.tar", "batches": 5}
    conversion = {
        "batchSizes": [24],
        "opSelectImplMode": "HighPerformance",
        "preprocessing": PREPROCESSING,
        "quantization": {"calibration": calibration, "jointQuantization": True},
    }
    validation = {
        "dataset": {"uri": f"{files.url}/pairs-python.tar.gz", "format": "CifarPython"},
        "thresholds": {"minTop1": "0.85", "maxTop1Drop": "0.05"},
    }
    model = {"uri": f"{files.url}/resnet18_cifar_pairs.pth"}
    story.apply(story.service(model=model, conversion=conversion, validation=validation))
    status = story.wait_ready(seconds=400)

    assert status["model"]["inputs"] == [
        {"name": "input", "dataType": "UINT8", "dims": [32, 32, 3], "layout": "NHWC"}
    ]
    assert [tensor["dims"] for tensor in status["model"]["outputs"]] == [[100]]
    assert not story.ended("export"), "no image with torch takes part"
    artifact = status["artifact"]
    assert flags(artifact["command"]) == GUIDES_ATC
    assert flags(artifact["quantizeCommand"]) == GUIDES_AMCT
    found = status["validation"]
    assert (found["result"], float(found["top1"]) >= 0.85) == ("Passed", True)
    with story.client() as client:
        asked = tritonclient.http.InferInput("input", [1, 32, 32, 3], "UINT8")
        asked.set_data_from_numpy(held_out_pair(42))
        wanted = tritonclient.http.InferRequestedOutput("output", class_count=1)
        (answer,) = client.infer("digits", [asked], outputs=[wanted]).as_numpy("output")[0]
    assert answer.decode().split(":")[1:] == ["42", "42"], "mmcls's own names of the classes"


def flags(command: list[str]) -> dict[str, str]:
    """Flag -> value, without the places of files, which are each guide's own."""
    joined = " ".join(command[1:]).replace(" --", "\n--").splitlines()
    pairs = [line.replace("=", " ", 1).split(" ", 1) for line in joined if line.startswith("--")]
    return {name: "…" if "/" in value else value for name, value in pairs}


def held_out_pair(number: int) -> np.ndarray:
    with tarfile.open(PAIRS / "pairs-python.tar.gz") as archive:
        file = archive.extractfile("pairs-python/test")
        assert file is not None
        test = pickle.load(file)
    row = test[b"data"][test[b"fine_labels"].index(number)]
    picture: np.ndarray = row.reshape(1, 3, 32, 32).transpose(0, 2, 3, 1)
    return picture
