"""An artifact that the store has lost: made again by itself, with pauses, and not for ever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import MESSAGES, NAME, a_settings, condition, end, running, waiting
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.artifact.repair import REPAIR_KEY
from resnet_operator.plan.times import to_text

HOUR, DAY = 3600, 86_400
LOST = {"ok": False, "reason": "ArtifactMissing", "message": "the store has no artifact cdcd"}


def lose(world: World, *, said: dict[str, Any] | None = None, **facts: Any) -> None:
    """Let a pod's init container end as it does when the file is not there, or is damaged."""
    world.pass_time(5)
    last = end(86, said=said or LOST)
    last["terminated"]["finishedAt"] = to_text(world.now)
    world.serving_pod(init=[waiting("artifact", "CrashLoopBackOff", last=last)], **facts)


def ready(world: World) -> dict[str, Any]:
    return condition(world.status, "Ready")


def collect_garbage(world: World) -> None:
    """The old record owned its Jobs."""
    for name in world.names_of("Job"):
        world.delete("Job", name)


def convert_again(world: World, messages: dict[str, dict[str, Any]] = MESSAGES) -> None:
    world.reconcile()
    collect_garbage(world)
    world.reconcile()
    world.job_succeeds(messages)
    world.reconcile()


def repair(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(world.body("ConfigMap", world.record)["data"][REPAIR_KEY])
    return value


def test_a_lost_artifact_is_made_again_by_itself() -> None:
    world = World().serve()
    world.pass_time(30 * DAY)
    before = world.body("ConfigMap", world.record)["metadata"]["uid"]
    lose(world, name="one-more")
    assert described(world.reconcile()) == [
        f"delete ConfigMap {world.record}",
        f"create ConfigMap {world.record}",
        f"apply ConfigMap {world.record}",
    ]
    record = world.body("ConfigMap", world.record)
    assert record["metadata"]["uid"] != before
    assert [owner["name"] for owner in record["metadata"]["ownerReferences"]] == [NAME]
    assert repair(world) == {"count": 1, "time": to_text(world.now)}
    assert ready(world)["message"] == "the store has lost the artifact; it is made again"
    collect_garbage(world)
    assert described(world.reconcile()) == [f"create Job {names.job_name(world.key, 1)}"]
    assert ready(world)["message"] == (
        "the conversion's pod is starting: the store has lost the artifact"
    )


def test_running_pods_of_the_old_revision_serve_on() -> None:
    world = World().serve()
    old = world.revision
    lose(world, name="one-more")
    world.reconcile()
    assert world.revision == old
    assert world.status["readyReplicas"] == 1
    assert world.status["endpoints"]
    other = MESSAGES | {"publish": MESSAGES["publish"] | {"sha256": "12" * 32}}
    convert_again(world, other)
    assert world.revision != old, "another build is another revision, rolled out as any"


def test_the_same_bytes_are_the_same_revision() -> None:
    world = World().serve()
    old = world.revision
    lose(world, name="one-more")
    convert_again(world)
    assert world.revision == old
    assert repair(world)["count"] == 1


def test_what_a_pod_said_before_the_repair_counts_no_more() -> None:
    """The kubelet starts its container again in minutes: until then it still shows the old end."""
    world = World().deploy()
    lose(world)
    world.reconcile()
    world.pass_time(60)
    lose(world)  # once more, while the conversion runs
    world.pass_time(60)
    convert_again(world)
    assert world.reconcile() == []
    assert ready(world)["reason"] == "ArtifactMissing", "the pod has not tried again yet"


def test_losses_that_follow_each_other_are_repaired_with_pauses() -> None:
    world = World(settings=a_settings(retry_seconds=(300, 900))).deploy()
    waits = []
    for count in (1, 2, 3):
        lose(world)
        plan = world.plan()
        if not plan.actions:
            assert plan.requeue_after is not None
            waits.append(plan.requeue_after)
            world.reconcile()
            assert ready(world)["message"].startswith("the store has lost the artifact again")
            world.pass_time(plan.requeue_after)
        convert_again(world)
        assert repair(world)["count"] == count
        world.pass_time(10)
    assert waits == [285, 885]
    lose(world)
    world.reconcile()
    assert condition(world.status, "Stalled")["reason"] == "ArtifactMissing"
    assert world.reconcile() == [], "three times are enough: a person must look at the volume"
    world.retry = "now"
    assert described(world.reconcile())[0] == f"delete ConfigMap {world.record}"
    assert world.status["lastHandledRetry"] == "now"
    assert repair(world)["count"] == 1


def test_losses_far_apart_have_nothing_to_do_with_each_other() -> None:
    world = World().deploy()
    lose(world)
    convert_again(world)
    world.pass_time(2 * DAY)
    lose(world)
    world.reconcile()
    assert repair(world)["count"] == 1


def test_failed_attempts_keep_the_count() -> None:
    world = World().deploy()
    lose(world)
    world.reconcile()
    collect_garbage(world)
    world.reconcile()
    said = {"ok": False, "reason": "StoreFull", "message": "the store has no room"}
    world.job_fails("publish", 83, said)
    world.reconcile()
    assert repair(world)["count"] == 1


@dataclass(frozen=True)
class Kept:
    reason: str
    said: dict[str, Any]
    facts: dict[str, Any]


KEPT = (
    Kept(
        "the store does not answer: that loses nothing",
        {"reason": "StoreUnavailable", "message": "the store does not answer"},
        {},
    ),
    Kept("a pod that goes anyway", LOST, {"deleting": True}),
    Kept("a pod of a revision that is gone", LOST, {"revision": "resnet50-0000000000"}),
)


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.reason)
def test_what_begins_nothing_anew(case: Kept) -> None:
    world = World().serve()
    lose(world, name="one-more", said=case.said, **case.facts)
    assert described(world.reconcile()) == []


def test_an_older_artifact_that_is_gone_is_not_made_again() -> None:
    """A pod of the last revision, which nobody wants any more, misses its own artifact."""
    world = World().serve()
    old = world.revision
    world.change({"model": {"uri": "pvc://models/other.onnx"}})
    world.reconcile()
    world.job_succeeds(MESSAGES | {"publish": MESSAGES["publish"] | {"sha256": "12" * 32}})
    world.reconcile()
    assert world.revision != old
    lose(world, name="old", revision=old)
    assert described(world.reconcile()) == []


def test_a_suspended_object_repairs_nothing() -> None:
    world = World().serve()
    lose(world, name="one-more")
    world.change({"suspend": True})
    actions = described(world.reconcile())
    assert not any(action.startswith("delete") for action in actions)


def test_a_pod_that_has_recovered_tells_of_no_loss_that_matters() -> None:
    world = World().serve()
    world.serving_pod(name="well", containers=[running("triton")], phase="Running", ready=True)
    assert world.reconcile() == []


GATE = {
    "validation": {
        "dataset": {"uri": "pvc://data/heldout.tar", "format": "ImageFolder"},
        "thresholds": {"minTop1": "0.7"},
    }
}


def test_what_the_candidate_of_the_gate_misses_is_made_again() -> None:
    world = World(GATE).deploy()
    last = end(86, said=LOST)
    world.candidate_fails(init=[{"name": "artifact", "state": last, "lastState": {}}])
    assert f"create ConfigMap {world.record}" in described(world.reconcile())
    assert repair(world)["count"] == 1
