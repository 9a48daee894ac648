"""An OM that somebody else has compiled: served as it is, or refused in a sentence."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.story import FP16_TOLERANCE, MODEL, PICTURES, Story, digits_batch, expected_logits
from tests.support.apiserver import ROOT

CANN = ROOT / "devkit" / "cann"
OM = {"uri": "pvc://models/digits.om"}


@pytest.fixture(scope="session")
def om(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_om(tmp_path_factory.mktemp("om"))


def compile_om(folder: Path, cann: Path = CANN) -> Path:
    """Compile the sample model for an Ascend310P3 by hand, with profiles 1 and 4."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(cann / "src"),
        "LD_LIBRARY_PATH": str(cann / "toolkit/arch-linux/devlib"),
        "HOME": str(folder),
    }
    command = [
        str(cann / "toolkit/bin/atc"),
        "--framework=5",
        f"--model={MODEL}",
        f"--output={folder}/digits",
        "--input_format=NCHW",
        "--input_shape=input:-1,3,32,32",
        "--dynamic_batch_size=1,4",
        "--soc_version=Ascend310P3",
    ]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    return folder / "digits.om"


def put_om(story: Story, om: Path) -> None:
    """Put the file on a claim, by a pod that copies it from a ConfigMap."""
    content = base64.b64encode(om.read_bytes()).decode()
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "digits-om"}}
    claim, loader = story.operator.claim_with_sample("models")
    loader["spec"]["containers"][0]["command"] = ["cp", "-L", "/in/digits.om", "/models/"]
    loader["spec"]["volumes"][1]["configMap"]["name"] = "digits-om"
    story.apply({**config, "binaryData": {"digits.om": content}}, claim, loader)
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/loader", "--timeout=5m")
    story.delete("pod", "loader")


def test_an_om_is_served_as_it_is(story: Story, om: Path) -> None:
    put_om(story, om)
    story.apply(story.service(model=OM))
    status = story.wait_ready()
    assert status["batch"] == "1,4", "the file tells"
    assert status["model"]["inputs"] == [
        {"name": "input", "dataType": "FP32", "dims": [3, 32, 32], "layout": "NCHW"}
    ]
    assert [tensor["name"] for tensor in status["model"]["outputs"]] == ["logits"]
    artifact = status["artifact"]
    assert artifact["origin"] == "Copied"
    assert "--dynamic_batch_size=1,4" in artifact["command"], "the command that made it"
    said = story.condition("ArtifactReady")["message"]
    assert said.startswith("Copied; the OM was made by ATC ")
    batch = digits_batch(PICTURES[:3])
    assert np.abs(story.logits(batch) - expected_logits(batch)).max() < FP16_TOLERANCE

    # The batch sizes may be declared too; that is the same artifact by another record.
    story.apply(story.service("declared", model=OM, conversion={"batchSizes": [1, 4]}))
    assert story.wait_ready("declared")["artifact"]["sha256"] == artifact["sha256"]


def test_what_does_not_fit_is_refused_in_a_sentence(story: Story, om: Path) -> None:
    put_om(story, om)
    story.apply(
        story.service("chip", model=OM, accelerator={"chip": "Ascend310P1"}),
        story.service("batch", model=OM, conversion={"batchSizes": [1, 8]}),
        story.service("onnx", model={"uri": "configmap://digits-om/digits.om", "format": "ONNX"}),
    )
    assert story.wait_reason("ChipMismatch", "chip")["message"] == (
        "the OM was made for Ascend310P3, not Ascend310P1: bring another OM, or correct "
        "spec.accelerator.chip"
    )
    assert story.wait_reason("InvalidSpec", "batch")["message"] == (
        "the OM was made for batch [1, 4], spec.conversion.batchSizes says [1, 8]: remove it, or "
        "bring another OM"
    )
    story.wait_reason("UnsupportedModel", "onnx")
    for name in ("chip", "batch"):
        assert story.condition("Stalled", name)["status"] == "True", "no retry can help"

    story.apply(story.service("batch", model=OM, conversion={"batchSizes": [1, 4]}))
    story.wait_ready("batch")


def test_labels_have_to_be_as_many_as_classes(story: Story, om: Path) -> None:
    put_om(story, om)
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}}
    story.apply({**labels, "data": {"labels.txt": "cat\ndog\n"}})
    named = {**OM, "classLabels": {"configMapKeyRef": {"name": "two", "key": "labels.txt"}}}
    story.apply(story.service(model=named))
    assert story.wait_reason("InvalidSpec")["message"] == (
        "model.classLabels has 2 labels, the model's output logits has 10 classes; correct the "
        "ConfigMap"
    )
    assert not story.items("pods", "app.kubernetes.io/instance=digits"), "no pod was made"
