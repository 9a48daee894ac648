"""Rollouts: which revision the pods get, by which strategy, and what is remembered of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    MESSAGES,
    NAME,
    NOW,
    RESOURCE,
    Body,
    a_settings,
    condition,
    end,
    ended,
    running,
    waiting,
)
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.actions import Delete
from resnet_operator.plan.serving.memory import Memory
from resnet_operator.plan.serving.strategy import lacks_device
from resnet_operator.plan.times import to_text

NO_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}."
NO_CPU = "0/2 nodes are available: 2 Insufficient cpu."
OTHER_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}V."
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
REPLACE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
LOAD_FAILED = {"reason": "ModelLoadFailed", "message": "Triton cannot load the model"}
ONE_OF_TWO: dict[str, Any] = {"replicas": 2, "updated": 1, "ready": 1, "available": 1}


def batching(delay: int) -> Body:
    return {"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}}


def changing(spec: Body | None = None, *, delay: int = 5) -> World:
    """Return a world that served and has just been given another revision."""
    world = World(spec).serve()
    world.change(batching(delay))
    world.reconcile()
    world.deployment_says(**ONE_OF_TWO)
    return world


def new_pod(world: World, **facts: Any) -> None:
    world.serving_pod(name="new", **facts)


def strategy(world: World) -> Any:
    return world.body("Deployment")["spec"]["strategy"]


def remembered(world: World) -> Memory:
    annotations = world.body("Deployment")["metadata"].get("annotations") or {}
    return Memory.read(annotations.get(names.ROLLOUT, ""))


def crashed(times: int, said: Any = LOAD_FAILED, code: int = 1, reason: str = "") -> Body:
    """Return a container that has ended so often and waits for its next start."""
    state = waiting("triton", "CrashLoopBackOff", last=end(code, said=said, reason=reason))
    return state | {"restartCount": times - 1}


def ready(world: World) -> tuple[str, str]:
    shown = condition(world.status, "Ready")
    return shown["status"], shown["reason"]


# The strategy.


def test_a_first_revision_that_never_served_makes_room_at_once() -> None:
    """It holds the only chip and serves nobody: nothing is won by waiting for another one."""
    world = World().deploy()
    world.serving_pod(name="old", phase="Running", containers=[crashed(5)])
    world.deployment_says(replicas=1, updated=1)
    world.reconcile()
    world.change(batching(5))
    world.reconcile()
    new_pod(world, unschedulable=NO_CHIP)
    world.deployment_says(replicas=2, updated=1)
    world.reconcile()
    assert strategy(world) == REPLACE
    assert world.status["rollout"] == {"mode": "Replace", "reason": f"no free {RESOURCE}"}


def test_what_serves_is_waited_for_as_before() -> None:
    world = changing({"serving": {"replicas": 1}})
    new_pod(world, unschedulable=NO_CHIP)
    world.reconcile()
    assert strategy(world) == SURGE


@dataclass(frozen=True)
class Wish:
    reason: str
    rollout: Body
    strategy: Body
    mode: str


WISHES = (
    Wish("nothing said: Auto, which surges while it can", {}, SURGE, "Surge"),
    Wish("surge", {"strategy": "Surge"}, SURGE, "Surge"),
    Wish("replacing pods one at a time", {"strategy": "Replace"}, REPLACE, "Replace"),
    Wish("all at once", {"strategy": "Recreate"}, {"type": "Recreate"}, "Recreate"),
)


@pytest.mark.parametrize("case", WISHES, ids=lambda case: case.reason)
def test_a_strategy_by_wish(case: Wish) -> None:
    world = World({"rollout": case.rollout}).serve()
    assert strategy(world) == case.strategy
    assert world.status["rollout"] == {"mode": case.mode}
    assert world.reconcile() == []


def test_another_strategy_restarts_nobody() -> None:
    world = World().serve()
    before = world.body("Deployment")["spec"]["template"]
    for wish in ("Replace", "Recreate", "Surge", "Auto"):
        world.change({"rollout": {"strategy": wish}})
        world.reconcile()
        assert world.body("Deployment")["spec"]["template"] == before
    assert len([name for name in world.names_of("ConfigMap") if name.startswith(NAME)]) == 1


def test_auto_takes_one_out_when_no_chip_is_free() -> None:
    world = changing()
    new_pod(world, unschedulable=NO_CHIP)
    assert world.plan().requeue_after == 60
    assert world.reconcile() == []
    assert ready(world) == ("False", "RollingOut"), "it may be there in a moment"
    assert f"waiting for a free {RESOURCE}" in condition(world.status, "Ready")["message"]
    template = world.body("Deployment")["spec"]["template"]
    world.pass_time(60)
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert strategy(world) == REPLACE
    assert world.body("Deployment")["spec"]["template"] == template, "it restarts nobody"
    assert world.status["rollout"] == {"mode": "Replace", "reason": f"no free {RESOURCE}"}
    shown = condition(world.status, "Ready")["message"]
    assert shown.endswith(f"replacing pods one at a time: no free {RESOURCE}")


def replacing(spec: Body | None = None) -> World:
    """Return a world in which Auto has just gone from surge to replace."""
    world = changing(spec)
    new_pod(world, unschedulable=NO_CHIP)
    world.pass_time(60)
    world.reconcile()
    world.deployment_says(**ONE_OF_TWO)
    return world


def test_until_the_old_pod_has_gone_the_lack_is_no_news() -> None:
    world = replacing()
    assert world.reconcile() == []
    assert ready(world) == ("False", "RollingOut")
    world.serving_pod(name="pod-0", revision="the-old-one", deleting=True)
    world.reconcile()
    assert ready(world) == ("False", "RollingOut")
    world.pods = [pod for pod in world.pods if pod["metadata"]["name"] != "pod-0"]
    world.reconcile()
    assert ready(world) == ("False", "Unschedulable"), "somebody else has taken the chip"


def test_replace_stays_until_the_next_change() -> None:
    """A switch back would be a write for nothing."""
    world = replacing()
    world.pods_are_ready()
    assert world.reconcile() == []
    assert ready(world) == ("True", "Ready")
    assert world.status["rollout"]["mode"] == "Replace", "how it was rolled out"
    world.change({"serving": {"replicas": 2}})
    world.reconcile()
    assert strategy(world) == REPLACE
    world.pods_are_ready()
    world.reconcile()
    world.change(batching(7))
    world.reconcile()
    assert strategy(world) == SURGE
    assert world.status["rollout"] == {"mode": "Surge"}


def test_a_change_while_it_replaces_goes_on_replacing() -> None:
    world = replacing()
    world.change(batching(7))
    world.reconcile()
    assert strategy(world) == REPLACE


@dataclass(frozen=True)
class Patient:
    reason: str
    facts: Body = field(default_factory=lambda: {"unschedulable": NO_CHIP})
    spec: Body = field(default_factory=dict)
    old: bool = True
    seconds: float = 3600
    strategy: Any = field(default_factory=lambda: SURGE)


PATIENTS = (
    Patient("the wait is not over", seconds=59),
    Patient("another wait", spec={"rollout": {"surgeWaitSeconds": 600}}, seconds=599),
    Patient(
        "a wait of 0",
        {"unschedulable": NO_CHIP},
        {"rollout": {"surgeWaitSeconds": 0}},
        seconds=0,
        strategy=REPLACE,
    ),
    Patient(
        "half of a short deadline",
        spec={"rollout": {"progressDeadlineSeconds": 40}},
        seconds=20,
        strategy=REPLACE,
    ),
    Patient("something else is lacking", {"unschedulable": NO_CPU}),
    Patient("another device is lacking", {"unschedulable": OTHER_CHIP}),
    Patient("nothing is lacking", {"containers": [waiting("triton", "PodInitializing")]}),
    Patient("no old pod holds a chip", old=False),
    Patient("surge by wish", spec={"rollout": {"strategy": "Surge"}}),
    Patient(
        "all by wish", spec={"rollout": {"strategy": "Recreate"}}, strategy={"type": "Recreate"}
    ),
    Patient("chip CPU holds no device", spec={"accelerator": {"chip": "CPU"}}),
)


@pytest.mark.parametrize("case", PATIENTS, ids=lambda case: case.reason)
def test_auto_replaces_for_lack_of_the_device_only(case: Patient) -> None:
    world = changing(case.spec)
    if not case.old:
        world.pods = []
    new_pod(world, **case.facts)
    world.pass_time(case.seconds)
    world.reconcile()
    assert strategy(world) == case.strategy, case.reason


GANG = "1/1 tasks in gang unschedulable: pod group is not ready, 1 Pending, 1 minAvailable"
WORDS = (
    (NO_CHIP, True, "the device by its name"),
    (f"0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient {RESOURCE}.", True, "both"),
    (f"0/2 nodes are available: 2 Insufficient {RESOURCE}-memory.", True, "memory of a HAMi slice"),
    (f"0/1 nodes are unavailable: 1 Insufficient {RESOURCE}.", True, "Volcano, with a name"),
    (f"{GANG}; Pending: 1 Unschedulable.", True, "Volcano, without"),
    ("no available node, 1 nodes do not meet; all node scores do not meet", True, "HAMi, without"),
    (NO_CPU, False, "CPU"),
    (OTHER_CHIP, False, "a chip of a longer name"),
    (f"{GANG}; 0/1 nodes are unavailable: 1 Insufficient cpu.", False, "Volcano lacks CPU"),
    (f"{GANG}; 1 node(s) had untolerated taint", False, "Volcano may not use the node"),
    ("no nodes available to schedule pods", False, "no node at all"),
    ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity", False, "affinity"),
    ("", False, "no scheduler has seen it: to take an old pod out would help nobody"),
)


@pytest.mark.parametrize(("words", "lacks", "reason"), WORDS, ids=[case[2] for case in WORDS])
def test_what_a_scheduler_says_of_devices(words: str, lacks: bool, reason: str) -> None:
    assert lacks_device(words, RESOURCE) is lacks, reason


QUOTA = 'pods "x" is forbidden: exceeded quota: npu, requested: requests.{}=1, used: requests.{}=1'


@pytest.mark.parametrize(
    ("resource", "seconds", "expected"),
    [(RESOURCE, 60, REPLACE), (RESOURCE, 59, SURGE), (f"{RESOURCE}V", 600, SURGE)],
)
def test_a_quota_on_the_device_is_a_lack_too(resource: str, seconds: float, expected: Body) -> None:
    world = changing()
    words = QUOTA.format(resource, resource)
    said = {"type": "ReplicaFailure", "status": "True", "reason": "x", "message": words}
    world.deployment_says(replicas=1, ready=1, available=1)
    body = world.body("Deployment")
    body["status"]["conditions"] = [said | {"lastTransitionTime": to_text(world.now)}]
    live = world.observe().deployment
    assert live is not None
    world.seen["deployment"] = type(live).from_body(body)
    world.pass_time(seconds)
    world.reconcile()
    assert strategy(world) == expected


# The way back.


def rolled_back(spec: Body | None = None) -> World:
    world = changing(spec)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    return world


def test_a_broken_revision_is_rolled_back() -> None:
    world = World().serve()
    good = world.revision
    world.change(batching(5))
    assert len(world.reconcile()) == 2
    bad = world.revision
    assert remembered(world).good == (good,), "in the patch that changes the template"
    assert world.status["revisions"] == {"desired": bad, "serving": good}
    world.deployment_says(**ONE_OF_TWO)
    new_pod(world, phase="Running", containers=[crashed(1)])
    assert world.reconcile() == [], "once may be bad luck"
    new_pod(world, phase="Running", containers=[crashed(2)])
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert world.revision == good
    shown = condition(world.status, "Ready")
    assert (shown["status"], shown["reason"]) == ("False", "RolledBack")
    assert shown["message"].endswith("was rolled back: Triton cannot load the model")
    assert condition(world.status, "Stalled")["reason"] == "RolledBack"
    assert condition(world.status, "Available")["status"] == "True"
    assert condition(world.status, "Reconciling") == {}
    assert world.status["phase"] == "Degraded"
    failed = world.status["revisions"].pop("failed")
    assert world.status["revisions"] == {"desired": bad, "serving": good}
    assert failed == {
        "name": bad,
        "reason": "ModelLoadFailed",
        "message": "Triton cannot load the model",
        "time": to_text(world.now),
    }


def test_rolled_back_is_at_rest_and_stays_so() -> None:
    """Whatever is forgotten: the pods' states, the operator, the status."""
    world = rolled_back()
    good, before = world.revision, world.status
    world.pods_are_ready()
    assert world.reconcile() == []
    world.pass_time(3600)
    assert world.reconcile() == []
    assert world.status["revisions"] == before["revisions"]
    assert condition(world.status, "Ready") == condition(before, "Ready")
    world.status = {}
    world.settings = a_settings(jobs_image="registry.example/jobs:2")
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("False", "RolledBack")


