"""The serving side: what is written for which change, and what is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import (
    MESSAGES,
    NAME,
    UID,
    Body,
    a_settings,
    condition,
    ended,
    running,
    waiting,
)
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.actions import Apply
from resnet_operator.plan.trust import revision_digest

ROLLOUT = {"serving": {"batching": {"maxQueueDelayMicroseconds": 5}}}


def replicas(world: World) -> int:
    return int(world.body("Deployment")["spec"]["replicas"])


def the_one(world: World, kind: str, name: str = NAME) -> Apply:
    (found,) = (
        action
        for action in world.plan().actions
        if isinstance(action, Apply)
        and action.body["kind"] == kind
        and action.body["metadata"]["name"] == name
    )
    return found


# Doing nothing.


def test_nothing_is_done_when_all_is_as_it_should_be() -> None:
    world = World().serve()
    plan = world.plan()
    assert plan.actions == ()
    assert plan.events == ()
    assert plan.requeue_after is None
    before = world.status
    world.pass_time(3600)
    assert world.reconcile() == []
    assert world.status == before, "hours later it still says the same, with the same times"


SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("another serving image", {"serving_images": {"AscendOM": "registry.example/serving:2"}}),
    ("another jobs image", {"jobs_image": "registry.example/jobs:2"}),
    ("another compiler image", {"converter_images": {"": "registry.example/cann:2"}}),
    ("another table of resources", {"chip_resources": {"": "example.com/npu"}}),
    ("another runtime class", {"runtime_class_name": "ascend"}),
    ("another pull policy", {"image_pull_policy": "Always", "image_pull_secrets": ("a",)}),
)


@pytest.mark.parametrize(("reason", "changes"), SETTINGS)
def test_an_operator_with_other_settings_restarts_nobody(
    reason: str, changes: dict[str, Any]
) -> None:
    world = World().serve()
    template = world.body("Deployment")["spec"]["template"]
    world.settings = a_settings(**changes)
    world.reconcile()  # the store may change: it serves nobody
    assert world.reconcile() == [], reason
    assert world.body("Deployment")["spec"]["template"] == template
    assert condition(world.status, "Ready")["status"] == "True"


def test_a_stored_template_is_applied_word_for_word() -> None:
    """Another version of the operator wrote it, with fields that this one does not know."""
    world = World().serve()
    revision = world.revision
    data = world.body("ConfigMap", revision)["data"]
    template = json.loads(data["pod-template.json"])
    template["spec"]["containers"][0]["image"] = "registry.example/serving:old"
    template["spec"]["terminationGracePeriodSeconds"] = 7
    world.edit("ConfigMap", revision, {"data": {"pod-template.json": json.dumps(template)}})
    world.edit("Deployment", NAME, {"spec": {"template": template}})
    world.delete("ConfigMap", runtime_name(world))
    world.seen["runtime"] = None
    world.edit("ConfigMap", revision, {"metadata": {"labels": {names.RUNTIME: "older"}}})
    data = world.body("ConfigMap", revision)["data"]
    world.status["revisionDigests"] = {revision: revision_digest(data)}
    assert world.reconcile() == [], "the runtime of another version is not ours to make"
    world.edit("Deployment", NAME, {"spec": {"template": {"spec": {"containers": []}}}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert world.body("Deployment")["spec"]["template"] == template


def runtime_name(world: World) -> str:
    (found,) = (n for n in world.names_of("ConfigMap") if n.startswith("rns-runtime-"))
    return found


# Edits by hand are put back, additions of others are left alone.


@dataclass(frozen=True)
class Edit:
    reason: str
    kind: str
    changes: Body


CONTAINER = ("spec", "template", "spec", "containers")
EDITS = (
    Edit("replicas", "Deployment", {"spec": {"replicas": 5}}),
    Edit("the pods' labels", "Deployment", {"spec": {"template": {"metadata": {"labels": None}}}}),
    Edit("the strategy", "Deployment", {"spec": {"strategy": {"type": "Recreate"}}}),
    Edit("a label", "Deployment", {"metadata": {"labels": {names.INSTANCE: "x"}}}),
    Edit(
        "a security setting",
        "Deployment",
        {"spec": {"template": {"spec": {"securityContext": None}}}},
    ),
    Edit(
        "the token is mounted again by default",
        "Deployment",
        {"spec": {"template": {"spec": {"automountServiceAccountToken": None}}}},
    ),
    Edit("the owner", "Deployment", {"metadata": {"ownerReferences": []}}),
    Edit("the Service's type", "Service", {"spec": {"type": "NodePort"}}),
    Edit("the Service's selector", "Service", {"spec": {"selector": {names.INSTANCE: "x"}}}),
    Edit("one more key in the Service's selector", "Service", {"spec": {"selector": {"a": "b"}}}),
    Edit("the Service's ports", "Service", {"spec": {"ports": []}}),
)


@pytest.mark.parametrize("case", EDITS, ids=lambda case: case.reason)
def test_an_edit_is_put_back(case: Edit) -> None:
    world = World().serve()
    before = world.body(case.kind)
    world.edit(case.kind, NAME, case.changes)
    assert world.body(case.kind) != before
    assert f"apply {case.kind} {NAME}" in described(world.reconcile()), case.reason
    assert {**world.body(case.kind), "metadata": 0} == {**before, "metadata": 0}
    assert world.body(case.kind)["metadata"]["labels"] == before["metadata"]["labels"]
    assert world.reconcile() == []


def test_an_edit_of_the_image_is_put_back() -> None:
    world = World().serve()
    pod = world.body("Deployment")["spec"]["template"]["spec"]
    pod["containers"][0] |= {"image": "mine/other:1"}
    world.edit("Deployment", NAME, {"spec": {"template": {"spec": pod}}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]


ADDITIONS = (
    Edit(
        "kubectl rollout restart",
        "Deployment",
        {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "today"}}}}},
    ),
    Edit("an annotation", "Deployment", {"metadata": {"annotations": {"a": "b"}}}),
    Edit("a default of the server", "Service", {"spec": {"clusterIP": "10.0.0.1"}}),
    Edit("a label", "Service", {"metadata": {"labels": {"team": "a"}}}),
)


@pytest.mark.parametrize("case", ADDITIONS, ids=lambda case: case.reason)
def test_an_addition_of_others_is_left_alone(case: Edit) -> None:
    world = World().serve()
    world.edit(case.kind, NAME, case.changes)
    assert world.reconcile() == [], case.reason


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_a_deleted_child_is_made_again(kind: str) -> None:
    world = World().serve()
    world.delete(kind, NAME)
    assert not the_one(world, kind).adopt, "somebody else may take the name meanwhile"
    assert described(world.reconcile()) == [f"apply {kind} {NAME}"]


def test_a_deleted_revision_and_runtime_are_made_again() -> None:
    world = World().serve()
    revision, runtime = world.revision, runtime_name(world)
    world.delete("ConfigMap", revision)
    world.delete("ConfigMap", runtime)
    assert described(world.reconcile()) == [
        f"create ConfigMap {runtime}",
        f"create ConfigMap {revision}",
    ]
    world.delete("ConfigMap", runtime)
    assert described(world.reconcile()) == [f"create ConfigMap {runtime}"]


# Whose object it is.


def test_a_strangers_service_is_not_taken_over() -> None:
    world = World().convert()
    stranger = {"name": NAME, "namespace": "models", "labels": {}}
    world.apply(
        {"kind": "Service", "metadata": stranger, "spec": {"ports": [{"port": 80}]}},
        manager="helm",
    )
    assert not the_one(world, "Service").adopt


def test_a_child_of_another_controller_is_not_taken_over() -> None:
    """It has our label, as of an object of the same name that was deleted a moment ago."""
    world = World().serve()
    other = {"uid": "uid-of-the-former", "controller": True}
    world.edit("Service", NAME, {"metadata": {"ownerReferences": [other]}})
    assert not the_one(world, "Service").adopt


def test_our_own_child_is_applied_with_force() -> None:
    world = World().serve()
    world.edit("Deployment", NAME, {"spec": {"replicas": 3}})
    assert the_one(world, "Deployment").adopt


# Changes of the spec.


def test_a_change_of_batching_is_a_new_revision_and_no_conversion() -> None:
    world = World().serve()
    old = world.revision
    world.change(ROLLOUT)
    actions = described(world.reconcile())
    assert actions == [f"create ConfigMap {world.revision}", f"apply Deployment {NAME}"]
    assert world.revision != old
    assert world.status["revisions"]["desired"] == world.revision
    assert world.status["repositoryConfigMap"] == world.revision
    world.pods_are_ready()
    assert world.reconcile() == [], "the old revision is kept: it may be wanted again"
    assert world.has("ConfigMap", old)


def test_a_change_back_uses_the_old_revision() -> None:
    world = World().serve()
    old = world.revision
    world.change(ROLLOUT)
    world.reconcile()
    world.change({"serving": {"batching": None}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert world.revision == old


def test_a_change_of_the_chip_converts_while_the_old_revision_serves() -> None:
    world = World(settings=a_settings(converter_images={"": "registry.example/cann:1"})).serve()
    old, old_record = world.revision, world.record
    world.change({"accelerator": {"chip": "Ascend910B4"}})
    actions = described(world.reconcile())
    assert actions == [
        f"apply ConfigMap {world.record}",
        f"create Job {names.job_name(world.key, 1)}",
    ]
    assert world.record != old_record
    assert world.revision == old
    assert condition(world.status, "Available")["status"] == "True"
    assert world.status["artifact"]["chip"] == "Ascend310P3", "what is served, until it changes"
    assert world.status["revisions"] == {"serving": old}
    assert world.reconcile() == []
    # The old pods are still looked after.
    world.delete("Service", NAME)
    assert described(world.reconcile()) == [f"apply Service {NAME}"]
    other = {"sha256": "12" * 32}
    world.job_succeeds(MESSAGES | {"publish": MESSAGES["publish"] | other})
    world.reconcile()
    assert world.revision != old
    assert world.has("ConfigMap", old_record), "until the new pods serve"
    world.pods_are_ready()
    assert described(world.reconcile()) == [f"delete ConfigMap {old_record}"]


def test_a_change_to_the_service_alone_restarts_nobody() -> None:
    world = World().serve()
    world.change({"serving": {"service": {"type": "NodePort", "annotations": {"a": "b"}}}})
    assert described(world.reconcile()) == [f"apply Service {NAME}"]
    world.change({"serving": {"service": {"annotations": None}}})
    assert described(world.reconcile()) == [f"apply Service {NAME}"], "an annotation goes as well"
    assert "a" not in world.body("Service")["metadata"].get("annotations", {})
    world.change({"serving": {"service": None}})
    assert described(world.reconcile()) == [f"apply Service {NAME}"]
    assert world.reconcile() == []


def test_labels_are_in_the_revision() -> None:
    world = World()
    cats = "cat\n" * 999
    world.seen["labels"] = f"{cats}dog\n"
    world.serve()
    old = world.revision
    assert world.body("ConfigMap", old)["data"]["labels.txt"] == f"{cats}dog\n"
    world.seen["labels"] = f"{cats}mouse\n"
    world.reconcile()
    assert world.revision != old


# Replicas.


def test_scaling_changes_a_number_and_nothing_else() -> None:
    world = World({"serving": {"replicas": 2}}).serve()
    before = world.body("Deployment")["spec"]["template"]
    world.change({"serving": {"replicas": 3}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert replicas(world) == 3
    assert world.body("Deployment")["spec"]["template"] == before
    assert world.status["ready"] == "2/3"


def test_scaled_to_zero_and_back() -> None:
    world = World().serve()
    world.change({"serving": {"replicas": 0}})
    world.reconcile()
    assert replicas(world) == 0
    assert condition(world.status, "Ready")["status"] == "False", "pods are still going"
    world.pods_are_ready()
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "ScaledToZero"
    assert world.reconcile() == []
    world.change({"serving": {"replicas": 1}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]


def test_suspended_and_back() -> None:
    world = World({"serving": {"replicas": 2}}).serve()
    budget = f"PodDisruptionBudget {NAME}"
    world.change({"suspend": True})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}", f"delete {budget}"]
    assert replicas(world) == 0
    assert world.status["phase"] == "Suspended"
    assert condition(world.status, "Ready")["reason"] == "Suspended"
    world.pods_are_ready()
    assert world.reconcile() == []
    assert world.status["replicas"] == 0
    world.change({"suspend": False})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}", f"apply {budget}"]
    assert replicas(world) == 2


# How the pods are.


def test_the_deployments_own_generation_counts() -> None:
    """What its controller has not seen yet is not done."""
    world = World().serve()
    stale = world.observe().deployment
    assert stale is not None
    world.deployment_says(updated=1, ready=1, available=1)
    body = world.body("Deployment")
    body["status"]["observedGeneration"] = 0
    behind = type(stale).from_body(body)
    world.seen["deployment"] = behind
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "RollingOut"


def test_a_deployment_of_another_size_is_not_complete() -> None:
    world = World().serve()
    world.edit("Deployment", NAME, {"spec": {"replicas": 2}})
    world.deployment_says(replicas=1, updated=1, ready=1, available=1)
    world.reconcile()
    assert condition(world.status, "Ready")["status"] == "False"


def test_without_its_revision_a_deployment_is_not_complete() -> None:
    """A pod that starts now would not find its config.pbtxt."""
    world = World().serve()
    world.delete("ConfigMap", world.revision)
    world.reconcile()
    assert condition(world.status, "Ready")["status"] == "False"
    world.reconcile()
    assert condition(world.status, "Ready")["status"] == "True"


@dataclass(frozen=True)
class Ended:
    reason: str
    others: int
    word: str
    facts: Body = field(default_factory=lambda: {"phase": "Failed", "reason": "Evicted"})


EVICTED = (
    Ended("the only pod was evicted", 0, "Evicted"),
    Ended("another pod takes its place already", 1, "Loading"),
    Ended("the node takes none of the pods", -1, "Evicted"),
)


@pytest.mark.parametrize("case", EVICTED, ids=lambda case: case.reason)
def test_an_evicted_pod_is_told_while_none_runs(case: Ended) -> None:
    world = World().deploy()
    world.serving_pod(name="evicted", **case.facts)
    if case.others < 0:
        world.serving_pod(name="evicted-too", **case.facts)
    for number in range(case.others):
        world.serving_pod(name=f"pod-{number}", phase="Running", containers=[running("triton")])
    world.deployment_says(updated=1)
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == case.word, case.reason


def test_the_oldest_pod_in_trouble_speaks() -> None:
    """Else the message would change with every pod that comes."""
    world = World({"serving": {"replicas": 2}}).deploy()
    world.serving_pod(name="z-old", containers=[waiting("triton", "ErrImagePull")])
    world.pass_time(5)
    world.serving_pod(name="a-new", containers=[waiting("triton", "CreateContainerConfigError")])
    world.deployment_says(updated=2)
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "ImagePullFailed"


def test_pods_of_other_revisions_and_dying_pods_are_not_asked() -> None:
    world = World().deploy()
    bad: Body = {"phase": "Running", "containers": [ended("triton", 1)]}
    world.serving_pod(name="old", revision="resnet50-older", **bad)
    world.serving_pod(name="dying", deleting=True, **bad)
    world.deployment_says(updated=1)
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "RollingOut"


def test_a_volume_of_a_serving_pod_that_cannot_be_mounted() -> None:
    world = World().deploy()
    world.serving_pod(containers=[waiting("triton", "ContainerCreating")])
    world.deployment_says(updated=1)
    world.seen["warnings"] = ('MountVolume.SetUp failed for volume "artifact" : timed out',)
    world.reconcile()
    shown = condition(world.status, "Ready")
    assert (shown["reason"], shown["message"].split(";")[0]) == (
        "VolumeMountFailed",
        'volume "artifact" cannot be mounted',
    )


def test_it_looks_for_the_events_of_a_pod_that_does_not_start() -> None:
    """No watch event comes when a mount fails; and no look is wasted when the pod is well."""
    world = World().deploy()
    world.deployment_says(updated=1)
    assert world.plan().requeue_after is None
    world.serving_pod(containers=[waiting("triton", "ContainerCreating")])
    world.pass_time(4)
    assert world.plan().requeue_after == 6
    world.pass_time(6)
    assert world.plan().requeue_after == 30
    world.serving_pod(phase="Running", containers=[running("triton")])
    assert world.plan().requeue_after is None


def test_pod_security_is_told_by_the_deployment() -> None:
    world = World().deploy()
    words = 'pods "resnet50-x" is forbidden: violates PodSecurity "restricted:latest": hostPath'
    world.deployment_says(replicas=0, condition=("ReplicaFailure", "True", words))
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "PodSecurityForbidden"
    assert "hostPath" in condition(world.status, "ModelReady")["message"]
    assert "resnet50-x" not in condition(world.status, "ModelReady")["message"]


def test_it_looks_again_when_a_crash_may_have_become_permanent() -> None:
    world = World({"rollout": {"progressDeadlineSeconds": 100}}).serve()
    world.serving_pod(name="pod-0", containers=[ended("triton", 1)], phase="Running")
    world.deployment_says(updated=1)
    assert world.plan().requeue_after == 100
    world.reconcile()
    world.pass_time(40)
    assert world.plan().requeue_after == 60
    world.pass_time(60)
    assert world.plan().requeue_after is None


def test_the_owner_of_everything_is_the_object() -> None:
    world = World().serve()
    for kind, name in (("Deployment", NAME), ("Service", NAME), ("ConfigMap", world.revision)):
        (owner,) = world.body(kind, name)["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (UID, True)
        assert "blockOwnerDeletion" not in owner, "it needs rights that we do not have"
