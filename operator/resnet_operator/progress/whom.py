"""Whose log may be read: the container of our own image that moves bytes, in a Job under way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from resnet_operator import names
from resnet_operator.seen.workload import JobObject
from resnet_operator.watch.views import Views

# Of our own image; the others run a compiler's, which prints what it likes and no bytes.
TELLING = frozenset({"fetch", "publish"})


@dataclass(frozen=True, slots=True)
class Teller:
    """A container that runs, and the artifact whose objects want to know."""

    namespace: str
    pod: str
    uid: str
    container: str
    began: str
    artifact: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.uid, self.container, self.began


def tellers(views: Views) -> Iterator[Teller]:
    """Give the containers whose logs tell of bytes; none at rest."""
    for job in views.jobs.all():
        if not job.finished and not job.meta.deleting and _is_ours(job, views):
            yield from _of_job(job, views)


def _is_ours(job: JobObject, views: Views) -> bool:
    """Tell whether the record of the artifact controls it: a label can be anybody's."""
    key = job.meta.labels.get(names.ARTIFACT, "")
    record = views.config_maps.one(job.meta.namespace, names.record_name(key)) if key else None
    return (
        job.meta.labels.get(names.COMPONENT) == names.CONVERSION
        and record is not None
        and record.meta.uid == job.meta.controller
    )


def _of_job(job: JobObject, views: Views) -> Iterator[Teller]:
    namespace, artifact = job.meta.namespace, job.meta.labels[names.ARTIFACT]
    for pod in views.pods.some(("artifact", namespace, artifact)):
        if pod.meta.controller != job.meta.uid or pod.meta.deleting:
            continue
        for one in pod.containers:
            if one.running and one.name in TELLING:
                yield Teller(namespace, pod.meta.name, pod.meta.uid, one.name, one.begun, artifact)