def test_a_rolled_back_object_scales() -> None:
    world = rolled_back()
    world.pods_are_ready()
    world.change({"serving": {"replicas": 3}})
    assert f"apply Deployment {NAME}" in described(world.reconcile())
    assert world.body("Deployment")["spec"]["replicas"] == 3
    assert ready(world) == ("False", "RolledBack")


@pytest.mark.parametrize("off", [{"suspend": True}, {"serving": {"replicas": 0}}])
def test_switched_off_after_a_rollback_is_well_and_back_it_is_not(off: Body) -> None:
    world = rolled_back()
    good = world.revision
    world.pods_are_ready()
    world.change(off)
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    assert ready(world)[0] == "True"
    assert world.revision == good
    world.change({"suspend": None, "serving": {"replicas": 1}})
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("False", "RolledBack")


@dataclass(frozen=True)
class Fault:
    reason: str
    pod: Body
    deadline: bool = False
    back: str = ""
    spec: Body = field(default_factory=dict)


def triton(state: Body, **facts: Any) -> Body:
    return {"phase": "Running", "containers": [state], **facts}


MISMATCH = {"reason": "ChipMismatch", "message": "m"}
FAULTS = (
    Fault("the model does not load, twice", triton(crashed(2)), back="ModelLoadFailed"),
    Fault("the model did not load once", triton(crashed(1))),
    Fault(
        "it runs again after one bad end",
        triton(running("triton", last=end(1, said=LOAD_FAILED)) | {"restartCount": 1}),
    ),
    Fault("another chip, twice", triton(crashed(2, MISMATCH)), back="ChipMismatch"),
    Fault("a crash without a word, twice", triton(crashed(2, None))),
    Fault("a crash without a word, three times", triton(crashed(3, None)), back="CrashLooping"),
    Fault(
        "killed for memory three times",
        triton(crashed(3, None, 137, "OOMKilled")),
        back="OutOfMemory",
    ),
    Fault("no image", {"containers": [waiting("triton", "ErrImagePull")]}),
    Fault(
        "no image until the deadline",
        {"containers": [waiting("triton", "ErrImagePull")]},
        deadline=True,
        back="ImagePullFailed",
    ),
    Fault(
        "a ConfigMap is missing until the deadline",
        {"containers": [waiting("triton", "CreateContainerConfigError")]},
        deadline=True,
        back="ContainerConfigError",
    ),
    Fault(
        "it loads for ever",
        triton(running("triton")),
        deadline=True,
        back="ProgressDeadlineExceeded",
    ),
    Fault("no room until the deadline", {"unschedulable": NO_CPU}, deadline=True),
    Fault(
        "hold by wish",
        triton(crashed(9)),
        deadline=True,
        spec={"rollout": {"onFailure": "Hold"}},
    ),
)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.reason)
def test_what_leads_back(case: Fault) -> None:
    world = changing(case.spec)
    bad = world.revision
    new_pod(world, **case.pod)
    over = ("Progressing", "False", "ProgressDeadlineExceeded") if case.deadline else None
    world.deployment_says(**ONE_OF_TWO, condition=over)
    world.reconcile()
    assert (world.revision != bad) is bool(case.back), case.reason
    failed = world.status["revisions"].get("failed", {})
    assert failed.get("reason", "") == case.back, case.reason
    assert condition(world.status, "Available")["status"] == "True"


