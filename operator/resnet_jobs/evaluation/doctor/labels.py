"""Are the data set's labels in another order than the model's classes? Pure.

A model whose preprocessing or arithmetic is wrong confuses classes with many others; one that is
right but counted otherwise takes nearly every picture of a class for one and the same other class.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PURE = 0.7  # share of a class's pictures that go to one class
MOST_RIGHT = 0.3  # above, most labels mean what the model means
LEAST_CLASSES = 3  # of two classes an exchange is not told from a bad model
SHOWN = 3


def misordered(pairs: Mapping[tuple[int, int], int]) -> str:
    """A sentence about (label, found) counts, or nothing where labels mean what they say."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for (label, guess), count in pairs.items():
        found[label][guess] += count
    total = sum(pairs.values())
    right = sum(count for (label, guess), count in pairs.items() if label == guess)
    if len(found) < LEAST_CLASSES or right > MOST_RIGHT * total:
        return ""
    favourite = {label: counts.most_common(1)[0] for label, counts in found.items()}
    pure = sum(count for _, count in favourite.values())
    targets = {guess for guess, _ in favourite.values()}
    # A model that finds one class everywhere is broken, and not counted otherwise.
    if pure < PURE * total or len(targets) < PURE * len(found):
        return ""
    steps = {guess - label for label, (guess, _) in favourite.items()}
    if len(steps) == 1:
        (step,) = steps
        how = f"add {step} to each label" if step > 0 else f"subtract {-step} from each label"
        return f"the labels are off by {abs(step)} against the model's classes: {how}"
    return "the labels are in another order than the model's classes: " + _examples(favourite)


def _examples(favourite: Mapping[int, tuple[int, int]]) -> str:
    moved: Sequence[str] = [
        f"{label} is found as {guess}"
        for label, (guess, _) in sorted(favourite.items())
        if label != guess
    ]
    more = ", …" if len(moved) > SHOWN else ""
    return f"label {', '.join(moved[:SHOWN])}{more}; sort the classes as the model's author did"
