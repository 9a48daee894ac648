"""Reference R0 by one object: PyTorch's weights, compiled by simulated TorchAIE in the pod."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http as triton

if TYPE_CHECKING:
    from tests.e2e.files import FileServer
    from tests.e2e.story import Story

pytestmark = pytest.mark.images("serving-torch")
PYTHON = "/usr/bin/python3"  # where devkit/torch.sh puts Debian's PyTorch
NETWORK = {"architecture": "resnet18", "classes": 10}
PICTURE = {"name": "INPUT", "dataType": "FP32", "dims": [3, 32, 32]}
SCORES = {"name": "OUTPUT", "dataType": "FP32", "dims": [10]}
MEMORY = {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
TOLERANCE = 1e-4  # real torch on both sides


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of torch_aie_network.py."""
    folder = tmp_path_factory.mktemp("torch-aie")
    script = Path(__file__).with_name("torch_aie_network.py")
    done = subprocess.run([PYTHON, "-B", script, folder], capture_output=True, text=True)
    assert done.returncode == 0, f"devkit/torch.sh installs torch\n{done.stderr}"
    return folder


def torch_aie(story: Story, uri: str, **parts: Any) -> dict[str, Any]:
    """Return a ResNetService of weights; `parts` replace parts of the spec."""
    model = {"uri": uri, "pytorch": NETWORK, "inputs": [PICTURE], "outputs": [SCORES]}
    model |= parts.pop("model", {})
    serving = {"runtime": "TorchAIE", "resources": MEMORY}
    return story.service(
        parts.pop("name", "digits"),
        model={key: value for key, value in model.items() if value is not None},
        conversion={"batchSizes": [4]},
        serving=serving | parts.pop("serving", {}),
        **parts,
    )


def ask(story: Story, batch: np.ndarray, name: str = "digits") -> np.ndarray:
    asked = triton.InferInput("INPUT", list(batch.shape), "FP32")
    asked.set_data_from_numpy(batch)
    with story.client(name) as client:
        return np.asarray(client.infer(name, [asked]).as_numpy("OUTPUT"))


def check_answers(story: Story, network: Path, name: str = "digits") -> None:
    with np.load(network / "answers.npz") as known:
        noise, wanted = known["noise"], known["answers"]
    for rows in (1, 3, 4):
        found = ask(story, noise[:rows], name)
        assert np.abs(found - wanted[:rows]).max() < TOLERANCE


def test_weights_are_compiled_in_the_pod(story: Story, files: FileServer, network: Path) -> None:
    """Two chips and two instances; no container of the Job has torch or CANN."""
    files.content["resnet18.pth"] = (network / "resnet18.pth").read_bytes()
    story.apply(
        torch_aie(
            story,
            f"{files.url}/resnet18.pth",
            accelerator={"chip": "Ascend310P3", "count": 2},
        )
    )
    status = story.wait_ready(seconds=180)
    assert status["artifact"]["origin"] == "Copied"
    assert status["batch"] == "4"
    assert [tensor["name"] for tensor in status["model"]["inputs"]] == ["INPUT"]
    (job,) = story.items("jobs")
    pod = job["spec"]["template"]["spec"]
    names = [one["name"] for one in [*pod["initContainers"], *pod["containers"]]]
    assert names == ["fetch", "prepare", "publish"]
    log = story.kubectl("logs", "deployment/digits", "-c", "triton")
    for device in (0, 1):
        assert f"[torch_aie] device {device} is a simulated Ascend310P3" in log
    check_answers(story, network)


def test_a_script_too(story: Story, files: FileServer, network: Path) -> None:
    name = "resnet18.torchscript"
    files.content[name] = (network / name).read_bytes()
    model = {"pytorch": None}
    story.apply(torch_aie(story, f"{files.url}/{name}", model=model))
    story.wait_ready(seconds=180)
    check_answers(story, network)


def test_what_does_not_fit_is_told(story: Story, files: FileServer, network: Path) -> None:
    """Another network is refused before a chip is taken, another answer when the pod loads."""
    for name in ("resnet18.pth", "resnet18.torchscript"):
        files.content[name] = (network / name).read_bytes()
    other = {"pytorch": {**NETWORK, "architecture": "resnet34"}}
    story.apply(torch_aie(story, f"{files.url}/resnet18.pth", name="other", model=other))
    assert "resnet18" in story.wait_reason("InvalidSpec", "other", seconds=90)["message"]
    assert not story.items("pods", "app.kubernetes.io/instance=other")

    seven = {"pytorch": None, "outputs": [{**SCORES, "dims": [7]}]}
    story.apply(torch_aie(story, f"{files.url}/resnet18.torchscript", name="seven", model=seven))
    said = story.wait_reason("ModelLoadFailed", "seven", seconds=180)["message"]
    assert "the network answers a batch of 4 with [[4, 10]]" in said, json.dumps(said)
