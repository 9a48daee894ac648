"""The artifact, step by step: what is made, what is kept of the result, what follows a failure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import (
    ARTIFACT_SHA256,
    CHIP,
    CPU_MESSAGES,
    MESSAGES,
    NAME,
    NOW,
    UID,
    Body,
    a_settings,
    condition,
    ended,
    running,
    waiting,
)
from tests.unit.resnet_operator.world import World, described, since

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Apply, Create
from resnet_operator.plan.times import to_text
from resnet_operator.record.artifact import Artifact, Failure, record_digest

STORE = [
    "apply ConfigMap resnet-store",
    "create PersistentVolumeClaim resnet-store",
    "apply Service resnet-store",
    "apply NetworkPolicy resnet-store",
    "apply Deployment resnet-store",
]


def ready(world: World) -> dict[str, Any]:
    return condition(world.status, "Ready")


def failure(world: World) -> Failure:
    found = Failure.from_record(world.body("ConfigMap", world.record)["data"])
    assert found is not None
    return found


# The first conversion.


def test_the_first_round_makes_the_record_alone() -> None:
    """The Job is owned by the record, so the record's uid is needed first."""
    world = World()
    plan = world.plan()
    assert described(plan.actions) == [f"apply ConfigMap {world.record}"]
    assert plan.again
    (join,) = plan.actions
    assert isinstance(join, Apply)
    assert join.manager == f"resnet-operator-{UID}", "each owner by a manager of its own"
    assert "data" not in join.body
    (owner,) = join.body["metadata"]["ownerReferences"]
    assert "controller" not in owner
    assert "blockOwnerDeletion" not in owner


def test_the_second_round_makes_store_and_job() -> None:
    world = World()
    for action in world.plan().actions:
        world.execute(action)
    plan = world.plan()
    assert described(plan.actions) == [*STORE, f"create Job {names.job_name(world.key, 1)}"]
    assert not plan.again
    job = plan.actions[-1]
    assert isinstance(job, Create)
    (owner,) = job.body["metadata"]["ownerReferences"]
    assert owner["name"] == world.record
    assert owner["uid"] == world.body("ConfigMap", world.record)["metadata"]["uid"]
    assert "ttlSecondsAfterFinished" not in job.body["spec"], "not before the result is recorded"


def test_a_store_that_is_there_is_left_alone() -> None:
    world = World()
    world.reconcile()
    world.delete("Job", world.newest_job())
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 1)}"]


def test_a_store_that_is_not_seen_is_not_taken_by_force() -> None:
    """Somebody else's Service may have its name; what has our label is ours."""
    world = World()
    world.reconcile()
    adopted = dict.fromkeys(("ConfigMap", "Service", "Deployment", "NetworkPolicy"), True)

    def forced() -> dict[str, bool]:
        actions = [action for action in world.plan().actions if isinstance(action, Apply)]
        kinds = {action.body["kind"]: action.adopt for action in actions}
        return {kind: kinds[kind] for kind in adopted}

    world.delete("Job", world.newest_job())
    world.settings = a_settings(store={"image": "registry.example/store:2"})
    assert forced() == adopted, "a new image for the store that we made"
    for kind in adopted:
        world.delete(kind, names.STORE_NAME)
    assert forced() == dict.fromkeys(adopted, False)


def test_a_part_of_the_store_that_was_removed_is_put_back() -> None:
    world = World().serve()
    world.delete("Service", names.STORE_NAME)
    actions = described(world.reconcile())
    assert "apply Service resnet-store" in actions
    assert not any("PersistentVolumeClaim" in action for action in actions), "it holds the data"


CHANGED = [
    ("scaled to nothing", "Deployment", {"spec": {"replicas": 0}}),
    ("another selector", "Service", {"spec": {"selector": {"app": "evil"}}}),
    ("another configuration", "ConfigMap", {"data": {"nginx.conf": "events {}"}}),
    ("open to all", "NetworkPolicy", {"spec": {"ingress": [{}]}}),
]


