"""The look at single layers: what the artifact's dump says, and which few should be skipped.

Called by `diagnose`. The ranking is of the artifact itself; how many of its layers are enough is
predicted in ONNX Runtime, because a conversion for each trial would take hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.doctor import dumped, graph, layers, predict
from resnet_jobs.evaluation.doctor.search import smallest
from resnet_jobs.evaluation.measures import Measures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.doctor.layers import Layer
    from resnet_jobs.evaluation.plan import Plan
    from resnet_jobs.evaluation.reference import Reference

PICTURES = 4  # that are dumped
POINTS = 2048  # of each tensor of each
CALIBRATION = 16  # that ranges are measured with
PREDICTED = 200  # that a prediction is made of
MOST_SKIPPED = 16


def rank(
    plan: Plan,
    model: Any,
    *,
    folder: Path,
    clock: Clock,
    is_over: Callable[[], bool],
) -> tuple[Layer, ...]:
    """The layers of the artifact, those that add most noise first."""
    rows = _rows(plan, PICTURES)
    sent = np.stack([row for row, _ in rows])
    seen = np.stack([row for _, row in rows if row is not None])
    artifact = dumped.ask(
        folder,
        sent,
        points=POINTS,
        elements=graph.elements(model, seen[0]),
        clock=clock,
        is_over=is_over,
    )
    say(f"comparing {len(artifact)} intermediate results")
    return layers.ranked(
        graph.operators(model), graph.results(model, seen, points=POINTS), artifact
    )


def enough(
    plan: Plan,
    reference: Reference,
    model: Any,
    ranking: Sequence[str],
    *,
    skipped: Sequence[str],
    meets: Callable[[Mapping[str, Any]], bool],
    is_over: Callable[[], bool],
) -> tuple[int, dict[str, Any]] | None:
    """How many of the ranking suffice, and the numbers that are predicted with them.

    None where the prediction does not show the loss, or where no number of them suffices.
    """
    rows = _rows(plan, PREDICTED)
    pictures = np.stack([row for _, row in rows if row is not None])
    labels = [plan.dataset.labels[index] for index in _indexes(plan, PREDICTED)]
    limits = predict.ranges(model, pictures[:CALIBRATION])
    wanted = reference.run(pictures)
    known: dict[int, dict[str, Any]] = {}

    def passes(count: int) -> bool | None:
        if is_over():
            return None
        copy = predict.quantized(model, limits, skipped=[*skipped, *ranking[:count]])
        scores = reference.like(copy).run(pictures)
        measures = Measures(plan.classes)
        measures.add(scores, labels, wanted)
        known[count] = measures.as_json()
        say(f"predicted without {count} layers: top1 {known[count]['top1']}")
        return meets(known[count])

    if passes(0) is not False:
        return None
    count = smallest(min(len(ranking), MOST_SKIPPED), passes)
    return None if count is None else (count, known[count])


def _indexes(plan: Plan, most: int) -> list[int]:
    step = max(1, len(plan.dataset) // most)
    return list(range(0, len(plan.dataset), step))[:most]


def _rows(plan: Plan, most: int) -> list[tuple[Any, Any | None]]:
    return [plan.feed.rows(plan.dataset, index) for index in _indexes(plan, most)]
