"""The look at single layers: what the artifact's dump says, and what would help.

Called by `diagnose`. The ranking is of the artifact itself; which change is enough is
predicted in ONNX Runtime, because a conversion for each trial would take hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.doctor import dumped, graph, layers
from resnet_jobs.evaluation.doctor.thresholds import unmet
from resnet_jobs.evaluation.doctor.trials import cost
from resnet_jobs.evaluation.doctor.trials.changes import (
    Network,
    Predictor,
    of_eight_bits,
    of_half,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from resnet_contract.types import Diagnose
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.doctor.layers import Layer
    from resnet_jobs.evaluation.doctor.trials.changes import Trial
    from resnet_jobs.evaluation.plan import Plan
    from resnet_jobs.evaluation.reference import Reference

PICTURES = 4  # that are dumped
POINTS = 2048  # of each tensor of each
PREDICTED = 200  # that a prediction is made of


@dataclass(frozen=True)
class Compiled:
    """An artifact that a compiler made: its source, where its dump is asked for, and how."""

    source: Path
    dump: Path
    batch: int = 1
    precision_mode: str | None = None
    keep_dtype: str = ""


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


def attempts(
    plan: Plan,
    reference: Reference,
    model: Any,
    ranking: Sequence[str],
    *,
    asked: Diagnose,
    how: Compiled,
    is_over: Callable[[], bool],
) -> tuple[Trial, ...]:
    """What changes of the conversion would do; none where the loss itself is not predicted."""
    rows = _rows(plan, PREDICTED)
    pictures = np.stack([row for _, row in rows if row is not None])
    ask = Predictor(
        reference,
        pictures,
        [plan.dataset.labels[index] for index in _indexes(plan, PREDICTED)],
        classes=plan.classes,
        meets=lambda predicted: not unmet(asked.thresholds, predicted),
        is_over=is_over,
    )
    work = cost.multiplications(model, pictures[0])
    network = Network(model, tuple(ranking), work, how.batch)
    if asked.quantized:
        return run(of_eight_bits(ask, network, asked), is_over=is_over)
    kept, mode = how.keep_dtype, how.precision_mode
    return run(of_half(ask, network, kept=kept, precision_mode=mode), is_over=is_over)


def _indexes(plan: Plan, most: int) -> list[int]:
    step = max(1, len(plan.dataset) // most)
    return list(range(0, len(plan.dataset), step))[:most]


def _rows(plan: Plan, most: int) -> list[tuple[Any, Any | None]]:
    return [plan.feed.rows(plan.dataset, index) for index in _indexes(plan, most)]