@pytest.mark.parametrize(("reason", "kind", "change"), CHANGED, ids=[row[0] for row in CHANGED])
def test_a_part_of_the_store_that_was_changed_is_put_back(
    reason: str, kind: str, change: dict[str, Any]
) -> None:
    world = World().serve()
    assert not described(world.reconcile())
    world.edit(kind, names.STORE_NAME, change)
    actions = described(world.reconcile())
    assert f"apply {kind} {names.STORE_NAME}" in actions, reason
    assert not any("PersistentVolumeClaim" in action for action in actions), "it holds the data"
    assert not described(world.reconcile()), "and then there is peace"


def test_a_key_beside_the_stores_configuration_is_somebody_elses() -> None:
    """Applying ours would not take it away: it would be written for ever."""
    world = World().serve()
    world.edit("ConfigMap", names.STORE_NAME, {"data": {"more.conf": ""}})
    assert not described(world.reconcile())


def test_no_store_is_made_where_a_claim_is_shared() -> None:
    world = World(settings=a_settings(store={"type": "SharedClaim", "claim_name": "shared"}))
    assert described(world.reconcile())[-1:] == [f"create Job {names.job_name(world.key, 1)}"]
    assert not world.has("Deployment", names.STORE_NAME)


def test_a_running_job_is_left_alone() -> None:
    world = World()
    world.reconcile()
    assert world.reconcile() == []


def test_a_job_that_is_being_deleted_does_not_count() -> None:
    """Its name is taken until it is gone, so the creation is tried again and again."""
    world = World()
    world.reconcile()
    world.is_deleting("Job", world.newest_job())
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 1)}"]
    assert world.plan().requeue_after == 10


@dataclass(frozen=True)
class Stage:
    reason: str
    states: list[dict[str, Any]]
    phase: str
    message: str


DONE = {name: ended(name, said=said) for name, said in MESSAGES.items()}
STAGES = (
    Stage("no container yet", [], "Pending", "the conversion's pod is starting"),
    Stage(
        "the image is pulled",
        [waiting("fetch", "PodInitializing")],
        "Pending",
        "the conversion's pod is starting",
    ),
    Stage("the download runs", [running("fetch")], "Fetching", "the model is being fetched"),
    Stage(
        "the download is done",
        [DONE["fetch"], running("prepare")],
        "Fetching",
        "the model is being inspected",
    ),
    Stage(
        "the compiler runs",
        [DONE["fetch"], DONE["prepare"], running("convert")],
        "Converting",
        f"ATC is converting for {CHIP}",
    ),
    Stage(
        "the upload runs",
        [DONE["fetch"], DONE["prepare"], DONE["convert"], running("publish")],
        "Converting",
        "the artifact is being put into the store",
    ),
)


@pytest.mark.parametrize("case", STAGES, ids=lambda case: case.reason)
def test_stages(case: Stage) -> None:
    world = World()
    world.reconcile()
    world.job_pod(init=case.states, phase="Running" if case.states else "Pending")
    world.reconcile()
    assert world.status["phase"] == case.phase
    assert ready(world)["message"] == case.message
    assert condition(world.status, "ArtifactReady")["message"] == case.message


QUANTIZED = {"quantization": {"image": "amct:1", "calibration": {"uri": "https://h/p.tar"}}}
MORE_STAGES = (
    (
        "pictures are calibrated before ATC",
        {"conversion": QUANTIZED},
        [DONE["fetch"], DONE["prepare"], running("quantize")],
        ("Converting", "AMCT is calibrating"),
    ),
    (
        "ATC runs after it",
        {"conversion": QUANTIZED},
        [DONE["fetch"], DONE["prepare"], ended("quantize", said={"ok": True}), running("convert")],
        ("Converting", f"ATC is converting for {CHIP}"),
    ),
    (
        "a script is exported before it is inspected",
        {
            "model": {
                "uri": "https://h/r.torchscript",
                "inputs": [{"name": "x", "dataType": "FP32", "dims": [3, 8, 8]}],
            }
        },
        [DONE["fetch"], running("export")],
        ("Fetching", "TorchScript is being exported to ONNX"),
    ),
    (
        "weights need no container of their own",
        {"model": {"uri": "https://h/r.safetensors"}},
        [DONE["fetch"], running("prepare")],
        ("Fetching", "the model is being inspected"),
    ),
    (
        "an OM is only read",
        {"model": {"uri": "https://h/r.om"}},
        [DONE["fetch"], DONE["prepare"], running("convert")],
        ("Converting", "the OM is being read"),
    ),
)


