"""A cluster as a list of objects, which answers what the command line asks and counts it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import refusal
from resnet_cli.paths import KINDS
from resnet_operator import names

Body = dict[str, Any]
NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
NAMESPACE, NAME, UID, KEY = "vision", "digits", "uid-digits", "0123456789abcdef"
RECORD, JOB, REVISION = f"rns-{KEY}", f"rns-{KEY}-1", f"{NAME}-fe12dc34ba"
POD, JOB_POD, REPLICA_SET = f"{REVISION}-5d8fc-x7k2p", f"{JOB}-q9w8e", f"{NAME}-5d8fc7b9c4"
BATCH, BATCH_POD = "archive", "rnb-archive-0-m4k2w"
DEVICE = "huawei.com/Ascend310P"
GENERATION = 2
KIND_OF = {(base, plural): kind for kind, (base, plural) in KINDS.items()}
WHERE = re.compile(
    r"^(?P<base>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<ns>[^/]+))?/(?P<plural>[^/]+)"
    r"(/(?P<name>[^/]+))?(/(?P<sub>[^/]+))?$"
)


@dataclass
class Recorded:
    """`forbidden` are kinds, or "Kind of all namespaces", that the rights do not cover."""

    objects: list[Body]
    logs: Mapping[str, str] = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()
    namespace: str = NAMESPACE
    asked: list[str] = field(default_factory=list)
    written: list[tuple[str, str, Any]] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    # Where a port of any pod is to be found on this machine.
    ports: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Do what the Deployment controller does: each has its ReplicaSet."""
        made = [replica_set(one) for one in self.objects if one["kind"] == "Deployment"]
        self.objects = [*self.objects, *made]

    def read(self, where: str, query: Mapping[str, str]) -> str:
        self.asked.append(f"{where}?{'&'.join(f'{k}={v}' for k, v in query.items())}")
        if where == "/version":
            return '{"gitVersion": "v1.37.0"}'
        kind, found = self._match(where)
        assert kind != "Secret"
        asked = kind if found["ns"] or kind == "Node" else f"{kind} of all namespaces"
        if asked in self.forbidden:
            raise refusal(403, json.dumps({"message": f"{kind} is forbidden"}), where)
        if found["sub"] == "log":
            return self._log(found["name"], query["container"], where)
        if found["name"]:
            return json.dumps(self._one(kind, found["ns"], found["name"], where))
        listed = [body for body in self._of(kind, found["ns"]) if _fits(body, query)]
        return json.dumps({"metadata": {"resourceVersion": "9"}, "items": listed})

    def follow(self, where: str, query: Mapping[str, str]) -> Iterator[str]:
        self.asked.append(f"{where}?{'&'.join(f'{k}={v}' for k, v in query.items())}")
        _, found = self._match(where)
        if found["sub"] == "log":
            yield from self._log(found["name"], query["container"], where).splitlines()
        yield from self.watched

    def write(self, method: str, where: str, body: object, *, content_type: str) -> Body:
        kind, found = self._match(where.partition("?")[0])
        if f"{method} {kind}" in self.forbidden:
            raise refusal(403, json.dumps({"message": f"{kind} is forbidden"}), where)
        self.written.append((method, where, body))
        return self._one(kind, found["ns"], found["name"], where) if found["name"] else {}

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        self.asked.append(f"{namespace}/{pod}:{port}")
        if "pods/portforward" in self.forbidden:
            raise CliError("pods/portforward is not allowed", Exit.FORBIDDEN)
        return socket.create_connection(("127.0.0.1", self.ports[port]))

    def _match(self, where: str) -> tuple[str, re.Match[str]]:
        found = WHERE.match(where)
        assert found, where
        return KIND_OF[(found["base"], found["plural"])], found

    def _of(self, kind: str, namespace: str | None) -> list[Body]:
        return [
            body
            for body in self.objects
            if body["kind"] == kind and namespace in {None, body["metadata"].get("namespace")}
        ]

    def _one(self, kind: str, namespace: str | None, name: str, where: str) -> Body:
        for body in self._of(kind, namespace):
            if body["metadata"]["name"] == name:
                return body
        message = f'{KINDS[kind][1]} "{name}" not found'
        raise refusal(404, json.dumps({"message": message}), where)

    def _log(self, pod: str, container: str, where: str) -> str:
        if f"{pod}/{container}" not in self.logs:
            raise refusal(404, json.dumps({"message": "log not found"}), where)
        return self.logs[f"{pod}/{container}"]


