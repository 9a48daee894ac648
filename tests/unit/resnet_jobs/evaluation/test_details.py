"""Accuracy by class, confusions and the worst pictures, against the plainest way to count them."""

from __future__ import annotations

from typing import Any

import numpy as np

from resnet_jobs.evaluation import details
from resnet_jobs.evaluation.details import Details

CLASSES = 3


def scores(*found: int) -> Any:
    return np.eye(CLASSES, dtype=np.float32)[list(found)]


def of(labels: list[int], found: list[int], reference: list[int] | None = None) -> dict[str, Any]:
    one = Details([f"{index}.png" for index in range(len(labels))])
    for start in range(0, len(labels), 2):  # in batches of two
        part = slice(start, start + 2)
        seen = scores(*reference[part]) if reference else None
        one.add(start, scores(*found[part]), labels[part], seen)
    return one.as_json(compared=reference is not None)


def test_accuracy_by_class() -> None:
    found = of([0, 0, 1, 1, 1], [0, 1, 1, 1, 2], [0, 0, 1, 1, 1])
    assert found["classes"] == [
        {"class": 0, "samples": 2, "top1": 0.5, "top1Reference": 1.0},
        {"class": 1, "samples": 3, "top1": 0.666666667, "top1Reference": 1.0},
    ]


def test_without_a_source_model_there_is_nothing_to_compare() -> None:
    found = of([0, 1], [0, 0])
    assert [one["top1Reference"] for one in found["classes"]] == [None, None]
    assert [one["index"] for one in found["worst"]] == [1, 0]
    assert set(found["worst"][0]) == {"index", "label", "found", "name"}


def test_confusions_have_a_direction_and_the_most_frequent_is_first() -> None:
    found = of([0, 0, 1, 2, 2, 2], [1, 1, 0, 2, 0, 0])
    assert found["confusions"] == [
        {"label": 0, "found": 1, "count": 2},
        {"label": 2, "found": 0, "count": 2},
        {"label": 1, "found": 0, "count": 1},
    ]


def test_the_worst_are_those_that_the_conversion_lost() -> None:
    """What the source model gets wrong too is not the conversion's fault."""
    labels = [0] * 6
    found = of(labels, [0, 1, 1, 2, 0, 0], [0, 1, 0, 0, 1, 0])
    worst = found["worst"]
    assert [one["index"] for one in worst[:2]] == [2, 3], "lost by the artifact"
    assert worst[2]["index"] == 4, "then the least alike"
    assert worst[0] == {
        "index": 2,
        "label": 0,
        "found": 1,
        "reference": 0,
        "cosineSimilarity": 0.0,
        "name": "2.png",
    }


def test_the_same_set_gives_the_same_twenty() -> None:
    found = of([0] * 60, [1] * 60, [0] * 60)
    assert [one["index"] for one in found["worst"]] == list(range(details.WORST))


def test_sizes_are_bounded_whatever_the_number_of_classes() -> None:
    count = details.MOST_CLASSES + 50
    one = Details(["x" * 500] * count)
    labels = list(range(count))
    answers = np.zeros((count, count), np.float32)
    answers[np.arange(count), [(label + (label >= 40)) % count for label in labels]] = 1
    one.add(0, answers, labels, answers)
    found = one.as_json(compared=True)
    assert len(found["classes"]) == details.MOST_CLASSES
    assert {one["top1"] for one in found["classes"]} == {0.0}, "those that are wrong"
    assert found["classes"][0]["class"] == 40
    assert len(found["confusions"]) == details.MOST_CONFUSIONS
    assert len(found["worst"]) == details.WORST
    assert {len(one["name"]) for one in found["worst"]} == {200}