@pytest.mark.parametrize(("reason", "spec", "states", "said"), MORE_STAGES)
def test_stages_of_other_ways(
    reason: str, spec: dict[str, Any], states: list[dict[str, Any]], said: tuple[str, str]
) -> None:
    world = World(spec, settings=a_settings(export_image="export:1"))
    world.reconcile()
    world.job_pod(init=states, phase="Running")
    world.reconcile()
    assert (world.status["phase"], ready(world)["message"]) == said, reason


def test_without_a_chip_there_is_no_compiler() -> None:
    world = World({"accelerator": {"chip": "CPU"}})
    world.reconcile()
    world.job_pod(init=[DONE["fetch"], DONE["prepare"]], containers=[running("publish")])
    world.reconcile()
    assert ready(world)["message"] == "the artifact is being put into the store"


# The result.


def test_an_ended_job_brings_everything_in_one_plan() -> None:
    world = World().convert()
    plan = world.plan()
    assert not plan.again
    for action in plan.actions:
        world.execute(action)
    job = names.job_name(world.key, 1)
    assert described(plan.actions) == [
        f"apply ConfigMap {world.record}",
        f"apply Job {job}",
        f"create ConfigMap {names.runtime_name(runtime_of(world))}",
        f"create ConfigMap {world.revision}",
        f"apply Deployment {NAME}",
        f"apply Service {NAME}",
    ]
    record = world.body("ConfigMap", world.record)
    assert record["immutable"] is True
    assert Artifact.from_record(record["data"]) == Artifact.from_messages(MESSAGES, chip=CHIP)
    assert world.body("Job", job)["spec"]["ttlSecondsAfterFinished"] == 600
    owners = record["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [UID], "filling it does not lose its owner"


def runtime_of(world: World) -> str:
    (name,) = (n for n in world.names_of("ConfigMap") if n.startswith("rns-runtime-"))
    return name.removeprefix("rns-runtime-")


def test_a_cpu_needs_no_convert_container() -> None:
    world = World({"accelerator": {"chip": "CPU"}})
    world.reconcile()
    world.job_succeeds(CPU_MESSAGES)
    world.reconcile()
    assert condition(world.status, "ArtifactReady")["message"] == "Copied"
    assert world.has("Deployment", NAME)


def test_a_result_is_not_lost_while_the_pod_is_seen_later_than_its_job() -> None:
    """Jobs and pods come by two watches: the Job's end may be seen first."""
    world = World()
    world.reconcile()
    world.job_pod(phase="Running", init=list(DONE.values())[:3], containers=[running("publish")])
    world.job_ends()
    plan = world.plan()
    assert plan.actions == ()
    assert plan.requeue_after is not None
    assert plan.requeue_after <= 2
    world.job_pod(phase="Succeeded", said=MESSAGES)
    world.reconcile()
    assert world.has("Deployment", NAME)


def test_the_pod_that_ended_well_speaks_for_the_job() -> None:
    """A drained node ended the first pod; the Job made another one."""
    world = World()
    world.reconcile()
    for name in ("a-first", "z-last"):
        dead = [DONE["fetch"], DONE["prepare"], ended("convert", 143)]
        world.job_pod(name=name, phase="Failed", init=dead)
    world.pass_time(60)
    world.job_pod(name="m-second", phase="Succeeded", said=MESSAGES)
    world.pods.reverse()
    world.job_ends()
    world.reconcile()
    assert world.has("Deployment", NAME)


def test_the_newest_pod_tells_why_the_job_failed() -> None:
    world = World()
    world.reconcile()
    world.job_pod(name="a-first", phase="Failed", init=[ended("fetch", 143)])
    world.pass_time(60)
    said = {"reason": "ModelNotFound", "message": "there is no file"}
    world.job_pod(name="b-second", phase="Failed", init=[ended("fetch", 66, said=said)])
    world.job_ends("Failed")
    world.reconcile()
    assert ready(world)["reason"] == "ModelNotFound"


# Failures.


@dataclass(frozen=True)
class Failing:
    reason: str
    container: str
    code: int
    said: dict[str, Any] | None
    word: Reason
    message: str
    permanent: bool
    how: str = ""


def said(reason: str, message: str, code: str | None = None) -> dict[str, Any]:
    return {"ok": False, "reason": reason, "message": message, "detail": "log tail", "code": code}


FAILING = (
    Failing(
        "no file at the URI",
        "fetch",
        66,
        said("ModelNotFound", "https://example.com/a.onnx: 404"),
        Reason.MODEL_NOT_FOUND,
        "https://example.com/a.onnx: 404",
        permanent=True,
    ),
    Failing(
        "the host cannot be resolved",
        "fetch",
        80,
        said("DownloadFailed", "the host example.invalid is not known"),
        Reason.DOWNLOAD_FAILED,
        "the host example.invalid is not known",
        permanent=False,
    ),
    Failing(
        "another file than the digest says",
        "fetch",
        67,
        said("ChecksumMismatch", "the file has sha256 ab…; correct model.sha256"),
        Reason.CHECKSUM_MISMATCH,
        "the file has sha256 ab…; correct model.sha256",
        permanent=True,
    ),
    Failing(
        "a web page",
        "prepare",
        65,
        said("UnsupportedModel", "the file starts with <!DOCTYPE html>: a web page, not a model"),
        Reason.UNSUPPORTED_MODEL,
        "the file starts with <!DOCTYPE html>: a web page, not a model",
        permanent=True,
    ),
    Failing(
        "a shape for an input that is not in the model",
        "prepare",
        64,
        said("InvalidSpec", 'spec.conversion.inputShapes names "x"; the inputs are: input'),
        Reason.INVALID_SPEC,
        'spec.conversion.inputShapes names "x"; the inputs are: input',
        permanent=True,
    ),
    Failing(
        "ATC refuses the model: its code and its sentence are kept",
        "convert",
        69,
        said("ConversionFailed", "ATC E10016: input x is not in the model", "E10016"),
        Reason.CONVERSION_FAILED,
        "ATC E10016: input x is not in the model",
        permanent=True,
    ),
    Failing(
        "ATC takes too long",
        "convert",
        70,
        said("ConversionTimeout", "ATC did not end within 3600 s; raise timeoutSeconds"),
        Reason.CONVERSION_TIMEOUT,
        "ATC did not end within 3600 s; raise timeoutSeconds",
        permanent=True,
    ),
    Failing(
        "the store is full",
        "publish",
        83,
        said("StoreFull", "the store has no room; enlarge the claim resnet-store"),
        Reason.STORE_FULL,
        "the store has no room; enlarge the claim resnet-store",
        permanent=False,
    ),
    Failing(
        "the compiler was killed for memory",
        "convert",
        137,
        None,
        Reason.OUT_OF_MEMORY,
        "container convert was killed for memory; raise its memory limit",
        permanent=False,
        how="OOMKilled",
    ),
    Failing(
        "an image that cannot run the driver",
        "convert",
        128,
        None,
        Reason.CONTAINER_CONFIG_ERROR,
        "container convert cannot be started; its image is not one that can run here",
        permanent=False,
        how="StartError",
    ),
    Failing(
        "a word that this version does not know",
        "convert",
        69,
        said("FromNextYear", "a sentence"),
        Reason.CONVERSION_FAILED,
        "a sentence",
        permanent=True,
    ),
)


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.reason)
def test_failures(case: Failing) -> None:
    world = World()
    world.reconcile()
    world.job_fails(case.container, case.code, case.said, reason=case.how)
    actions = world.reconcile()
    assert described(actions) == [
        f"apply ConfigMap {world.record}",
        f"apply Job {names.job_name(world.key, 1)}",
    ]
    found = failure(world)
    assert (found.reason, found.message) == (case.word.value, case.message), case.reason
    assert (found.permanent, found.attempt) == (case.permanent, 1)
    assert found.time == to_text(NOW)
    if case.said:
        assert (found.detail, found.code) == ("log tail", case.said["code"])
    record = world.body("ConfigMap", world.record)
    assert "immutable" not in record, "the next attempt must be able to fill it"
    assert world.body("Job", world.newest_job())["spec"]["ttlSecondsAfterFinished"] == 86_400
    shown = ready(world)
    assert (shown["reason"], shown["message"]) == (case.word.value, case.message)
    assert ("Stalled" if case.permanent else "Reconciling") in kinds(world)
    if case.said:
        assert "log tail" in condition(world.status, "ArtifactReady")["message"]


