"""measures.py: the numbers of the gate, by hand on a few rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from resnet_jobs.evaluation.measures import Measures, cosine, first_not_finite

ROOT_HALF = 0.707106781


@pytest.mark.parametrize(
    ("scores", "labels", "reference", "want", "reason"),
    [
        (
            [[9, 1, 0], [0, 9, 1], [0, 1, 9], [9, 1, 0]],
            [0, 1, 2, 1],
            None,
            {"samples": 4, "top1": 0.75, "top1Reference": None, "drop": None},
            "three labels of four; without a source model there is nothing to compare with",
        ),
        (
            [[9, 1, 0], [0, 9, 1]],
            [0, 1],
            [[9, 1, 0], [9, 0, 1]],
            {"top1": 1.0, "top1Reference": 0.5, "drop": -0.5, "top1Agreement": 0.5},
            "better than the source model: the drop is below zero",
        ),
        (
            [[1, 9, 0], [1, 9, 0]],
            [0, 0],
            [[9, 1, 0], [1, 9, 0]],
            {"top1": 0.0, "top1Reference": 0.5, "drop": 0.5, "top1Agreement": 0.5},
            "both are wrong on the second: they agree all the same",
        ),
        (
            [[5, 5, 0]],
            [0],
            [[0, 5, 5]],
            {"top1": 1.0, "top1Reference": 0.0, "top1Agreement": 0.0},
            "of two equal scores the first class counts, on both sides",
        ),
        (
            [[0, 0, 0]],
            [1],
            [[1, 2, 3]],
            {"cosineSimilarity": 0.0, "cosineSimilarityMin": 0.0},
            "nothing but zeros is like nothing else",
        ),
        (
            [[0, 0, 0]],
            [1],
            [[0, 0, 0]],
            {"cosineSimilarity": 1.0, "top1Agreement": 1.0},
            "but like nothing but zeros",
        ),
        (
            [[1, 0, 0], [1, 1, 0], [-1, 0, 0]],
            [0, 0, 0],
            [[2, 0, 0], [1, 0, 0], [1, 0, 0]],
            {"cosineSimilarity": round(ROOT_HALF / 3, 9), "cosineSimilarityMin": -1.0},
            "length does not matter, direction does; the mean and the worst",
        ),
        (
            [[30000, 30000, 0]],
            [0],
            [[30000, 30000, 0]],
            {"cosineSimilarity": 1.0},
            "half-precision scores are not multiplied in half precision",
        ),
    ],
)
def test_measures(
    scores: Any, labels: list[int], reference: Any, want: dict[str, Any], reason: str
) -> None:
    measures = Measures(classes=3)
    dtype = np.float16 if np.max(scores) > 1000 else np.float32
    compared = None if reference is None else np.array(reference, np.float32)
    measures.add(np.array(scores, dtype), labels, compared)
    found = measures.as_json()
    assert {name: found[name] for name in want} == want, reason


def test_batches_add_up() -> None:
    """The shares are of all samples, not means of batches of different sizes."""
    chance = np.random.default_rng(3)
    scores = chance.standard_normal((50, 12), np.float32)
    reference = scores + 0.3 * chance.standard_normal((50, 12), np.float32)
    labels = chance.integers(0, 12, 50).tolist()
    whole, parts = Measures(classes=12), Measures(classes=12)
    whole.add(scores, labels, reference)
    for start, end in ((0, 24), (24, 48), (48, 50)):
        parts.add(scores[start:end], labels[start:end], reference[start:end])
    assert parts.as_json() == whole.as_json()


def test_top5() -> None:
    scores = np.zeros((2, 12), np.float32)
    scores[0, [1, 2, 3, 4, 5]] = [5, 4, 3, 2, 1]
    for label, want in ((5, 1.0), (6, 0.0)):
        measures = Measures(classes=12)
        measures.add(scores[:1], [label], None)
        assert measures.as_json()["top5"] == want
    few = Measures(classes=5)
    few.add(scores[:1, :5], [0], None)
    assert few.as_json()["top5"] is None, "five guesses among five classes say nothing"


def test_nothing_measured_is_not_zero() -> None:
    found = Measures(classes=3).as_json()
    assert found["samples"] == 0
    assert {value for name, value in found.items() if name != "samples"} == {None}


def test_cosine_stays_within_its_bounds() -> None:
    """Rounding must not lift a cosine above 1, where no bar expects it."""
    rows = np.random.default_rng(5).standard_normal((1000, 7)).astype(np.float32)
    found = cosine(rows, rows * 3)
    assert float(found.max()) <= 1.0
    assert float(found.min()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("scores", "want", "reason"),
    [
        ([[1.0, 2.0]], None, "numbers"),
        ([[1.0, 2.0], [math.nan, 2.0]], 1, "NaN in the second row"),
        ([[1.0, -math.inf], [math.nan, 2.0]], 0, "infinity in the first"),
        ([[1, 2]], None, "whole numbers have neither"),
    ],
)
def test_what_is_no_number_is_found(scores: Any, want: int | None, reason: str) -> None:
    assert first_not_finite(np.array(scores)) == want, reason
