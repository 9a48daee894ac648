"""Deployments, Jobs and pods as the operator keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_operator import names
from resnet_operator.seen.meta import Body, Live, Meta
from resnet_operator.seen.pod_facts import (
    Request,
    disruption_of,
    replica_set_of,
    reports_health,
    requests_of,
    unhealthy_devices,
)


@dataclass(frozen=True, slots=True)
class DeploymentObject:
    meta: Meta
    live: Live
    generation: int
    observed_generation: int
    revision: str
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int
    progressing: tuple[str, str]
    failure: str
    digest: str
    borrowed: str
    memory: str = ""
    failure_since: str = ""
    analysis: str = ""

    @classmethod
    def from_body(cls, body: Body) -> DeploymentObject:
        spec, status = body["spec"], body.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        progressing = conditions.get("Progressing", {})
        failure = conditions.get("ReplicaFailure", {})
        template_labels = spec["template"]["metadata"].get("labels") or {}
        annotations = body["metadata"].get("annotations") or {}
        return cls(
            meta=Meta.from_body(body),
            live=Live.from_body(body, "spec"),
            generation=body["metadata"].get("generation", 0),
            observed_generation=status.get("observedGeneration", 0),
            revision=template_labels.get(names.REVISION, ""),
            wanted=spec.get("replicas", 1),
            replicas=status.get("replicas", 0),
            updated=status.get("updatedReplicas", 0),
            ready=status.get("readyReplicas", 0),
            available=status.get("availableReplicas", 0),
            progressing=(progressing.get("status", ""), progressing.get("reason", "")),
            failure=failure.get("message", "") if failure.get("status") == "True" else "",
            digest=annotations.get(names.TEMPLATE_DIGEST, ""),
            borrowed=annotations.get(names.BORROWED, ""),
            memory=annotations.get(names.ROLLOUT, ""),
            failure_since=failure.get("lastTransitionTime") or "",
            analysis=annotations.get(names.ANALYSIS, ""),
        )


@dataclass(frozen=True, slots=True)
class JobObject:
    meta: Meta
    attempt: int
    complete: bool
    failed: bool
    failure_reason: str
    finished: bool
    ttl: int | None
    suspended: bool = False

    @classmethod
    def from_body(cls, body: Body) -> JobObject:
        status = body.get("status") or {}
        conditions = {
            c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"
        }
        complete, failed = "Complete" in conditions, "Failed" in conditions
        # Somebody's copy of a Job has our label, but no attempt at the end of its name.
        number = body["metadata"]["name"].rsplit("-", 1)[-1]
        return cls(
            meta=Meta.from_body(body),
            attempt=int(number) if number.isdecimal() else 0,
            complete=complete,
            failed=failed,
            failure_reason=conditions.get("Failed", {}).get("reason", ""),
            finished=complete or failed,
            ttl=body["spec"].get("ttlSecondsAfterFinished"),
            suspended=bool(body["spec"].get("suspend")),
        )


@dataclass(frozen=True, slots=True)
class Container:
    """State of one container; `exit_code`, `message` and `reason` are of its last end."""

    name: str
    image: str
    init: bool
    running: bool
    waiting: str
    terminated: bool
    exit_code: int | None
    reason: str
    message: str
    restarts: int
    finished: str = ""
    waiting_message: str = ""
    started: bool = False
    begun: str = ""
    ran_from: str = ""  # of its last end

    @classmethod
    def from_status(cls, status: Body, *, init: bool, previous: bool = True) -> Container:
        state = status.get("state") or {}
        last = state.get("terminated")
        if last is None and previous:
            last = (status.get("lastState") or {}).get("terminated")
        last = last or {}
        return cls(
            name=status["name"],
            image=status.get("image", ""),
            init=init,
            running="running" in state,
            waiting=(state.get("waiting") or {}).get("reason", ""),
            terminated="terminated" in state,
            exit_code=last.get("exitCode"),
            reason=last.get("reason", ""),
            message=last.get("message", ""),
            restarts=status.get("restartCount", 0),
            finished=last.get("finishedAt") or "",
            waiting_message=(state.get("waiting") or {}).get("message") or "",
            started=bool(status.get("started")),
            begun=(state.get("running") or {}).get("startedAt") or "",
            ran_from=last.get("startedAt") or "",
        )


@dataclass(frozen=True, slots=True)
class Pod:
    meta: Meta
    phase: str
    reason: str
    ready: bool
    scheduled: bool
    unschedulable: str
    containers: tuple[Container, ...] = field(default=())
    images: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    containers_ready: bool = False
    # When the pod was last seen to stop being ready, and the kubelet's reason for it.
    unready_since: str = ""
    unready_reason: str = ""
    node: str = ""
    # What the scheduler weighs; kept only while it finds no place.
    requests: tuple[Request, ...] = ()
    disruption: tuple[str, str] = ("", "")
    # Devices that their plugin calls unhealthy; None while the kubelet says nothing of them.
    unhealthy: tuple[str, ...] | None = None
    replica_set: str = ""  # that controls it, by name
    ip: str = ""

    @classmethod
    def from_body(cls, body: Body) -> Pod:
        status, spec = body.get("status") or {}, body.get("spec") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
        unschedulable = ""
        if scheduled.get("status") == "False":
            unschedulable = scheduled.get("message") or scheduled.get("reason") or ""
        main = status.get("containerStatuses") or ()
        statuses = [(s, True) for s in status.get("initContainerStatuses") or ()]
        statuses += [(s, False) for s in main]
        return cls(
            meta=Meta.from_body(body),
            phase=status.get("phase", "Pending"),
            reason=status.get("reason", ""),
            ready=ready.get("status") == "True",
            scheduled=scheduled.get("status") == "True",
            unschedulable=unschedulable,
            containers=tuple(Container.from_status(s, init=init) for s, init in statuses),
            images={
                c["name"]: c.get("image", "")
                for c in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
            },
            message=status.get("message") or "",
            containers_ready=conditions.get("ContainersReady", {}).get("status") == "True",
            unready_since=ready.get("lastTransitionTime") or "",
            unready_reason=ready.get("reason") or "",
            node=spec.get("nodeName") or "",
            requests=requests_of(spec) if unschedulable else (),
            disruption=disruption_of(conditions),
            unhealthy=unhealthy_devices(main) if reports_health(main) else None,
            replica_set=replica_set_of(body["metadata"]),
            ip=status.get("podIP") or "",
        )
