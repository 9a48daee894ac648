"""What tuning tried, for the report: a picture of all loads and a table of all settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resnet_cli import svg

Trial = Mapping[str, Any]
TITLES = {
    "maxBatchSize": "largest batch",
    "preferredBatchSizes": "preferred",
    "maxQueueDelayMicroseconds": "queue delay, µs",
    "instancesPerChip": "instances",
}
COLUMNS = (*TITLES.values(), "images a second", "p50, ms", "p90, ms", "p99, ms", "requests at once")
NUMBERS = ("imagesPerSecond", "p50Milliseconds", "p90Milliseconds", "p99Milliseconds")


def picture(tuning: Mapping[str, Any]) -> svg.Drawing | None:
    """Return every load that was tried: what it gave against what it made wait.

    Rings are around what was declared and what was chosen.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for trial in _surface(tuning):
        count = int(trial["settings"]["instancesPerChip"])
        name = f"{count} instance{'s' if count > 1 else ''}"
        groups.setdefault(name, []).extend(p for run in trial["runs"] if (p := _point(run)))
    groups = {name: groups[name] for name in sorted(groups) if groups[name]}
    if not groups:
        return None
    marked = (tuning.get(key) or {} for key in ("declaredTrial", "chosenTrial"))
    ringed = [p for trial in marked if (p := _point(trial.get("best") or {}))]
    return svg.dots(groups, x="99th percentile, ms", y="images a second", ringed=ringed)


def rows(tuning: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the settings with their best load, the fastest first; a failed one has its reason."""
    best = [(trial["settings"], trial.get("best") or {}, trial) for trial in _surface(tuning)]
    best.sort(key=lambda item: -float(item[1].get("imagesPerSecond") or 0))
    return [
        (
            *(_shown(settings.get(key)) for key in TITLES),
            *(run.get(key) for key in NUMBERS),
            run.get("concurrency", trial.get("problem")),
        )
        for settings, run, trial in best
    ]


def _surface(tuning: Mapping[str, Any]) -> Sequence[Trial]:
    return tuning.get("surface") or ()


def _point(run: Mapping[str, Any]) -> tuple[float, float] | None:
    found = (run.get("p99Milliseconds"), run.get("imagesPerSecond"))
    return None if None in found else (float(found[0]), float(found[1]))  # type: ignore[arg-type]


def _shown(value: Any) -> Any:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else value
