"""The vendor's recipe by one `kubectl apply`: AIPP, AMCT, a static batch of 24, uint8 pictures."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import tritonclient.http
from tests.e2e.story import Story
from tests.support.apiserver import ROOT

pytestmark = pytest.mark.images("amct")
DIGITS = ROOT / "samples" / "digits"
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
