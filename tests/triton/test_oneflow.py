"""Reference R3 on a real Triton: what the operator renders, and the devkit's stand-in for OneFlow.

The stand-in takes the flags of Triton 21.10 only and enforces the backend's naming rules; an ONNX
file inside the folder is what really computes (devkit/oneflow/README.md).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc
import tritonclient.http
from tests.support.builders import a_meta, a_settings, an_artifact, resolved
from tests.triton.image_python import image_path
from tests.triton.rendered import rendered
from tests.triton.server import DIGITS, ROOT, RUNTIME, Pod, free_ports, libpython, triton_home

from resnet_client import PRESETS, preprocess
from resnet_jobs.commands.download import unpack_artifact
from resnet_jobs.formats.oneflow import pack
from resnet_operator.record.artifact import TensorInfo
from resnet_operator.render.serving import pod_template
from resnet_operator.render.triton.class_names import ClassNames

if TYPE_CHECKING:
    from collections.abc import Iterator

STAND_IN = ROOT / "devkit/oneflow"
NAME = "digits_oneflow"
LABELS = (DIGITS / "labels.txt").read_text().split()
INPUT = {"name": "INPUT_0", "dataType": "FP32", "dims": [3, 32, 32]}
OUTPUT = {"name": "OUTPUT_0", "dataType": "FP32", "dims": [10]}


class OneFlowPod(Pod):
    """The process tree of a serving container, from the pod template that the operator renders."""

    def __init__(
        self, folder: Path, *more: str, changes: dict[str, Any], gpus: str, config: str
    ) -> None:
        self.folder = folder
        self._http, self._grpc, self._metrics = free_ports(3)
        self._termination = folder / "termination-log"
        self._termination.touch()
        spec = {
            "model": {
                "uri": "pvc://models/digits",
                "format": "OneFlow",
                "name": NAME,
                "inputs": [INPUT],
                "outputs": [OUTPUT],
            },
            "accelerator": {"chip": "GPU"},
            **changes,
        }
        decided = resolved(spec)
        artifact = an_artifact(
            file="model.tar",
            chip=decided.chip,
            inputs=(TensorInfo.from_json(INPUT),),
            outputs=(TensorInfo.from_json(OUTPUT),),
        )
        labels = (DIGITS / "labels.txt").read_text()
        repository = rendered(spec, artifact, file=folder, labels=labels)
        repository.lay_out(folder / "models")
        if config:
            (folder / "models" / NAME / "config.pbtxt").write_text(config)
        self._lay_out()
        template = pod_template(
            service=a_meta(),
            resolved=decided,
            artifact=artifact,
            revision="digits-1",
            classes=ClassNames(output="logits", text="a\n"),
            settings=a_settings(),
        )
        flags = {
            "--drain-seconds": "0",
            "--model-store": folder / "models",
            "--exit-timeout-secs": "2",
            "--http-port": self._http,
            "--grpc-port": self._grpc,
            "--metrics-port": self._metrics,
        }
        (container,) = template["spec"]["containers"]
        assert container["workingDir"] == "/tmp", "OneFlow makes a folder where it runs"
        working = folder / "tmp"
        working.mkdir()
        args = [_replaced(argument, flags) for argument in container["args"]]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, folder / "launcher/launch.py", *args, *more],
                cwd=working,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment(), "NVIDIA_VISIBLE_DEVICES": gpus},
            )

    def _lay_out(self) -> None:
        """What the kubelet mounts, and what the init container unpacks."""
        launcher, model = self.folder / "launcher", self.folder / "models" / NAME
        no_cache = shutil.ignore_patterns("__pycache__")
        shutil.copytree(RUNTIME, launcher / "resnet_runtime", ignore=no_cache)
        shutil.copy(RUNTIME / "launch.py", launcher)
        saved = self.folder / "saved"
        saved.mkdir()
        shutil.copy(DIGITS / "digits-resnet.onnx", saved / "stand-in.onnx")
        (saved / "model.mlir").write_text("a stand-in has no graph of OneFlow's\n")
        pack(saved, self.folder / "model.tar")
        unpack_artifact(self.folder / "model.tar", model / "1/model")
        backends = self.folder / "backends"
        (backends / "oneflow").mkdir(parents=True)
        shutil.copy(STAND_IN / "model.py", backends / "oneflow")
        (backends / "python").symlink_to(triton_home() / "backends/python")

    def _environment(self) -> dict[str, str]:
        home = triton_home()
        local = [f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")]
        return {
            "PATH": os.pathsep.join([str(STAND_IN), image_path()]),
            "LD_LIBRARY_PATH": os.pathsep.join([str(home / "lib"), str(libpython().parent)]),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder),
            "RESNET_TERMINATION_LOG": str(self._termination),
            "TRITON_STAND_IN_FLAGS": " ".join(
                [f"--backend-directory={self.folder / 'backends'}", *local]
            ),
        }


def _replaced(argument: str, flags: dict[str, Any]) -> str:
    name = argument.partition("=")[0]
    return f"{name}={flags[name]}" if name in flags else argument


@contextmanager
def oneflow_pod(
    folder: Path,
    *more: str,
    changes: dict[str, Any] | None = None,
    gpus: str = "GPU-0",
    config: str = "",
) -> Iterator[OneFlowPod]:
    running = OneFlowPod(folder, *more, changes=changes or {}, gpus=gpus, config=config)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with oneflow_pod(tmp_path_factory.mktemp("oneflow")) as running:
        yield running.wait_ready()


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    changes = {
        "accelerator": {"chip": "GPU", "count": 2},
        "serving": {"batching": {"maxBatchSize": 8}, "oneflow": {"xrt": "TensorRT"}},
    }
    with oneflow_pod(
        tmp_path_factory.mktemp("batching"), changes=changes, gpus="GPU-0,GPU-1"
    ) as running:
        yield running.wait_ready()


@pytest.fixture(scope="module")
def tensors() -> Any:
    with np.load(DIGITS / "heldout.npz") as held_out:
        return preprocess(held_out["pictures"], PRESETS["digits"])


@pytest.fixture(scope="module")
def expected(tensors: Any) -> Any:
    session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
    return session.run(None, {"input": tensors})[0]


def ask(library: Any, client: Any, tensor: Any, *, class_count: int = 0) -> Any:
    """As the client of OneFlow's guide does it."""
    request = library.InferInput("INPUT_0", list(tensor.shape), "FP32")
    request.set_data_from_numpy(tensor)
    wanted = library.InferRequestedOutput("OUTPUT_0", class_count=class_count)
    return client.infer(NAME, [request], outputs=[wanted]).as_numpy("OUTPUT_0")


