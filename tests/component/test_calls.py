"""What the operator asks of the API server, call by call: little to converge, nothing at rest.

On an API server without controllers, so that every write but the test's own is the operator's.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from devkit.cluster.cluster import Cluster
from tests.component.client import MERGE, Access, Api
from tests.component.conftest import ACCOUNT, rights
from tests.component.gate import NAME, VALIDATION, gate_jobs, gated, is_measured, runs
from tests.component.objects import service
from tests.component.proxy import Fault, Proxy
from tests.component.test_health import free_port, get
from tests.component.world import (
    RunningOperator,
    World,
    condition_of,
    open_world,
    reconciles,
    until,
)
from tests.support.apiserver import ApiServer
from tests.support.servers import programs

from resnet_operator.measured.families import MOST_SERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

OBJECTS = 20
# The object that a series is of.
SERIES = re.compile(r'^resnet_service_\w+\{namespace="([^"]+)",name="([^"]+)"', re.MULTILINE)
WARM_UP = "warm-up"
NAMES = [f"object-{number:02}" for number in range(OBJECTS)]


@pytest.fixture(scope="module")
def bare_server() -> Iterator[ApiServer]:
    """An API server and nothing else."""
    if os.geteuid() != 0:
        pytest.skip("the embedded API server needs root")
    with Cluster.start(mode="api", components=["apiserver"]) as cluster:
        server = ApiServer(
            kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, proxy_port=0, embedded=True
        )
        server.install_crd()
        server.kubectl("apply", "--server-side", "-f", "-", input=rights(server))
        yield server


@pytest_asyncio.fixture
async def bare_world(bare_server: ApiServer, tmp_path: Path) -> AsyncIterator[World]:
    access = Access.from_kubeconfig(bare_server.kubeconfig)
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    async with Api(access) as api:
        await api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        proxy = Proxy(access, account=ACCOUNT)
        async with open_world(proxy=proxy, api=api, namespace=namespace, folder=tmp_path) as it:
            yield it


async def start_with_store(world: World, **environment: str) -> RunningOperator:
    """Start the operator; one object later the namespace has its store and its runtime."""
    operator = await world.start(**environment)
    await create(world, [WARM_UP])
    await operator.idle()
    return operator


async def create(world: World, names: list[str]) -> None:
    """Create services whose artifacts are known, and wait until their statuses say so."""
    for name in names:
        await world.known_artifact(service(name))
    for name in names:
        await world.create(service(name))
    for name in names:
        await world.becomes(
            "ResNetService", name, lambda b: b["status"]["phase"] == "Deploying", what="a status"
        )


async def test_a_known_artifact_takes_six_writes_and_no_read(bare_world: World) -> None:
    """Record's owner, revision, Deployment, Service, status, one event: nothing twice or else."""
    operator = await start_with_store(bare_world)
    mark = len(bare_world.proxy.calls)
    await create(bare_world, NAMES)
    await operator.idle()
    assert bare_world.proxy.count(mark) == {
        ("create", "configmaps"): OBJECTS,
        ("patch", "configmaps"): OBJECTS,
        ("patch", "deployments"): OBJECTS,
        ("patch", "services"): OBJECTS,
        ("patch", "resnetservices/status"): OBJECTS,
        ("create", "events"): OBJECTS,
    }


async def test_a_gate_takes_eleven_writes_and_no_read(bare_world: World) -> None:
    """Five until the candidate is there, one a step, six until the pods; no detour when known."""
    operator = await start_with_store(bare_world)
    await bare_world.known_artifact(gated())
    mark = len(bare_world.proxy.calls)
    await bare_world.create(gated())
    await bare_world.condition(NAME, "Validated", "False", "Validating")
    await operator.idle()
    assert bare_world.proxy.count(mark) == {
        ("create", "configmaps"): 1,
        ("patch", "configmaps"): 1,
        ("create", "jobs"): 1,
        ("patch", "resnetservices/status"): 1,
        ("create", "events"): 1,
    }
    (job,) = await gate_jobs(bare_world)
    pod = await make_pod(bare_world, job)
    await runs(bare_world, pod)
    await bare_world.becomes(
        "ResNetService",
        NAME,
        lambda b: "being measured" in condition_of(b, "Ready")["message"],
        what="the step to be told",
    )
    await operator.idle()
    mark = len(bare_world.proxy.calls)
    await is_measured(bare_world, pod)
    await end_job(bare_world, job)
    await bare_world.condition(NAME, "Validated", "True", "Validated")
    await operator.idle()
    assert bare_world.proxy.count(mark) == {
        ("patch", "configmaps"): 1,
        ("patch", "jobs"): 1,
        ("patch", "deployments"): 1,
        ("patch", "services"): 1,
        ("patch", "resnetservices/status"): 1,
        ("create", "events"): 1,
    }
    mark = len(bare_world.proxy.calls)
    await bare_world.create(gated("another"))
    await bare_world.condition("another", "Validated", "True", "Validated")
    await operator.idle()
    assert bare_world.proxy.count(mark) == {
        ("create", "configmaps"): 1,
        ("patch", "configmaps"): 1,
        ("patch", "deployments"): 1,
        ("patch", "services"): 1,
        ("patch", "resnetservices/status"): 1,
        ("create", "events"): 2,
    }