def kinds(world: World) -> set[str]:
    return {item["type"] for item in world.status["conditions"]}


def fail(world: World, code: int = 80) -> None:
    world.job_fails("fetch", code, said("DownloadFailed", "the host is not known"))
    world.reconcile()


def test_a_permanent_failure_waits_for_the_user() -> None:
    world = World()
    world.reconcile()
    fail(world, 66)
    plan = world.plan()
    assert plan.actions == ()
    assert plan.requeue_after is None
    world.pass_time(30 * 24 * 3600)
    assert world.reconcile() == []
    assert world.status["phase"] == "Failed"


def test_a_retryable_failure_comes_again_after_growing_pauses() -> None:
    world = World(settings=a_settings(retry_seconds=(300, 900, 3600)))
    world.change({"conversion": {"retries": 4}, "rollout": {"progressDeadlineSeconds": 86400}})
    world.reconcile()
    for attempt, pause in enumerate((300, 900, 3600, 3600), start=1):
        fail(world)
        assert failure(world).attempt == attempt
        assert world.plan().requeue_after == pause
        world.pass_time(pause - 1)
        assert world.reconcile() == [], "not a second too soon"
        world.pass_time(1)
        job = names.job_name(world.key, attempt + 1)
        assert described(world.reconcile()) == [f"create Job {job}"]
        assert "Stalled" not in kinds(world)
    fail(world)
    assert world.plan().requeue_after is None
    assert "Stalled" in kinds(world), "attempts are used up: a person must look"


