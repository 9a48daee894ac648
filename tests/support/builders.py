"""Objects as the API server would show them, built from the few facts that a test is about."""

from __future__ import annotations

import json
import marshal
from datetime import UTC, datetime
from typing import Any

import hypothesis

from resnet_operator import names
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.plan.times import to_text
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.resolve.resolve import resolve
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.service_spec import spec_of
from resnet_operator.seen.workload import Pod
from resnet_operator.settings.operator import Settings

Body = dict[str, Any]

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
NAME, NAMESPACE, UID = "resnet50", "models", "uid-resnet50"
CHIP = "Ascend310P3"
RESOURCE = "huawei.com/Ascend310P"

# The same examples in every run: a failure that only shows now and then helps nobody.
deterministic = hypothesis.settings(derandomize=True, deadline=None, database=None, max_examples=50)


# Nobody can change settings, and reading them costs as much as many a test.
SETTINGS: dict[str, Settings] = {}


def copied(value: Any) -> Any:
    """Copy what JSON can hold, without deepcopy's look for cycles: the tests do little else."""
    try:
        return marshal.loads(marshal.dumps(value))
    except ValueError:  # an enum's member, which is not text alone
        pass
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def merged(base: Body, changes: Body) -> Body:
    """Merge maps deeply; a None in `changes` removes the key."""
    result = {key: copied(value) for key, value in base.items() if key not in changes}
    for key, value in changes.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            result[key] = merged(old, value)
        elif value is not None:
            result[key] = copied(value)
    return result


def a_settings(**changes: Any) -> Settings:
    values: Body = {
        "jobs_image": "registry.example/jobs:1",
        "converter_images": {"Ascend310P": "registry.example/cann-310p:1"},
        "serving_images": {
            "AscendOM": "registry.example/serving:1",
            "ONNXRuntime": "registry.example/serving-cpu:1",
            "OneFlow": "registry.example/oneflow-serving:0.0.1",
        },
        "store": {"image": "registry.example/store:1"},
    }
    asked = values | changes
    text = repr(asked)
    if text not in SETTINGS:
        SETTINGS[text] = Settings(**asked)
    return SETTINGS[text]


def a_spec(changes: Body | None = None) -> Body:
    smallest = {
        "model": {"uri": "pvc://models/resnet50.onnx"},
        "accelerator": {"chip": CHIP},
        "serving": {"replicas": 1},
    }
    return merged(smallest, changes or {})


def parsed(changes: Body | None = None) -> ResNetServiceSpec:
    return spec_of({"spec": a_spec(changes)})


def resolved(changes: Body | None = None, *, settings: Settings | None = None) -> Resolved:
    return resolve(name=NAME, uid=UID, spec=parsed(changes), settings=settings or a_settings())


def a_service(
    changes: Body | None = None, *, status: Body | None = None, settings: Settings | None = None
) -> ServiceObject:
    body = {"metadata": metadata(NAME, uid=UID), "spec": a_spec(changes), "status": status or {}}
    return ServiceObject.from_body(body, settings=settings or a_settings())


def metadata(
    name: str,
    *,
    uid: str = "",
    version: int = 1,
    labels: dict[str, str] | None = None,
    controller: str | None = None,
    created: datetime = NOW,
) -> Body:
    owners = [{"uid": controller, "controller": True}] if controller else []
    return {
        "namespace": NAMESPACE,
        "name": name,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": to_text(created),
        "generation": 1,
        "labels": labels or {},
        "ownerReferences": owners,
    }


def a_meta(name: str = NAME, **facts: Any) -> Meta:
    return Meta.from_body({"metadata": metadata(name, **facts)})


# Containers of a pod, by what the kubelet says of them.


def running(name: str, *, last: Body | None = None) -> Body:
    return {
        "name": name,
        "state": {"running": {}},
        "lastState": last or {},
        "restartCount": 3 if last else 0,
    }


def waiting(name: str, reason: str, *, last: Body | None = None, message: str = "") -> Body:
    return {
        "name": name,
        "state": {"waiting": {"reason": reason, "message": message}},
        "lastState": last or {},
        "restartCount": 3 if last else 0,
    }


def ended(name: str, code: int = 0, *, said: Any = None, reason: str = "") -> Body:
    return {"name": name, "state": end(code, said=said, reason=reason), "lastState": {}}


def end(code: int, *, said: Any = None, reason: str = "") -> Body:
    """Return the state of a container that ended; `said` is its termination message."""
    message = said if isinstance(said, str) else json.dumps(said) if said is not None else ""
    word = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "reason": word, "message": message}}


