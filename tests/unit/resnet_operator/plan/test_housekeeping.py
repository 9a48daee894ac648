"""What is thrown away, when, and with which precaution."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import MESSAGES, NAME, UID, a_settings
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.actions import Apply, Delete
from resnet_operator.seen.others import ConfigMapObject


def rollout(world: World, delay: int) -> str:
    """Bring about one more revision; returns its name."""
    world.pass_time(60)
    world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})
    world.reconcile()
    world.pods_are_ready()
    return world.revision


def test_three_old_revisions_are_kept() -> None:
    world = World().serve()
    made = [world.revision]
    for delay in range(1, 4):
        made.append(rollout(world, delay))
        assert world.reconcile() == []
    made.append(rollout(world, 4))
    assert described(world.reconcile()) == [f"delete ConfigMap {made[0]}"], "the oldest goes"
    assert all(world.has("ConfigMap", name) for name in made[1:])
    assert world.reconcile() == []


def test_age_decides_and_then_the_version() -> None:
    """Versions are numbers: the text "99" would be newer than "100". The good one always stays."""
    world = World().serve()
    made = [world.revision]
    for delay in range(1, 5):
        world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})
        world.reconcile()
        made.append(world.revision)
    world.pods_are_ready()
    assert described(world.reconcile()) == [f"delete ConfigMap {made[1]}"]


def revisions(world: World) -> set[str]:
    return {name for name in world.names_of("ConfigMap") if name.startswith(f"{NAME}-")}


@pytest.mark.thorough
@pytest.mark.parametrize("limit", [0, 3])
def test_revisions_are_bounded_while_no_rollout_ever_ends(limit: int) -> None:
    """Sixty changes in a row, none of which comes up; what pods mount and what served stays."""
    world = World({"rollout": {"historyLimit": limit}}).serve()
    good = world.revision
    mounted = set()
    for delay in range(1, 61):
        world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})
        world.reconcile()
        if delay in {7, 8}:
            mounted.add(world.revision)
            world.serving_pod(name=f"slow-{delay}", phase="Running", deleting=delay == 7)
        world.reconcile()
        assert {good, world.revision, *mounted} <= revisions(world)
        assert len(revisions(world)) <= max(limit, 1) + len(mounted) + 2, delay
    world.pods_are_ready()
    world.reconcile()
    assert len(revisions(world)) <= max(limit, 1) + 1


def test_records_stay_while_a_rollout_is_under_way() -> None:
    world = World().serve()
    old = another_key(world)
    assert world.has("ConfigMap", old)
    world.deployment_says(replicas=2, updated=1, ready=2, available=2)
    assert world.reconcile() == [], "an old pod still runs"
    world.pods_are_ready()
    world.reconcile()
    assert not world.has("ConfigMap", old)


def another_key(world: World) -> str:
    """Have the object want another artifact and get it; returns the record of the old one."""
    old = world.record
    world.change({"conversion": {"batchSizes": [8]}})
    world.reconcile()
    world.job_succeeds(MESSAGES | {"publish": MESSAGES["publish"] | {"sha256": "12" * 32}})
    world.reconcile()
    return old


def test_the_last_owner_deletes_a_record_if_nobody_has_joined() -> None:
    world = World().serve()
    old = another_key(world)
    assert world.reconcile() == [], "the old pods still serve"
    world.pods_are_ready()
    seen = world.body("ConfigMap", old)["metadata"]
    (action,) = world.plan().actions
    assert action == Delete(
        api_version="v1",
        kind="ConfigMap",
        namespace="models",
        name=old,
        uid=seen["uid"],
        version=seen["resourceVersion"],
    )


def test_other_owners_keep_their_record() -> None:
    world = World({"model": {"sha256": "0" * 64}}).serve()
    join = {"name": world.record, "namespace": "models"}
    owner = {"apiVersion": "x", "kind": "y", "name": "other", "uid": "uid-other"}
    world.apply(
        {"kind": "ConfigMap", "metadata": join | {"ownerReferences": [owner]}},
        manager="resnet-operator-uid-other",
    )
    old = another_key(world)
    world.pods_are_ready()
    (action,) = world.plan().actions
    assert isinstance(action, Apply)
    assert action.manager == f"resnet-operator-{UID}"
    assert action.body["metadata"] == {"name": old, "namespace": "models"}, "we state nothing more"
    world.reconcile()
    owners = world.body("ConfigMap", old)["metadata"]["ownerReferences"]
    assert [found["uid"] for found in owners] == ["uid-other"]
    assert world.reconcile() == []


def test_an_old_record_is_kept_while_the_new_artifact_cannot_be_made() -> None:
    world = World().serve()
    old = world.record
    world.change({"conversion": {"batchSizes": [8]}})
    world.reconcile()
    world.job_fails("convert", 69, {"reason": "ConversionFailed", "message": "no"})
    world.reconcile()
    world.pods_are_ready()
    assert world.reconcile() == []
    assert world.has("ConfigMap", old)


def test_a_deletion_names_the_object_that_was_seen() -> None:
    """A revision that was deleted and made again meanwhile is another one."""
    world = World().serve()
    made = [world.revision, *(rollout(world, delay) for delay in range(1, 5))]
    (action,) = world.plan().actions
    assert isinstance(action, Delete)
    assert action.uid == world.body("ConfigMap", made[0])["metadata"]["uid"]
    assert action.version is None, "an annotation by somebody does not keep it"


def test_runtimes_that_no_revision_names_go() -> None:
    world = World().serve()
    label = names.labels(names.RUNTIME_COMPONENT, **{names.RUNTIME: "old"})
    meta: dict[str, Any] = {"name": "rns-runtime-old", "namespace": "models", "labels": label}
    world.apply({"kind": "ConfigMap", "metadata": meta}, manager=names.MANAGER)
    stale = ConfigMapObject.from_body(world.body("ConfigMap", "rns-runtime-old"))
    assert described(world.reconcile(stale_runtimes=(stale,))) == [
        "delete ConfigMap rns-runtime-old"
    ]


@pytest.mark.parametrize("changes", [{"suspend": True}, {"serving": {"replicas": 0}}])
def test_what_is_switched_off_is_tidied_as_well(changes: dict[str, Any]) -> None:
    world = World(settings=a_settings()).serve()
    old = another_key(world)
    world.change(changes)
    world.reconcile()
    world.pods_are_ready()
    assert described(world.reconcile()) == [f"delete ConfigMap {old}"]
    assert world.has("Deployment", NAME)