@dataclass(frozen=True)
class Control:
    """A pod of the old revision, while the new one's crashes on node a."""

    reason: str
    holds: bool
    facts: Body


ENDED_NOW = {"finishedAt": to_text(NOW)}
LONG_AGO = {"finishedAt": to_text(NOW - timedelta(hours=5))}


def restarted(when: Body, code: int = 137) -> Body:
    return running("triton", last={"terminated": {"exitCode": code, "reason": "Error", **when}})


SERVES_NO_MORE: Body = {
    "name": "triton",
    "state": {"running": {"startedAt": "2026-05-04T10:00:00Z"}},
    "started": True,
}
CONTROLS = (
    Control("it serves", False, {"ready": True, "containers": [running("triton")]}),
    Control("its probe has killed it just now", True, {"containers": [restarted(ENDED_NOW, 0)]}),
    Control(
        "it was killed, and is back", True, {"ready": True, "containers": [restarted(ENDED_NOW)]}
    ),
    Control("it crashes too", True, {"containers": [crashed(4)]}),
    Control(
        "it runs and is unready since",
        True,
        {"containers": [SERVES_NO_MORE], "ready_since": "2026-05-04T11:00:00Z"},
    ),
    Control("it ended hours ago", False, {"ready": True, "containers": [restarted(LONG_AGO)]}),
    Control("it fails on another node", False, {"node": "b", "containers": [crashed(4)]}),
    Control("it is going", False, {"deleting": True, "containers": [crashed(4)]}),
    Control("it never came up", False, {"containers": [running("triton")]}),
)


