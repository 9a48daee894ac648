"""Which results in ConfigMaps are believed: what the gate measured, and why something failed.

Anybody with rights on ConfigMaps can write one. A result counts when a `status` names its digest,
or when the Job that made it still says the same (docs/decisions/111-results.md). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.plan.artifact import harvest
from resnet_operator.plan.gate import candidate
from resnet_operator.plan.trouble.sidecars import as_ended, left_behind
from resnet_operator.plan.trust import DIGITS
from resnet_operator.record.artifact import FAILURE_KEY, Failure
from resnet_operator.record.measurement import RESULT_KEY, Measurement
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import GateObserved, Observed
from resnet_operator.seen.workload import JobObject

PUBLISH = "publish"
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


def results_said(status: Mapping[str, Any], now: Said) -> dict[str, str]:
    """Return what the status is to name: as far as there is room, what it named before too."""
    named = {name: digest for name, digest in now.items() if name and digest}
    before = status.get("resultDigests") or {}
    kept = sorted((str(k), str(v)) for k, v in before.items() if k not in now)
    return dict(kept[: MOST - len(named)]) | named


# --- of a conversion ------------------------------------------------------------------------------


def failure_on_record(observed: Observed, resolved: Resolved, *, now: datetime) -> Failure | None:
    """Return why the last conversion failed, if that is ours to say."""
    record = observed.record
    data = record.data() if record else {}
    found = Failure.from_record(data)
    if record is None or found is None:
        return None
    if is_told(observed):
        return found
    jobs = [job for job in observed.jobs if job.meta.controller == record.meta.uid]
    said = (_failure_of(job, observed, resolved, now) for job in jobs)
    return found if any(_is_same(one, found) for one in said) else None


def is_told(observed: Observed) -> bool:
    """Tell whether a status names the failure that is on record."""
    record = observed.record
    digest = failure_digest(record.data()) if record else ""
    return record is not None and (record.meta.name, digest) in observed.vouched_results


def _failure_of(
    job: JobObject, observed: Observed, resolved: Resolved, now: datetime
) -> Failure | None:
    pods = harvest.pods_of(job, observed)
    if not job.finished:
        left = left_behind(pods, PUBLISH, now)
        if left is None:
            return None
        job, pods = as_ended(job, left.pod, PUBLISH)
    said = harvest.result_of(job, pods, resolved, now=now)
    return said if isinstance(said, Failure) else None


def _is_same(said: Failure | None, found: Failure) -> bool:
    """Tell whether a Job says what is on record, but for what only the record knows."""
    return said is not None and replace(said, time=found.time, tried=found.tried) == found


# --- of the gate ----------------------------------------------------------------------------------


def gate_on_record(
    there: GateObserved,
    data: dict[str, str],
    *,
    observed: Observed,
    known: Mapping[str, str],
    now: datetime,
) -> dict[str, str]:
    """Return the data of a result if they are believed, else none.

    `known` is what was measured under another record, of which somebody's status tells.
    """
    name = there.result.meta.name if there.result else ""
    if not data or (name, result_digest(data)) in observed.vouched_results:
        return data
    if known and known.get(RESULT_KEY) == data.get(RESULT_KEY):
        return data
    record = observed.record
    ours = (job for job in there.jobs if record and job.meta.controller == record.meta.uid)
    if any(_job_says(job, there, data, now) for job in ours):
        return data
    return data if _said_by_earlier_version(observed.service.status, name, data) else {}


def _job_says(job: JobObject, there: GateObserved, data: Mapping[str, str], now: datetime) -> bool:
    pods = candidate.pods_of(job, there.pods)
    if candidate.seconds_until_told(job, pods, now=now) is None:
        return False
    measured = candidate.measurement_of(job, pods)
    if measured is not None:
        return measured.to_record() == {RESULT_KEY: data.get(RESULT_KEY)}
    found = Failure.from_record(data)
    return found is not None and _is_same(candidate.failure_of(job, pods, now=now), found)


def _said_by_earlier_version(status: Mapping[str, Any], name: str, data: Mapping[str, str]) -> bool:
    """Compare with a status of version 0.1.0, which has the numbers and no digest."""
    said = status.get("validation") or {}
    if "resultDigests" in status or said.get("record") != name:
        return False
    measured = Measurement.from_record(data)
    shown = {key: value for key, value in said.items() if key not in {"result", "record"}}
    return shown == (measured.shown() if measured else {})


def is_over(job: JobObject, there: GateObserved, *, now: datetime) -> bool:
    """Tell whether a Job that has told all is still there: it may hold a chip."""
    told = candidate.seconds_until_told(job, candidate.pods_of(job, there.pods), now=now)
    return told == 0 and not job.finished and not job.meta.deleting
