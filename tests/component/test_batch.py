"""A ResNetBatch against a real API server and Job controller; the test plays the kubelet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.client import ApiError
from tests.component.objects import artifact_of, service
from tests.component.proxy import Fault
from tests.component.world import condition_of, ended, until

from resnet_contract.order import parse_job
from resnet_operator.api import API_VERSION

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]
NAME, SERVICE = "archive", "resnet50"
RESOURCE = "huawei.com/Ascend310P"
STARTED = {"fetch": ended(0), "artifact": ended(0)}


def batch(name: str = NAME, **spec: Any) -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": "ResNetBatch",
        "metadata": {"name": name},
        "spec": {
            "service": {"name": SERVICE},
            "input": {"uri": "pvc://photos/2026"},
            "output": {"uri": "pvc://results/2026", "topK": 5},
            **spec,
        },
    }


def told(done: int, total: int, *, ok: bool = False, **more: Any) -> Body:
    said = {"ok": ok, "pictures": done, "total": total, "failed": 0, "parts": done // 1000}
    return said | {"picturesPerSecond": 50.0} | more


async def serve(world: World) -> Body:
    await world.known_artifact(service(SERVICE))
    await world.create(service(SERVICE))
    return await world.is_ready(SERVICE)


async def is_said(world: World, what: str, claim: Any, *, name: str = NAME) -> Body:
    found = await world.becomes("ResNetBatch", name, lambda b: claim(b["status"]), what=what)
    status: Body = found["status"]
    return status


async def pod_of(world: World, job: Body) -> Body:
    """Wait for the Job's pod, until the scheduler has looked at it."""

    async def there() -> Body | None:
        for found in await world.all("Pod", **{"job-name": job["metadata"]["name"]}):
            if found["status"].get("conditions"):
                return found
        return None

    pod: Body = await until(there, what="a pod of the batch")
    return pod


async def runs(world: World, pod: Body) -> None:
    states = STARTED | {"triton": {"running": {}}, "batch": {"running": {}}}
    await world.pod_states(pod, "Running", states)


async def test_a_batch_becomes_a_job_and_ends_with_every_picture(world: World) -> None:
    await world.start(RESNET_BATCH_PRIORITY_CLASS="")
    ready = await serve(world)
    made = await world.create(batch())
    job = await world.has("Job", f"rnb-{NAME}")
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("ResNetBatch", made["metadata"]["uid"])
    template = job["spec"]["template"]["spec"]
    assert [c["name"] for c in template["initContainers"]] == ["fetch", "artifact"]
    assert [c["name"] for c in template["containers"]] == ["triton", "batch"]
    assert template["containers"][0]["resources"]["limits"][RESOURCE] == "1"

    pod = await pod_of(world, job)
    await runs(world, pod)
    status = await is_said(world, "Running", lambda s: s["phase"] == "Running")
    assert status["revision"] == ready["status"]["revisions"]["serving"]
    assert status["artifact"] == artifact_of(service(SERVICE)).sha256
    message = told(5000, 5000, ok=True, failed=2, manifestSha256="ab" * 32)
    await world.pod_states(
        pod, "Succeeded", STARTED | {"triton": ended(0), "batch": ended(0, message)}
    )
    status = await is_said(world, "Succeeded", lambda s: s["phase"] == "Succeeded")
    assert status["pictures"] == {"total": 5000, "done": 5000, "failed": 2}
    assert status["manifestSha256"] == "ab" * 32
    assert condition_of({"status": status}, "Ready")["status"] == "True"
    assert status["completionTime"]