@pytest.mark.parametrize("case", CONTROLS, ids=lambda case: case.reason)
def test_a_node_that_fails_the_old_revision_too_rolls_nothing_back(case: Control) -> None:
    world = World({"serving": {"replicas": 2}}).serve()
    old = world.revision
    world.change(batching(5))
    world.reconcile()
    world.pods = []
    facts = {"phase": "Running", "node": "a", **case.facts}
    world.serving_pod(name="old", revision=old, **facts)
    new_pod(world, phase="Running", node="a", containers=[crashed(4)])
    world.deployment_says(**ONE_OF_TWO)
    world.reconcile()
    assert (world.revision == old) is not case.holds, case.reason
    if case.holds:
        said = condition(world.status, "ModelReady")["message"]
        assert f"not rolled back while pods of revision {old.rsplit('-', 1)[-1]} fail" in said
        assert world.plan().requeue_after, "and it is looked at again"
        world.serving_pod(name="old", revision=old, phase="Running", ready=True, node="a")
        world.reconcile()
        assert world.revision == old, "once the node is well again, it is the revision's fault"


def test_what_was_ready_once_is_not_rolled_back() -> None:
    """Its pods crash for another reason; the revision before may be no better."""
    world = changing()
    world.pods_are_ready()
    world.reconcile()
    now = world.revision
    world.serving_pod(name="pod-0", phase="Running", containers=[crashed(9)])
    world.deployment_says(updated=1)
    world.reconcile()
    assert world.revision == now
    assert ready(world) == ("False", "ModelLoadFailed")


