"""A clock that is put back, or a node whose clock is ahead: no wait is longer than it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.support.builders import NOW, a_settings, condition, ended, waiting
from tests.unit.resnet_operator.world import World, since

from resnet_operator import names
from resnet_operator.plan.times import left_of, to_text

GATE = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
PAUSE = 20.0
NETWORK = {"reason": "DownloadFailed", "message": "no route to host"}


@dataclass(frozen=True)
class Left:
    reason: str
    ahead: float  # how far in the future the beginning is
    left: float


LEFT = (
    Left("just begun", 0, 20),
    Left("half of it", -10, 10),
    Left("over", -20, 0),
    Left("long over", -4000, 0),
    Left("a node's clock is a little ahead", 5, 25),
    Left("as far ahead as the pause is long: twice the pause at most", 20, 40),
    Left("the clock was put back an hour", 3600, 0),
    Left("by three days", 3 * 86400, 0),
)


@pytest.mark.parametrize("case", LEFT, ids=lambda case: case.reason)
def test_what_is_left_of_a_pause(case: Left) -> None:
    assert left_of(PAUSE, since(to_text(NOW), case.ahead), NOW) == case.left


def a_failed_conversion() -> World:
    world = World(settings=a_settings(retry_seconds=(PAUSE,)))
    world.reconcile()
    world.job_fails("fetch", 1, NETWORK)
    world.reconcile()
    return world


def a_failed_measurement() -> World:
    world = World(GATE, settings=a_settings(retry_seconds=(PAUSE,)))
    world.convert().reconcile()
    world.candidate_fails(evaluate=ended("evaluate", 1, said={"reason": "EvaluationFailed"}))
    world.reconcile()
    return world


@dataclass(frozen=True)
class Retry:
    reason: str
    world: Callable[[], World]
    component: str


RETRIES = (
    Retry("a conversion", a_failed_conversion, names.CONVERSION),
    Retry("a measurement", a_failed_measurement, names.VALIDATION),
)


@pytest.mark.parametrize("case", RETRIES, ids=lambda case: case.reason)
@pytest.mark.parametrize("back", [0, 15, 60, 3600, 7 * 86400])
def test_a_retry_is_made_within_twice_its_pause(case: Retry, back: float) -> None:
    world = case.world()
    before = world.newest_job(case.component)
    world.pass_time(-back)
    waited = 0.0
    while world.newest_job(case.component) == before:
        wait = world.plan().requeue_after
        assert wait is not None or world.plan().actions, "something is waited for"
        waited += wait or 0
        assert waited <= 2 * PAUSE + 1, f"{case.reason}: {waited} s"
        world.pass_time(wait or 0)
        world.reconcile()


@pytest.mark.parametrize("back", [30, 3600])
def test_a_problem_becomes_stalled_by_its_deadline(back: float) -> None:
    """A phase that begins in the future begins again now."""
    world = World({"rollout": {"progressDeadlineSeconds": 60}}).serve()
    world.serving_pod(phase="Running", containers=[waiting("triton", "ImagePullBackOff")])
    world.deployment_says(replicas=1, updated=1)
    world.reconcile()
    world.pass_time(-back)
    world.reconcile()
    waited = 0.0
    while not condition(world.status, "Stalled"):
        wait = world.plan().requeue_after
        assert wait is not None
        waited += wait
        assert waited <= 200
        world.pass_time(wait)
        world.reconcile()
    assert waited >= 30, "and not at once"


@pytest.mark.parametrize("ahead", [0, 5, 3600])
def test_a_pod_that_its_kubelet_cannot_start_is_looked_at_soon(ahead: float) -> None:
    """The API server's clock, which dates pods, may be ahead of the operator's."""
    world = World().deploy()
    world.pass_time(ahead)
    world.serving_pod(phase="Pending", containers=[waiting("triton", "ContainerCreating")])
    world.deployment_says(replicas=1, updated=1)
    world.pass_time(-ahead)
    wait = world.plan().requeue_after
    assert wait is not None
    assert wait <= 30
