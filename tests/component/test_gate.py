"""The gate against a real API server: who is measured when, and who gets pods.

The test plays the candidate's kubelet and evaluator: it writes the pod's status, with the numbers.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from tests.component.gate import (
    BORROWING,
    LATENCY,
    NAME,
    NO_CHIP,
    RESOURCE,
    VALIDATION,
    begins,
    candidate,
    candidate_after,
    done,
    gate_jobs,
    gated,
    is_measured,
    runs,
    waits_for_chip,
)
from tests.component.objects import key_of, messages_of, service, sha256_of
from tests.component.world import condition_of, ended, until

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]
OTHER = "resnet50-canary"
SUCCESSOR = {"spec": {"model": gated(model="second")["spec"]["model"]}}


def bar(top1: str) -> Body:
    return {"spec": {"validation": {"thresholds": {"minTop1": top1}}}}


async def serve(world: World, manifest: Body, **numbers: Any) -> Body:
    """Bring an object through its gate to Ready."""
    await world.known_artifact(manifest)
    await world.create(manifest)
    await is_measured(world, await candidate(world, manifest=manifest), **numbers)
    return await world.is_ready(manifest["metadata"]["name"])


async def settled(world: World) -> None:
    """Have the operator look at everything once more, to its end."""
    for operator in world.operators:
        if operator.is_alive():
            operator.look_at_all()
            await operator.idle()


# Through the gate.


async def test_what_passes_gets_pods(world: World) -> None:
    await world.start()
    await world.create(gated())
    await world.finish_job(gated())
    pod = await candidate(world)
    await begins(world, pod)
    await world.condition(NAME, "Validated", "False", "Validating")
    status = (await world.get("ResNetService", NAME))["status"]
    assert status["phase"] == "Validating"
    assert "validation" not in status
    assert await world.find("Deployment", NAME) is None
    assert await world.find("Service", NAME) is None

    await runs(world, pod)
    said = await world.becomes(
        "ResNetService",
        NAME,
        lambda b: "being measured" in condition_of(b, "Ready")["message"],
        what="the step to be told",
    )
    assert said["status"]["phase"] == "Validating"
    assert said["status"]["phaseStartTime"] == status["phaseStartTime"], "Since is of the phase"

    await is_measured(world, pod)
    status = (await world.is_ready(NAME))["status"]
    (job,) = await gate_jobs(world)
    record = job["metadata"]["name"].removesuffix("-1")
    assert status["validation"] == {
        "result": "Passed",
        "record": record,
        "samples": 200,
        "top1": "0.785",
        "top1Reference": "0.79",
        "cosineSimilarity": "0.9991",
        "top1Agreement": "0.995",
        "imagesPerSecond": 512,
        "throughput": {"8": 1900},
    }
    said = await world.condition(NAME, "Validated", "True", "Validated")
    assert "top1 0.785" in said["message"]
    told = await world.event(NAME, "Validated")
    assert (told["type"], told["message"]) == ("Normal", said["message"])
    stored = await world.get("ConfigMap", record)
    assert stored["immutable"] is True
    assert json.loads(stored["data"]["result.json"])["top1"] == 0.785


async def test_what_fails_never_gets_a_pod(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    await is_measured(world, await candidate(world), top1=0.7)
    said = await world.condition(NAME, "Ready", "False", "ValidationFailed")
    assert said["message"] == "validation failed: top1 0.7 is below minTop1 0.78"
    await world.condition(NAME, "Stalled", "True", "ValidationFailed")
    await world.condition(NAME, "Validated", "False", "ValidationFailed")
    await world.condition(NAME, "Available", "False")
    await settled(world)
    status = (await world.get("ResNetService", NAME))["status"]
    assert status["phase"] == "Failed"
    assert status["validation"]["result"] == "Failed"
    assert status["validation"]["top1"] == "0.7"
    assert await world.find("Deployment", NAME) is None
    assert len(await gate_jobs(world)) == 1


async def test_the_last_good_revision_serves_on_when_its_successor_fails(world: World) -> None:
    await world.start()
    before = await serve(world, gated())
    deployment = await world.get("Deployment", NAME)
    await world.known_artifact(gated(model="second"))
    await world.patch("ResNetService", NAME, SUCCESSOR)
    pod = await candidate(world, manifest=gated(model="second"))
    await begins(world, pod)
    await world.condition(NAME, "Ready", "False", "Validating")
    await world.condition(NAME, "Available", "True")
    await is_measured(world, pod, top1=0.5)

    said = await world.condition(NAME, "Ready", "False", "ValidationFailed")
    assert said["message"] == "validation failed: top1 0.5 is below minTop1 0.78"
    await world.condition(NAME, "Available", "True")
    await settled(world)
    after = await world.get("ResNetService", NAME)
    assert after["status"]["phase"] == "Degraded"
    revisions = after["status"]["revisions"]
    assert revisions["serving"] == before["status"]["revisions"]["serving"]
    assert revisions["desired"] != revisions["serving"]
    live = await world.get("Deployment", NAME)
    assert live["metadata"]["generation"] == deployment["metadata"]["generation"]

    first = {"spec": {"model": gated()["spec"]["model"]}}
    await world.patch("ResNetService", NAME, first)
    await world.is_ready(NAME)
    assert len(await gate_jobs(world)) <= 2, "what was measured once is known"


async def test_the_successor_rolls_out_when_it_passes(world: World) -> None:
    await world.start()
    before = await serve(world, gated())
    await world.known_artifact(gated(model="second"))
    await world.patch("ResNetService", NAME, SUCCESSOR)
    await is_measured(world, await candidate(world, manifest=gated(model="second")))
    old = before["status"]["revisions"]["serving"]
    await world.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"]["metadata"]["labels"][names.REVISION] != old,
        what="the successor to be deployed",
    )
    after = await world.is_ready(NAME)
    assert after["status"]["validation"]["result"] == "Passed"


# Nothing is measured twice.


async def test_another_object_of_the_same_artifact_is_not_measured_again(world: World) -> None:
    await world.start()
    await serve(world, gated())
    await world.create(gated(OTHER))
    status = (await world.is_ready(OTHER))["status"]
    assert status["validation"]["top1"] == "0.785"
    assert len(await gate_jobs(world)) == 1


async def test_the_same_file_from_another_place_is_not_measured_again(world: World) -> None:
    """Its record is another one, and gets a copy of the result."""
    await world.start()
    await serve(world, gated())
    (job,) = await gate_jobs(world)
    moved = gated(OTHER)
    moved["spec"]["model"]["uri"] = "https://elsewhere.example.com/resnet50.onnx"
    key = key_of(moved)
    assert key != key_of(gated())
    await world.create(moved)
    await world.finish_job(moved, messages_of(gated()))
    status = (await world.is_ready(OTHER))["status"]
    assert status["validation"]["top1"] == "0.785"
    assert key in status["validation"]["record"]
    assert [found["metadata"]["uid"] for found in await gate_jobs(world)] == [
        job["metadata"]["uid"]
    ]


async def test_another_process_measures_nothing_again_and_writes_nothing(world: World) -> None:
    operator = await world.start()
    await serve(world, gated())
    await operator.stop()
    for job in await gate_jobs(world):
        await world.delete("Job", job["metadata"]["name"])
        await world.has_not("Job", job["metadata"]["name"])
    mark = len(world.proxy.calls)
    await world.start()
    await settled(world)
    assert await gate_jobs(world) == []
    writes = world.proxy.since(mark, lambda call: call.is_write)
    assert [str(call) for call in writes] == []


async def test_a_candidate_outlives_the_operator(world: World) -> None:
    """Killed while it is measured: the next process brings the numbers in, of the same Job."""
    operator = await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    pod = await candidate(world)
    await operator.kill()
    await is_measured(world, pod)
    await world.start()
    await world.is_ready(NAME)
    assert len(await gate_jobs(world)) == 1


async def test_a_changed_bar_is_judged_on_the_same_numbers(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    await is_measured(world, await candidate(world), top1=0.7)
    await world.condition(NAME, "Ready", "False", "ValidationFailed")

    await world.patch("ResNetService", NAME, bar("0.69"))
    await world.is_ready(NAME)
    live = await world.get("Deployment", NAME)

    await world.patch("ResNetService", NAME, bar("0.71"))
    said = await world.condition(NAME, "Ready", "False", "ValidationFailed")
    assert said["message"] == "validation failed: top1 0.7 is below minTop1 0.71"
    await world.condition(NAME, "Available", "True")
    await settled(world)
    after = await world.get("Deployment", NAME)
    assert after["metadata"]["generation"] == live["metadata"]["generation"], "nobody is taken off"
    assert len(await gate_jobs(world)) == 1


async def test_a_latency_threshold_is_judged_again_and_another_load_is_measured(
    world: World,
) -> None:
    def asks(**benchmark: Any) -> Body:
        return {"spec": {"validation": {"benchmark": benchmark}}}

    load = {"requestsPerSecond": 50, "batchSize": 1}
    gate = VALIDATION | {"benchmark": {"load": load, "maxP99Milliseconds": 10}}
    await world.start()
    await world.known_artifact(gated(gate=gate))
    await world.create(gated(gate=gate))
    await is_measured(world, await candidate(world), latency=LATENCY)
    said = await world.condition(NAME, "Ready", "False", "ValidationFailed")
    assert said["message"] == (
        "validation failed: p99Milliseconds 12.5 is above maxP99Milliseconds 10"
    )
    status = (await world.get("ResNetService", NAME))["status"]
    assert status["validation"]["latency"]["p99Milliseconds"] == "12.5"
    (first,) = await gate_jobs(world)

    await world.patch("ResNetService", NAME, asks(maxP99Milliseconds=13))
    await world.is_ready(NAME)
    assert len(await gate_jobs(world)) == 1, "the number is known"

    await world.patch("ResNetService", NAME, asks(load={"requestsPerSecond": 60}))
    await is_measured(world, await candidate_after(world, first), latency=LATENCY)
    await world.is_ready(NAME)
    assert len({job["metadata"]["uid"] for job in await gate_jobs(world)}) == 2


# No free chip.


async def test_a_candidate_waits_for_a_chip_and_says_so(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    pod = await candidate(world)
    await waits_for_chip(world, pod)
    said = await world.condition(NAME, "Ready", "False", "WaitingForChip")
    assert said["message"] == f"validation waits for a free {RESOURCE}"
    said = await world.condition(NAME, "Validated", "False", "WaitingForChip")
    assert NO_CHIP in said["message"], "with the scheduler's words"
    assert (await world.get("ResNetService", NAME))["status"]["phase"] == "Validating"
    assert await world.find("Deployment", NAME) is None
    await is_measured(world, pod)
    await world.is_ready(NAME)


async def test_a_replica_is_borrowed_and_put_back(world: World) -> None:
    await world.start()
    first = gated(gate=BORROWING, replicas=2)
    await serve(world, first)
    second = gated(gate=BORROWING, model="second", replicas=2)
    await world.known_artifact(second)
    await world.patch("ResNetService", NAME, SUCCESSOR)
    pod = await candidate(world, manifest=second)
    live = await world.get("Deployment", NAME)
    assert live["spec"]["replicas"] == 2, "not before a chip is lacking"

    await waits_for_chip(world, pod)
    live = await world.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == 1, what="a replica to be lent"
    )
    (job,) = [j for j in await gate_jobs(world) if key_of(second) in j["metadata"]["name"]]
    lent = live["metadata"]["annotations"][names.BORROWED]
    assert lent == job["metadata"]["name"].removesuffix("-1")
    said = await world.condition(NAME, "Validated", "False", "WaitingForChip")
    assert f"borrowing one replica of {NAME}" in said["message"]
    await world.run_pods(NAME)
    await runs(world, pod)
    await world.condition(NAME, "Ready", "False", "Validating")
    await settled(world)
    live = await world.get("Deployment", NAME)
    assert live["spec"]["replicas"] == 1, "its chip is in use"

    await is_measured(world, pod, top1=0.1)
    live = await world.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == 2, what="the replica to come back"
    )
    assert names.BORROWED not in live["metadata"]["annotations"]
    await world.condition(NAME, "Ready", "False", "ValidationFailed")


# Runs that end without numbers.


async def test_a_candidate_that_is_killed_is_measured_again(world: World) -> None:
    """For memory, say: again after a pause."""
    await world.start(RESNET_RETRY_SECONDS="[0.5, 60]")
    await world.known_artifact(gated())
    await world.create(gated())
    killed = ended(137)
    killed["terminated"]["reason"] = "OOMKilled"
    pod = await candidate(world)
    await world.pod_states(pod, "Failed", done(evaluate=killed, triton=ended(143)))
    await is_measured(world, await candidate(world, attempt=2))
    await world.is_ready(NAME)


async def test_what_no_attempt_can_mend_is_not_tried_again(world: World) -> None:
    await world.start(RESNET_RETRY_SECONDS="[0.1, 0.1]")
    await world.known_artifact(gated())
    await world.create(gated())
    said = {"ok": False, "reason": "ModelNotFound", "message": "no such data set; correct the URI"}
    await world.pod_states(await candidate(world), "Failed", {"fetch": ended(66, said)})
    await world.condition(NAME, "Stalled", "True", "ModelNotFound")
    await settled(world)
    assert len(await gate_jobs(world)) == 1
    await world.patch("ResNetService", NAME, {"metadata": {"annotations": {names.RETRY: "1"}}})
    await is_measured(world, await candidate(world, attempt=2))
    await world.is_ready(NAME)


async def test_a_data_set_that_is_not_there_is_named_before_any_job(world: World) -> None:
    """The model's ConfigMap is another one: the message says which of the two is missing."""
    await world.start()
    manifest = copy.deepcopy(gated())
    manifest["spec"]["validation"]["dataset"]["uri"] = "configmap://held-out/digits.npz"
    await world.known_artifact(manifest)
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "VolumeMountFailed")
    assert said["message"] == (
        'ConfigMap "held-out" of configmap://held-out/digits.npz does not exist; '
        "create it or change the URI"
    )
    assert await gate_jobs(world) == []