def test_no_retries_were_wanted() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world)
    assert "Stalled" in kinds(world)


def test_a_failure_is_forgotten_when_an_attempt_succeeds() -> None:
    world = World()
    world.reconcile()
    fail(world)
    world.pass_time(300)
    world.reconcile()
    world.job_succeeds()
    world.reconcile()
    data = world.body("ConfigMap", world.record)["data"]
    assert set(data) == {"artifact.json"}
    assert condition(world.status, "ArtifactReady")["status"] == "True"


@pytest.mark.parametrize("code", [66, 80])
def test_the_annotation_asks_for_another_attempt(code: int) -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world, code)
    world.retry = "please"
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 2)}"]
    assert world.status["lastHandledRetry"] == "please"
    fail(world, code)
    assert world.reconcile() == [], "one annotation is one attempt"
    world.retry = "once more"
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 3)}"]
    assert world.status["lastHandledRetry"] == "once more"


def test_a_retry_while_an_attempt_runs_is_acknowledged() -> None:
    world = World()
    world.reconcile()
    world.retry = "now"
    assert world.reconcile() == []
    assert world.status["lastHandledRetry"] == "now"


def test_a_retry_waits_for_the_source_to_be_there() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world)
    world.retry = "now"
    assert world.reconcile(source_problem="no claim") == []
    assert "lastHandledRetry" not in world.status
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 2)}"]


# What failed by some means is tried again with others.

MEANS = (
    ("a login", {"model": {"credentialsSecretRef": {"name": "hub"}}}),
    ("a CA", {"model": {"caBundleConfigMapKeyRef": {"name": "ca", "key": "ca.crt"}}}),
    ("more time", {"conversion": {"timeoutSeconds": 7200}}),
    ("more memory", {"conversion": {"resources": {"limits": {"memory": "8Gi"}}}}),
    ("another node", {"conversion": {"nodeSelector": {"disk": "large"}}}),
)


