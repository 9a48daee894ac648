"""Wrong means, deviations and colours, with a real network; right ones are left alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tests.support.apiserver import ROOT

from resnet_contract.types import Preprocessing
from resnet_jobs.evaluation.doctor import preprocessing
from resnet_jobs.evaluation.doctor.preprocessing import Finding, better, candidates, is_gain, patch

DIGITS = ROOT / "samples/digits"
SIZE = (32, 32)
RIGHT = Preprocessing(
    pixel_format="RGB888",
    source_height=32,
    source_width=32,
    crop=None,
    mean=(78.0,) * 3,
    std=(96.0,) * 3,
    swap_red_blue=False,
    raw_aipp=None,
)


class Digits:
    """The sample network and its held-out pictures; counts what is asked.

    Most candidates are the same for each wrong declaration: a batch is computed once.
    """

    def __init__(self) -> None:
        self.session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
        with np.load(DIGITS / "heldout.npz") as file:
            self.pictures, self.labels = list(file["pictures"]), file["labels"].tolist()
        self.asked = 0
        self.answers: dict[bytes, Any] = {}

    def ask(self, batch: Any) -> Any:
        self.asked += len(batch)
        key = hashlib.sha256(batch.tobytes()).digest()
        if key not in self.answers:
            self.answers[key] = self.session.run(None, {"input": batch})[0]
        return self.answers[key]

    def better(self, declared: Preprocessing, *, is_over: Any = lambda: False) -> Finding | None:
        part = slice(0, preprocessing.ALL)
        return better(
            declared,
            self.pictures[part],
            self.labels[part],
            model_hw=SIZE,
            ask=self.ask,
            is_over=is_over,
        )


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@dataclass(frozen=True)
class Wrong:
    reason: str
    mean: float
    std: float


WRONG = (
    Wrong("mean and std of pixels from 0 to 1", 78 / 255, 96 / 255),
    Wrong("std as a reciprocal", 78, 1 / 96),
    Wrong("mean and std exchanged", 96, 78 * 40),
    Wrong("pixels as they are", 0, 1),
    Wrong("a std ten times too large", 78, 960),
    Wrong("a mean of another data set", 250, 96),
)


@pytest.mark.thorough
@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.reason)
def test_a_wrong_mean_or_std_is_found_and_corrected(digits: Digits, case: Wrong) -> None:
    declared = replace(RIGHT, mean=(case.mean,) * 3, std=(case.std,) * 3)
    found = digits.better(declared)
    assert found is not None, case.reason
    assert found.declared < 0.9
    assert found.found > found.declared + preprocessing.LEAST_GAIN
    assert found.pictures == preprocessing.ALL
    change = patch(found, declared)["spec"]["conversion"]["preprocessing"]
    corrected = replace(declared, mean=tuple(change["mean"]), std=tuple(change["std"]))
    assert digits.better(corrected) is None or found.found > 0.9, "the patch is what was measured"


@pytest.mark.thorough
def test_what_is_right_is_left_alone(digits: Digits) -> None:
    digits.asked = 0
    assert digits.better(RIGHT) is None
    rows = len(candidates(RIGHT, digits.pictures[:1]))
    most = rows * preprocessing.FIRST + (preprocessing.KEPT + 1) * preprocessing.ALL
    assert digits.asked <= most, "a wrong candidate costs little"


def test_exchanged_colours_are_found() -> None:
    """A network that tells red pictures from blue ones, by the mean of its first channel."""
    rng = np.random.default_rng(3)
    labels = [index % 2 for index in range(preprocessing.ALL)]
    red = rng.integers(0, 80, (len(labels), 4, 4, 3), dtype=np.uint8)
    for index, label in enumerate(labels):
        red[index, :, :, 2 if label else 0] += 150

    def ask(batch: Any) -> Any:
        channels = batch.mean(axis=(2, 3))
        return np.stack([channels[:, 0], channels[:, 2]], axis=1)

    small = replace(RIGHT, source_height=4, source_width=4, swap_red_blue=True)
    found = better(small, list(red), labels, model_hw=(4, 4), ask=ask, is_over=lambda: False)
    assert found is not None
    assert patch(found, small)["spec"]["conversion"]["preprocessing"]["swapRedBlue"] is False


def test_over_time_nothing_more_is_asked(digits: Digits) -> None:
    assert digits.better(replace(RIGHT, std=(1.0,) * 3), is_over=lambda: True) is None


@pytest.mark.parametrize(
    ("declared", "found", "want", "reason"),
    [
        ([0] * 100, [1] * 20 + [0] * 80, True, "a fifth of all"),
        ([0] * 100, [1] * 4 + [0] * 96, False, "too few to care"),
        ([1, 0] * 50, [0] * 20 + [1] * 60 + [0] * 20, False, "chance: as many lost as won"),
        ([1] * 100, [1] * 100, False, "equally good"),
    ],
)
def test_a_gain(declared: list[int], found: list[int], want: bool, reason: str) -> None:
    assert is_gain(np.array(declared, bool), np.array(found, bool)) is want, reason


def test_one_channel_has_no_colours_to_exchange() -> None:
    grey = replace(RIGHT, pixel_format="YUV400", mean=(128.0,), std=(64.0,))
    found = candidates(grey, [np.full((4, 4, 1), 9, np.uint8)])
    assert {len(one.how.mean) for one in found} == {1}
    assert not any(one.how.swap_red_blue for one in found)
