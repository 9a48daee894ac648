"""When causes are looked for, in which order, and what fits into a termination message."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_contract.types import Diagnose
from resnet_jobs.evaluation.doctor.diagnose import Diagnosis
from resnet_jobs.evaluation.doctor.thresholds import is_wanted, unmet

NUMBERS: dict[str, Any] = {
    "top1": 0.78,
    "top1Reference": 0.8,
    "cosineSimilarity": 0.99,
    "top1Agreement": 0.95,
    "drop": 0.02,
}


@pytest.mark.parametrize(
    ("thresholds", "want"),
    [
        ({"minTop1": 0.78, "maxTop1Drop": 0.02, "minCosineSimilarity": 0.99}, ()),
        ({"minTop1": 0.79}, ("minTop1",)),
        ({"maxTop1Drop": 0.01}, ("maxTop1Drop",)),
        ({"minCosineSimilarity": 1.0, "minTop1Agreement": 0.96, "minTop1": 0.1},
         ("minCosineSimilarity", "minTop1Agreement")),
        ({}, ()),
    ],
)  # fmt: skip
def test_which_thresholds_are_not_met(thresholds: dict[str, float], want: tuple[str, ...]) -> None:
    assert unmet(thresholds, NUMBERS) == want


def test_what_was_not_measured_is_no_reason_to_look() -> None:
    nothing = dict.fromkeys(NUMBERS)
    every = dict.fromkeys(
        ("minTop1", "maxTop1Drop", "minCosineSimilarity", "minTop1Agreement"), 1.0
    )
    assert unmet(every, nothing) == ()


@pytest.mark.parametrize(
    ("when", "least", "want"),
    [
        ("OnFailure", 0.7, False),
        ("OnFailure", 0.9, True),
        ("Always", 0.7, True),
        ("Never", 0.9, False),
    ],
)
def test_when_causes_are_looked_for(when: str, least: float, want: bool) -> None:
    assert is_wanted(Diagnose(when, {"minTop1": least}), NUMBERS) is want
    assert not is_wanted(None, NUMBERS), "an order of an older operator"


def test_a_message_is_short_and_a_patch_is_whole_or_absent() -> None:
    small = Diagnosis("Preprocessing", "x" * 500, patch={"spec": {"a": 1}})
    said = small.essentials()
    assert len(said["message"]) <= 240
    assert said["patch"] == '{"spec":{"a":1}}'
    large = Diagnosis("Layers", "y", patch={"spec": {"skipLayers": ["layer"] * 200}})
    assert "patch" not in large.essentials(), "half a patch would be none"
    assert large.as_json()["patch"] == large.patch, "result.json has it"
