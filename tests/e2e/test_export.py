"""PyTorch's own files: exported in the Job, converted, and Triton answers as PyTorch did."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tritonclient.http as triton

if TYPE_CHECKING:
    from tests.e2e.files import FileServer
    from tests.e2e.story import Story

pytestmark = pytest.mark.images("export")
PYTHON = "/usr/bin/python3"  # where devkit/torch.sh puts Debian's PyTorch
WEIGHTS = {"architecture": "resnet18", "classes": 10}
PICTURE = {"name": "input", "dataType": "FP32", "dims": [3, 32, 32]}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of torch_network.py."""
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).with_name("torch_network.py")
    done = subprocess.run([PYTHON, "-B", script, folder], capture_output=True, text=True)
    assert done.returncode == 0, f"devkit/torch.sh installs torch\n{done.stderr}"
    return folder


def put_in_claim(story: Story, files: FileServer, network: Path, name: str) -> None:
    """A person downloads a checkpoint into a claim; 45 MB are too large for a ConfigMap."""
    files.content[name] = (network / name).read_bytes()
    claim, pod = story.operator.claim_with_sample("models")
    fetch = f"import urllib.request as u; u.urlretrieve('{files.url}/{name}', '/models/{name}')"
    pod["spec"]["containers"][0]["command"] = ["python3", "-c", fetch]
    story.put_sample()
    story.apply(claim, pod)
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/loader", "--timeout=90s")
    story.delete("pod", "loader")


def ask(story: Story, batch: np.ndarray) -> np.ndarray:
    asked = triton.InferInput("input", list(batch.shape), "FP32")
    asked.set_data_from_numpy(batch)
    with story.client() as client:
        answer = client.infer("digits", [asked]).as_numpy("output")
    return np.asarray(answer)


def largest_error(story: Story, network: Path) -> float:
    """Return the largest difference from PyTorch's scores, as a part of the largest score."""
    with np.load(network / "answers.npz") as known:
        noise, wanted = known["noise"], known["answers"]
    answers = np.concatenate([ask(story, noise[:3]), ask(story, noise[3:])])
    assert answers.shape == wanted.shape
    assert (answers.argmax(1) == wanted.argmax(1)).all()
    return float(np.abs(answers - wanted).max() / np.abs(wanted).max())


def test_weights_on_a_chip(story: Story, files: FileServer, network: Path) -> None:
    put_in_claim(story, files, network, "resnet18.pth")
    model = {"uri": "pvc://models/resnet18.pth", "pytorch": WEIGHTS}
    conversion = {"inputShapes": {"input": [3, 32, 32]}, "batchSizes": [1, 4]}
    story.apply(story.service(model=model, conversion=conversion))
    status = story.wait_ready(seconds=180)

    assert not story.ended("export"), "no image with torch takes part"
    assert status["artifact"]["origin"] == "Converted"
    assert [t["dims"] for t in status["model"]["inputs"]] == [[3, 32, 32]]
    assert largest_error(story, network) < 0.02, "the chip computes in FP16"


def test_torchscript_on_a_cpu(story: Story, files: FileServer, network: Path) -> None:
    files.content["resnet18.torchscript"] = (network / "resnet18.torchscript").read_bytes()
    model = {"uri": f"{files.url}/resnet18.torchscript", "inputs": [PICTURE]}
    story.apply(story.service(model=model, accelerator={"chip": "CPU"}))
    status = story.wait_ready(seconds=180)

    assert status["runtime"] == "ONNXRuntime"
    assert largest_error(story, network) < 1e-4, "FP32, as PyTorch"


def test_a_pickled_module_is_not_loaded(story: Story, files: FileServer, network: Path) -> None:
    files.content["whole.pt"] = (network / "whole.pth").read_bytes()
    model = {"uri": f"{files.url}/whole.pt", "format": "PyTorch", "pytorch": WEIGHTS}
    story.apply(story.service(model=model))
    condition = story.wait_reason("UnsupportedModel", seconds=120)
    assert "holds more than weights" in condition["message"]
    long = story.condition("ArtifactReady")["message"]
    assert "torch.save(model.state_dict(), path)" in long
