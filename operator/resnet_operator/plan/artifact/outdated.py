"""A Job whose pod waits and is no longer what would be made today. Called by both kinds' plans.

A pod that has begun goes on: what it does is worth its time. One that only waits, for a node, an
image or a quota, would wait for ever after the field that keeps it was corrected.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from resnet_operator import names
from resnet_operator.plan.artifact.harvest import pods_of
from resnet_operator.render.conversion import job
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import JobObject, Pod
from resnet_operator.settings.operator import Settings


def has_begun(pods: Sequence[Pod]) -> bool:
    """Tell whether a container of the Job has run."""
    return any(
        container.running or container.exit_code is not None
        for pod in pods
        for container in pod.containers
    )


def is_outdated_candidate(
    running: JobObject, wanted: dict[str, Any], *, revisions: Collection[str]
) -> bool:
    """Tell whether a candidate of this object would be made otherwise now.

    Objects that share a validation share the candidate: one of another object's revision is left
    to that one.
    """
    made, now = running.meta.labels, wanted["metadata"]["labels"]
    revision = made.get(names.REVISION, "")
    if revision != now[names.REVISION]:
        return revision in revisions
    return _has_other_shape(made, now)


def is_outdated_conversion(
    observed: Observed, resolved: Resolved, running: JobObject, *, settings: Settings
) -> bool:
    """Tell whether a Job that has not begun is not what the objects ask for by now.

    Objects that share an artifact share the Job; one by the means of another object is left alone.
    """
    record, wanted_means = observed.record, observed.wanted_means
    if record is None or wanted_means is None or has_begun(pods_of(running, observed)):
        return False
    wanted = conversion_job(observed, resolved, record.meta, running.attempt, settings=settings)
    made, now = running.meta.labels, wanted["metadata"]["labels"]
    means = made.get(names.MEANS, "")
    if means != now.get(names.MEANS, ""):
        return means not in wanted_means
    return _has_other_shape(made, now)


def conversion_job(
    observed: Observed, resolved: Resolved, record: Meta, attempt: int, *, settings: Settings
) -> dict[str, Any]:
    """Return the Job of one attempt at the artifact."""
    return job(
        service=observed.service.meta,
        resolved=resolved,
        record=record,
        attempt=attempt,
        in_use=observed.in_use,
        vouched=observed.vouched,
        settings=settings,
    )


def _has_other_shape(made: Any, now: Any) -> bool:
    # A Job of an older version of the operator has no digest.
    digest = made.get(names.TEMPLATE_DIGEST)
    return digest is not None and digest != now[names.TEMPLATE_DIGEST]