def _fits(body: Body, query: Mapping[str, str]) -> bool:
    labels = body["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = part.partition("=")
        if labels.get(key) != value:
            return False
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = part.partition("=")
        at: Any = body
        for step in key.split("."):
            at = at.get(step) if isinstance(at, dict) else None
        if at != value:
            return False
    return True


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meta(name: str, *, uid: str = "", age: float = 10, **more: Any) -> Body:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or f"uid-{name}",
        "creationTimestamp": at(minutes=age),
        **more,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def service(
    reason: str,
    message: str,
    *,
    phase: str = "Deploying",
    whole: str = "",
    stalled: bool = False,
    ready: str = "False",
    spec: Body | None = None,
    status: Body | None = None,
) -> Body:
    """The ResNetService, as the operator says it."""
    conditions = [condition("Ready", ready, reason, message)]
    if ready != "True":
        kind = "Stalled" if stalled else "Reconciling"
        conditions.append(condition(kind, "True", reason, whole or message))
    return {
        "kind": "ResNetService",
        "metadata": meta(NAME, uid=UID, generation=GENERATION),
        "spec": {
            "model": {"uri": "https://models.example/digits.onnx"},
            "accelerator": {"chip": "Ascend310P3"},
            **(spec or {}),
        },
        "status": {
            "observedGeneration": GENERATION,
            "phase": phase,
            "phaseStartTime": at(minutes=4),
            "ready": "0/1" if ready != "True" else "1/1",
            "chip": "Ascend310P3",
            "conditions": conditions,
            **(status or {}),
        },
    }


def batch(reason: str, message: str, *, phase: str, ready: str = "False", **status: Any) -> Body:
    """A ResNetBatch of the service, as the operator says it."""
    return {
        "kind": "ResNetBatch",
        "metadata": meta(BATCH, generation=1),
        "spec": {"service": {"name": NAME}},
        "status": {
            "observedGeneration": 1,
            "phase": phase,
            "conditions": [condition("Ready", ready, reason, message)],
            # All of them strings, where a service has objects.
            "revision": REVISION,
            "artifact": "ab" * 32,
            "job": f"rnb-{BATCH}",
            **status,
        },
    }


def batch_job(*conditions: Body) -> Body:
    owners = [{"kind": "ResNetBatch", "name": BATCH, "uid": f"uid-{BATCH}", "controller": True}]
    labels = names.labels(names.BATCH_COMPONENT, **{names.BATCH: BATCH})
    about = meta(f"rnb-{BATCH}", labels=labels, ownerReferences=owners)
    return {
        "kind": "Job",
        "metadata": about,
        "spec": {},
        "status": {"conditions": list(conditions)},
    }


def batch_pod(*statuses: Body, node: str | None = "npu-1", **status: Any) -> Body:
    """A pod of it: fetch, then the server beside what asks it."""
    job = f"rnb-{BATCH}"
    owners = [{"kind": "Job", "name": job, "uid": f"uid-{job}", "controller": True}]
    labels = names.labels(names.BATCH_COMPONENT, **{names.BATCH: BATCH})
    limits = {"limits": {DEVICE: "1"}}
    return {
        "kind": "Pod",
        "metadata": meta(BATCH_POD, labels=labels, ownerReferences=owners, age=8),
        "spec": {
            **({"nodeName": node} if node else {}),
            "initContainers": [{"name": "fetch", "image": "example/fetch:1"}],
            "containers": [
                {"name": "triton", "image": "example/serving:1", "resources": limits},
                {"name": "batch", "image": "example/fetch:1"},
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [condition("PodScheduled", "True", "")],
            "initContainerStatuses": [one for one in statuses if one["name"] == "fetch"],
            "containerStatuses": [one for one in statuses if one["name"] != "fetch"],
            **status,
        },
    }


def record(**data: str) -> Body:
    labels = names.labels(names.RECORD, **{names.ARTIFACT: KEY})
    owners = [{"kind": "ResNetService", "name": NAME, "uid": UID}]
    about = meta(RECORD, labels=labels, ownerReferences=owners)
    return {"kind": "ConfigMap", "metadata": about, "data": data}


def job(*conditions: Body, component: str = names.CONVERSION, name: str = JOB) -> Body:
    labels = names.labels(component, **{names.ARTIFACT: KEY})
    owners = [{"kind": "ConfigMap", "name": RECORD, "uid": f"uid-{RECORD}", "controller": True}]
    about = meta(name, labels=labels, age=8, ownerReferences=owners)
    return {
        "kind": "Job",
        "metadata": about,
        "spec": {},
        "status": {"conditions": list(conditions)},
    }


def container(name: str, state: Body, *, last: Body | None = None, **more: Any) -> Body:
    found = {"name": name, "state": state, "restartCount": 0, "ready": "running" in state, **more}
    return found | ({"lastState": last} if last else {})


def ended(code: int, message: object = "", reason: str = "", took: float = 12) -> Body:
    text = message if isinstance(message, str) else json.dumps(message)
    return {
        "terminated": {
            "exitCode": code,
            "message": text,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": at(seconds=200 + took),
            "finishedAt": at(seconds=200),
        }
    }


def running(ago: float = 60) -> Body:
    return {"running": {"startedAt": at(seconds=ago)}}


def waiting(reason: str = "PodInitializing", message: str = "") -> Body:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def job_pod(*init: Body, main: Body | None = None, phase: str = "Pending", **status: Any) -> Body:
    """The Job's pod: fetch, prepare, convert, then publish."""
    labels = names.labels(names.CONVERSION, **{names.ARTIFACT: KEY})
    owners = [{"kind": "Job", "name": JOB, "uid": f"uid-{JOB}", "controller": True}]
    return {
        "kind": "Pod",
        "metadata": meta(JOB_POD, labels=labels, ownerReferences=owners, age=8),
        "spec": {
            "nodeName": "npu-1",
            "initContainers": [
                {"name": name, "image": f"example/{name}:1"}
                for name in ("fetch", "prepare", "convert")
            ],
            "containers": [{"name": "publish", "image": "example/fetch:1"}],
            "volumes": [{"name": "ca", "configMap": {"name": "nowhere"}}],
        },
        "status": {
            "phase": phase,
            "conditions": [condition("PodScheduled", "True", "")],
            "initContainerStatuses": list(init),
            "containerStatuses": [main or container("publish", waiting())],
            **status,
        },
    }


def serving_pod(
    *statuses: Body,
    phase: str = "Pending",
    node: str | None = "npu-1",
    conditions: tuple[Body, ...] = (),
    name: str = POD,
    volumes: list[Body] | None = None,
    **status: Any,
) -> Body:
    labels = names.labels(names.SERVING, **{names.INSTANCE: NAME, names.REVISION: REVISION})
    owners = [
        {"kind": "ReplicaSet", "name": REPLICA_SET, "uid": f"uid-rs-{NAME}", "controller": True}
    ]
    split = [one for one in statuses if one["name"] == "artifact"]
    return {
        "kind": "Pod",
        "metadata": meta(name, labels=labels, ownerReferences=owners, age=4),
        "spec": {
            **({"nodeName": node} if node else {}),
            "initContainers": [{"name": "artifact", "image": "example/fetch:1"}],
            "containers": [
                {
                    "name": "triton",
                    "image": "example/serving:1",
                    "resources": {"limits": {DEVICE: "1"}},
                }
            ],
            "volumes": volumes or [],
        },
        "status": {
            "phase": phase,
            "conditions": list(conditions) or [condition("PodScheduled", "True", "")],
            "initContainerStatuses": split,
            "containerStatuses": [one for one in statuses if one not in split],
            **status,
        },
    }


def deployment(*conditions: Body, ready: int = 0, replicas: int = 1) -> Body:
    return {
        "kind": "Deployment",
        "metadata": meta(NAME, age=5),
        "spec": {"replicas": replicas},
        "status": {"readyReplicas": ready, "conditions": list(conditions)},
    }


def replica_set(deployment: Body) -> Body:
    about = deployment["metadata"]
    owners = [{"kind": "Deployment", "name": about["name"], "uid": about["uid"]}]
    labels = names.labels(names.SERVING, **{names.INSTANCE: about["name"]})
    return {
        "kind": "ReplicaSet",
        "metadata": about
        | {
            "name": f"{about['name']}-5d8fc7b9c4",
            "uid": f"uid-rs-{about['name']}",
            "labels": labels,
            "ownerReferences": [{**one, "controller": True} for one in owners],
        },
    }


def event(kind: str, name: str, reason: str, message: str, *, warns: bool = True) -> Body:
    return {
        "kind": "Event",
        "metadata": meta(f"{name}.{reason}".lower()),
        "involvedObject": {"kind": kind, "name": name, "namespace": NAMESPACE},
        "type": "Warning" if warns else "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": at(minutes=1),
    }


def claim(name: str, phase: str = "Bound") -> Body:
    return {"kind": "PersistentVolumeClaim", "metadata": meta(name), "status": {"phase": phase}}


def foreign_pod(
    name: str, *, namespace: str, node: str = "npu-1", count: int = 1, of: str = ""
) -> Body:
    """A pod of another namespace that holds chips."""
    labels = names.labels(names.SERVING, **{names.INSTANCE: of}) if of else {}
    return {
        "kind": "Pod",
        "metadata": meta(name, labels=labels) | {"namespace": namespace},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "main", "resources": {"limits": {DEVICE: str(count)}}}],
        },
        "status": {"phase": "Running"},
    }


def is_refused(error: BaseException) -> bool:
    return isinstance(error, CliError)
