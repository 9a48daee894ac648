"""A chip that fails now and then: what clients are told, and what the pod counts of it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.support.builders import an_artifact, tensor
from tests.support.patience import patient
from tests.triton.image_python import image_path
from tests.triton.rendered import rendered
from tests.triton.server import Pod, pod
from tests.triton.test_ascend_om import Node, digits_on_npu, om
from tests.triton.test_pipeline import CPU, LABELS, ask, digits, infer
from tritonclient.utils import InferenceServerException

from resnet_cli.asking.counters import Counters as Shown
from resnet_cli.asking.counters import read_counters
from resnet_operator.reading.counters import Counters, counters_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["om"]

FAILS = {"SIMULATED_NPU_FAILS_EVERY": "5"}
ROW = np.zeros((1, 3, 32, 32), np.float32)


PIPELINE: dict[str, Any] = {"serving": {"pipeline": CPU["serving"]["pipeline"]}}
MADE = an_artifact(inputs=(tensor("input", 3, 32, 32),), outputs=(tensor("logits", 10),))


def answers(running: Pod, ask_one: Callable[[], Any], times: int) -> list[str]:
    """Ask one time after the other; return the errors."""
    errors = []
    for _ in range(times):
        try:
            ask_one()
        except InferenceServerException as error:
            errors.append(str(error))
    return errors


def text_of(running: Pod) -> str:
    """Return the counters; their port opens a moment after the pod is ready."""
    url, deadline = f"http://{running.metrics}/metrics", time.monotonic() + patient(10)
    while True:
        try:
            with urllib.request.urlopen(url, timeout=patient(5)) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            assert time.monotonic() < deadline, running.log[-4000:]
            time.sleep(0.02)


def counted(running: Pod) -> tuple[Counters, Shown]:
    text = text_of(running)
    found = counters_of(text, "digits")
    assert found is not None
    return found, read_counters(text, "digits")


def become(running: Pod, before: tuple[Counters, Shown], *, answered: int, failed: int) -> None:
    """Triton counts a moment after it has answered: wait until all is counted, and judge."""
    deadline = time.monotonic() + patient(10)
    while (found := counted(running))[0].requests - before[0].requests < answered + failed:
        assert time.monotonic() < deadline, text_of(running)
        time.sleep(0.02)
    judged, shown = found
    since = judged.answered - before[0].answered, judged.failed - before[0].failed
    assert since == (answered, failed), text_of(running)
    lately = shown - before[1]
    assert (lately.requests, lately.errors) == (answered, failed), "top says the same"


def test_what_fails_is_counted_as_failed(tmp_path: Path, om: Path) -> None:
    env = Node(tmp_path).env | FAILS
    with pod(tmp_path / "pod", digits_on_npu(om), env=env) as running:
        running.wait_ready()
        before = counted(running)
        failures = answers(running, lambda: infer(running, ROW), 20)
        assert len(failures) == 4
        assert all("507018" in failure for failure in failures)
        become(running, before, answered=16, failed=4)


@pytest.mark.parametrize("softmax", [True, False])
def test_a_request_of_a_pipeline_is_counted_once(tmp_path: Path, om: Path, softmax: bool) -> None:
    """Whichever of its steps fails, and whoever asks the network itself meanwhile."""
    pipeline = {**PIPELINE["serving"]["pipeline"], "softmax": softmax}
    made = replace(MADE, file=om.name)
    model = rendered({"serving": {"pipeline": pipeline}}, made, file=om, labels=LABELS)
    file = digits((64, 64), "JPEG")["seven"]
    env = {**Node(tmp_path).env, "PATH": image_path()} | FAILS
    with pod(tmp_path / "pod", model, env=env) as running:
        running.wait_ready()
        before = counted(running)
        assert len(answers(running, lambda: ask(running, "http", [file]), 20)) == 4
        become(running, before, answered=16, failed=4)
        assert len(answers(running, lambda: ask(running, "http", [b"GIF89a"]), 5)) == 5
        become(running, before, answered=16, failed=9)
        assert len(answers(running, lambda: infer(running, ROW), 10)) == 2
        become(running, before, answered=24, failed=11)