def test_without_a_good_revision_there_is_no_way_back() -> None:
    world = World().deploy()
    world.serving_pod(phase="Running", containers=[crashed(9)])
    world.deployment_says(updated=1)
    first = world.revision
    assert world.reconcile() == []
    assert world.revision == first
    assert ready(world) == ("False", "ModelLoadFailed")


def test_a_revision_that_never_was_complete_is_not_good() -> None:
    """A to B to C in a hurry: the way back from C is to A."""
    world = World().serve()
    good = world.revision
    for delay in (5, 6):
        world.change(batching(delay))
        world.reconcile()
        world.deployment_says(**ONE_OF_TWO)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    assert world.revision == good


def test_what_was_complete_is_good_though_a_pod_is_away_when_it_is_replaced() -> None:
    world = World().serve()
    good = world.revision
    world.deployment_says()
    world.change(batching(5))
    world.reconcile()
    world.deployment_says(replicas=2)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    assert world.revision == good


def test_scaled_to_zero_is_no_proof_that_it_works() -> None:
    world = World({"serving": {"replicas": 0}}).serve()
    world.change(batching(5) | {"serving": {"replicas": 1}})
    world.reconcile()
    assert remembered(world).good == ()


def test_the_way_back_is_one_out_one_in_when_the_way_there_was() -> None:
    world = replacing()
    world.pods = []
    new_pod(world, phase="Running", containers=[crashed(2)])
    bad = world.revision
    world.reconcile()
    assert world.revision != bad
    assert strategy(world) == REPLACE


# Another attempt.


def test_a_changed_spec_is_tried() -> None:
    world = rolled_back()
    good = world.revision
    world.change(batching(6))
    world.reconcile()
    assert world.revision != good
    assert ready(world) == ("False", "RollingOut")
    assert "failed" not in world.status["revisions"]
    world.pods_are_ready()
    world.reconcile()
    assert ready(world) == ("True", "Ready")
    assert world.status["revisions"] == {
        "desired": world.revision,
        "serving": world.revision,
        "previous": good,
    }


