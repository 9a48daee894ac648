"""Which pods are the Deployment's own, and which the Jobs' are. Called by `observe`.

Labels alone make nobody's pod one. A pod counts when a ReplicaSet of the Deployment controls it.
ReplicaSets are not watched: for a pod that says something is wrong, the ReplicaSet is read once,
and its UID remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import KubeError
from resnet_operator.plan.trouble.chip_full import found_full
from resnet_operator.plan.trouble.pod import BEING_MADE
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.pod_facts import Neighbours
from resnet_operator.seen.workload import Container, JobObject, Pod
from resnet_operator.watch.store import IndexKey
from resnet_operator.watch.stream import is_body
from resnet_operator.watch.views import Views

# The Deployment controller ends a ReplicaSet's name with the hash, which has no dash.
HASH = re.compile(r"[a-z0-9]{1,16}")
MOST = 10_000
ENDED = {"Succeeded", "Failed"}
# The label that the Job controller gives its pods.
JOB_NAME = "job-name"
Owners = MutableMapping[str, str]


async def serving_pods(
    service: Meta, uid: str | None, views: Views, kube: Kube, *, deployment: str = ""
) -> tuple[Pod, ...]:
    """Return the pods of the service's Deployment; `uid` is None while there is none.

    A `deployment` of another name is one of a revision that is analysed.
    """
    labelled = views.pods.some(("instance", service.namespace, service.name))
    name, owners = deployment or service.name, views.replica_sets
    named = [pod for pod in labelled if is_named_by(pod, name)]
    if uid is None:
        return tuple(named)
    for pod in named:
        controller = pod.meta.controller or ""
        if not is_quiet(pod) and owners.get(controller) != uid:
            await _read(pod, controller, owners, kube)
    return tuple(pod for pod in named if is_quiet(pod) or _is_of(pod, uid, owners))


async def pods_of_jobs(
    index: IndexKey, jobs: Iterable[JobObject], views: Views, kube: Kube
) -> tuple[Pod, ...]:
    """Return the pods of some Jobs, and of each Job that has ended its last words if it has any.

    Jobs and pods come by two watches, and that of the pods may be away: what it did not show of an
    ended Job is asked for, once. Without this a result is taken for lost that is there.
    """
    for job in jobs:
        if not job.finished or job.meta.deleting or job.meta.uid in views.jobs_heard:
            continue
        own = [p for p in views.pods.some(index) if p.meta.controller == job.meta.uid]
        if any(pod.phase in ENDED or not pod.meta.deleting for pod in own):
            continue  # seen, or still to be seen
        selector = f"{names.MANAGED_SELECTOR},{JOB_NAME}={job.meta.name}"
        found = await kube.list_labelled("v1", "Pod", job.meta.namespace, label_selector=selector)
        for body in filter(is_body, found):
            views.pods.put(body, is_answer=True)
        if len(views.jobs_heard) > MOST:
            views.jobs_heard.clear()
        views.jobs_heard.add(job.meta.uid)
    return views.pods.some(index)


def is_named_by(pod: Pod, deployment: str) -> bool:
    """Tell whether the ReplicaSet that controls a pod has the name that the Deployment gives."""
    value = pod.meta.labels.get(names.TEMPLATE_HASH, "")
    return bool(HASH.fullmatch(value)) and pod.replica_set == f"{deployment}-{value}"


def is_quiet(pod: Pod) -> bool:
    """Tell whether a pod says nothing that could be told or acted on."""
    words = (pod.reason, pod.message, pod.unschedulable, *pod.disruption, *(pod.unhealthy or ()))
    return (
        pod.phase in {"Pending", "Running"}
        and not any(words)
        and all(_goes_well(container) for container in pod.containers)
    )


def _goes_well(container: Container) -> bool:
    fine = container.exit_code is None or (container.init and container.exit_code == 0)
    return fine and container.waiting in BEING_MADE


def _is_of(pod: Pod, uid: str, owners: Owners) -> bool:
    # What could not be read is believed: an older Role does not allow it.
    return owners.get(pod.meta.controller or "", uid) == uid


async def _read(pod: Pod, controller: str, owners: Owners, kube: Kube) -> None:
    selector = f"metadata.name={pod.replica_set}"
    try:
        found = await kube.list_one(
            "apps/v1", "ReplicaSet", pod.meta.namespace, field_selector=selector
        )
    except KubeError:
        return
    if len(owners) > MOST:
        owners.clear()
    known = {one["metadata"]["uid"]: one["metadata"] for one in found}
    references = known.get(controller, {}).get("ownerReferences") or ()
    owners[controller] = next((o["uid"] for o in references if o.get("controller")), "")


def neighbours(
    service: Meta, resolved: Resolved, pods: Iterable[Pod], views: Views
) -> Neighbours | None:
    """Return the other services on the nodes of pods whose chip was full; None without such.

    Only pods of ours are watched, so only they are told; `kubectl resnet why` names the others with
    its user's rights. A tenant learns the names of its own namespace and the number of the rest.
    """
    nodes = {pod.node for pod in pods if pod.node and found_full(pod)}
    if not nodes:
        return None
    there = (pod for node in nodes for pod in views.pods.some(("node", "", node)))
    own = (service.namespace, service.name)
    others = {
        name
        for pod in there
        if pod.phase == "Running"
        and (name := (pod.meta.namespace, pod.meta.labels.get(names.INSTANCE, ""))) != own
        and (other := views.services.one(*name)) is not None
        and other.resolved is not None
        and other.resolved.resource == resolved.resource
    }
    mine = sorted(name for namespace, name in others if namespace == service.namespace)
    return Neighbours(named=tuple(mine), elsewhere=len(others) - len(mine))
