"""Triton's own account of a measurement: its statistics before and after, and what lies between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_cli.exits import CliError, Exit

PARTS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
COUNTED = ("inference_count", "execution_count")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Of one request, in microseconds, as perf_analyzer reports it; `requests` were answered."""

    requests: int
    failures: int
    inferences: int
    executions: int
    queue_us: float
    compute_input_us: float
    compute_infer_us: float
    compute_output_us: float

    @property
    def average_batch(self) -> float:
        """How many images Triton computed at once: what dynamic batching made of the requests."""
        return self.inferences / self.executions if self.executions else 0.0


Totals = Mapping[str, Mapping[str, int]]


def totals_of(answer: Mapping[str, Any]) -> Totals:
    """Read an answer to v2/models/stats: sums by model over its versions.

    gRPC writes whole numbers as strings, and leaves out what is zero. What is no such answer is a
    CliError: whatever listens there may be somebody else's server.
    """
    try:
        return _sums(answer.get("model_stats") or ())
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise CliError(
            f"what answers is no Triton: its statistics cannot be read ({error}); check --url",
            Exit.NO_ANSWER,
        ) from error


def _sums(models: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in models:
        sums = found.setdefault(str(one.get("name")), dict.fromkeys(_keys(), 0))
        for name in COUNTED:
            sums[name] += int(one.get(name) or 0)
        parts = one.get("inference_stats") or {}
        for part in PARTS:
            for unit in ("count", "ns"):
                sums[f"{part}.{unit}"] += int((parts.get(part) or {}).get(unit) or 0)
    return found


def _keys() -> Iterable[str]:
    yield from COUNTED
    yield from (f"{part}.{unit}" for part in PARTS for unit in ("count", "ns"))


def answered_of(before: Totals, after: Totals, model: str) -> int:
    """Return how many requests to a model were answered in between, whoever asked."""
    return _less(after.get(model) or {}, before.get(model) or {}).get("success.count", 0)


def split_between(
    before: Totals, after: Totals, models: Iterable[str], *, answered: int = 1
) -> Split | None:
    """Return what happened in between; the first model is asked, the others are its steps.

    None when the numbers are not of one server: one that was restarted or another one behind the
    same address, whose counters are not those from before, or lack some of the `answered`.
    """
    asked, *steps = models
    spent = {name: _less(after.get(name) or {}, before.get(name) or {}) for name in (asked, *steps)}
    own = spent[asked]
    if (
        not own
        or own["success.count"] < max(answered, 1)
        or any(n < 0 for one in spent.values() for n in one.values())
    ):
        return None
    work = [one for name, one in spent.items() if one and (name != asked or not steps)]
    last = work[-1] if work else own
    per = {
        part: sum(one[f"{part}.ns"] for one in work) / own["success.count"] / 1000
        for part in PARTS[2:]
    }
    return Split(
        requests=own["success.count"],
        failures=own["fail.count"],
        inferences=last["inference_count"],
        executions=last["execution_count"],
        queue_us=per["queue"],
        compute_input_us=per["compute_input"],
        compute_infer_us=per["compute_infer"],
        compute_output_us=per["compute_output"],
    )


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in after.items()}