def test_the_guide_s_curl(served: Pod) -> None:
    assert served.call("/v2/health/ready") == 200
    assert served.call(f"/v2/models/{NAME}/ready") == 200, "the startup probe"
    assert list(served.folder.glob("tmp/log/*")), "the log of OneFlow"


def test_it_says_that_it_is_a_stand_in(served: Pod) -> None:
    assert "a STAND-IN for Triton 21.10 with 1 GPUs, none of them real" in served.log
    assert "this is a STAND-IN for OneFlow" in served.log
    assert "xrt tag is unknown, oneflow runtime will be used" in served.log


@pytest.mark.parametrize("library", [tritonclient.http, tritonclient.grpc])
def test_the_three_best_labels(served: Pod, tensors: Any, expected: Any, library: Any) -> None:
    with library.InferenceServerClient(
        served.http if library is tritonclient.http else served.grpc
    ) as client:
        found = ask(library, client, tensors[:1], class_count=3)
    best = np.argsort(expected[0])[::-1][:3]
    told = [answer.decode().split(":") for answer in found.reshape(-1)]
    assert [(int(index), label) for _, index, label in told] == [(i, LABELS[i]) for i in best]
    assert [float(score) for score, *_ in told] == pytest.approx(list(expected[0][best]), abs=1e-4)


def test_without_batching_a_batch_is_refused(served: Pod, tensors: Any) -> None:
    with (
        tritonclient.http.InferenceServerClient(served.http) as client,
        pytest.raises(tritonclient.http.InferenceServerException, match="must be <= 1"),
    ):
        ask(tritonclient.http, client, tensors[:2])


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_padded_batch(batching: Pod, tensors: Any, expected: Any, rows: int) -> None:
    with tritonclient.http.InferenceServerClient(batching.http) as client:
        found = ask(tritonclient.http, client, tensors[:rows])
    np.testing.assert_allclose(found, expected[:rows], atol=1e-4)


def test_requests_are_gathered(batching: Pod, tensors: Any, expected: Any) -> None:
    with tritonclient.http.InferenceServerClient(batching.http, concurrency=8) as client:
        request = []
        for index in range(8):
            tensor = tritonclient.http.InferInput("INPUT_0", [1, 3, 32, 32], "FP32")
            tensor.set_data_from_numpy(tensors[index : index + 1])
            request.append(client.async_infer(NAME, [tensor]))
        for index, answer in enumerate(request):
            found = answer.get_result().as_numpy("OUTPUT_0")
            np.testing.assert_allclose(found, expected[index : index + 1], atol=1e-4)
    assert "with 2 GPUs" in batching.log
    assert "xrt 'tensorrt' has no effect" in batching.log


FAILURES = [
    (
        "a flag that came after 21.10",
        {"more": ("--disable-auto-complete-config",)},
        "unrecognized option '--disable-auto-complete-config'",
    ),
    (
        "more GPUs in the configuration than the pod has",
        {"changes": {"accelerator": {"chip": "GPU", "count": 2}}},
        "instance group specifies invalid or unsupported gpu id 1",
    ),
    (
        "a name that OneFlow's backend does not know",
        {
            "config": f'name: "{NAME}" backend: "oneflow" max_batch_size: 1 '
            'input [ { name: "input" data_type: TYPE_FP32 dims: [ 3, 32, 32 ] } ] '
            'output [ { name: "OUTPUT_0" data_type: TYPE_FP32 dims: [ 10 ] } ]'
        },
        "input name should start with INPUT_",
    ),
]


@pytest.mark.parametrize(("reason", "how", "said"), FAILURES, ids=[case[0] for case in FAILURES])
def test_what_fails_to_load_ends_the_pod(
    tmp_path: Path, reason: str, how: dict[str, Any], said: str
) -> None:
    with oneflow_pod(tmp_path, *how.pop("more", ()), **how) as running:
        assert running.wait_end() != 0, reason
        assert said in running.log
        assert running.message["reason"] == "ModelLoadFailed"
        assert "its log says why" in running.message["message"]


def test_a_stop_ends_with_success(tmp_path: Path) -> None:
    with oneflow_pod(tmp_path) as running:
        running.wait_ready()
        running.process.terminate()
        assert running.wait_end() == 0