@pytest.mark.parametrize(("reason", "change"), MEANS, ids=[case[0] for case in MEANS])
def test_other_means_are_another_attempt(reason: str, change: Body) -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world, 66)
    assert world.reconcile() == []
    world.change(change)
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 2)}"], reason
    fail(world, 66)
    assert world.reconcile() == [], "once: both have failed now"
    world.change({"serving": {"replicas": 2}})
    assert world.reconcile() == [], "that is no other means"


def test_objects_that_share_a_failure_do_not_take_turns_for_ever() -> None:
    """Each brings its own login; the record remembers all that failed."""
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world, 66)
    for login in ("one", "two", "one", "two"):
        world.change({"model": {"credentialsSecretRef": {"name": login}}})
        if world.reconcile():
            fail(world, 66)
    assert not world.has("Job", names.job_name(world.key, 4)), "none, one and two: three attempts"


def test_a_failure_of_an_older_version_is_left_alone() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    fail(world, 66)
    data = world.body("ConfigMap", world.record)["data"]
    old = json.loads(data["failure.json"])
    del old["tried"]
    world.edit("ConfigMap", world.record, {"data": {"failure.json": json.dumps(old)}})
    assert world.reconcile() == [], "an upgrade of the operator is no reason to try again"


# Results that got lost.


def test_a_job_whose_pod_is_gone_is_made_again_at_once() -> None:
    """It finds its artifact in the store, so that costs little."""
    world = World()
    world.reconcile()
    world.job_ends()
    assert described(world.reconcile()) == [
        f"apply ConfigMap {world.record}",
        f"apply Job {names.job_name(world.key, 1)}",
        f"create Job {names.job_name(world.key, 2)}",
    ]
    world.job_succeeds()
    world.reconcile()
    assert world.has("Deployment", NAME)


def test_results_that_are_lost_again_and_again_need_a_person() -> None:
    world = World({"conversion": {"retries": 1}})
    world.reconcile()
    for _ in range(2):
        world.job_ends()
        world.reconcile()
    assert "Stalled" in kinds(world)
    shown = ready(world)
    assert shown["reason"] == "ResultLost"
    assert "set the retry annotation" in shown["message"], "nobody makes it again by itself"
    assert world.reconcile() == []


@pytest.mark.parametrize("message", ['"text"', '{"ok": true}', '{"sha256": 1', ""])
def test_a_message_that_says_nothing_is_a_lost_result(message: str) -> None:
    world = World()
    world.reconcile()
    messages = dict.fromkeys(MESSAGES, message)
    world.job_succeeds(messages)  # type: ignore[arg-type]
    world.reconcile()
    assert world.has("Job", names.job_name(world.key, 2))


def test_a_message_of_another_shape_is_a_lost_result() -> None:
    world = World()
    world.reconcile()
    world.job_succeeds(MESSAGES | {"prepare": MESSAGES["prepare"] | {"inputs": None}})
    world.reconcile()
    assert world.has("Job", names.job_name(world.key, 2))


def test_a_killed_container_is_a_lost_result() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    world.job_fails("convert", 137)
    world.reconcile()
    assert ready(world)["reason"] == "ResultLost"
    assert ready(world)["message"].startswith("container convert ended with signal 9")


def test_the_backstop_of_the_job() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    world.job_ends("Failed", reason="DeadlineExceeded")
    world.reconcile()
    assert ready(world)["reason"] == "ConversionTimeout"


def test_the_backstop_tells_what_the_pod_was_waiting_for() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    world.job_pod(init=PULLING, images={"fetch": "registry.example/jobs:9"}, deleting=True)
    world.job_ends("Failed", reason="DeadlineExceeded")
    world.reconcile()
    assert ready(world)["reason"] == "ImagePullFailed"


