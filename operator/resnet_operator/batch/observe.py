"""One look at everything that concerns a ResNetBatch."""

from __future__ import annotations

from datetime import datetime

from resnet_operator import names
from resnet_operator.batch.logs import BatchLogs
from resnet_operator.batch.seen import BatchSeen
from resnet_operator.cluster.kube import Kube
from resnet_operator.observe import observe
from resnet_operator.observe_pods import pods_of_jobs
from resnet_operator.observe_warnings import warnings_of
from resnet_operator.seen.batch import BatchObject
from resnet_operator.watch.views import Views


async def observe_batch(
    batch: BatchObject, *, views: Views, kube: Kube, logs: BatchLogs | None, now: datetime
) -> BatchSeen:
    """Return all that `plan_batch` needs. The service counts only until there is a Job."""
    meta = batch.meta
    job = views.jobs.one(meta.namespace, names.batch_job_name(meta.name))
    if job is not None and job.meta.controller != meta.uid:
        job = None
    if job is not None:
        index = ("batch", meta.namespace, meta.name)
        found = await pods_of_jobs(index, (job,), views, kube)
        pods = tuple(pod for pod in found if pod.meta.controller == job.meta.uid)
        warnings = await warnings_of(kube, (job,), pods, now=now)
        lines = await logs.of(pods) if logs else {}
        if logs and job.finished:
            logs.forget(pods)
        return BatchSeen(batch=batch, job=job, pods=pods, warnings=warnings, lines=lines)
    service = views.services.one(meta.namespace, batch.service) if batch.service else None
    if service is None or service.meta.deleting:
        return BatchSeen(batch=batch)
    observed = await observe(service, views=views, kube=kube, now=now)
    return BatchSeen(batch=batch, service=observed)
