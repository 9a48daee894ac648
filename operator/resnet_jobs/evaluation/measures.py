"""How good the served model is, in numbers: pure, added up batch by batch.

`evaluate` feeds it; the operator judges the numbers. Top-1 and top-5 count labels met; cosine and
agreement compare the served logits with the reference's, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 9  # as many as a threshold can have, or 0.99999995 would pass for 1
TOP5_FROM_CLASSES = 10  # below that, five guesses say nothing


@dataclass
class Measures:
    """Sums over the samples seen so far; `as_json` gives the shares."""

    classes: int
    samples: int = 0
    hits: int = 0
    hits5: int = 0
    compared: int = 0
    reference_hits: int = 0
    reference_hits5: int = 0
    agreed: int = 0
    cosine_sum: float = 0.0
    cosine_min: float = 1.0

    def add(self, logits: Any, labels: Sequence[int], reference: Any | None) -> None:
        """One batch of finite numbers [n, classes]: of the served model, and of the reference."""
        truth = np.asarray(labels)
        self.samples += len(truth)
        self.hits += count(best(logits) == truth)
        self.hits5 += in_top5(logits, truth)
        if reference is None:
            return
        self.compared += len(truth)
        self.reference_hits += count(best(reference) == truth)
        self.reference_hits5 += in_top5(reference, truth)
        self.agreed += count(best(reference) == best(logits))
        cosines = cosine(logits, reference)
        self.cosine_sum += float(cosines.sum())
        self.cosine_min = min(self.cosine_min, float(cosines.min(initial=1.0)))

    def as_json(self) -> dict[str, Any]:
        """The shares, None for what was not measured; `drop` is positive when accuracy was lost."""
        compared = self.compared or None
        with_top5 = self.classes >= TOP5_FROM_CLASSES
        return {
            "samples": self.samples,
            "top1": share(self.hits, self.samples),
            "top5": share(self.hits5, self.samples if with_top5 else None),
            "top1Reference": share(self.reference_hits, compared),
            "top5Reference": share(self.reference_hits5, compared if with_top5 else None),
            "drop": share(self.reference_hits - self.hits, compared),
            "cosineSimilarity": share(self.cosine_sum, compared),
            "cosineSimilarityMin": round(self.cosine_min, DIGITS) if compared else None,
            "top1Agreement": share(self.agreed, compared),
        }


def share(part: float, of: int | None) -> float | None:
    return round(part / of, DIGITS) if of else None


def count(truths: Any) -> int:
    return int(np.count_nonzero(truths))


def best(logits: Any) -> Any:
    """The highest class of each row; of equal ones the first, on both sides."""
    return np.argmax(logits, axis=1)


def in_top5(logits: Any, labels: Any) -> int:
    """In how many rows the label is among the five highest; of equal ones the first count."""
    highest = np.argsort(-np.asarray(logits, np.float64), axis=1, kind="stable")[:, :5]
    return count((highest == labels[:, None]).any(axis=1))


def cosine(one: Any, other: Any) -> Any:
    """[n] in float64. Nothing but zeros is like nothing but zeros, and unlike all else."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = np.einsum("ij,ij->i", a, b)
    shares = np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    return np.where(both_zero, 1.0, np.clip(shares, -1.0, 1.0))


def first_not_finite(logits: Any) -> int | None:
    """The first row with NaN or infinity, with which no number above would mean anything."""
    rows = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    return int(rows[0]) if len(rows) else None
