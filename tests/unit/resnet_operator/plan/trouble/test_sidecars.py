"""A sidecar that never ends, in the pods of Jobs: named at once, and no reason to wait hours."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import MEASURED, MESSAGES, NOW, Body, condition, ended, running
from tests.unit.resnet_operator.world import World, described

from resnet_operator.plan.times import to_text

GATE: Body = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
NAMES = ("istio-proxy", "linkerd-proxy", "vault-agent")


def over(name: str, code: int = 0, said: Any = None) -> Body:
    state = ended(name, code, said=said)
    state["state"]["terminated"]["finishedAt"] = to_text(NOW)
    return state


def published(world: World, *others: str, code: int = 0, said: Any = None) -> None:
    init = [ended(n, said=MESSAGES[n]) for n in ("fetch", "prepare", "convert")]
    main = over("publish", code, MESSAGES["publish"] if said is None else said)
    world.job_pod(phase="Running", init=init, containers=[main, *map(running, others)])


@pytest.mark.parametrize("name", NAMES)
def test_a_conversion_that_a_sidecar_keeps_alive(name: str) -> None:
    world = World()
    world.reconcile()
    published(world, name)
    world.reconcile()
    said = condition(world.status, "Ready")
    assert said["reason"] == "SidecarRunning"
    assert name in condition(world.status, "ArtifactReady")["message"]
    assert "helperPods" in said["message"], "the remedy is not cut off"
    wait = world.plan().requeue_after
    assert wait is not None
    assert wait <= 30
    world.pass_time(wait)
    job = world.newest_job()
    world.reconcile()
    found = condition(world.status, "ArtifactReady")
    assert found["status"] == "True", "the artifact is in the store, so it is taken"
    assert f"container {name} ran on in the Job's pod and was ended" in found["message"]
    assert not world.has("Job", job)
    assert world.has("Deployment", "resnet50")


def test_several_are_all_named() -> None:
    world = World()
    world.reconcile()
    published(world, *NAMES)
    world.reconcile()
    message = condition(world.status, "ArtifactReady")["message"]
    assert all(name in message for name in NAMES)


def test_a_publish_that_failed_beside_a_sidecar_is_told() -> None:
    world = World()
    world.reconcile()
    said = {"reason": "StoreFull", "message": "the store is full"}
    published(world, "istio-proxy", code=1, said=said)
    world.reconcile()
    world.pass_time(31)
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] == "StoreFull"
    actions = described(world.reconcile())
    assert any(action.startswith("delete Job") for action in actions)
    assert condition(world.status, "Ready")["reason"] == "StoreFull"


def test_a_sidecar_that_ends_in_time_is_no_news() -> None:
    world = World()
    world.reconcile()
    published(world)
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] != "SidecarRunning"


def test_a_sidecar_beside_a_publish_that_works_is_no_news() -> None:
    world = World()
    world.reconcile()
    world.job_pod(phase="Running", containers=[running("publish"), running("istio-proxy")])
    world.reconcile()
    assert condition(world.status, "Ready")["reason"] in {"Fetching", "Converting"}


def test_a_gate_that_a_sidecar_keeps_alive() -> None:
    world = World(GATE).deploy()
    main = [over("evaluate", said=MEASURED), over("triton"), running("istio-proxy")]
    world.candidate(phase="Running", containers=main)
    world.reconcile()
    said = condition(world.status, "Validated")
    assert said["reason"] == "SidecarRunning"
    assert "istio-proxy" in said["message"]
    world.pass_time(31)
    world.reconcile()
    assert condition(world.status, "Validated")["status"] == "True"
    actions = described(world.reconcile())
    assert any(action.startswith("delete Job") for action in actions)
