"""How a serving container ends: the exit status, the termination message, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http
from samples import predict
from tests.support.patience import patient
from tests.triton.server import DIGITS, Pod, digits_on_cpu, pod

if TYPE_CHECKING:
    from pathlib import Path


def test_a_killed_model_process_ends_the_container(tmp_path: Path) -> None:
    with pod(tmp_path, digits_on_cpu()) as running:
        running.wait_ready()
        (stub,) = running.stubs()
        os.kill(stub, signal.SIGKILL)
        assert running.wait_end() == 1
        assert running.message == {
            "reason": "CrashLooping",
            "message": "a model process of Triton died (signal 9)",
            "code": None,
        }


def test_a_killed_model_process_costs_less_than_a_second_of_requests(tmp_path: Path) -> None:
    """Under load: from the kill on, errors are answered for a moment only, then nobody listens."""
    answers: list[tuple[float, int]] = []
    killed = threading.Event()

    def ask(running: Pod, body: bytes, header: dict[str, str]) -> None:
        url = f"http://{running.http}/v2/models/digits/infer"
        while True:
            try:
                request = urllib.request.Request(url, data=body, headers=header)
                with urllib.request.urlopen(request, timeout=patient(10)) as answer:
                    status = answer.status
            except urllib.error.HTTPError as error:
                status = error.code
            except OSError:
                if killed.is_set():
                    return
                status = 0
            answers.append((time.monotonic(), status))

    request = tritonclient.http.InferInput("input", [1, 3, 32, 32], "FP32")
    request.set_data_from_numpy(np.zeros((1, 3, 32, 32), np.float32))
    body, size = tritonclient.http.InferenceServerClient.generate_request_body([request])
    header = {"Inference-Header-Content-Length": str(size)}
    with pod(tmp_path, digits_on_cpu(instances=2)) as running, ThreadPoolExecutor(4) as pool:
        running.wait_ready()
        asking = [pool.submit(ask, running, body, header) for _ in range(4)]
        while len(answers) < 400:
            time.sleep(0.01)
        begun, before = answers[0][0], len(answers)
        rate = before / (time.monotonic() - begun)
        os.kill(running.stubs()[0], signal.SIGKILL)
        killed.set()
        for one in asking:
            one.result(timeout=patient(30))
        assert running.wait_end() == 1
        assert "a model process of Triton died" in running.message["message"]
    failed = [status for _, status in answers[before:] if status != 200]
    assert len(failed) < rate, f"{len(failed)} failed of {rate:.0f} a second"


def test_a_killed_server_ends_the_container(tmp_path: Path) -> None:
    with pod(tmp_path, digits_on_cpu()) as running:
        running.wait_log("the models are loaded")
        (server,) = [pid for pid, name in running.descendants().items() if name == "tritonserver"]
        os.kill(server, signal.SIGSEGV)
        assert running.wait_end() == 128 + signal.SIGSEGV
        assert "tritonserver ended by itself (signal 11)" in running.message["message"]


def test_requests_during_the_drain_succeed(tmp_path: Path) -> None:
    picture = str(DIGITS / "pictures/seven.png")
    with pod(tmp_path, digits_on_cpu(), drain=3) as running:
        running.wait_ready()
        # An idle connection, as browsers and proxies keep them: Triton then exits with status 1.
        with socket.create_connection(("127.0.0.1", int(running.http.rsplit(":", 1)[1]))):
            running.process.send_signal(signal.SIGTERM)
            for _ in range(20):
                assert predict.main(["--url", running.http, "--model", "digits", picture]) == 0
            assert running.call("/v2/health/ready") == 200
            assert running.wait_end() == 0
        assert running.message == {}


def test_a_second_signal_shortens_the_drain(tmp_path: Path) -> None:
    with pod(tmp_path, digits_on_cpu(), drain=600) as running:
        running.wait_ready()
        running.process.send_signal(signal.SIGTERM)
        running.wait_log("asked to stop")
        running.process.send_signal(signal.SIGTERM)
        assert running.wait_end() == 0


BROKEN_IMPORT = "import no_such_module\n"
LATE_FAILURE = """
from resnet_runtime import model_common


class TritonPythonModel(model_common.BatchModel):
    def load(self):
        pass

    def run(self, admitted):
        raise model_common.RunError("no such kernel", code="545601")
"""


HANGS = """
import time

from resnet_runtime import model_common


class TritonPythonModel(model_common.BatchModel):
    def load(self):
        time.sleep(3600)
"""


def test_a_load_that_hangs_is_told(tmp_path: Path) -> None:
    """Triton and a living stub wait for each other: that costs little, and is no progress."""
    (tmp_path / "hangs.py").write_text(HANGS)
    model = digits_on_cpu(source=tmp_path / "hangs.py")
    with pod(tmp_path / "pod", model, launch=["--stall-seconds=15"]) as running:
        assert running.wait_end() == 1
        assert running.message["reason"] == "ModelLoadFailed"
        assert "the load hangs: for 15 s" in running.message["message"]


@pytest.mark.parametrize(
    ("model", "file", "words", "code", "reason"),
    [
        (None, b"<!DOCTYPE html>", "ONNX Runtime cannot load", None, "the file is no model"),
        (None, None, "ONNX Runtime cannot load", None, "the file is not there"),
        (BROKEN_IMPORT, b"", "its log says why", None, "model.py cannot even be imported"),
        (LATE_FAILURE, b"", "no such kernel", "545601", "it loads, but the warm-up fails"),
    ],
)
def test_a_model_that_cannot_be_served(
    tmp_path: Path, model: str | None, file: bytes | None, words: str, code: Any, reason: str
) -> None:
    path = tmp_path / "model.onnx"
    if file is not None:
        path.write_bytes(file)
    changes: dict[str, Any] = {"file": path}
    if model is not None:
        changes["source"] = tmp_path / "broken.py"
        changes["source"].write_text(model)
    with pod(tmp_path / "pod", digits_on_cpu(**changes)) as running:
        # Not always 1: this Triton may crash on its way out of a failed warm-up.
        assert running.wait_end() != 0, reason
        assert running.message["reason"] == "ModelLoadFailed"
        assert words in running.message["message"]
        assert running.message["code"] == code
