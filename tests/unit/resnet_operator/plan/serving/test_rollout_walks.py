"""Whatever happens in whatever order: what holds of every rollout, found by random walks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies
from tests.support.builders import NAME, RESOURCE, condition, end, waiting
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.serving.memory import Memory

pytestmark = pytest.mark.thorough  # hundreds of random walks

NO_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}."
LOAD_FAILED = {"reason": "ModelLoadFailed", "message": "Triton cannot load the model"}
walking = hypothesis.settings(
    derandomize=True, deadline=None, database=None, max_examples=30, print_blob=False
)


def batching(delay: int) -> Callable[[World], None]:
    return lambda w: w.change({"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})


def rollout(**options: Any) -> Callable[[World], None]:
    return lambda world: world.change({"rollout": options})


def new_pod(world: World, **facts: Any) -> None:
    """Have a pod of the Deployment's revision that is not ready, beside those there are."""
    if not world.body("Deployment")["spec"]["replicas"]:
        return
    wanted = world.body("Deployment")["spec"]["replicas"]
    world.deployment_says(replicas=wanted + 1, updated=1, ready=wanted, available=wanted)
    world.serving_pod(name="new", **facts)


def crashes(world: World) -> None:
    state = waiting("triton", "CrashLoopBackOff", last=end(1, said=LOAD_FAILED))
    new_pod(world, phase="Running", containers=[state])


def finds_no_chip(world: World) -> None:
    new_pod(world, unschedulable=NO_CHIP)


def time_is_over(world: World) -> None:
    over = ("Progressing", "False", "ProgressDeadlineExceeded")
    world.deployment_says(replicas=2, updated=1, ready=1, available=1, condition=over)


def asks_again(world: World) -> None:
    world.retry = f"{world.retry}x"


def pins(world: World) -> None:
    found = sorted(n for n in world.names_of("ConfigMap") if n.startswith(f"{NAME}-"))
    world.change({"rollout": {"pinRevision": found[0]}})


def loses_its_deployment(world: World) -> None:
    world.delete("Deployment", NAME)


STEPS: dict[str, Callable[[World], None]] = {
    "batching 1": batching(1),
    "batching 2": batching(2),
    "batching 3": batching(3),
    "all pods are ready": World.pods_are_ready,
    "the new pod crashes": crashes,
    "the new pod finds no chip": finds_no_chip,
    "a minute passes": lambda world: world.pass_time(61),
    "the deadline is over": time_is_over,
    "retry": asks_again,
    "pin": pins,
    "no pin": rollout(pinRevision=None),
    "hold": rollout(onFailure="Hold"),
    "roll back": rollout(onFailure=None),
    "replace": rollout(strategy="Replace"),
    "auto": rollout(strategy=None),
    "suspend": lambda world: world.change({"suspend": True}),
    "resume": lambda world: world.change({"suspend": None}),
    "scale": lambda world: world.change({"serving": {"replicas": 3}}),
    "the Deployment is deleted": loses_its_deployment,
    "the status is lost": lambda world: world.status.clear(),
}


def holds(world: World, told: list[str]) -> None:
    """Check what is true at any time, of an object that has been looked at."""
    live = world.body("Deployment")
    status, revision = world.status, world.revision
    assert world.has("ConfigMap", revision), told
    text = (live["metadata"].get("annotations") or {}).get(names.ROLLOUT, "")
    memory = Memory.read(text)
    assert Memory.read(memory.text()) == memory
    suspended = bool(world.spec.get("suspend"))
    assert live["spec"]["replicas"] == (0 if suspended else world.spec["serving"]["replicas"]), told
    ready = condition(status, "Ready")
    pin = world.spec.get("rollout", {}).get("pinRevision")
    if ready["status"] == "True" and not suspended:
        assert revision == (pin or status["revisions"]["desired"]), told
    if ready["reason"] == "RolledBack":
        failed = status["revisions"]["failed"]["name"]
        assert failed == status["revisions"]["desired"] != revision, told
        assert condition(status, "Stalled")["status"] == "True"
    previous = status["revisions"].get("previous")
    assert previous != status["revisions"].get("serving") or previous is None, told


@walking
@hypothesis.given(strategies.lists(strategies.sampled_from(sorted(STEPS)), max_size=14))
def test_a_walk(steps: list[str]) -> None:
    world = World().serve()
    for number, step in enumerate(steps):
        told = steps[: number + 1]
        STEPS[step](world)
        world.reconcile()
        holds(world, told)
        again = world.reconcile()
        assert described(again) == [], f"{told}: a second look finds more to do"
        holds(world, told)


@walking
@hypothesis.given(strategies.lists(strategies.sampled_from(sorted(STEPS)), max_size=10))
def test_every_walk_ends_well(steps: list[str]) -> None:
    """Let the user take back what was asked for and the pods be fine: it serves the spec."""
    world = World().serve()
    for step in steps:
        STEPS[step](world)
        world.reconcile()
    world.change({"suspend": None, "rollout": None, "serving": {"batching": None}})
    world.retry = f"{world.retry}!"
    for _ in range(3):
        world.reconcile()
        world.pods_are_ready()
    world.reconcile()
    ready = condition(world.status, "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Ready"), (steps, ready)
    assert "failed" not in world.status["revisions"], steps
    assert world.reconcile() == []


@walking
@hypothesis.given(strategies.lists(strategies.sampled_from(sorted(STEPS)), max_size=10))
def test_an_operator_that_was_killed_before_it_could_say_anything(steps: list[str]) -> None:
    """Its actions were done, its status was not: the next one comes to the same."""
    one, other = World().serve(), World().serve()
    for step in steps:
        for world in (one, other):
            STEPS[step](world)
        one.reconcile()
        plan = other.plan()
        for action in plan.actions:
            other.execute(action)
        other.reconcile()
        assert one.revision == other.revision, steps
        assert one.status["revisions"] == other.status["revisions"], steps
