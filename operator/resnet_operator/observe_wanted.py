"""Which Jobs, artifacts and runtimes objects of the namespace still need. Called by `observe`."""

from __future__ import annotations

from collections.abc import Iterable

from resnet_operator import names
from resnet_operator.plan.gate.gate import wanted_validation
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.in_use import Named
from resnet_operator.render.serving import runtime_digest
from resnet_operator.resolve.source_key import attempt_inputs_key
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.workload import JobObject
from resnet_operator.watch.views import Views


def batch_revisions(views: Views, namespace: str, service: str) -> frozenset[str]:
    """Return the revisions that batches of a ResNetService still run."""
    jobs = views.jobs.some(("batch-of", namespace, service))
    return frozenset(
        job.meta.labels[names.REVISION]
        for job in jobs
        if not job.finished and names.REVISION in job.meta.labels
    )


def unwanted_jobs(views: Views, namespace: str, keys: Iterable[str]) -> tuple[JobObject, ...]:
    """Return the gate's Jobs under way that nobody asks for or that cannot start any more."""
    found: list[JobObject] = []
    for key in sorted(keys):
        running = [
            job
            for job in views.jobs.some(("validation", namespace, key))
            if not job.finished and not job.meta.deleting
        ]
        if running:
            wanted = _wanted_validations(views, namespace, key)
            found += [
                job
                for job in running
                if job.meta.labels.get(names.VALIDATED) not in wanted
                or _has_lost_revision(job, views)
            ]
    return tuple(found)


def _has_lost_revision(job: JobObject, views: Views) -> bool:
    """Tell whether the object is gone whose revision the candidate mounts; others want it still."""
    name = job.meta.labels.get(names.REVISION)
    return name is not None and views.config_maps.one(job.meta.namespace, name) is None


def _wanted_validations(views: Views, namespace: str, key: str) -> set[str]:
    artifact = artifact_of(views.config_maps.one(namespace, names.record_name(key)))
    if artifact is None:
        return set()
    users = (views.services.one(*name) for name in views.users_of_artifact(namespace, key))
    wanted = (
        wanted_validation(user, artifact) for user in users if user and not user.meta.deleting
    )
    return {validation[:8] for validation in wanted if validation}


def wanted_means(views: Views, namespace: str, key: str) -> frozenset[str]:
    """Return by which means the objects of an artifact want it made."""
    users = (views.services.one(*name) for name in views.users_of_artifact(namespace, key))
    specs = (user.resolved.spec for user in users if user and user.resolved)
    return frozenset(attempt_inputs_key(spec) for spec in specs)


def artifact_of(record: ConfigMapObject | None) -> Artifact | None:
    """Return the artifact that is on record."""
    return Artifact.from_record(record.data()) if record is not None else None


def in_use(views: Views, namespace: str) -> tuple[Named, ...]:
    """Return the artifacts that records and revisions name: the store keeps them."""
    found = views.config_maps.some(("names-artifact", namespace, ""))
    return tuple({view.artifact for view in found})


def stale_runtimes(views: Views, namespace: str) -> tuple[ConfigMapObject, ...]:
    """Return runtimes of other versions that no revision names, or that are not what they say."""
    return tuple(
        view
        for view in views.config_maps.some(("runtime", namespace, ""))
        if (digest := view.meta.labels.get(names.RUNTIME, "")) != runtime_digest()
        and (
            view.meta.name != names.runtime_name(view.digest)
            or not views.config_maps.some(("uses-runtime", namespace, digest))
        )
    )
