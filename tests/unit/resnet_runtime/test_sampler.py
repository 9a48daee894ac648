"""Which answers are alike, whom a pod asks for them, and in which words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.resnet_runtime import stub
from tests.unit.resnet_runtime.stub import Config

from resnet_runtime.sampler import VARIABLE, agrees, array_of, open_sampler, request_of
from resnet_runtime.settings import TensorSpec, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Pair:
    reason: str
    here: Sequence[float]
    there: Sequence[float]
    alike: bool


PAIRS = (
    Pair("the same first class", [0.1, 0.9], [0.4, 0.6], alike=True),
    Pair("another one", [0.1, 0.9], [0.6, 0.4], alike=False),
    Pair("another number of classes", [0.1, 0.9], [0.1, 0.9, 0.0], alike=False),
    Pair("nothing", [], [], alike=False),
    Pair("one number, close", [100.0], [100.5], alike=True),
    Pair("one number, apart", [100.0], [102.0], alike=False),
    Pair("one number, and none", [float("nan")], [1.0], alike=False),
    Pair("no number here", [float("nan"), 0.9], [0.1, 0.9], alike=False),
    Pair("no number there", [0.1, 0.9], [0.1, float("inf")], alike=False),
    Pair("no number in either", [float("nan"), 0.9], [float("nan"), 0.9], alike=True),
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.reason)
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_alike(pair: Pair, kind: Any) -> None:
    here, there = np.array([pair.here], kind), np.array([pair.there], np.float32)
    assert agrees(here, there) is pair.alike


def test_one_row_is_asked_for_in_the_shape_of_clients() -> None:
    picture = TensorSpec("input", "TYPE_FP16", (3, 2, 2))
    flag = TensorSpec("flag", "TYPE_UINT8", (), answered=(1,))
    rows = [np.ones((1, 3, 2, 2), np.float16), np.zeros((1,), np.uint8)]
    header, body = request_of((picture, flag), rows, TensorSpec("out", "TYPE_FP32", (2,)))
    asked = json.loads(header)
    assert [(one["name"], one["shape"], one["datatype"]) for one in asked["inputs"]] == [
        ("input", [1, 3, 2, 2], "FP16"),
        ("flag", [1, 1], "UINT8"),
    ]
    sizes = [one["parameters"]["binary_data_size"] for one in asked["inputs"]]
    assert sum(sizes) == len(body) == 25
    assert asked["outputs"] == [{"name": "out", "parameters": {"binary_data": True}}]


def test_an_answer_of_another_type_is_none() -> None:
    with pytest.raises(ValueError):
        array_of(b"12345", TensorSpec("out", "TYPE_FP32", (2,)))


@pytest.mark.parametrize(
    "url", ["", "http://old:8000/v2/models/other", "http://old:8000/v2/models/digits-pictures"]
)
def test_who_is_not_told_to_asks_nobody(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(VARIABLE, url)
    assert open_sampler(read_settings(Config().args()), "digits", {}) is None


def test_a_triton_without_metrics_of_models_compares_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "http://old:8000/v2/models/digits")
    assert not hasattr(stub, "MetricFamily")
    assert open_sampler(read_settings(Config().args()), "digits", {}) is None
    assert "answers are not compared" in capfd.readouterr().err
