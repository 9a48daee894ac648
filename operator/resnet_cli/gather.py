"""Reads the facts about one object: a fixed number of small requests, whatever else is there.

What the rights do not cover is left out and named; `view` covers all but pods of other namespaces
and nodes, which are asked for only when no chip is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from resnet_cli.exits import CliError, Exit
from resnet_cli.facts import Facts, Holder
from resnet_cli.kube import Body, Cluster, find, items, read_target
from resnet_cli.parts import (
    containers,
    controlled,
    controller_of,
    devices_of,
    is_deleting,
    is_owned,
    is_placed,
    label_of,
    name_of,
    owner_of,
    requests_of,
    service_of,
)
from resnet_cli.paths import BATCH, path
from resnet_contract.reasons import FULL_CHIP_CODES
from resnet_operator import names

T = TypeVar("T")
TAIL_LINES = "40"
LIMITED = {"QuotaExceeded": ("ResourceQuota", "LimitRange")}


class Reading:
    """Reads what it may, and remembers what it may not."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.denied: list[str] = []

    def attempt(self, what: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except CliError as error:
            if error.exit_code is not Exit.FORBIDDEN:
                raise
            self.denied.append(what)
            return default

    def list(self, kind: str, namespace: str | None, **query: str) -> list[Body]:
        where = kind if namespace else f"{kind} of all namespaces"
        return self.attempt(where, lambda: items(self.cluster, kind, namespace, **query), [])

    def find(self, kind: str, namespace: str | None, name: str) -> Body | None:
        return self.attempt(kind, lambda: find(self.cluster, kind, namespace, name), None)


def gather(cluster: Cluster, namespace: str, name: str, *, now: datetime) -> Facts:
    """Return the facts; raises CliError when the object itself cannot be read."""
    body = read_target(cluster, namespace, name)
    reading = Reading(cluster)
    facts = _of_batch if body["kind"] == BATCH else _of_service
    found = replace(
        facts(reading, Facts(namespace=namespace, name=name_of(body), now=now, service=body)),
        claims=tuple(reading.list("PersistentVolumeClaim", namespace)),
        holder=reading.find("ConfigMap", namespace, names.HOLDER_NAME),
    )
    events = _events(reading, found)
    reason = found.ready.get("reason") or ""
    limits = [one for kind in LIMITED.get(reason, ()) for one in _of_kind(reading, kind, namespace)]
    found = replace(found, events=tuple(events), limits=tuple(limits))
    found = _with_logs(reading, _with_holders(reading, found))
    return replace(found, denied=tuple(dict.fromkeys(reading.denied)))


def _of_service(reading: Reading, facts: Facts) -> Facts:
    namespace, name, service = facts.namespace, facts.name, facts.service
    record = _record(reading, service)
    key = label_of(record, names.ARTIFACT) if record else ""
    made_of = f"{names.ARTIFACT}={key}"
    instance = f"{names.INSTANCE}={name}"
    jobs = reading.list("Job", namespace, labelSelector=made_of) if key else []
    jobs = controlled(jobs, [record] if record else [])
    job_pods = reading.list("Pod", namespace, labelSelector=made_of) if jobs else []
    deployment = reading.find("Deployment", namespace, name)
    serving = reading.list("Pod", namespace, labelSelector=instance)
    serving = serving_pods(reading, namespace, serving, [deployment] if deployment else [])
    return replace(
        facts,
        record=record,
        jobs=tuple(sorted(jobs, key=lambda job: job["metadata"].get("creationTimestamp") or "")),
        pods=(*controlled(job_pods, jobs), *serving),
        deployment=deployment,
    )


def _of_batch(reading: Reading, facts: Facts) -> Facts:
    of_it = {"labelSelector": f"{names.BATCH}={facts.name}"}
    jobs = controlled(reading.list("Job", facts.namespace, **of_it), [facts.service])
    pods = reading.list("Pod", facts.namespace, **of_it) if jobs else []
    return replace(facts, jobs=tuple(jobs), pods=tuple(controlled(pods, jobs)))


def serving_pods(
    reading: Reading, namespace: str | None, pods: Iterable[Body], deployments: Iterable[Body]
) -> list[Body]:
    """Return the pods of the Deployments' ReplicaSets, for labels make nobody's pod one of them.

    Where these may not be read, those are believed that have a name as the Deployment gives.
    """
    found = [pod for pod in pods if label_of(pod, names.COMPONENT) == names.SERVING]
    if not found:
        return []
    sets = reading.list("ReplicaSet", namespace, labelSelector=names.MANAGED_SELECTOR)
    if {"Deployment", "ReplicaSet"} & {one.partition(" ")[0] for one in reading.denied}:
        return [pod for pod in found if _is_set_of(owner_of(pod, "ReplicaSet"), service_of(pod))]
    own = controlled(sets, deployments)
    return [
        pod
        for pod in controlled(found, own)
        if service_of(pod) == owner_of(_controller(pod, own), "Deployment")
    ]


def _controller(pod: Body, sets: Iterable[Body]) -> Body:
    uid = controller_of(pod)
    return next(one for one in sets if one["metadata"].get("uid") == uid)


def _record(reading: Reading, service: Body) -> Body | None:
    """Return the record: the status names it, or else its owner reference names the object."""
    meta, status = service["metadata"], service.get("status") or {}
    artifact = status.get("artifact") or {}
    named = artifact.get("job", "").rpartition("-")[0] or artifact.get("record")
    found = reading.find("ConfigMap", meta["namespace"], named) if named else None
    if found is not None and is_owned(found, service):
        return found
    selector = f"{names.COMPONENT}={names.RECORD}"
    records = reading.list("ConfigMap", meta["namespace"], labelSelector=selector)
    mine = [one for one in records if is_owned(one, service)]
    return max(mine, key=lambda one: one["metadata"].get("creationTimestamp") or "", default=None)


def _events(reading: Reading, facts: Facts) -> list[Body]:
    """Return the object's own events and the warnings about its children, oldest first."""
    own = reading.list("Event", facts.namespace, fieldSelector=f"involvedObject.name={facts.name}")
    warnings = reading.list("Event", facts.namespace, fieldSelector="type=Warning")
    ours = {name_of(one) for one in (*facts.jobs, *facts.pods)} | {facts.name}
    sets = {owner_of(pod, "ReplicaSet") for pod in facts.pods} - {""}
    found = {
        event["metadata"]["uid"]: event
        for event in (*own, *warnings)
        if (about := event["involvedObject"].get("name", "")) in ours | sets
        or (event["involvedObject"].get("kind") == "ReplicaSet" and _is_set_of(about, facts.name))
    }
    return sorted(found.values(), key=when)


def _is_set_of(replica_set: str, deployment: str) -> bool:
    return replica_set.rpartition("-")[0] == deployment


def when(event: Body) -> str:
    """Return when an event was last seen."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((one for one in times if one), ""))


def _of_kind(reading: Reading, kind: str, namespace: str) -> list[Body]:
    # The items of a list do not say their kind.
    return [{**one, "kind": kind} for one in reading.list(kind, namespace)]


def _with_logs(reading: Reading, facts: Facts) -> Facts:
    """Read the end of the log of the container that failed, or else of the stage under way."""
    found = facts.troubled()
    if found is None or found[1].state != "failed":
        found = facts.at_work()
    if found is None:
        return facts
    pod, container = found
    query = {"container": container.name, "tailLines": TAIL_LINES}
    if container.restarts and container.state == "failed":
        query["previous"] = "true"
    where = path("Pod", facts.namespace, name_of(pod), "log")
    try:
        text = reading.attempt("pods/log", lambda: reading.cluster.read(where, query), "")
    except CliError:
        return facts  # the node or the container's log is gone
    return replace(facts, logs={(name_of(pod), container.name): text})


def _with_holders(reading: Reading, facts: Facts) -> Facts:
    """Find who holds the chips, when the scheduler finds none free or a shared one is full."""
    resource, node = wanted_device(facts)
    if not resource:
        return facts
    before = len(reading.denied)
    pods = reading.list("Pod", None)
    if len(reading.denied) > before:
        pods = reading.list("Pod", facts.namespace)
    holders = [
        Holder(
            namespace=pod["metadata"]["namespace"],
            pod=name_of(pod),
            service=service_of(pod),
            count=count,
            node=pod["spec"]["nodeName"],
        )
        for pod in pods
        if (count := requests_of(pod, resource))
        and is_placed(pod)
        and node in {"", pod["spec"]["nodeName"]}
        and not (node and service_of(pod) == facts.name)
    ]
    holders.sort(key=lambda one: (-one.count, one.namespace, one.pod))
    nodes = reading.list("Node", None)
    offered = {name_of(one): (one.get("status") or {}).get("allocatable") or {} for one in nodes}
    capacity = {name: int(found.get(resource, 0)) for name, found in offered.items()}
    vendor = f"{resource.partition('/')[0]}/"
    others = {
        name
        for found in offered.values()
        for name, count in found.items()
        if name.startswith(vendor) and count != "0"
    }
    return replace(
        facts,
        holders=tuple(holders),
        capacity=capacity if nodes else None,
        resource=resource,
        offered=tuple(sorted(others)),
    )


def wanted_device(facts: Facts) -> tuple[str, str]:
    """Return the device that a pending pod waits for, or of which a pod found its chip full.

    With the latter comes the node, on which the others are. Nothing where there is no such pod.
    """
    for pod in facts.pods:
        status, node = pod.get("status") or {}, pod["spec"].get("nodeName") or ""
        if is_deleting(pod):
            continue
        if status.get("phase") == "Pending" and not node:
            for container in pod["spec"].get("containers") or ():
                for name in (container.get("resources") or {}).get("limits") or {}:
                    if "/" in name:
                        return str(name), ""
        elif node and any(_is_full(one.said) for one in containers(pod)):
            return next(iter(devices_of(pod)), ""), node
    return "", ""


def _is_full(said: Mapping[str, Any] | None) -> bool:
    code = (said or {}).get("code")
    return isinstance(code, str) and code in FULL_CHIP_CODES