async def make_pod(world: World, job: dict[str, Any]) -> dict[str, Any]:
    """Be the Job controller."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await world.create(account)
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-x7k2p",
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner | {"controller": True}],
        },
        "spec": template["spec"],
    }
    return await world.create(pod)


async def end_job(world: World, job: dict[str, Any]) -> None:
    time = job["metadata"]["creationTimestamp"]
    kinds = ("SuccessCriteriaMet", "Complete")
    status = {
        "startTime": time,
        "completionTime": time,
        "succeeded": 1,
        "uncountedTerminatedPods": {},
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": time} for kind in kinds
        ],
    }
    await world.patch("Job", job["metadata"]["name"], {"status": status}, status=True)


async def test_pods_come_first(bare_world: World) -> None:
    """What takes time is started before what can wait."""
    operator = await start_with_store(bare_world)
    mark = len(bare_world.proxy.calls)
    await create(bare_world, NAMES[:1])
    await operator.idle()
    order = [call.resource for call in bare_world.proxy.since(mark)]
    assert order[:2] == ["configmaps", "deployments"]
    assert order[-2:] == ["resnetservices/status", "events"]


async def test_when_many_come_everybodys_pods_come_before_anybodys_status(
    bare_world: World,
) -> None:
    operator = await start_with_store(bare_world, RESNET_WORKERS="1")
    first = bare_world.proxy.inject(Fault(verb="patch", resource="deployments", hold="before"))
    mark = len(bare_world.proxy.calls)
    for name in NAMES:
        await bare_world.known_artifact(service(name))
        await bare_world.create(service(name))
    await seen(bare_world, operator)
    bare_world.proxy.lift(first)
    await operator.idle()
    order = [call.resource for call in bare_world.proxy.since(mark)]
    assert order[: 2 * OBJECTS] == ["configmaps", "deployments"] * OBJECTS
    assert Counter(order[2 * OBJECTS :]) == {
        "services": OBJECTS,
        "configmaps": OBJECTS,
        "resnetservices/status": OBJECTS,
        "events": OBJECTS,
    }


async def test_a_change_that_our_own_write_overtakes(bare_world: World) -> None:
    """The spec changes while the status is written, whose answer has it: nobody else tells."""
    operator = await start_with_store(bare_world)
    name = NAMES[0]
    status = Fault(verb="patch", resource="resnetservices/status", name=name, hold="before")
    bare_world.proxy.inject(status)
    await bare_world.known_artifact(service(name))
    await bare_world.create(service(name))
    await asyncio.wait_for(status.reached.wait(), 20)
    await bare_world.patch("ResNetService", name, {"spec": {"serving": {"replicas": 2}}})
    bare_world.proxy.lift(status)
    await bare_world.becomes(
        "Deployment", name, lambda b: b["spec"]["replicas"] == 2, what="two replicas"
    )
    await operator.idle()


@dataclass(frozen=True)
class Nothing:
    reason: str
    change: Callable[[World], Awaitable[Any]]


async def annotate_all(world: World) -> None:
    for name in NAMES:
        await world.patch("ResNetService", name, {"metadata": {"annotations": {"note": "x"}}})


async def label_children(world: World) -> None:
    for name in NAMES:
        await world.patch("Deployment", name, {"metadata": {"annotations": {"note": "x"}}})
        await world.patch("Service", name, {"metadata": {"labels": {"team": "vision"}}})


async def judge_all(world: World) -> None:
    """Another controller has a condition of its own to write."""
    for name in NAMES:
        body = await world.get("ResNetService", name)
        judged = {"type": "example.com/Checked", "status": "True"}
        change = {"status": {"conditions": [*body["status"]["conditions"], judged]}}
        where = world.path("ResNetService", name) + "/status?fieldManager=checker"
        await world.api.request("PATCH", where, change, content_type=MERGE)


NOTHINGS = (
    Nothing("an annotation of others on each object", annotate_all),
    Nothing("annotations and labels of others on the children", label_children),
    Nothing("a condition of others in each status", judge_all),
)


@pytest.mark.parametrize("case", NOTHINGS, ids=lambda case: case.reason)
async def test_nothing_is_asked_when_nothing_of_ours_changed(
    case: Nothing, bare_world: World
) -> None:
    operator = await start_with_store(bare_world)
    await create(bare_world, NAMES)
    await operator.idle()
    mark = len(bare_world.proxy.calls)
    await case.change(bare_world)
    await seen(bare_world, operator)
    await operator.idle()
    looks = reconciles()
    operator.look_at_all()

    async def has_looked() -> bool:
        return reconciles() - looks > OBJECTS

    await until(has_looked, what="a look at every object")
    assert only_watches(bare_world, mark) == {}


async def test_nothing_is_asked_at_rest(bare_world: World) -> None:
    """Three looks at every object, as after lost events."""
    operator = await start_with_store(bare_world, RESNET_RESYNC_SECONDS="1")
    await create(bare_world, NAMES)
    await operator.idle()
    mark, looks = len(bare_world.proxy.calls), reconciles()

    async def has_looked() -> bool:
        return reconciles() - looks > 3 * OBJECTS

    await until(has_looked, what="three rounds of looks")
    assert only_watches(bare_world, mark) == {}


@dataclass(frozen=True)
class Resting:
    """A kind of object, and how it stands when nothing happens."""

    reason: str
    spec: dict[str, Any]
    becomes: tuple[str, str, str] = ("Ready", "False", "RollingOut")
    # Whether an earlier conversion left its artifact.
    is_converted: bool = True


def labelled(name: str, key: str = "labels.txt", **model: Any) -> dict[str, Any]:
    return {"model": model | {"classLabels": {"configMapKeyRef": {"name": name, "key": key}}}}


REFUSED = ("Ready", "False", "InvalidSpec")
ABSENT = ("Ready", "False", "VolumeMountFailed")
UNKNOWN = ("ArtifactReady", "False", "")
S3 = {"model": {"uri": "s3://models/a.onnx", "credentialsSecretRef": {"name": "keys"}}}
S3_NEW = {"model": S3["model"] | {"sha256": "3" * 64}}
HELD_OUT = {"uri": "configmap://absent/held-out.npz", "sha256": "4" * 64, "format": "Npy"}
WAITS = ("Ready", "False", "")
TLS = {"secretName": "absent", "clientAuthentication": True}
WEIGHTS = {
    "uri": "https://models.example.com/a.pth",
    "sha256": "5" * 64,
    "pytorch": {"architecture": "resnet50"},
}
TENSORS = {
    "inputs": [{"name": "INPUT", "dataType": "FP32", "dims": [3, 224, 224]}],
    "outputs": [{"name": "OUTPUT", "dataType": "FP32", "dims": [1000]}],
}
NUMBERED = {
    key: [tensors[0] | {"name": f"{tensors[0]['name']}_0"}] for key, tensors in TENSORS.items()
}
RESTING = (
    Resting("labels of its own", labelled("labels-a")),
    Resting("labels that another object names too", labelled("labels-a")),
    Resting("labels as JSON, with many bytes", labelled("labels-b", "json")),
    Resting("labels that do not exist", labelled("absent"), REFUSED),
    Resting("a key of the labels that does not exist", labelled("labels-a", "other"), REFUSED),
    Resting("labels that cannot be read", labelled("wrong"), REFUSED),
    Resting("a model in a ConfigMap, converted", {"model": {"uri": "configmap://models/a.onnx"}}),
    Resting(
        "a model in a ConfigMap that does not exist",
        {"model": {"uri": "configmap://absent/a.onnx", "sha256": "0" * 64}},
        ABSENT,
        is_converted=False,
    ),
    Resting(
        "a model in a ConfigMap without the key",
        {"model": {"uri": "configmap://models/b.onnx", "sha256": "1" * 64}},
        ABSENT,
        is_converted=False,
    ),
    Resting(
        "suspended, with labels",
        labelled("labels-a") | {"suspend": True},
        ("Ready", "True", "Suspended"),
    ),
    Resting(
        "no replicas, with labels",
        labelled("labels-b", "json") | {"serving": {"replicas": 0}},
        ("Ready", "False", ""),
    ),
    Resting(
        "pinned to nothing, with labels",
        labelled("labels-a") | {"rollout": {"pinRevision": "resting-00-0000000000"}},
        ("Ready", "False", ""),
    ),
    Resting(
        "an Ingress and a policy, with labels",
        labelled("labels-a") | {"serving": {"ingress": {"host": "a.example"}, "networkPolicy": {}}},
    ),
    Resting(
        "an autoscaler, traces and flags",
        {
            "serving": {
                "autoscaling": {"maxReplicas": 3},
                "tracing": {"otlpEndpoint": "http://collector:4318"},
                "extraArgs": ["--log-verbose=1"],
            }
        },
    ),
    Resting(
        "a route without the API that has routes",
        {"serving": {"httpRoute": {"hostnames": ["a.example"], "parentRefs": [{"name": "g"}]}}},
        ("Ready", "False", ""),
    ),
    Resting("a model in a claim", {"model": {"uri": "pvc://models/a.onnx"}}),
    Resting(
        "a model in a claim that does not exist",
        {"model": {"uri": "pvc://absent/a.onnx", "sha256": "2" * 64}},
        UNKNOWN,
        is_converted=False,
    ),
    Resting("a model in a bucket, with keys", S3),
    Resting("a model in a bucket, whose Job has no pod yet", S3_NEW, UNKNOWN, is_converted=False),
    Resting(
        "a model of a publisher's repository",
        {"model": {"uri": "hf://microsoft/resnet-50", "sha256": None}},
        UNKNOWN,
        is_converted=False,
    ),
    Resting(
        "a gate whose candidate waits",
        {"validation": VALIDATION},
        ("Validated", "False", "Validating"),
    ),
    Resting(
        "a gate with a data set in a ConfigMap that does not exist",
        {"validation": VALIDATION | {"dataset": HELD_OUT}},
        ("Validated", "False", ""),
    ),
    Resting(
        "calibration pictures in a ConfigMap",
        {"conversion": {"quantization": {"calibration": HELD_OUT}}},
        ("Ready", "False", ""),
    ),
    Resting("a spec that is refused", {"serving": {"configOverrides": 'backend: "x"'}}, REFUSED),
    Resting("a CPU", {"accelerator": {"chip": "CPU"}}),
    Resting(
        "a pipeline around the model",
        {"accelerator": {"chip": "CPU"}, "serving": {"pipeline": {"softmax": True}}},
        WAITS,
    ),
    Resting("TLS for clients, and none without a certificate", {"serving": {"tls": TLS}}, WAITS),
    Resting("a model as it is", {"model": {"uri": "https://models.example.com/a.om"}}, WAITS),
    Resting("bare weights", {"model": WEIGHTS}, WAITS, is_converted=False),
    Resting(
        "a gate that looks for settings too",
        {"validation": VALIDATION, "tuning": {}},
        ("Validated", "False", ""),
    ),
    Resting("nothing is batched", {"serving": {"batching": {"mode": "Disabled"}}}, WAITS),
    Resting(
        "weights that compile in the pod",
        {
            "model": WEIGHTS | TENSORS,
            "serving": {"runtime": "TorchAIE", "image": "localhost/torch-aie:test"},
            "conversion": {"batchSizes": [4]},
        },
        WAITS,
        is_converted=False,
    ),
    Resting(
        "a graph of OneFlow, without an image that serves it",
        {
            "model": {"uri": "pvc://models/a/1/model", "format": "OneFlow", **NUMBERED},
            "accelerator": {"chip": "GPU"},
        },
        WAITS,
        is_converted=False,
    ),
)
LABELS = "".join(f"class {number}\n" for number in range(1000))
CONFIG_MAPS = {
    "labels-a": {"labels.txt": LABELS},
    "labels-b": {"json": json.dumps([f"class {number}" for number in range(1000)])},
    "wrong": {"labels.txt": "[1, "},
    "models": {"a.onnx": "x"},
}


def resting(number: int, case: Resting) -> dict[str, Any]:
    manifest = service(f"resting-{number:02}")
    spec = manifest["spec"]
    model = spec["model"] | case.spec.get("model", {})
    spec |= case.spec | {"model": {key: value for key, value in model.items() if value}}
    return manifest


async def start_with_resting(world: World, **environment: str) -> RunningOperator:
    """Start the operator with an object of each kind, and wait until each says how it is."""
    operator = await start_with_store(world, **environment)
    for name, data in CONFIG_MAPS.items():
        await world.create(config_map(name, data))
    for number, case in enumerate(RESTING):
        manifest = resting(number, case)
        if case.is_converted:
            await world.known_artifact(manifest)
        await world.create(manifest)
        await world.condition(manifest["metadata"]["name"], *case.becomes)
    await operator.idle()
    return operator


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_no_kind_of_object_asks_at_rest(bare_world: World) -> None:
    """Three looks and scrapes: with labels, models and data sets in ConfigMaps, there or not."""
    port = free_port()
    await start_with_resting(bare_world, RESNET_RESYNC_SECONDS="1", RESNET_HTTP_PORT=str(port))

    async def rounds(number: int) -> None:
        begun = reconciles()

        async def has_looked() -> bool:
            return reconciles() - begun > number * len(RESTING)

        await until(has_looked, what=f"{number} rounds of looks")

    await rounds(2)  # the news of what was just created
    mark = len(bare_world.proxy.calls)
    for _ in range(3):
        await rounds(1)
        await has_few_series(port, bare_world)
    assert only_watches(bare_world, mark) == {}


async def has_few_series(port: int, world: World) -> None:
    """See that each object has series of its own, and that no object has many."""
    found = Counter(SERIES.findall((await get(port, "/metrics"))[1]))
    names = {body["metadata"]["name"] for body in await listed(world)}
    assert {name for _, name in found} == names
    assert max(found.values()) <= MOST_SERIES


async def listed(world: World) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await world.api.request("GET", world.path("ResNetService")))[
        "items"
    ]
    return items


KEDA = {"provider": "KEDA", "prometheusAddress": "http://prometheus.example:9090"}


@pytest.fixture(params=[False, True], ids=["KEDA is not installed", "KEDA is installed"])
def keda(request: pytest.FixtureRequest, bare_server: ApiServer) -> Iterator[bool]:
    settings = (f"autoscaling.{key}={value}" for key, value in KEDA.items())
    bare_server.kubectl("apply", "--server-side", "-f", "-", input=rights(bare_server, *settings))
    if not request.param:
        yield False
        return
    path = str(programs() / "keda.sh_scaledobjects.yaml")
    crd = "crd/scaledobjects.keda.sh"
    bare_server.kubectl("apply", "--server-side", "-f", path)
    bare_server.kubectl("wait", "--for=condition=Established", crd, "--timeout=30s")
    try:
        yield True
    finally:
        bare_server.kubectl("delete", crd)


async def test_an_autoscaler_of_keda_asks_nothing_at_rest(keda: bool, bare_world: World) -> None:
    scaled = {"serving": {"autoscaling": {"maxReplicas": 3}}}
    operator = await start_with_store(
        bare_world, RESNET_RESYNC_SECONDS="1", RESNET_AUTOSCALING=json.dumps(KEDA)
    )
    manifest = resting(0, Resting("scaled by KEDA", scaled))
    await bare_world.known_artifact(manifest)
    await bare_world.create(manifest)
    name = manifest["metadata"]["name"]
    if keda:
        await bare_world.has("ScaledObject", name)
    await bare_world.condition(name, *WAITS)
    await operator.idle()
    begun = reconciles()

    async def has_looked(number: int) -> bool:
        return reconciles() - begun > 2 * number

    await until(lambda: has_looked(2), what="the news of what was just created")
    mark = len(bare_world.proxy.calls)
    await until(lambda: has_looked(5), what="three rounds of looks")
    assert only_watches(bare_world, mark) == {}


async def test_an_object_that_goes_takes_its_series_along(bare_world: World) -> None:
    port = free_port()
    await start_with_store(bare_world, RESNET_HTTP_PORT=str(port))
    await create(bare_world, NAMES[:2])
    gone, stays = NAMES[:2]

    async def shown() -> set[str]:
        return {name for _, name in SERIES.findall((await get(port, "/metrics"))[1])}

    assert {gone, stays} <= await shown()
    await bare_world.delete("ResNetService", gone)

    async def is_gone() -> bool:
        return gone not in await shown()

    await until(is_gone, what="the end of its series")
    assert stays in await shown()


async def test_a_config_map_is_read_once_for_each_of_its_changes(bare_world: World) -> None:
    """Its change is taken up at once, however many objects name it; others' wake nobody."""
    operator = await start_with_store(bare_world)
    await bare_world.create(config_map("labels-a", CONFIG_MAPS["labels-a"]))
    await bare_world.create(config_map("of-others", {"a": "1"}))
    manifests = [resting(number, RESTING[0]) for number in range(3)]
    for manifest in manifests:
        await bare_world.known_artifact(manifest)
        await bare_world.create(manifest)
        await bare_world.condition(manifest["metadata"]["name"], *RESTING[0].becomes)
    await operator.idle()
    mark = len(bare_world.proxy.calls)
    await bare_world.patch("ConfigMap", "of-others", {"data": {"a": "2"}})
    await bare_world.patch("ConfigMap", "labels-a", {"data": {"labels.txt": LABELS + "\n"}})
    changed = LABELS.replace("class 0", "tench")
    await bare_world.patch("ConfigMap", "labels-a", {"data": {"labels.txt": changed}})

    async def is_taken_up() -> bool:
        found = await bare_world.ours("ConfigMap", "revision")
        seen = [body for body in found if body["data"].get("labels.txt") == changed]
        return len(seen) == len(manifests)

    await until(is_taken_up, what="a revision of each object with the new labels")
    await operator.idle()
    reads = bare_world.proxy.since(mark, lambda call: bool(call.field_selector))
    assert {call.field_selector for call in reads} == {"metadata.name=labels-a"}
    # One for each change; those who look at the same moment may each ask.
    assert 1 <= len(reads) <= 2 * len(manifests)