def test_the_spec_of_the_good_revision_is_ready_and_forgets() -> None:
    world = rolled_back()
    good = world.revision
    world.pods_are_ready()
    world.change({"serving": {"batching": None}})
    world.reconcile()
    world.deployment_says(updated=1, ready=1, available=1)
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("True", "Ready")
    assert remembered(world).failed is None
    world.change(batching(5))
    world.reconcile()
    assert world.revision != good, "the spec has moved on and back: it is tried again"


def test_the_retry_annotation_asks_for_another_attempt() -> None:
    world = rolled_back()
    good = world.revision
    world.pods_are_ready()
    world.retry = "please"
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    bad = world.revision
    assert bad != good
    assert world.status["lastHandledRetry"] == "please"
    world.deployment_says(**ONE_OF_TWO)
    assert world.reconcile() == []
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    assert world.revision == good, "and back again"
    assert world.reconcile() == []
    world.retry = ""
    world.reconcile()
    assert world.revision == good, "to remove the annotation asks for nothing"


def test_hold_after_a_rollback_tries_again() -> None:
    world = rolled_back()
    good = world.revision
    world.change({"rollout": {"onFailure": "Hold"}})
    world.reconcile()
    assert world.revision != good


def test_a_deleted_deployment_comes_back_with_the_good_revision() -> None:
    """What failed need not be tried on all pods at once: the status remembers."""
    world = rolled_back()
    good = world.revision
    world.delete("Deployment", NAME)
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("False", "RolledBack")


@pytest.mark.parametrize("text", ["no JSON", "[]", "null", '{"failed": {"a": 1}}', '{"good": 7}'])
def test_a_memory_that_somebody_edited_is_nothing(text: str) -> None:
    assert Memory.read(text) == Memory()


def test_a_memory_survives_its_text() -> None:
    world = rolled_back()
    memory = remembered(world)
    assert memory.failed is not None
    assert Memory.read(memory.text()) == memory
    assert Memory().text() == ""
    assert json.loads(memory.text())["good"] == [world.revision]


# A pinned revision.


