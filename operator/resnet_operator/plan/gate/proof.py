"""Whether the gate's result on record is believed. Called by `gate`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resnet_operator.plan.gate import candidate
from resnet_operator.plan.results import is_same, result_digest
from resnet_operator.record.artifact import Failure
from resnet_operator.record.measurement import RESULT_KEY, Measurement
from resnet_operator.seen.observed import GateObserved, Observed
from resnet_operator.seen.workload import JobObject


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
    return found is not None and is_same(candidate.failure_of(job, pods, now=now), found)


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
