"""The sample network as an OM: simulated ATC and pyACL, our model.py, a real Triton."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc
from samples import predict
from tests.triton.server import DIGITS, ROOT, RUNTIME, Model, Pod, pod

from resnet_client import PRESETS, preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator

CANN = ROOT / "devkit/cann/src"
ATC = (
    "import os, sys; from ascend_simulator import atc; sys.exit(atc.main(sys.argv[1:], os.environ))"
)
FP16_TOLERANCE = 0.02  # of logits between -10 and 10


def convert(folder: Path, *flags: str, model: Path = DIGITS / "digits-resnet.onnx") -> Path:
    """Run the simulated ATC as the conversion Job does; return the OM."""
    arguments = [
        *("--framework=5", f"--model={model}", f"--output={folder / 'model'}"),
        *("--input_format=NCHW", *flags, "--soc_version=Ascend310P3", "--log=error"),
    ]
    subprocess.run(
        [sys.executable, "-c", ATC, *arguments],
        env={**os.environ, "PYTHONPATH": str(CANN)},
        cwd=folder,
        check=True,
    )
    (made,) = folder.glob("model*.om")
    return made


@pytest.fixture(scope="session")
def om(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four compiled batch sizes."""
    folder = tmp_path_factory.mktemp("om")
    return convert(folder, "--input_shape=input:-1,3,32,32", "--dynamic_batch_size=1,2,4,8")


@dataclass
class Node:
    """A host with two simulated NPUs, and the environment a device plugin gives to a pod."""

    folder: Path
    soc: str = "Ascend310P3"
    visible: str = "0,1"
    memory_mb: str = "1024"

    @property
    def env(self) -> dict[str, str]:
        for number in (0, 1):
            (self.folder / f"davinci{number}").touch()
        return {
            "PYTHONPATH": str(CANN),
            "SIMULATED_NPU_SOC": self.soc,
            "SIMULATED_NPU_DEVICE_DIR": str(self.folder),
            "SIMULATED_NPU_MEMORY_MB": self.memory_mb,
            "SIMULATED_NPU_THREADS": "1",
            "ASCEND_VISIBLE_DEVICES": self.visible,
        }


def digits_on_npu(om: Path, *, batches: str = "1,2,4,8", chips: int = 1) -> Model:
    return Model(
        source=RUNTIME / "ascend_om.py",
        file=om,
        max_batch=int(batches.rsplit(",", maxsplit=1)[-1]),
        instances=chips,
        parameters={
            "batch_sizes": batches,
            "chip_count": str(chips),
            "soc_version": "Ascend310P3",
        },
    )


@pytest.fixture(scope="module")
def served(om: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Two instances, each on a chip of its own."""
    folder = tmp_path_factory.mktemp("npu")
    node = Node(folder)
    with pod(folder / "pod", digits_on_npu(om, chips=2), env=node.env) as running:
        yield running.wait_ready()


@pytest.fixture(scope="module")
def held_out() -> tuple[Any, Any, Any]:
    """(tensors, labels, ONNX Runtime's answers)"""
    with np.load(DIGITS / "heldout.npz") as file:
        tensors = preprocess(file["pictures"], PRESETS["digits"])
        labels = file["labels"]
    session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
    return tensors, labels, session.run(None, {"input": tensors})[0]


def infer(client: Any, tensor: Any) -> Any:
    request = tritonclient.grpc.InferInput("input", list(tensor.shape), "FP32")
    request.set_data_from_numpy(tensor)
    return client.infer("digits", [request]).as_numpy("logits")


def test_all_held_out_pictures_by_requests_of_all_sizes(
    served: Pod, held_out: tuple[Any, Any, Any]
) -> None:
    tensors, labels, expected = held_out
    sizes = [1 + number % 8 for number in range(48)]
    parts = np.split(tensors, [end for end in np.cumsum(sizes) if end < len(tensors)])
    with (
        tritonclient.grpc.InferenceServerClient(served.grpc) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        got = np.concatenate(list(pool.map(lambda part: infer(client, part), parts)))
    assert len(served.stubs()) == 2
    np.testing.assert_allclose(got, expected, atol=FP16_TOLERANCE)
    assert np.mean(got.argmax(axis=1) == labels) >= 0.99


def test_the_example_client_names_the_picture(
    served: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = str(DIGITS / "pictures/four.png")
    assert predict.main(["--url", served.http, "--model", "digits", picture]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["1", "four"]


def test_a_static_batch_is_padded(tmp_path: Path, held_out: tuple[Any, Any, Any]) -> None:
    tensors, _, expected = held_out
    om = convert(tmp_path, "--input_shape=input:24,3,32,32")
    model = digits_on_npu(om, batches="24")
    with pod(tmp_path / "pod", model, env=Node(tmp_path).env) as running:
        running.wait_ready()
        with tritonclient.grpc.InferenceServerClient(running.grpc) as client:
            for size in (1, 24, 7):
                got = infer(client, tensors[:size])
                np.testing.assert_allclose(got, expected[:size], atol=FP16_TOLERANCE)


@pytest.mark.parametrize(
    ("node", "reason", "code", "words"),
    [
        (
            {"soc": "Ascend910B4"},
            "ChipMismatch",
            None,
            "the pod runs on Ascend910B4, the model was converted for Ascend310P3",
        ),
        ({"visible": "void"}, "ModelLoadFailed", "207004", "no NPU is visible in the pod"),
        ({"visible": "7"}, "ModelLoadFailed", "507033", "driver mount, permission"),
        ({"memory_mb": "0"}, "OutOfMemory", "207001", "the NPU's memory is full"),
    ],
)
def test_chips_that_cannot_serve_it(
    om: Path, tmp_path: Path, node: dict[str, str], reason: str, code: str | None, words: str
) -> None:
    env = Node(tmp_path, **node).env
    with pod(tmp_path / "pod", digits_on_npu(om), env=env) as running:
        assert running.wait_end() == 1
        assert (running.message["reason"], running.message["code"]) == (reason, code)
        assert words in running.message["message"]


def test_a_damaged_om(tmp_path: Path) -> None:
    path = tmp_path / "model.om"
    path.write_bytes(b"no OM")
    with pod(tmp_path / "pod", digits_on_npu(path), env=Node(tmp_path).env) as running:
        assert running.wait_end() == 1
        assert running.message["reason"] == "ModelLoadFailed"
        assert running.message["detail"]
