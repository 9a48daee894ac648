"""Noise is charged to the layer that makes it; a planted one is found in a real network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.planted import DIGITS, RUINED, planted
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_client import PRESETS, preprocess
from resnet_jobs.base.errors import JobError
from resnet_jobs.evaluation.doctor import dumped, graph, layers, predict
from resnet_jobs.evaluation.doctor.graph import Operator
from resnet_jobs.evaluation.doctor.layers import guilty, ranked, share

CHAIN = (
    Operator("a", "Conv", ("x", "w"), "ta"),
    Operator("b", "Relu", ("ta",), "tb"),
    Operator("c", "Conv", ("tb", "v"), "tc"),
    Operator("d", "Add", ("tc", "tb"), "td"),
)
ONES = np.ones((2, 10), np.float32)


def noisy(**noise: float) -> dict[str, Any]:
    """Operator -> what the artifact gives, with so much of the signal's power as noise."""
    faint = 1 + layers.FAINT
    return {name: ONES * (1 + np.sqrt(part * faint)) for name, part in noise.items()}


SOURCE = {f"t{name}": ONES for name in "abcd"}


@dataclass(frozen=True)
class Case:
    reason: str
    artifact: dict[str, Any]
    first: str | None
    lost: float = 0.0


CASES = (
    Case("it comes from the first layer and travels", noisy(a=0.1, b=0.1, c=0.1, d=0.1), "a", 20),
    Case("it grows on its way", noisy(a=0.1, b=0.2, c=0.5, d=0.9), "a", 20),
    Case("a later layer loses more", noisy(a=0.002, b=0.002, c=0.2, d=0.2), "c", 20),
    Case("a layer that is not in the dump passes on what came in", noisy(a=0.01, c=1), "c", 20),
    Case("what nobody notices is not counted", noisy(a=1e-9, b=1e-5, c=0.01), "c", 10),
    Case("AMCT's operator has the layer's numbers", noisy(a=0.0, **{"c.dequant": 0.1}), "c", 20),
    Case("whole numbers before it are not compared",
         {"a": ONES, "c": ONES * 99, **noisy(**{"c.dequant": 0.1})}, "c", 20),
    Case("what came out has another shape", {"c": np.ones((2, 3), np.float32)}, None),
    Case("nothing", {}, None),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_whose_noise_it_is(case: Case) -> None:
    found = ranked(CHAIN, SOURCE, case.artifact)
    if case.first is None:
        assert found == ()
        return
    assert found[0].name == case.first, case.reason
    assert found[0].lost == pytest.approx(case.lost, abs=1e-3)


@pytest.mark.parametrize(
    ("source", "artifact", "want"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), 0.0),
        (np.zeros((2, 3)), np.ones((2, 3)), 1.0),
        (np.ones((2, 3)), np.full((2, 3), np.nan), 1 / 1.1),
        (np.ones((2, 3)), np.ones((2, 4)), None),
    ],
)
def test_shares_of_what_cannot_be_divided(source: Any, artifact: Any, want: float | None) -> None:
    assert share(source, artifact) == (None if want is None else pytest.approx(want))


def test_infinity_is_the_loudest_noise_of_all() -> None:
    assert (share(np.ones((1, 2)), np.array([[1.0, np.inf]])) or 0.0) > 1e20


def test_the_fewest_that_explain_most() -> None:
    found = ranked(CHAIN, SOURCE, noisy(a=0.1, b=0.1, c=0.11, d=0.9))
    assert [one.name for one in guilty(found, ("Conv",))] == ["a"], "of those that can be skipped"
    assert [one.name for one in guilty(found, ("Conv", "Add"))] == ["a", "d"]
    assert guilty(found, ("Gemm",)) == []
    assert guilty(ranked(CHAIN, SOURCE, noisy(a=0, c=0)), ("Conv",)) == []


# A real network in eight bits.


@pytest.fixture(scope="module")
def pictures() -> Any:
    with np.load(DIGITS / "heldout.npz") as file:
        return preprocess(file["pictures"], PRESETS["digits"])