async def test_a_drained_node_costs_no_attempt(world: World) -> None:
    """The Job makes another pod by itself; nobody hears of a failure."""
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    pod = await candidate(world)
    change = {
        "status": {
            "phase": "Failed",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"},
            ],
        }
    }
    await world.patch("Pod", pod["metadata"]["name"], change, status=True)
    selector = {"job-name": pod["metadata"]["labels"]["job-name"]}

    async def another() -> Body | None:
        pods = await world.all("Pod", **selector)
        return next((p for p in pods if p["metadata"]["uid"] != pod["metadata"]["uid"]), None)

    await is_measured(world, await until(another, what="another pod of the same Job"))
    await world.is_ready(NAME)
    assert len(await gate_jobs(world)) == 1


async def test_a_job_that_somebody_deletes_is_made_again(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    await candidate(world)
    (job,) = await gate_jobs(world)
    await world.delete("Job", job["metadata"]["name"])
    await is_measured(world, await candidate_after(world, job))
    await world.is_ready(NAME)


async def test_the_retry_annotation_measures_again(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    await is_measured(world, await candidate(world), top1=0.7)
    await world.condition(NAME, "Ready", "False", "ValidationFailed")
    await world.patch("ResNetService", NAME, {"metadata": {"annotations": {names.RETRY: "1"}}})
    await is_measured(world, await candidate(world, attempt=2), top1=0.79)
    body = await world.is_ready(NAME)
    assert body["status"]["lastHandledRetry"] == "1"
    assert body["status"]["validation"]["top1"] == "0.79"
    assert [job["metadata"]["name"][-1] for job in await gate_jobs(world)] == ["1", "2"]


# No pods wanted.


async def test_nothing_is_measured_while_it_is_suspended(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    manifest = copy.deepcopy(gated())
    manifest["spec"]["suspend"] = True
    await world.create(manifest)
    await world.condition(NAME, "Ready", "True", "Suspended")
    await settled(world)
    assert await gate_jobs(world) == []

    await world.patch("ResNetService", NAME, {"spec": {"suspend": False}})
    await candidate(world)
    (job,) = await gate_jobs(world)
    await world.patch("ResNetService", NAME, {"spec": {"suspend": True}})
    await world.has_not("Job", job["metadata"]["name"], uid=job["metadata"]["uid"])
    await world.condition(NAME, "Ready", "True", "Suspended")
    assert await world.find("Deployment", NAME) is None


async def test_an_object_that_goes_takes_its_candidate_along(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    await candidate(world)
    (job,) = await gate_jobs(world)
    await world.delete("ResNetService", NAME)
    await world.has_not("Job", job["metadata"]["name"])


async def test_a_candidate_does_not_need_the_object_that_began_it(world: World) -> None:
    """It mounts a revision of the first object; the second one has it begun again with its own."""
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    pod = await candidate(world)
    (first,) = await gate_jobs(world)
    revision = first["metadata"]["labels"][names.REVISION]
    await world.create(gated(OTHER))
    await world.condition(OTHER, "Validated", "False")
    await settled(world)
    assert len(await gate_jobs(world)) == 1, "one run for both"

    await world.delete("ResNetService", NAME)
    await world.has_not("ConfigMap", revision)
    await begins(world, pod)  # it gets a node, and its kubelet would wait for that ConfigMap
    pod = await candidate_after(world, first)
    (left,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert left["metadata"]["name"] in json.dumps(pod["spec"]["volumes"])
    await is_measured(world, pod)
    await world.is_ready(OTHER)


# The store.


async def test_what_is_being_measured_is_in_use(world: World) -> None:
    """No conversion of others may sweep it from the store, though no pod serves it."""
    await world.start()
    first = gated()
    await world.known_artifact(first)
    await world.create(first)
    await candidate(world)
    stranger = service("stranger")
    await world.create(stranger)
    job = await world.job(stranger)
    (publish,) = job["spec"]["template"]["spec"]["containers"]
    kept = json.loads(next(e["value"] for e in publish["env"] if e["name"] == "RESNET_KEEP"))
    key = key_of(first)
    assert sha256_of(f"content {key}")[:12] in kept["keys"]
    assert sha256_of(f"artifact {key}")[:12] in kept["blobs"]


async def test_a_candidate_that_misses_its_artifact_has_it_made_again(world: World) -> None:
    await world.start()
    await world.known_artifact(gated())
    await world.create(gated())
    pod = await candidate(world)
    (job,) = await gate_jobs(world)
    record = names.record_name(key_of(gated()))
    before = await world.get("ConfigMap", record)
    lost = {"reason": "ArtifactMissing", "message": "the store has lost it"}
    states = {"fetch": ended(0), "prepare": ended(0), "artifact": ended(86, lost)}
    await world.pod_states(pod, "Pending", states)
    await world.has_not("ConfigMap", record, uid=before["metadata"]["uid"])
    await world.finish_job(gated())
    await is_measured(world, await candidate_after(world, job))
    await world.is_ready(NAME)
