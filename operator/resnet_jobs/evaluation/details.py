"""Where the accuracy goes: by class, by confusion, by picture. Bounded, whatever the data set.

Called by `evaluate` batch by batch; `as_json` is a part of result.json, which people read.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.evaluation.measures import best, cosine, share

if TYPE_CHECKING:
    from collections.abc import Sequence

WORST = 20
MOST_CLASSES = 1000  # of more, those with the most pictures that are wrong
MOST_CONFUSIONS = 100


@dataclass
class ByClass:
    samples: int = 0
    hits: int = 0
    reference_hits: int = 0


@dataclass
class Details:
    """Sums by class, pairs of label and class found, and the pictures that fared worst.

    With a source model the worst are those that it gets right and the artifact does not, then those
    whose scores are least alike; without one, those whose label lies furthest behind.
    """

    names: Sequence[str]
    classes: dict[int, ByClass] = field(default_factory=dict)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    worst: list[tuple[tuple[float, float, int], dict[str, Any]]] = field(default_factory=list)

    def add(self, start: int, logits: Any, labels: Sequence[int], reference: Any | None) -> None:
        """One batch of finite scores [n, classes] whose first sample has the index `start`."""
        found = best(logits)
        wanted = best(reference) if reference is not None else None
        likeness = cosine(logits, reference) if reference is not None else None
        for row, label in enumerate(labels):
            guess = int(found[row])
            right = None if wanted is None else int(wanted[row])
            self._count(label, guess, right)
            how: dict[str, Any] = {"index": start + row, "label": label, "found": guess}
            if right is None or likeness is None:
                grade = (0.0, _behind(logits[row], label))
            else:
                lost = right == label != guess
                grade = (float(lost), -float(likeness[row]))
                how |= {"reference": right, "cosineSimilarity": round(float(likeness[row]), 6)}
            self._keep((*grade, -(start + row)), how)

    def _count(self, label: int, guess: int, right: int | None) -> None:
        sums = self.classes.setdefault(label, ByClass())
        sums.samples += 1
        sums.hits += guess == label
        sums.reference_hits += right == label
        self.pairs[label, guess] += 1

    def _keep(self, grade: tuple[float, float, int], how: dict[str, Any]) -> None:
        if len(self.worst) < WORST:
            heapq.heappush(self.worst, (grade, how))
        elif grade > self.worst[0][0]:
            heapq.heapreplace(self.worst, (grade, how))

    def as_json(self, *, compared: bool) -> dict[str, Any]:
        by_loss = sorted(
            self.classes.items(), key=lambda one: (one[1].hits - one[1].samples, one[0])
        )
        kept = sorted(by_loss[:MOST_CLASSES], key=lambda one: one[0])
        wrong = [one for one in self.pairs.items() if one[0][0] != one[0][1]]
        pairs = sorted(wrong, key=lambda one: (-one[1], one[0]))
        return {
            "classes": [
                {
                    "class": number,
                    "samples": sums.samples,
                    "top1": share(sums.hits, sums.samples),
                    "top1Reference": share(sums.reference_hits, sums.samples) if compared else None,
                }
                for number, sums in kept
            ],
            "confusions": [
                {"label": label, "found": guess, "count": count}
                for (label, guess), count in pairs[:MOST_CONFUSIONS]
            ],
            "worst": [
                how | {"name": self.names[how["index"]][:200]}
                for _, how in sorted(self.worst, key=lambda one: one[0], reverse=True)
            ],
        }


def _behind(scores: Any, label: int) -> float:
    """How far the label's score is behind the best of the others; negative when it leads."""
    others = np.delete(np.asarray(scores, np.float64), label)
    return float(others.max(initial=-np.inf) - scores[label])
