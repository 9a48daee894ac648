"""A ResNetBatch from its object to its Job and its end, against an API server in a dictionary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import ARTIFACT, NAME, NAMESPACE, Body, ended, merged, running
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.test_reconcile import known_artifact, serving

from resnet_contract.order import parse_job
from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.batch.logs import BatchLogs
from resnet_operator.batch.plan import SERVICE_SECONDS
from resnet_operator.batch.reconcile import BatchReconciler
from resnet_operator.errors import Rejected
from resnet_operator.settings.operator import Settings
from resnet_operator.work.attempt import HELD_SECONDS

BATCH, JOB = "archive", "rnb-archive"
SPEC: Body = {
    "service": {"name": NAME},
    "input": {"uri": "pvc://photos/2026"},
    "output": {"uri": "pvc://results/2026"},
}


class Batches:
    """A batch beside the one object of a `Life`."""

    def __init__(self, life: Life, **changes: Any) -> None:
        self.life = life
        settings: Settings = life.reconciler.settings.model_copy(update=changes)
        kube: Any = life.api
        self.monotonic = 0.0
        self.log = ""
        self.read = 0
        life.api.read_log = self.read_log  # type: ignore[attr-defined]
        self.reconciler = BatchReconciler(
            kube=kube,
            views=life.views,
            settings=settings,
            clock=lambda: life.now,
            logs=BatchLogs(kube=kube, monotonic=lambda: self.monotonic),
        )

    async def read_log(self, *_: Any, **__: Any) -> str:
        self.read += 1
        return self.log

    def create(self, **spec: Any) -> None:
        meta = {"name": BATCH, "namespace": NAMESPACE}
        kind = {"apiVersion": API_VERSION, "kind": BATCH_KIND}
        self.life.api.put(kind | {"metadata": meta, "spec": merged(SPEC, spec)})

    async def look(self) -> Body:
        """Look as often as there is something to do; return the status."""
        for _ in range(4):
            self.life._deliver()
            await self.reconciler.reconcile((NAMESPACE, BATCH))
        self.life._deliver()
        status: Body = self.life.api.objects[BATCH_KIND, BATCH]["status"]
        return status

    @property
    def job(self) -> Body:
        return self.life.api.objects["Job", JOB]

    def has_job(self) -> bool:
        return ("Job", JOB) in self.life.api.objects

    def pod(self, name: str, phase: str, *statuses: Body, disrupted: bool = False) -> None:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "Preemption"}
        owner = {"uid": self.job["metadata"]["uid"], "controller": True}
        meta = {
            "name": name,
            "namespace": NAMESPACE,
            "labels": self.job["spec"]["template"]["metadata"]["labels"],
            "ownerReferences": [owner],
        }
        live = self.life.api.objects.get(("Pod", name), {})
        status = {
            "phase": phase,
            "conditions": [condition] if disrupted else [],
            "containerStatuses": list(statuses),
        }
        kept = {**live.get("metadata", {}), **meta}
        self.life.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": kept, "status": status})


def said(done: int, *, ok: bool = False) -> Body:
    return {"ok": ok, "pictures": done, "total": 5000, "failed": 0, "picturesPerSecond": 40.0}


async def started(**spec: Any) -> Batches:
    batches = Batches(await serving())
    batches.create(**spec)
    await batches.look()
    assert batches.has_job(), batches.life.api.objects[BATCH_KIND, BATCH]["status"]
    return batches


async def test_the_job_is_the_serving_pod_with_a_client_beside_it() -> None:
    batches = await started(parallelism=3, output={"topK": 5})
    deployment = batches.life.api.objects["Deployment", NAME]
    serving_pod = deployment["spec"]["template"]["spec"]
    spec = batches.job["spec"]
    pod = spec["template"]["spec"]
    assert [c["name"] for c in pod["initContainers"]] == ["fetch", "artifact"]
    triton, client = pod["containers"]
    assert triton["image"] == serving_pod["containers"][0]["image"]
    assert triton["resources"] == serving_pod["containers"][0]["resources"]
    assert "--until-file=/eval/done" in triton["args"]
    assert client["command"][-1] == "batch"
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"] == serving_pod["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    order = parse_job(next(e["value"] for e in client["env"] if e["name"] == "RESNET_JOB"))
    assert order.batch is not None
    assert order.served is not None
    assert (order.batch.top, order.batch.shards, order.served.artifact) == (5, 3, ARTIFACT.sha256)
    assert order.batch.output.folder == "/output/2026"


async def test_preemption_does_not_count_as_failure_and_a_bad_order_fails_at_once() -> None:
    rules = (await started()).job["spec"]["podFailurePolicy"]["rules"]
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    assert rules[0] == {"action": "Ignore", "onPodConditions": [disrupted]}
    assert rules[1]["action"] == "FailJob"
    assert 64 in rules[1]["onExitCodes"]["values"]


async def test_its_pods_take_no_traffic_and_are_no_pods_of_the_service() -> None:
    batches = await started()
    labels = batches.job["spec"]["template"]["metadata"]["labels"]
    service = batches.life.api.objects["Service", NAME]
    assert not service["spec"]["selector"].items() <= labels.items()
    assert names.INSTANCE not in labels


PRIORITIES = [
    ("resnet-operator-batch", None, "resnet-operator-batch"),
    ("resnet-operator-batch", "mine", "mine"),
    ("", None, None),
]


@pytest.mark.parametrize(("installed", "asked", "found"), PRIORITIES)
async def test_the_priority_class_is_the_charts_unless_one_is_named(
    installed: str, asked: str | None, found: str | None
) -> None:
    batches = Batches(await serving(), batch_priority_class=installed)
    batches.create(**({"priorityClassName": asked} if asked else {}))
    await batches.look()
    assert batches.job["spec"]["template"]["spec"].get("priorityClassName") == found


async def test_a_claim_for_both_is_one_volume_that_is_read_only_where_it_is_read() -> None:
    batches = await started(input={"uri": "pvc://shared/in"}, output={"uri": "pvc://shared/out"})
    pod = batches.job["spec"]["template"]["spec"]
    claims = [v for v in pod["volumes"] if "persistentVolumeClaim" in v]
    shared = [v for v in claims if v["persistentVolumeClaim"]["claimName"] == "shared"]
    assert [volume["name"] for volume in shared] == ["output"]
    fetch = pod["initContainers"][0]
    mount = next(m for m in fetch["volumeMounts"] if m["name"] == "output")
    assert mount == {"name": "output", "mountPath": "/source-dataset", "readOnly": True}


REMOTE: list[tuple[str, Body, list[str]]] = [
    (
        "a bucket",
        {"uri": "s3://results/2026", "credentialsSecretRef": {"name": "keys"}},
        ["/output-credentials"],
    ),
    (
        "a registry with its own authority",
        {
            "uri": "oci://registry.example.com/results:run-1",
            "credentialsSecretRef": {"name": "login"},
            "caBundleConfigMapKeyRef": {"name": "trust", "key": "pem"},
        },
        ["/output-credentials", "/output-ca"],
    ),
    ("a registry that takes anybody's", {"uri": "oci://registry.example.com/results:run-1"}, []),
]


@pytest.mark.parametrize(("case", "output", "mounts"), REMOTE)
async def test_only_what_writes_the_output_sees_its_login(
    case: str, output: Body, mounts: list[str]
) -> None:
    proxies = {"HTTPS_PROXY": "http://proxy:3128"}
    batches = Batches(await serving(), source_environment=proxies)
    batches.create()
    batches.life.api.edit(BATCH_KIND, BATCH, lambda b: b["spec"].update(output=output))
    await batches.look()
    pod = batches.job["spec"]["template"]["spec"]
    client = next(c for c in pod["containers"] if c["name"] == "batch")
    found = [m for m in client["volumeMounts"] if m["mountPath"].startswith("/output")]
    assert [mount["mountPath"] for mount in found] == mounts, case
    assert all(mount["readOnly"] for mount in found)
    for other in (*pod["initContainers"], pod["containers"][0]):
        assert not [m for m in other["volumeMounts"] if m["mountPath"].startswith("/output")]
    environment = {entry["name"]: entry["value"] for entry in client["env"]}
    assert environment["HTTPS_PROXY"] == "http://proxy:3128", "as for sources"
    order = parse_job(environment["RESNET_JOB"])
    assert order.batch is not None
    assert order.batch.output.address is not None
    assert order.batch.output.address.uri == output["uri"]
    volumes = {v["name"]: v for v in pod["volumes"] if v["name"].startswith("output")}
    assert sorted(volumes) == sorted(mount["name"] for mount in found)


async def test_a_claim_takes_the_output_without_the_sources_environment() -> None:
    batches = Batches(await serving(), source_environment={"AWS_ENDPOINT_URL": "http://s3"})
    batches.create(output={"format": "Parquet"})
    await batches.look()
    client = batches.job["spec"]["template"]["spec"]["containers"][1]
    environment = {entry["name"]: entry["value"] for entry in client["env"]}
    assert "AWS_ENDPOINT_URL" not in environment
    order = parse_job(environment["RESNET_JOB"])
    assert order.batch is not None
    assert order.batch.written == "Parquet"


async def test_it_waits_for_its_service() -> None:
    life = Life()
    batches = Batches(life)
    batches.create()
    status = await batches.look()
    assert "there is no ResNetService" in words(status)
    life.create()
    status = await batches.look()
    assert "waits until ResNetService" in words(status)
    again = await batches.reconciler.reconcile((NAMESPACE, BATCH))
    assert again == SERVICE_SECONDS, "the operator's own writes of the service wake nobody"
    known_artifact(life)
    await life.run(5)
    await batches.look()
    assert batches.has_job()


def words(status: Body) -> str:
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    return str(ready["message"])


async def test_it_gives_way_twice_and_ends_with_every_picture() -> None:
    batches = await started()
    for number, done in ((1, 1000), (2, 3000)):
        batches.pod(f"p-{number}", "Running", running("batch"))
        assert (await batches.look())["phase"] == "Running"
        batches.pod(f"p-{number}", "Failed", ended("batch", 143, said=said(done)), disrupted=True)
        status = await batches.look()
        assert (status["phase"], status["preemptions"]) == ("Pending", number)
        assert status["pictures"] == {"total": 5000, "done": done, "failed": 0}
        batches.life.api.remove("Pod", f"p-{number}")
        assert (await batches.look())["pictures"]["done"] == done
    done_message = said(5000, ok=True) | {"manifestSha256": "ab" * 32}
    batches.pod("p-3", "Succeeded", ended("batch", 0, said=done_message))
    await batches.look()
    batches.life.api.edit("Job", JOB, finished)
    status = await batches.look()
    assert (status["phase"], status["pictures"]["done"]) == ("Succeeded", 5000)
    assert (status["preemptions"], status["manifestSha256"]) == (2, "ab" * 32)
    mark = len(batches.life.api.writes)
    await batches.look()
    assert batches.life.api.writes[mark:] == []


async def test_what_another_operator_has_counted_is_not_overwritten() -> None:
    """Its word is later than what we see: we look again, and the pod that is gone stays counted."""
    batches = await started()
    api = batches.life.api
    batches.pod("p-1", "Failed", ended("batch", 143, said=said(1000)), disrupted=True)
    assert (await batches.look())["preemptions"] == 1

    def count_another(body: Body) -> None:
        gone = {"name": "p-2", "uid": "uid-p-2"}
        body["status"] |= {"preemptions": 2, "preempted": [*body["status"]["preempted"], gone]}

    api.edit(BATCH_KIND, BATCH, count_another)
    late = api.events.pop()
    ahead = api.objects[BATCH_KIND, BATCH]["status"]
    batches.log = "classified 4000 of 5000 pictures (80 %), 99.0 pictures/s"
    batches.pod("p-3", "Running", running("batch"))
    batches.life._deliver()
    assert await batches.reconciler.reconcile((NAMESPACE, BATCH)) == HELD_SECONDS
    assert api.objects[BATCH_KIND, BATCH]["status"] == ahead
    api.events.append(late)
    status = await batches.look()
    assert (status["preemptions"], status["pictures"]["done"]) == (2, 4000)


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
async def test_a_job_that_is_seen_to_end_before_its_pods_has_not_ended_yet(kind: str) -> None:
    """Jobs and pods are watched apart: nothing is said for good before both are seen."""
    batches = await started()
    batches.pod("p-1", "Running", running("batch"))
    before = await batches.look()
    condition = {"type": kind, "status": "True", "reason": "PodFailurePolicy"}
    batches.life.api.edit("Job", JOB, lambda b: b.update(status={"conditions": [condition]}))
    assert await batches.look() == before
    code, phase = (0, "Succeeded") if kind == "Complete" else (64, "Failed")
    last = {"ok": False, "reason": "InvalidSpec", "message": "there is no picture"}
    message = said(5000, ok=True) if kind == "Complete" else last
    batches.pod("p-1", phase, ended("batch", code, said=message))
    status = await batches.look()
    assert status["phase"] == {"Complete": "Succeeded"}.get(kind, "Failed")
    assert status["completionTime"]
    if kind == "Complete":
        assert status["pictures"]["done"] == 5000
    else:
        assert "there is no picture" in words(status)


async def test_two_that_gave_way_between_two_looks_are_two() -> None:
    batches = await started(parallelism=2)
    for name in ("p-1", "p-2"):
        batches.pod(name, "Failed", ended("batch", 143, said=said(1000)), disrupted=True)
    status = await batches.look()
    assert status["preemptions"] == 2
    assert [one["name"] for one in status["preempted"]] == ["p-1", "p-2"]
    for name in ("p-1", "p-2"):
        batches.life.api.remove("Pod", name)
    batches.pod("p-1", "Failed", ended("batch", 143, said=said(2000)), disrupted=True)
    assert (await batches.look())["preemptions"] == 3, "a new pod of an old name"


def finished(body: Body) -> None:
    body["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}


async def test_progress_of_a_running_pod_comes_from_its_log_and_seldom() -> None:
    batches = await started()
    batches.log = "noise\nclassified 2000 of 5000 pictures (40 %), 100.0 pictures/s\n"
    batches.pod("p-1", "Running", running("batch"))
    status = await batches.look()
    assert status["pictures"] == {"total": 5000, "done": 2000, "failed": 0}
    assert status["picturesPerSecond"] == 100.0
    assert status["estimatedCompletionTime"] > status["startTime"]
    assert batches.read == 1
    batches.monotonic += 11
    batches.log = "classified 2500 of 5000 pictures (50 %), 99.0 pictures/s"
    assert (await batches.look())["pictures"]["done"] == 2500


async def test_the_revision_that_a_batch_runs_is_kept() -> None:
    batches = await started()
    life = batches.life
    status = life.api.objects[BATCH_KIND, BATCH]["status"]
    for number in range(3):
        life.api.edit(
            KIND,
            NAME,
            lambda body, number=number: body["spec"].update(  # type: ignore[misc]
                rollout={"historyLimit": 1},
                serving={"env": [{"name": "N", "value": str(number)}]},
            ),
        )
        await life.run(10)
    assert ("ConfigMap", status["revision"]) in life.api.objects
    life.api.edit("Job", JOB, finished)
    await batches.look()
    life.api.edit(
        KIND,
        NAME,
        lambda body: body["spec"].update(serving={"env": [{"name": "N", "value": "9"}]}),
    )
    await life.run(10)
    assert ("ConfigMap", status["revision"]) not in life.api.objects


async def test_a_strangers_job_of_the_name_is_left_alone() -> None:
    batches = Batches(await serving())
    meta = {"name": JOB, "namespace": NAMESPACE, "labels": {}}
    stranger = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {}}
    batches.life.api.put(stranger)
    batches.create()
    status = await batches.look()
    assert "rename the ResNetBatch or remove it" in words(status)
    assert batches.job["spec"] == {}


async def test_what_the_api_server_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(await serving())

    async def refuse(body: Body) -> Body:
        raise Rejected(403, "exceeded quota")

    monkeypatch.setattr(batches.life.api, "create", refuse)
    batches.create()
    status = await batches.look()
    assert (status["phase"], "exceeded quota" in words(status)) == ("Pending", True)
    assert json.loads(json.dumps(status)) == status
