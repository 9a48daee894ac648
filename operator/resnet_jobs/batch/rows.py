"""A part of the output as CSV: one row a picture, in the order of the input."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_FINITE = "the model answers with NaN or infinity"


@dataclass(frozen=True)
class Answer:
    """What became of one picture: its best classes with their scores, or why it has none."""

    best: tuple[tuple[int, float], ...] = ()
    error: str = ""


def answer_of(scores: Any, top: int) -> Answer:
    """The `top` classes of one row of scores; of equal ones the lower number comes first."""
    values = np.asarray(scores, np.float64)
    if not np.isfinite(values).all():
        return Answer(error=NOT_FINITE)
    order = np.argsort(-values, kind="stable")[:top]
    return Answer(best=tuple((int(label), float(values[label])) for label in order))


class Writer(Protocol):
    """Makes the file of one part, whose first picture has the number `first`."""

    def __call__(
        self, first: int, names: Sequence[str], answers: Sequence[Answer], top: int
    ) -> bytes: ...


def columns(top: int) -> list[str]:
    ranks = [f"{name}{rank}" for rank in range(1, top + 1) for name in ("label", "score")]
    return ["index", "picture", *ranks, "error"]


def part_text(first: int, names: Sequence[str], answers: Sequence[Answer], top: int) -> bytes:
    """The file of one part, whose first picture has the number `first`."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns(top))
    for index, (name, answer) in enumerate(zip(names, answers, strict=True), start=first):
        cells = [cell for label, score in answer.best for cell in (label, f"{score:.6g}")]
        rows.writerow([index, name, *cells, *[""] * (2 * top - len(cells)), answer.error])
    return text.getvalue().encode("utf-8", "backslashreplace")