async def test_a_config_map_that_comes_and_goes_is_seen_at_once(bare_world: World) -> None:
    operator = await start_with_store(bare_world)
    manifest = resting(0, RESTING[0])
    name = manifest["metadata"]["name"]
    await bare_world.known_artifact(manifest)
    await bare_world.create(manifest)
    await bare_world.condition(name, *REFUSED)
    await operator.idle()
    await bare_world.create(config_map("labels-a", CONFIG_MAPS["labels-a"]))
    await bare_world.condition(name, *RESTING[0].becomes)
    await bare_world.delete("ConfigMap", "labels-a")
    said = await bare_world.condition(name, *REFUSED)
    assert 'ConfigMap "labels-a" of model.classLabels does not exist' in said["message"]


async def test_nothing_is_written_at_restart(bare_world: World) -> None:
    """Another process with the same settings, and one with other images and another template."""
    operator = await start_with_store(bare_world)
    await create(bare_world, NAMES)
    await operator.idle()
    await operator.stop()
    for change in ({}, {"RESNET_JOBS_IMAGE": "jobs:2", "RESNET_DEVICE_GROUP": "1500"}):
        mark, looks = len(bare_world.proxy.calls), reconciles()
        operator = await bare_world.start(**change)

        async def has_looked(looks: float = looks) -> bool:
            return reconciles() - looks > OBJECTS

        await until(has_looked, what="a look at every object")
        await operator.idle()
        assert only_watches(bare_world, mark) == {}, change
        await operator.stop()


async def seen(world: World, operator: RunningOperator) -> None:
    """Wait until the operator knows the newest version of all that there is."""
    for kind in ("ResNetService", "Deployment", "Service", "ConfigMap"):
        for body in (await world.api.request("GET", world.path(kind)))["items"]:
            meta = body["metadata"]

            async def is_known(kind: str = kind, meta: Any = meta) -> bool:
                view = operator.app.views.stores[kind].one(world.namespace, meta["name"])
                return view is not None and int(view.meta.version) >= int(meta["resourceVersion"])

            await until(is_known, what=f"{kind} {meta['name']} to be seen")


def only_watches(world: World, mark: int) -> Counter[tuple[str, str]]:
    """Return the calls but for lists and watches of whole kinds, which are free to come."""
    calls = world.proxy.since(mark, lambda call: call.verb != "watch")
    return Counter(
        (call.verb, call.resource) for call in calls if call.verb != "list" or call.field_selector
    )