def test_a_pinned_revision_runs() -> None:
    world = World().serve()
    first = world.revision
    world.change(batching(5))
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    second = world.revision
    world.change({"rollout": {"pinRevision": first}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert world.revision == first
    world.pods_are_ready()
    assert world.reconcile() == []
    shown = condition(world.status, "Ready")
    assert (shown["status"], shown["message"][-8:]) == ("True", "(pinned)")
    assert world.status["revisions"] == {"desired": second, "serving": first, "previous": second}
    world.change(batching(6))
    world.reconcile()
    assert world.revision == first, "whatever the spec says"
    assert ready(world) == ("True", "Ready")
    world.change({"rollout": {"pinRevision": None}})
    world.reconcile()
    assert world.revision not in {first, second}


def test_a_pinned_revision_is_not_rolled_back() -> None:
    world = rolled_back()
    bad = world.status["revisions"]["failed"]["name"]
    world.change({"rollout": {"pinRevision": bad}})
    world.reconcile()
    assert world.revision == bad
    world.deployment_says(**ONE_OF_TWO)
    new_pod(world, phase="Running", containers=[crashed(9)])
    world.reconcile()
    assert world.revision == bad
    assert ready(world) == ("False", "ModelLoadFailed")
    world.pods_are_ready()
    world.reconcile()
    world.change({"rollout": {"pinRevision": None}})
    world.reconcile()
    assert world.revision == bad, "it came up after all"
    assert "failed" not in world.status["revisions"]


def test_a_pin_that_nobody_knows() -> None:
    world = World().serve()
    live = world.revision
    world.change(batching(5) | {"rollout": {"pinRevision": "resnet50-nosuch"}})
    world.reconcile()
    assert world.revision == live, "nothing is changed"
    shown = condition(world.status, "Ready")
    assert (shown["status"], shown["reason"]) == ("False", "RevisionNotFound")
    assert live in shown["message"]
    assert condition(world.status, "Stalled")["status"] == "True"
    assert condition(world.status, "Available")["status"] == "True"


def test_a_pin_before_anything_is_there_makes_no_pods() -> None:
    world = World({"rollout": {"pinRevision": "resnet50-nosuch"}}).deploy()
    assert not world.has("Deployment", NAME)
    assert ready(world) == ("False", "RevisionNotFound")


# What is kept.


@pytest.mark.parametrize(("limit", "left"), [(0, 2), (1, 2), (2, 3), (5, 5)])
def test_history(limit: int, left: int) -> None:
    """The one that serves and the good one before it stay in any case."""
    world = World({"rollout": {"historyLimit": limit}}).serve()
    made = [world.revision]
    for delay in range(1, 5):
        world.pass_time(60)
        world.change(batching(delay))
        world.reconcile()
        made.append(world.revision)
        world.pods_are_ready()
        world.reconcile()
    kept = [name for name in made if world.has("ConfigMap", name)]
    assert kept == made[-left:]
    assert world.reconcile() == []


def test_vain_attempts_do_not_pile_up() -> None:
    world = World({"rollout": {"historyLimit": 1}}).serve()
    good = world.revision
    for delay in range(1, 5):
        world.pass_time(60)
        world.change(batching(delay))
        world.reconcile()
        world.deployment_says(**ONE_OF_TWO)
        new_pod(world, phase="Running", containers=[crashed(2)])
        world.reconcile()
        world.pods_are_ready()
        gone = [action for action in world.reconcile() if isinstance(action, Delete)]
        assert all(action.kind == "ConfigMap" for action in gone)
    assert world.revision == good
    kept = [name for name in world.names_of("ConfigMap") if name.startswith(NAME)]
    assert len(kept) == 3, "the good one, the desired one and one more"
    assert world.has("ConfigMap", world.record)


def test_replicas_are_as_the_spec_says_in_every_state() -> None:
    world = World({"serving": {"replicas": 3}}).serve()
    world.change(batching(5))
    world.reconcile()
    world.deployment_says(replicas=4, updated=1, ready=3, available=3)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    assert world.body("Deployment")["spec"]["replicas"] == 3


def test_an_ended_container_alone_says_how_often() -> None:
    world = changing()
    bad = world.revision
    state = ended("triton", 1, said=LOAD_FAILED)
    new_pod(world, phase="Running", containers=[state | {"restartCount": 1}])
    world.reconcile()
    assert world.revision != bad


# With a gate.


GATE: Body = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
ANOTHER: Body = {"model": {"uri": "pvc://models/another.onnx"}}
OTHER_MESSAGES = MESSAGES | {"publish": MESSAGES["publish"] | {"sha256": "ee" * 32}}


def behind_a_gate() -> World:
    """Return a world that serves what has passed, while another artifact is being measured."""
    world = World(GATE).deploy()
    world.candidate_is_measured()
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    world.change(ANOTHER)
    world.reconcile()
    world.job_succeeds(OTHER_MESSAGES)
    world.reconcile()
    return world


def test_what_passed_the_gate_and_does_not_come_up_is_rolled_back() -> None:
    world = behind_a_gate()
    good = world.revision
    world.candidate_is_measured()
    world.reconcile()
    assert world.revision != good
    world.deployment_says(**ONE_OF_TWO)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("False", "RolledBack")


def test_a_pin_is_no_way_around_the_gate() -> None:
    world = behind_a_gate()
    good, held = world.revision, world.status["revisions"]["desired"]
    assert world.has("ConfigMap", held), "it is there, for the candidate mounts it"
    world.change({"rollout": {"pinRevision": held}})
    world.reconcile()
    assert world.revision == good
    world.candidate_is_measured(top1=0.1)
    world.reconcile()
    assert world.revision == good
    world.change(ANOTHER | {"model": {"uri": "pvc://models/third.onnx"}})
    world.reconcile()
    assert world.revision == good, "nor later, when the spec asks for a third one"
    world.change({"rollout": {"pinRevision": good}})
    world.reconcile()
    assert world.revision == good


def test_what_the_gate_holds_does_not_disturb_what_was_rolled_back() -> None:
    world = behind_a_gate()
    good = world.revision
    world.candidate_is_measured()
    world.reconcile()
    world.deployment_says(**ONE_OF_TWO)
    new_pod(world, phase="Running", containers=[crashed(2)])
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    world.change({"model": {"uri": "pvc://models/third.onnx"}})
    world.reconcile()
    third = MESSAGES["publish"] | {"sha256": "dd" * 32}
    world.job_succeeds(MESSAGES | {"publish": third})
    world.reconcile()
    assert world.revision == good
    assert ready(world) == ("False", "Validating")
    assert "failed" in world.status["revisions"]
    world.candidate_is_measured()
    world.reconcile()
    assert world.revision not in {good, remembered(world).failed}
    assert remembered(world).failed is None
