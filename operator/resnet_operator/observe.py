"""One consistent look at everything that concerns a ResNetService.

Reads indexes only, but for two things: what a ConfigMap of the user has (labels, model), once each
time it changed, and the events of a pod that does not come.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.pod_metrics import PodMetrics
from resnet_operator.observe_canary import observe_canary
from resnet_operator.observe_pods import neighbours, pods_of_jobs, serving_pods
from resnet_operator.observe_wanted import (
    artifact_of,
    batch_revisions,
    in_use,
    stale_runtimes,
    unwanted_jobs,
    wanted_means,
)
from resnet_operator.observe_warnings import warnings_of
from resnet_operator.plan.artifact.outdated import has_begun
from resnet_operator.plan.gate.gate import key_of
from resnet_operator.plan.results import vouched_results
from resnet_operator.plan.trouble.scheduling import missing_claim
from resnet_operator.plan.trust import is_believed
from resnet_operator.record.class_labels import LabelsError, Source, labels_of
from resnet_operator.record.in_use import vouched
from resnet_operator.render.pods.sources import source_reference
from resnet_operator.render.serving import runtime_digest
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Body
from resnet_operator.seen.observed import GateObserved, Observed, StoreObserved
from resnet_operator.seen.others import ConfigMapObject, NetworkServiceObject
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import JobObject, Pod
from resnet_operator.watch.store import HasMeta
from resnet_operator.watch.views import NETWORK_KINDS, Views

T = TypeVar("T", bound=HasMeta)


async def observe(
    service: ServiceObject,
    *,
    views: Views,
    kube: Kube,
    now: datetime,
    metrics: PodMetrics | None = None,
) -> Observed:
    """Return all that `make_plan` needs; raises KubeError when a read fails."""
    meta, resolved = service.meta, service.resolved
    if resolved is None:
        # A refused spec stops nothing: what served before it serves on, and is told.
        live = _not_of_others(views.deployments.one(meta.namespace, meta.name), meta.uid)
        return Observed(service=service, deployment=live)
    namespace, key = meta.namespace, resolved.source_key
    index = ("artifact", namespace, key)
    job_pods = await pods_of_jobs(index, views.jobs.some(index), views, kube)
    record, jobs = views.config_maps.one(namespace, names.record_name(key)), views.jobs.some(index)
    labels, labels_problem, labels_wrong = await _labels(service, views, kube)
    live = _not_of_others(views.deployments.one(namespace, meta.name), meta.uid)
    statuses = tuple(statuses_of_users(service, views, key))
    believed = is_believed(record, statuses)
    pods = await serving_pods(meta, live.meta.uid if live else None, views, kube)
    beside = await observe_canary(meta, resolved, pods, views, kube, metrics)
    converting = record is None or not record.immutable
    # A Job that only waits may be replaced; what is under way needs nothing more.
    going = {job.meta.uid for job in jobs if not job.finished}
    starting = converting and not has_begun([p for p in job_pods if p.meta.controller in going])
    revisions = views.config_maps.some(("revision", namespace, meta.name))
    owned = views.config_maps.some(("owner", namespace, meta.uid))
    # What is there of it, whoever vouches for the record: the plan decides on the artifact.
    gate = await _gate(service, resolved, record, views, kube, now=now)
    return Observed(
        service=service,
        deployment=live,
        network_service=_not_of_others(views.network_services.one(namespace, meta.name), meta.uid),
        network=_network(views, namespace, meta.name),
        absent_kinds=views.absent_kinds,
        record=record,
        record_believed=believed,
        vouched_results=_vouched_results(statuses, gate, views, namespace),
        owned_records=owned,
        revisions={view.meta.name: view for view in revisions if view.meta.controller == meta.uid},
        runtime=views.config_maps.one(namespace, names.runtime_name(runtime_digest())),
        stale_runtimes=stale_runtimes(views, namespace),
        jobs=jobs,
        job_pods=job_pods,
        moved=views.moved_by(job_pods),
        pods=pods,
        canaries=beside.canaries,
        canary_pods=beside.pods,
        canary_services=beside.services,
        counters=beside.counters,
        neighbours=neighbours(meta, resolved, (*pods, *beside.pods), views),
        store=_store(views, namespace),
        labels=labels,
        labels_problem=labels_problem,
        labels_wrong=labels_wrong,
        source_problem=await _source_problem(
            resolved.uris, service.claims, views, kube, namespace=namespace
        )
        if converting
        else None,
        warnings=await warnings_of(kube, jobs, (*job_pods, *pods), now=now),
        in_use=in_use(views, namespace) if starting else None,
        vouched=vouched(_statuses(views, namespace)) if starting else {},
        wanted_means=wanted_means(views, namespace, key) if converting and jobs else None,
        gate=gate,
        unwanted_jobs=unwanted_jobs(views, namespace, {key, *_keys(owned)}),
        batch_revisions=batch_revisions(views, namespace, meta.name),
    )


async def _gate(
    service: ServiceObject,
    resolved: Resolved,
    record: ConfigMapObject | None,
    views: Views,
    kube: Kube,
    *,
    now: datetime,
) -> GateObserved | None:
    """Return what is there of the validation that the object asks for, if it asks for one."""
    artifact = artifact_of(record) if resolved.spec.validation else None
    validation = key_of(service, artifact) if artifact else None
    if validation is None:
        return None
    namespace, key = service.meta.namespace, resolved.source_key
    index = ("validation", namespace, key)
    jobs = tuple(job for job in views.jobs.some(index) if _is_of(job, validation))
    seen = await pods_of_jobs(index, jobs, views, kube)
    pods = tuple(pod for pod in seen if _is_of(pod, validation))
    result = views.config_maps.one(namespace, names.validation_name(key, validation))
    problem = None
    if not jobs and (result is None or not result.immutable):
        claims = tuple(
            {name for kind, name, _ in map(source_reference, resolved.gate_uris) if kind == "pvc"}
        )
        problem = await _source_problem(
            resolved.gate_uris, claims, views, kube, namespace=namespace
        )
    others = views.config_maps.some(("validated", namespace, validation[:8]))
    return GateObserved(
        result=result,
        elsewhere=tuple(other for other in others if other is not result),
        jobs=jobs,
        pods=pods,
        source_problem=problem,
        warnings=await warnings_of(kube, jobs, pods, now=now),
    )


def _not_of_others(view: T | None, uid: str) -> T | None:
    """Leave out what another owner controls, such as the deleted object of the same name."""
    return view if view is not None and view.meta.controller in {None, uid} else None


def _network(views: Views, namespace: str, name: str) -> dict[str, NetworkServiceObject]:
    found = ((kind, views.stores[kind].one(namespace, name)) for kind in NETWORK_KINDS)
    return {kind: view for kind, view in found if view is not None}


def _is_of(thing: JobObject | Pod, validation: str) -> bool:
    return thing.meta.labels.get(names.VALIDATED) == validation[:8]


def _keys(records: Iterable[ConfigMapObject]) -> Iterator[str]:
    return (record.meta.labels.get(names.ARTIFACT, "") for record in records)


def statuses_of_users(
    service: ServiceObject, views: Views, key: str
) -> Iterator[Mapping[str, Any]]:
    """Give the statuses that may vouch for a record, the object's own first."""
    yield service.status
    for name in views.users_of_artifact(service.meta.namespace, key):
        user = views.services.one(*name)
        if user is not None and user is not service:
            yield user.status


