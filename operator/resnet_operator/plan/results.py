"""Which results in ConfigMaps are believed: what the gate measured, and why something failed.

Anybody with rights on ConfigMaps can write one. A result counts when a `status` names its digest,
or when the Job that made it still says the same (docs/decisions/111-results.md). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from resnet_operator import names
from resnet_operator.record.artifact import FAILURE_KEY, Failure

DIGITS = 32
# Of one object: an artifact's failure, and results of validations that it asks for again.
MOST = 16
Said = Mapping[str, str]


def failure_digest(data: Mapping[str, str]) -> str:
    """Return what a status calls the failure on a record by; nothing where there is none."""
    return names.digest(data[FAILURE_KEY], DIGITS) if FAILURE_KEY in data else ""


def result_digest(data: Mapping[str, str]) -> str:
    """Return what a status calls a result of the gate by."""
    return names.digest(dict(data), DIGITS) if data else ""


def vouched_results(statuses: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return the results that statuses name, with their digests."""
    return frozenset(
        (str(name), str(digest))
        for status in statuses
        for name, digest in (status.get("resultDigests") or {}).items()
    )


def results_said(status: Mapping[str, Any], now: Said) -> dict[str, dict[str, str]]:
    """Return the results that the status is to name, and as far as there is room those before."""
    named = {name: digest for name, digest in now.items() if name and digest}
    before = status.get("resultDigests") or {}
    kept = sorted((str(k), str(v)) for k, v in before.items() if k not in now)
    whole = dict(kept[: MOST - len(named)]) | named
    return {"resultDigests": whole} if whole else {}


def is_same(said: Failure | None, found: Failure) -> bool:
    """Tell whether a Job says what is on record, but for what only the record knows."""
    return said is not None and replace(said, time=found.time, tried=found.tried) == found