def test_a_job_that_failed_without_a_pod() -> None:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    world.job_ends("Failed", reason="BackoffLimitExceeded")
    world.reconcile()
    assert ready(world)["reason"] == "ResultLost"


def test_a_pod_that_its_node_ended() -> None:
    world = World()
    world.reconcile()
    world.job_pod(phase="Failed", reason="Evicted", init=[ended("fetch", 137)])
    world.job_ends("Failed")
    world.reconcile()
    assert ready(world)["reason"] == "Evicted"
    assert "Stalled" not in kinds(world)


# What keeps a Job from running.


PULLING = [waiting("fetch", "ImagePullBackOff")]


def test_a_job_that_waits_says_why_and_is_stalled_after_the_deadline() -> None:
    world = World({"rollout": {"progressDeadlineSeconds": 100}})
    world.reconcile()
    world.job_pod(init=PULLING, images={"fetch": "registry.example/jobs:9"})
    plan = world.plan()
    assert plan.requeue_after == 100
    world.reconcile()
    assert ready(world)["reason"] == "ImagePullFailed"
    assert {"Reconciling"} == kinds(world) & {"Reconciling", "Stalled"}
    world.pass_time(100)
    world.reconcile()
    assert {"Stalled"} == kinds(world) & {"Reconciling", "Stalled"}
    world.job_pod(init=[running("fetch")], phase="Running")
    world.reconcile()
    assert {"Reconciling"} == kinds(world) & {"Reconciling", "Stalled"}, "it goes on by itself"


def test_a_quota_shows_in_the_jobs_events_only() -> None:
    world = World()
    world.reconcile()
    words = 'pods "x" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=1'
    assert world.plan(warnings=(words,)).requeue_after == 10, "give the Job time first"
    world.reconcile(warnings=(words,))
    assert ready(world)["reason"] == "Pending"
    world.pass_time(10)
    world.reconcile(warnings=(words,))
    assert ready(world)["reason"] == "QuotaExceeded"
    assert ready(world)["message"].startswith('quota "small" refuses cpu=1')


def test_a_volume_that_cannot_be_mounted_shows_in_the_pods_events_only() -> None:
    world = World()
    world.reconcile()
    world.job_pod(init=[waiting("fetch", "PodInitializing")])
    words = 'MountVolume.SetUp failed for volume "source" : configmap "models" not found'
    world.reconcile(warnings=(words,))
    assert ready(world)["reason"] == "VolumeMountFailed"
    assert 'configmap "models" not found' in condition(world.status, "ArtifactReady")["message"]


def test_it_looks_for_events_while_nothing_else_would_bring_it_back() -> None:
    world = World()
    world.reconcile()
    assert world.plan().requeue_after == 10, "no pod yet"
    world.pass_time(11)
    assert world.plan().requeue_after == 10, "still none, and no event says why"
    world.job_pod(init=[waiting("fetch", "PodInitializing")])
    assert world.plan().requeue_after == 10, "a pod that is being made"
    world.pass_time(10)
    assert world.plan().requeue_after == 30
    world.job_pod(init=[running("fetch")], phase="Running")
    assert world.plan().requeue_after is None
    world.job_pod(unschedulable="0/1 nodes are available: 1 Insufficient cpu.")
    assert world.plan().requeue_after == 1779, "its events are the scheduler's: they are known"


def test_a_container_that_failed_is_told_by_the_jobs_end() -> None:
    """Before that, the pod may still be one that the Job replaces."""
    world = World()
    world.reconcile()
    world.job_pod(init=[ended("fetch", 66)], phase="Failed")
    world.reconcile()
    assert ready(world)["reason"] == "Pending"


def test_a_missing_claim_is_told_before_a_job_waits_for_it() -> None:
    world = World()
    words = 'PersistentVolumeClaim "models" does not exist here; create it or change the URI'
    actions = world.reconcile(source_problem=words)
    assert described(actions) == [f"apply ConfigMap {world.record}"]
    assert ready(world)["reason"] == "VolumeMountFailed"
    assert ready(world)["message"] == words
    assert world.plan(source_problem=words).requeue_after == 60
    assert any(isinstance(action, Create) for action in world.reconcile()), "and then it goes on"