def _statuses(views: Views, namespace: str) -> Iterator[Mapping[str, Any]]:
    return (view.status for view in views.services.some(("namespace", namespace, "")))


def _vouched_results(
    statuses: Iterable[Mapping[str, Any]],
    gate: GateObserved | None,
    views: Views,
    namespace: str,
) -> frozenset[tuple[str, str]]:
    """Return what the artifact's users say, and the whole namespace where another may have it."""
    everybody = _statuses(views, namespace) if gate and gate.elsewhere else ()
    return vouched_results((*statuses, *everybody))


def _store(views: Views, namespace: str) -> StoreObserved:
    name = (namespace, names.STORE_NAME)
    deployment = _not_of_others(views.deployments.one(*name), "")
    service = _not_of_others(views.network_services.one(*name), "")
    config = _not_of_others(views.config_maps.one(*name), "")
    policy = _not_of_others(views.stores["NetworkPolicy"].one(*name), "")
    return StoreObserved(
        deployment=deployment.live if deployment else None,
        claim=views.claims.one(*name) is not None,
        service=service.live if service else None,
        config=config.packed if config else None,
        policy=policy.live if policy else None,
    )


async def _labels(
    service: ServiceObject, views: Views, kube: Kube
) -> tuple[str | None, str | None, bool]:
    """Return the class labels, what is wrong with them, and whether that is their content."""
    resolved = service.resolved
    if resolved is None or resolved.spec.model.class_labels is None:
        return None, None, False
    reference = resolved.spec.model.class_labels.config_map_key_ref
    source = Source(reference.name, reference.key)
    name = (service.meta.namespace, reference.name)
    answer = functools.partial(_labels_in, source=source)
    return await views.references.read(kube, name, source, answer)


def _labels_in(found: Body | None, *, source: Source) -> tuple[str | None, str | None, bool]:
    if found is None:
        message = f'ConfigMap "{source.name}" of model.classLabels does not exist; create it'
        return None, message, False
    try:
        return labels_of(found, source), None, False
    except LabelsError as error:
        return None, str(error), True


async def _source_problem(
    uris: tuple[str, ...], claims: tuple[str, ...], views: Views, kube: Kube, *, namespace: str
) -> str | None:
    """Say what is missing of a source inside the cluster, before a Job waits for it for nothing."""
    for claim in claims:
        if views.claims.one(namespace, claim) is None:
            return missing_claim(claim).message
    for uri in uris:
        kind, name, _ = source_reference(uri)
        if kind == "configmap":
            answer = functools.partial(_missing_key, uri=uri)
            if problem := await views.references.read(kube, (namespace, name), uri, answer):
                return problem
    return None


def _missing_key(found: Body | None, *, uri: str) -> str | None:
    _, name, key = source_reference(uri)
    if found is None:
        return f'ConfigMap "{name}" of {uri} does not exist; create it or change the URI'
    keys = sorted([*(found.get("data") or {}), *(found.get("binaryData") or {})])
    if key not in keys:
        has = ", ".join(keys[:5]) or "nothing"
        return f'ConfigMap "{name}" has no key "{key}", only {has}; correct the URI or add the key'
    return None
