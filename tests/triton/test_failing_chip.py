"""A chip that fails now and then: what clients are told, and what the pod counts of it."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import tritonclient.http as by_http
from tests.triton.server import pod
from tests.triton.test_ascend_om import Node, digits_on_npu, om
from tritonclient.utils import InferenceServerException

from resnet_operator.reading.counters import counters_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["om"]


def test_what_fails_is_counted_as_failed(tmp_path: Path, om: Path) -> None:
    env = Node(tmp_path).env | {"SIMULATED_NPU_FAILS_EVERY": "5"}
    failures: list[str] = []
    with pod(tmp_path / "pod", digits_on_npu(om), env=env) as running:
        running.wait_ready()
        client = by_http.InferenceServerClient(running.http)
        asked = by_http.InferInput("input", [1, 3, 32, 32], "FP32")
        asked.set_data_from_numpy(np.zeros((1, 3, 32, 32), np.float32))
        for _ in range(20):
            try:
                client.infer("digits", [asked])
            except InferenceServerException as error:
                failures.append(str(error))
        client.close()
        with urllib.request.urlopen(f"http://{running.metrics}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    assert len(failures) == 4
    assert all("507018" in failure for failure in failures)
    found = counters_of(text, ["digits"])
    assert found is not None
    assert found.failed == len(failures)