# Suspension.


def test_no_job_is_made_while_suspended() -> None:
    world = World({"suspend": True})
    assert described(world.reconcile()) == [f"apply ConfigMap {world.record}"]
    assert world.reconcile() == []
    assert world.status["phase"] == "Suspended"
    assert ready(world)["message"] == "scaled to zero; nothing was converted yet"
    world.change({"suspend": False})
    assert f"create Job {names.job_name(world.key, 1)}" in described(world.reconcile())


def test_a_conversion_that_ends_while_suspended_is_recorded() -> None:
    world = World()
    world.reconcile()
    world.change({"suspend": True})
    world.job_succeeds()
    world.reconcile()
    assert world.body("ConfigMap", world.record)["immutable"] is True
    assert world.body("Deployment")["spec"]["replicas"] == 0
    assert ready(world)["message"] == "scaled to zero; the artifact is kept"


# A known artifact.


def shared(world: World) -> None:
    """Put the record in place, as another object has left it."""
    other = World(world.spec, settings=world.settings).serve()
    record = other.body("ConfigMap", other.record)
    assert other.record == world.record
    body = {key: record[key] for key in ("apiVersion", "kind", "data", "immutable")}
    about = {"name": world.record, "namespace": "models", "labels": record["metadata"]["labels"]}
    world.apply({**body, "metadata": about}, manager=names.MANAGER)
    owner = {"apiVersion": "x", "kind": "y", "name": "other", "uid": "uid-other"}
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": about | {"ownerReferences": [owner]},
    }
    world.apply(theirs, manager="resnet-operator-uid-other")
    for child in other.names_of("ConfigMap"):
        if child == names.STORE_NAME or child.startswith("rns-runtime-"):
            world.apply(other.body("ConfigMap", child), manager=names.MANAGER)
    for kind in ("Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"):
        world.apply(other.body(kind, names.STORE_NAME), manager=names.MANAGER)


def test_a_known_artifact_costs_four_writes_and_no_job() -> None:
    world = World({"model": {"sha256": "0" * 64}})
    shared(world)
    record = world.body("ConfigMap", world.record)
    said = {"record": world.record, "sha256": ARTIFACT_SHA256}
    world.vouching.append({"artifact": said | {"recordDigest": record_digest(record["data"])}})
    actions = world.reconcile()
    assert described(actions) == [
        f"create ConfigMap {world.revision}",
        f"apply Deployment {NAME}",
        f"apply Service {NAME}",
        f"apply ConfigMap {world.record}",
    ]
    owners = world.body("ConfigMap", world.record)["metadata"]["ownerReferences"]
    assert {owner["uid"] for owner in owners} == {UID, "uid-other"}
    assert condition(world.status, "ArtifactReady")["status"] == "True"


# Requests that change nothing.


def test_a_retry_when_nothing_is_wrong_does_nothing() -> None:
    world = World().serve()
    world.retry = "just so"
    assert world.reconcile() == []
    assert world.status["lastHandledRetry"] == "just so"


# Requests that change.


def test_another_uri_is_another_record() -> None:
    world = World()
    world.reconcile()
    first = world.record
    world.change({"model": {"uri": "pvc://models/other.onnx"}})
    actions = described(world.reconcile())
    assert world.record != first
    assert actions == [
        f"apply ConfigMap {world.record}",
        f"create Job {names.job_name(world.key, 1)}",
    ]


def test_the_job_is_told_what_the_contract_says() -> None:
    world = World()
    world.reconcile()
    job = world.body("Job", world.newest_job())
    (fetch, *_others) = job["spec"]["template"]["spec"]["initContainers"]
    told = next(item["value"] for item in fetch["env"] if item["name"] == "RESNET_JOB")
    assert json.loads(told)["uri"] == "pvc://models/resnet50.onnx"


def test_times_are_those_of_the_plan() -> None:
    world = World()
    world.pass_time(60)
    world.reconcile()
    assert ready(world)["lastTransitionTime"] == since(to_text(NOW), 60)
