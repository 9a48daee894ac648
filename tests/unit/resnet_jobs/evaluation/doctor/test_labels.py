"""Labels that are counted otherwise, and models that are merely bad."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from resnet_jobs.evaluation.doctor.labels import misordered

Pairs = dict[tuple[int, int], int]


def mapped(to: list[int], *, each: int = 10, stray: int = 0) -> Pairs:
    """Class n is found as to[n]; `stray` of each are found as the next one."""
    pairs: Pairs = {}
    for label, guess in enumerate(to):
        pairs[label, guess] = each - stray
        if stray:
            other = (guess + 1) % len(to)
            pairs[label, other] = pairs.get((label, other), 0) + stray
    return pairs


@dataclass(frozen=True)
class Case:
    reason: str
    pairs: Pairs
    want: str


CASES = (
    Case("all right", mapped([0, 1, 2, 3]), ""),
    Case("counted from 1", mapped([-1, 0, 1, 2]), "off by 1 against the model's classes: subtract"),
    Case("a background class first", mapped([1, 2, 3, 4]), "add 1 to each label"),
    Case(
        "names sorted as texts", mapped([0, 2, 3, 1]), "label 1 is found as 2, 2 is found as 3, 3"
    ),
    Case("the same with a model of 80 %", mapped([3, 2, 1, 0], stray=2), "in another order"),
    Case("a model that guesses", {(a, b): 5 for a in range(4) for b in range(4)}, ""),
    Case("a model that says 2 to everything", {(a, 2): 10 for a in range(4)}, ""),
    Case("most is right, one pair is exchanged", mapped([0, 1, 2, 3, 4, 5, 7, 6]), ""),
    Case("two classes exchanged may be a bad model", mapped([1, 0]), ""),
    Case("nothing measured", {}, ""),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_labels(case: Case) -> None:
    found = misordered(case.pairs)
    assert (case.want in found) if case.want else not found, case.reason


def test_a_thousand_classes_make_one_sentence() -> None:
    found = misordered(mapped([(7 * n) % 1000 for n in range(1000)]))
    assert len(found) < 200