async def test_the_job_takes_its_order_from_the_service(world: World) -> None:
    await world.start(RESNET_BATCH_PRIORITY_CLASS="low")
    await serve(world)
    await world.create(batch(parallelism=3))
    job = await world.has("Job", f"rnb-{NAME}")
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["template"]["spec"]["priorityClassName"] == "low"
    ignored = {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    assert spec["podFailurePolicy"]["rules"][0] == ignored
    client = spec["template"]["spec"]["containers"][1]
    order = parse_job(next(e["value"] for e in client["env"] if e["name"] == "RESNET_JOB"))
    assert order.batch is not None
    assert order.served is not None
    assert (order.batch.top, order.batch.shards, order.batch.part) == (5, 3, 1000)
    assert order.batch.output.folder == "/output/2026"
    assert order.served.artifact == artifact_of(service(SERVICE)).sha256


async def test_it_waits_for_a_service_that_is_not_there_or_not_ready(world: World) -> None:
    await world.start()
    await world.create(batch())
    status = await is_said(world, "the missing service", lambda s: s["conditions"])
    message = condition_of({"status": status}, "Ready")["message"]
    assert message == f'there is no ResNetService "{SERVICE}" here; create it'
    await world.create(service(SERVICE))
    await is_said(
        world,
        "the service to be waited for",
        lambda s: "waits until" in condition_of({"status": s}, "Ready")["message"],
    )
    assert await world.find("Job", f"rnb-{NAME}") is None
    await world.finish_job(service(SERVICE))
    await world.is_ready(SERVICE)
    await world.has("Job", f"rnb-{NAME}")


async def test_without_its_crd_the_operator_serves_as_before(world: World) -> None:
    """An upgrade need not bring a new CRD: the operator looks for it, and does all else."""
    for verb in ("list", "watch"):
        world.proxy.inject(Fault(verb=verb, resource="resnetbatches", status=404, times=None))
    operator = await world.start()
    await serve(world)
    assert operator.app.unready() == []
    assert operator.app.views.absent_kinds == {"ResNetBatch"}


async def test_a_failure_is_told_in_the_pods_own_words(world: World) -> None:
    await world.start()
    await serve(world)
    await world.create(batch())
    job = await world.has("Job", f"rnb-{NAME}")
    pod = await pod_of(world, job)
    said = {"ok": False, "reason": "InvalidSpec", "message": "spec.input: there is no picture"}
    states = STARTED | {"triton": ended(0), "batch": ended(64, said)}
    await world.pod_states(pod, "Failed", states)
    status = await is_said(world, "Failed", lambda s: s["phase"] == "Failed")
    ready = condition_of({"status": status}, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert ready["message"].startswith("spec.input: there is no picture; ")
    assert condition_of({"status": status}, "Stalled")["status"] == "True"


async def test_suspending_stops_the_pods_and_resuming_starts_them(world: World) -> None:
    await world.start()
    await serve(world)
    await world.create(batch())
    await world.has("Job", f"rnb-{NAME}")
    await world.patch("ResNetBatch", NAME, {"spec": {"suspend": True}})
    await world.becomes("Job", f"rnb-{NAME}", lambda b: b["spec"]["suspend"], what="a stop")
    await is_said(world, "Suspended", lambda s: s["phase"] == "Suspended")
    await world.patch("ResNetBatch", NAME, {"spec": {"suspend": False}})
    await world.becomes("Job", f"rnb-{NAME}", lambda b: not b["spec"]["suspend"], what="a start")


async def test_a_batch_goes_on_with_the_revision_that_it_began_with(world: World) -> None:
    await world.start()
    ready = await serve(world)
    revision = ready["status"]["revisions"]["serving"]
    await world.create(batch())
    await world.has("Job", f"rnb-{NAME}")
    for number in range(4):
        later = service(SERVICE, model=f"later-{number}")
        await world.known_artifact(later)
        await world.patch(
            "ResNetService",
            SERVICE,
            {"spec": {"model": later["spec"]["model"], "rollout": {"historyLimit": 1}}},
        )
        await world.is_ready(SERVICE)
    assert await world.find("ConfigMap", revision) is not None
    status = (await world.get("ResNetBatch", NAME))["status"]
    assert status["revision"] == revision


REFUSED = [
    ({"service": {"name": "other"}}, "only suspend can change"),
    ({"parallelism": 2}, "only suspend can change"),
    ({"output": {"uri": "pvc://results/other"}}, "only suspend can change"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
async def test_what_decides_about_the_output_cannot_change(
    world: World, change: Body, words: str
) -> None:
    await world.create(batch())
    with pytest.raises(ApiError, match=words):
        await world.patch("ResNetBatch", NAME, {"spec": change})


# Its rules, case by case, are in tests/cluster.
INVALID = [
    ({"output": {"uri": "s3://bucket/run"}}, "a bucket is written with keys"),
    ({"output": {"uri": "pvc://results/x", "format": "ORC"}}, "Unsupported value"),
    ({"output": {"uri": "pvc://results/x", "topK": 11}}, "less than or equal to 10"),
    ({"parallelism": 17}, "less than or equal to 16"),
]


@pytest.mark.parametrize(("change", "words"), INVALID)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    world: World, change: Body, words: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await world.create(batch(**change))
    assert words in json.dumps(str(caught.value))
