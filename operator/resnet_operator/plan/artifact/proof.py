"""Whether the failure on a record is ours to tell. Called by `conversion`."""

from __future__ import annotations

from datetime import datetime

from resnet_operator.plan.artifact import harvest
from resnet_operator.plan.results import failure_digest, is_same
from resnet_operator.plan.trouble.sidecars import as_ended, left_behind
from resnet_operator.record.artifact import Failure
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import JobObject

PUBLISH = "publish"


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
    return found if any(is_same(one, found) for one in said) else None


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