def artifact_of(model: Any, pictures: Any, skipped: tuple[str, ...] = ()) -> Any:
    return predict.quantized(model, predict.ranges(model, pictures[:16]), skipped=skipped)


def test_how_much_a_dump_would_be(pictures: Any) -> None:
    """Convolutions of 16, 32 and 64 channels at 32, 16 and 8 pixels, and ten scores."""
    found = graph.elements(graph.load(DIGITS / "digits-resnet.onnx"), pictures[0])
    assert found == 3 * 16 * 32**2 + 3 * 32 * 16**2 + 3 * 64 * 8**2 + 10


def test_planting_changes_no_answer(pictures: Any) -> None:
    plain = graph.session(graph.load(DIGITS / "digits-resnet.onnx"))
    other = graph.session(planted())
    feed = {"input": pictures[:20]}
    np.testing.assert_allclose(plain.run(None, feed)[0], other.run(None, feed)[0], atol=2e-3)


def test_the_planted_layer_is_named(pictures: Any) -> None:
    model = planted()
    artifact = artifact_of(model, pictures)
    by_tensor = graph.results(artifact, pictures[:3], points=512)
    found = ranked(
        graph.operators(model),
        graph.results(model, pictures[:3], points=512),
        {one.name: by_tensor[one.output] for one in graph.operators(artifact)
         if one.output in by_tensor},
    )  # fmt: skip
    assert found[0].name == RUINED
    assert found[0].lost > 2 * max(layer.lost for layer in found[1:])
    assert guilty(found, predict.QUANTIZED)[0].name == RUINED


@pytest.mark.thorough
def test_without_the_planted_layer_the_network_is_itself_again(pictures: Any) -> None:
    """And a network without one loses hardly anything in eight bits."""
    feed = {"input": pictures}
    plain = graph.session(graph.load(DIGITS / "digits-resnet.onnx")).run(None, feed)[0]

    def agreement(model: Any, skipped: tuple[str, ...] = ()) -> float:
        scores = graph.session(artifact_of(model, pictures, skipped)).run(None, feed)[0]
        return float(np.mean(scores.argmax(axis=1) == plain.argmax(axis=1)))

    assert agreement(graph.load(DIGITS / "digits-resnet.onnx")) > 0.97
    assert agreement(planted()) < 0.95
    assert agreement(planted(), (RUINED,)) > 0.97


# The question to the other container.


def test_the_other_container_answers(tmp_path: Path, fake_time: FakeTime) -> None:
    folder = tmp_path / "dump"

    def over() -> bool:
        if len(fake_time.naps) == 3:
            assert json.loads((folder / "request.json").read_text())["points"] == 7
            assert np.load(folder / "inputs.npy").shape == (2, 10)
            np.savez(folder / "result.npz", t0=ONES)
            (folder / "answer.json").write_text('{"ok": true, "operators": ["/a/b"]}')
        return False

    found = dumped.ask(folder, ONES, points=7, elements=9, clock=fake_time.clock, is_over=over)
    np.testing.assert_array_equal(found["/a/b"], ONES)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('{"ok": false, "message": "no memory is left"}', "no memory is left"),
        ('{"ok": true, "operators": ["a"]}', "its answer cannot be read"),
        ('{"ok": tr', "its answer cannot be read"),
        ("[]", "its answer cannot be read"),
    ],
)
def test_an_answer_without_numbers(
    tmp_path: Path, fake_time: FakeTime, answer: str, words: str
) -> None:
    (tmp_path / "answer.json").write_text(answer)
    with pytest.raises(JobError, match=words):
        dumped.ask(
            tmp_path, ONES, points=7, elements=9, clock=fake_time.clock, is_over=lambda: False
        )


def test_a_container_of_an_older_version_never_answers(tmp_path: Path, fake_time: FakeTime) -> None:
    with pytest.raises(JobError, match="has not answered in time"):
        dumped.ask(
            tmp_path, ONES, points=7, elements=9, clock=fake_time.clock, is_over=lambda: False
        )
    assert sum(fake_time.naps) == pytest.approx(dumped.TAKEN_SECONDS, abs=1)
