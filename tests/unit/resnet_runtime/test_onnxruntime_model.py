"""onnxruntime_model.py on the sample network: same answers as ONNX Runtime alone, few copies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.unit.resnet_runtime.stub import Config, TritonModelException, request

from resnet_client import PRESETS, preprocess
from resnet_runtime import onnxruntime_model

if TYPE_CHECKING:
    from collections.abc import Callable

    Message = Callable[[], dict[str, Any]]

DIGITS = Path(__file__).parents[3] / "samples/digits"
INPUT = {"input": ("TYPE_FP32", [3, 32, 32])}
OUTPUT = {"logits": ("TYPE_FP32", [10])}


def load(path: Path, **config: Any) -> Any:
    config = {"inputs": INPUT, "outputs": OUTPUT, **config}
    parameters = {"model_file": str(path), "intra_op_threads": "1"}
    model = onnxruntime_model.TritonPythonModel()
    model.initialize(Config(parameters=parameters, **config).args())
    return model


@pytest.fixture(scope="module")
def tensors() -> Any:
    with np.load(DIGITS / "heldout.npz") as held_out:
        return preprocess(held_out["pictures"], PRESETS["digits"])


@pytest.fixture(scope="module")
def expected(tensors: Any) -> Any:
    session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
    return session.run(None, {"input": tensors})[0]


@pytest.fixture
def fixed_batch(tmp_path: Path) -> Path:
    """The sample network as an exporter without dynamic axes writes it: batch 4."""
    model = onnx.load(DIGITS / "digits-resnet.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    path = tmp_path / "fixed.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("sizes", [[1], [8], [3, 1, 4], [1] * 8])
def test_answers_are_those_of_onnx_runtime(sizes: list[int], tensors: Any, expected: Any) -> None:
    model = load(DIGITS / "digits-resnet.onnx")
    ends = np.cumsum(sizes)
    answers = model.execute(
        [request(input=part) for part in np.split(tensors[: ends[-1]], ends)[:-1]]
    )
    got = [answer.values["logits"] for answer in answers]
    assert [len(rows) for rows in got] == sizes
    np.testing.assert_allclose(np.concatenate(got), expected[: ends[-1]], rtol=1e-4, atol=1e-4)


def test_a_request_alone_is_run_where_it_lies(
    tensors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(DIGITS / "digits-resnet.onnx")
    session, fed = model._session, []

    class Spy:
        def run(self, names: Any, feeds: dict[str, Any]) -> Any:
            fed.append(feeds["input"])
            return session.run(names, feeds)

    monkeypatch.setattr(model, "_session", Spy())
    batch = tensors[:8].copy()
    model.execute([request(input=batch)])
    model.execute([request(input=batch[:2]), request(input=batch[2:4])])
    model.execute([request(input=batch[:1]), request(input=batch[2:4])])
    assert np.shares_memory(fed[0], batch)
    assert not np.shares_memory(fed[1], batch)
    assert np.shares_memory(fed[1], fed[2]), "the buffer for several requests is kept"


def test_a_fixed_batch_is_padded(fixed_batch: Path, tensors: Any, expected: Any) -> None:
    model = load(fixed_batch, max_batch_size=4)
    one, two = model.execute([request(input=tensors[:1]), request(input=tensors[1:3])])
    got = np.concatenate([one.values["logits"], two.values["logits"]])
    np.testing.assert_allclose(got, expected[:3], rtol=1e-4, atol=1e-4)


def test_a_fixed_batch_below_the_configured_one(fixed_batch: Path, left_behind: Message) -> None:
    with pytest.raises(TritonModelException):
        load(fixed_batch, max_batch_size=8)
    assert "fixed at 4; config.pbtxt says max_batch_size 8" in left_behind()["message"]


@pytest.mark.parametrize(
    ("content", "config", "words"),
    [
        (None, {}, "ONNX Runtime cannot load"),
        (b"<!DOCTYPE html>", {}, "ONNX Runtime cannot load"),
        (
            (DIGITS / "digits-resnet.onnx").read_bytes(),
            {"inputs": {"data": ("TYPE_FP32", [3, 32, 32])}},
            'names the input "data"; the model has: input',
        ),
        (
            (DIGITS / "digits-resnet.onnx").read_bytes(),
            {"outputs": {"probs": ("TYPE_FP32", [10])}},
            'names the output "probs"; the model has: logits',
        ),
    ],
)
def test_what_cannot_be_served_is_said(
    tmp_path: Path, left_behind: Message, content: bytes | None, config: dict[str, Any], words: str
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TritonModelException):
        load(path, **config)
    assert left_behind()["reason"] == "ModelLoadFailed"
    assert words in left_behind()["message"]


def test_failure_of_a_run_is_answered(left_behind: Message) -> None:
    model = load(DIGITS / "digits-resnet.onnx", inputs={"input": ("TYPE_FP32", [-1, -1, -1])})
    (got,) = model.execute([request(input=np.zeros((1, 3, 8, 32), np.float32))])
    assert got.error.code == "INTERNAL"
    assert "ONNX Runtime" in got.error.message
    assert left_behind()["reason"] == "ModelLoadFailed", "nothing had run before: a warm-up"
