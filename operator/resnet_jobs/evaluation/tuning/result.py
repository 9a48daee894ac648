"""What of a search goes into result.json, and what fits into the message for the operator. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import clip
from resnet_jobs.evaluation.tuning.score import PERCENTILES

if TYPE_CHECKING:
    from resnet_jobs.evaluation.tuning.score import Run
    from resnet_jobs.evaluation.tuning.tune import Found

MESSAGE_CHARACTERS = 200


def as_json(found: Found) -> dict[str, Any]:
    """The whole: every setting that was tried with every load on it."""
    return {
        **essentials(found),
        "message": found.message,
        "declaredTrial": found.declared.as_json() if found.declared else None,
        "chosenTrial": found.chosen.as_json() if found.chosen else None,
        "surface": [trial.as_json() for trial in found.trials],
    }


def essentials(found: Found) -> dict[str, Any]:
    said: dict[str, Any] = {
        "result": found.result,
        "message": clip(found.message, MESSAGE_CHARACTERS),
        "trials": len(found.trials),
        "seconds": round(found.seconds),
        "endedBy": found.ended_by,
    }
    if found.declared and found.declared.best:
        said["declared"] = _speed(found.declared.best)
    if found.chosen and found.chosen.best:
        said["settings"] = found.chosen.settings.to_json()
        said["measured"] = _speed(found.chosen.best)
        if found.spread is not None:
            said["measured"]["spread"] = round(found.spread, 4)
    if found.at_intervals:
        said["atIntervals"] = _speed(found.at_intervals)
    return said


def _speed(run: Run) -> dict[str, Any]:
    known = {name: run.numbers[name] for name in PERCENTILES if run.numbers.get(name) is not None}
    return {
        "concurrency": run.concurrency,
        "imagesPerSecond": round(run.images_per_second, 1),
        **known,
    }
