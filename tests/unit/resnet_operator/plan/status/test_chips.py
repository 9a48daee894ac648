"""Chips that fall ill under serving pods: a condition, an event, a metric; Ready stays true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from tests.support.builders import RESOURCE, Body, a_settings, condition, running
from tests.unit.resnet_operator.world import World

from resnet_operator.app import App
from resnet_operator.telemetry.metrics import UNHEALTHY_CHIPS


def container(**health: str) -> Body:
    """Return a running Triton whose devices are as said; nothing said is an older kubelet."""
    devices = [
        {"resourceID": name.replace("_", "-"), "health": how} for name, how in health.items()
    ]
    allocated = [{"name": RESOURCE, "resources": devices}] if devices else []
    return running("triton") | {"allocatedResourcesStatus": allocated}


@dataclass(frozen=True)
class Case:
    reason: str
    containers: tuple[Body, ...]
    status: str
    message: str = ""


CASES = (
    Case("an older kubelet says nothing", (container(), container()), ""),
    Case("all are well", (container(npu_0="Healthy"), container(npu_1="Healthy")), "True"),
    Case("the plugin does not know: nothing is claimed", (container(npu_0="Unknown"),), ""),
    Case(
        "one of two",
        (container(npu_0="Healthy"), container(npu_1="Unhealthy")),
        "False",
        f"1 of the chips under serving pods is unhealthy ({RESOURCE} npu-1); look at them",
    ),
    Case(
        "both",
        (container(npu_0="Unhealthy"), container(npu_1="Unhealthy")),
        "False",
        f"2 of the chips under serving pods are unhealthy ({RESOURCE} npu-0, {RESOURCE} npu-1);",
    ),
    Case(
        "one of the two of one pod",
        (container(npu_0="Unhealthy", npu_1="Healthy"),),
        "False",
        f"is unhealthy ({RESOURCE} npu-0)",
    ),
)


def serving(*containers: Body) -> World:
    world = World({"serving": {"replicas": len(containers)}}).serve()
    for number, one in enumerate(containers):
        name = f"pod-{number}"
        world.serving_pod(name=name, phase="Running", ready=True, containers=[one])
    return world


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_the_condition_says_how_the_chips_are(case: Case) -> None:
    world = serving(*case.containers)
    world.reconcile()
    found = condition(world.status, "ChipsHealthy")
    assert found.get("status", "") == case.status
    assert case.message in found.get("message", "")
    assert condition(world.status, "Ready")["status"] == "True", "the pods serve on"
    assert world.status["phase"] == "Ready"


def test_an_event_tells_once_and_recovery_is_quiet() -> None:
    world = serving(container(npu_0="Healthy"))
    world.reconcile()
    sick = [container(npu_0="Unhealthy")]
    world.serving_pod(name="pod-0", phase="Running", ready=True, containers=sick)
    (event,) = world.plan().events
    assert (event.type, event.reason) == ("Warning", "ChipUnhealthy")
    world.reconcile()
    assert world.plan().events == ()
    well = [container(npu_0="Healthy")]
    world.serving_pod(name="pod-0", phase="Running", ready=True, containers=well)
    assert world.plan().events == ()
    world.reconcile()
    assert condition(world.status, "ChipsHealthy")["status"] == "True"


def test_the_metric_counts_them() -> None:
    async def scenario() -> None:
        app = App(a_settings())
        for body in serving(container(npu_0="Unhealthy"), container(npu_1="Unhealthy")).pods:
            app.views.pods.put(body)
        app._count()
        assert next(iter(UNHEALTHY_CHIPS.collect())).samples[0].value == 2

    asyncio.run(scenario())