def pod_body(
    name: str = "resnet50-7d4b9c-x2x5k",
    *,
    containers: list[Body] | None = None,
    init: list[Body] | None = None,
    phase: str = "Pending",
    reason: str = "",
    message: str = "",
    ready: bool = False,
    ready_since: str = "",
    containers_ready: bool | None = None,
    unschedulable: str = "",
    images: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    controller: str | None = None,
    created: datetime = NOW,
    deleting: bool = False,
    node: str = "",
    ready_reason: str = "",
    disruption: str = "",
    requests: dict[str, Body] | None = None,
) -> Body:
    placed: Body = {"type": "PodScheduled", "status": "True"}
    if unschedulable:
        placed = {"type": "PodScheduled", "status": "False", "message": unschedulable}
    meta = metadata(name, labels=labels, controller=controller, created=created)
    return {
        "metadata": meta | ({"deletionTimestamp": to_text(NOW)} if deleting else {}),
        "spec": {
            "nodeName": node,
            "containers": [
                *({"name": k, "image": v} for k, v in (images or {}).items()),
                *({"name": k, "resources": v} for k, v in (requests or {}).items()),
            ],
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "message": message,
            "conditions": [
                placed,
                {
                    "type": "Ready",
                    "status": str(ready),
                    "reason": ready_reason,
                    "lastTransitionTime": ready_since,
                },
                *(
                    [{"type": "DisruptionTarget", "status": "True", "reason": disruption}]
                    if disruption
                    else []
                ),
                {
                    "type": "ContainersReady",
                    "status": str(ready if containers_ready is None else containers_ready),
                },
            ],
            "initContainerStatuses": init or [],
            "containerStatuses": containers or [],
        },
    }


def a_pod(**facts: Any) -> Pod:
    return Pod.from_body(pod_body(**facts))


# What the containers of a conversion say when all is well.

SOURCE_SHA256 = "ab" * 32
ARTIFACT_SHA256 = "cd" * 32
MESSAGES: dict[str, Body] = {
    "fetch": {"ok": True, "sha256": SOURCE_SHA256, "sizeBytes": 102_000_000},
    "prepare": {
        "ok": True,
        "opset": 13,
        "inputs": [{"name": "actual_input_1", "dataType": "FP32", "dims": [3, 224, 224]}],
        "outputs": [{"name": "output1", "dataType": "FP32", "dims": [1000]}],
        "batchSizes": [1, 2, 4, 8],
        "notes": [],
    },
    "convert": {
        "ok": True,
        "compiler": "ATC 8.2.RC1",
        "contentKey": "ef" * 32,
        "hit": False,
        "durationSeconds": 12.3,
        "arch": None,
        "argv": ["atc", "--framework=5", f"--soc_version={CHIP}"],
    },
    "publish": {
        "ok": True,
        "contentKey": "ef" * 32,
        "sha256": ARTIFACT_SHA256,
        "sizeBytes": 51_000_000,
        "file": "model.om",
        "origin": "Converted",
    },
}


# What the evaluator says of a good candidate.
MEASURED: Body = {
    "ok": True,
    "samples": 10_000,
    "top1": 0.7901,
    "top1Reference": 0.7942,
    "cosineSimilarity": 0.99871234,
    "top1Agreement": 0.991,
    "imagesPerSecond": 5123.4,
    "throughput": {"24": 18210.7},
    "resultKey": "results/abc.json",
}


LATENCY: Body = {
    "requests": 1600,
    "failedRequests": 0,
    "requestsPerSecond": 199.8,
    "p50Milliseconds": 3.25,
    "p90Milliseconds": 4.5,
    "p99Milliseconds": 7.125,
}


def an_artifact(**changes: Any) -> Artifact:
    return Artifact(**({field: getattr(ARTIFACT, field) for field in FIELDS} | changes))


def tensor(name: str, *dims: int, data_type: str = "FP32") -> TensorInfo:
    return TensorInfo(name, data_type, dims)


ARTIFACT = Artifact.from_messages(MESSAGES, chip=CHIP)
FIELDS = tuple(Artifact.__dataclass_fields__)
CPU_MESSAGES = {
    **{name: said for name, said in MESSAGES.items() if name != "convert"},
    "publish": MESSAGES["publish"] | {"file": "model.onnx", "origin": "Copied"},
}


def labels_of_job(key: str) -> dict[str, str]:
    return names.labels(names.CONVERSION, **{names.ARTIFACT: key})


def labels_of_gate(key: str, validation: str) -> dict[str, str]:
    return names.labels(names.VALIDATION, **{names.ARTIFACT: key, names.VALIDATED: validation[:8]})


def condition(status: Any, kind: str) -> Body:
    """Return one condition of a status, or an empty one."""
    return next((dict(c) for c in status.get("conditions") or () if c["type"] == kind), {})
