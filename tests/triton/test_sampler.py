"""A new revision compares its answers with those of the old one, both under real Triton."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import tritonclient.http as by_http
from onnx import helper
from tests.support.patience import patient
from tests.triton.server import DIGITS, Pod, digits_on_cpu, pod

from resnet_operator.reading.counters import Counters, counters_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUESTS = 12


def turned(folder: Path) -> Path:
    """Return the model with all its scores turned round: it answers, and always wrongly."""
    model = onnx.load(DIGITS / "digits-resnet.onnx")
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["right" if one == name else one for one in node.output]
    model.graph.node.append(helper.make_node("Neg", ["right"], [name]))
    path = folder / "turned.onnx"
    onnx.save(model, path)
    return path


def counted(one: Pod) -> Counters:
    with urllib.request.urlopen(f"http://{one.metrics}/metrics", timeout=5) as answer:
        found = counters_of(answer.read().decode(), "digits")
    assert found is not None
    return found


def ask(one: Pod, until: Callable[[Counters], bool]) -> Counters:
    """Ask with noise, which is of some class or other, until so much was counted."""
    client, chance = by_http.InferenceServerClient(one.http), np.random.default_rng(156)
    end = time.monotonic() + patient(20)
    try:
        while not until(found := counted(one)):
            assert time.monotonic() < end, f"{found}\n{one.log[-2000:]}"
            asked = by_http.InferInput("input", [2, 3, 32, 32], "FP32")
            asked.set_data_from_numpy(chance.standard_normal((2, 3, 32, 32), dtype=np.float32))
            assert client.infer("digits", [asked]).as_numpy("logits").shape == (2, 10)
    finally:
        client.close()
    return found


@pytest.mark.parametrize(("wrong", "agreed"), [(False, REQUESTS), (True, 0)])
def test_answers_are_compared_with_those_of_the_old_revision(
    tmp_path: Path, wrong: bool, agreed: int
) -> None:
    new_model = digits_on_cpu(**({"file": turned(tmp_path)} if wrong else {}))
    with pod(tmp_path / "old", digits_on_cpu()) as old:
        env = {"RESNET_COMPARED_WITH": f"http://{old.http}/v2/models/digits"}
        with pod(tmp_path / "new", new_model, env=env) as new:
            old.wait_ready()
            new.wait_ready()
            before = counted(new)
            found = ask(new, lambda now: now.compared - before.compared >= REQUESTS)
            assert found.agreed - before.agreed == (found.compared - before.compared) * bool(agreed)
            assert counted(old).compared == 0, "nobody compares the old one"
            old.kill()
            left = counted(new).compared
            ask(new, lambda now: now.answered >= found.answered + 20)
            assert counted(new).compared <= left + 1, "and no client notices"
            new.wait_log("the old revision cannot be asked")
