"""Reference R0 on a real Triton: real torch, simulated TorchAIE, what the operator renders.

The stubs' Python is as in the serving images, with NumPy 1; torch is Debian's, as in the image
serving-torch.
"""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tests.support.builders import an_artifact, merged
from tests.support.needs import SYSTEM_PYTHON
from tests.triton.image_python import image_path
from tests.triton.rendered import rendered
from tests.triton.server import ROOT, Pod, pod

from resnet_operator.record.artifact import TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

SIMULATOR = ROOT / "devkit/torch_aie/src"
DEBIAN = Path("/usr/lib/python3/dist-packages")  # devkit/torch.sh installs torch there
SEEN = ("torch", "typing_extensions.py")
LABELS = "".join(f"class {number}\n" for number in range(5))
# Weights, the same network as a script, a batch, and torch's answer to it.
MAKE = """
import sys
sys.path.insert(0, sys.argv[2])
import numpy as np, torch
from driver.checkpoint import PLANS
from driver.resnet import ResNet
torch.manual_seed(11)
network = ResNet(PLANS["resnet18"], 5).eval()
torch.save(network.state_dict(), sys.argv[1] + "/model.pth")
torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(sys.argv[1] + "/model.torchscript")
batch = torch.randn(8, 3, 64, 64)
with torch.no_grad():
    np.savez(sys.argv[1] + "/truth.npz", batch=batch.numpy(), scores=network(batch).numpy())
"""
PICTURE = {"name": "INPUT", "dataType": "FP32", "dims": [3, 64, 64]}
SCORES = {"name": "OUTPUT", "dataType": "FP32", "dims": [5]}
SPEC: dict[str, Any] = {
    "model": {
        "uri": "pvc://models/resnet18.pth",
        "name": "digits",
        "pytorch": {"architecture": "resnet18", "classes": 5},
        "inputs": [PICTURE],
        "outputs": [SCORES],
    },
    "accelerator": {"chip": "Ascend310P3", "count": 2},
    "conversion": {"batchSizes": [4]},
    "serving": {"runtime": "TorchAIE", "image": "torch-aie:1"},
}
AS_SCRIPT: dict[str, Any] = {"model": {"uri": "pvc://models/r.torchscript", "pytorch": None}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-B", "-c", MAKE, str(folder), str(ROOT / "operator/resnet_jobs")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"devkit/torch.sh installs torch\n{done.stderr}"
    return folder


@pytest.fixture(scope="module")
def truth(made: Path) -> tuple[Any, Any]:
    values = np.load(made / "truth.npz")
    return values["batch"], values["scores"]


@contextmanager
def serving(
    folder: Path, made: Path, changes: dict[str, Any] | None = None, *, soc: str = "Ascend310P3"
) -> Iterator[Pod]:
    """A pod with two simulated chips, 1 and 3 of its node."""
    spec = merged(SPEC, changes or {})
    file = "model.pth" if spec["model"].get("pytorch") else "model.torchscript"
    artifact = an_artifact(
        file=file,
        inputs=(TensorInfo.from_json(PICTURE),),
        outputs=tuple(TensorInfo.from_json(one) for one in spec["model"]["outputs"]),
    )
    for number in (1, 3):
        (folder / f"davinci{number}").touch()
    # Beside the stub's own NumPy, only what the image takes from Debian.
    packages = folder / "dist-packages"
    packages.mkdir()
    for name in SEEN:
        (packages / name).symlink_to(DEBIAN / name)
    environment = {
        "PATH": image_path(),
        "PYTHONPATH": os.pathsep.join(map(str, (packages, SIMULATOR))),
        "ASCEND_VISIBLE_DEVICES": "1,3",
        "SIMULATED_NPU_SOC": soc,
        "SIMULATED_NPU_DEVICE_DIR": str(folder),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    labels = LABELS if len(artifact.outputs) == 1 else None
    model = rendered(spec, artifact, file=made / file, labels=labels)
    with pod(folder, model, env=environment) as running:
        yield running


def ask(running: Pod, batch: Any) -> Any:
    with tritonclient.http.InferenceServerClient(running.http) as client:
        tensor = tritonclient.http.InferInput("INPUT", list(batch.shape), "FP32")
        tensor.set_data_from_numpy(batch)
        return client.infer("digits", [tensor]).as_numpy("OUTPUT")


def ask_grpc(running: Pod, batch: Any, *, class_count: int = 0) -> Any:
    with tritonclient.grpc.InferenceServerClient(running.grpc) as client:
        tensor = tritonclient.grpc.InferInput("INPUT", list(batch.shape), "FP32")
        tensor.set_data_from_numpy(batch)
        output = tritonclient.grpc.InferRequestedOutput("OUTPUT", class_count=class_count)
        return client.infer("digits", [tensor], outputs=[output]).as_numpy("OUTPUT")


def test_the_guide_of_torch_aie(tmp_path: Path, made: Path, truth: tuple[Any, Any]) -> None:
    """Two instances on two chips, without a patched backend; answers equal torch's."""
    batch, scores = truth
    with serving(tmp_path, made) as running:
        running.wait_ready()
        for device in (0, 1):
            assert f"[torch_aie] device {device} is a simulated Ascend310P3" in running.log
        assert len(running.stubs()) == 2
        assert running.log.count("simulator: compiling for Ascend310P3 with [4, 3, 64, 64]") == 2
        for rows in (1, 3, 4):
            np.testing.assert_allclose(ask(running, batch[:rows]), scores[:rows], atol=1e-5)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda row: ask(running, batch[row : row + 1]), range(8)))
        np.testing.assert_allclose(np.concatenate(answers), scores, atol=1e-5)
        (best,) = ask_grpc(running, batch[:1], class_count=1)[0]
        index = int(scores[0].argmax())
        assert best.decode().split(":")[1:] == [str(index), f"class {index}"]
        with pytest.raises(tritonclient.utils.InferenceServerException, match="batch-size"):
            ask(running, batch)
        assert running.message == {}


def test_a_script_with_a_range_of_batches(
    tmp_path: Path, made: Path, truth: tuple[Any, Any]
) -> None:
    batch, scores = truth
    changes = merged(
        AS_SCRIPT, {"conversion": {"batchSizes": [1, 2, 8]}, "accelerator": {"count": 1}}
    )
    with serving(tmp_path, made, changes) as running:
        running.wait_ready()
        assert "compiling for Ascend310P3 with [1, 3, 64, 64] to [8, 3, 64, 64]" in running.log
        for rows in (1, 5, 8):
            np.testing.assert_allclose(ask(running, batch[:rows]), scores[:rows], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "soc", "reason", "words"),
    [
        ({}, "Ascend310B4", "ChipMismatch", "TorchAIE cannot compile for Ascend310P3"),
        (
            {"model": {"outputs": [{**SCORES, "dims": [7]}]}},
            "Ascend310P3",
            "ModelLoadFailed",
            "correct spec.model.outputs",
        ),
        (
            {"model": {"pytorch": {"architecture": "resnet34"}}},
            "Ascend310P3",
            "ModelLoadFailed",
            "resnet18",
        ),
    ],
)
def test_what_cannot_be_compiled_is_told(
    tmp_path: Path, made: Path, changes: dict[str, Any], soc: str, reason: str, words: str
) -> None:
    with serving(tmp_path, made, changes, soc=soc) as running:
        assert running.wait_end() != 0
    message = running.message
    assert (message["reason"], words in message["message"]) == (reason, True), json.dumps(message)
