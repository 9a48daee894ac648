"""One object is one object: what fails in it is told at it, and all others go on."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from tests.support.builders import NAME, NAMESPACE, a_settings, a_spec, metadata
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.test_reconcile import serving
from tests.unit.resnet_operator.world import World

from resnet_operator import reconcile
from resnet_operator.plan.make import make_plan
from resnet_operator.seen.service import ServiceObject
from resnet_operator.telemetry.metrics import INTERNAL_ERRORS, SLOW_PLANS

KEY = (NAMESPACE, NAME)
STAGES = ["observe", "make_plan"]


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("nobody has thought of this")


def counted(metric: Any) -> float:
    value: float = metric._value.get()
    return value


async def failing(life: Life) -> None:
    with pytest.raises(ZeroDivisionError):  # the queue waits longer each time
        await life.reconciler.reconcile(KEY)


@pytest.mark.parametrize("stage", STAGES)
def test_an_error_is_a_condition_of_its_object(
    stage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        life = await serving()
        revision = life.status["revisions"]["serving"]
        before, writes = counted(INTERNAL_ERRORS), len(life.api.writes)
        with monkeypatch.context() as patch:
            patch.setattr(reconcile, stage, broken)
            await failing(life)
            ready, stalled = life.condition("Ready"), life.condition("Stalled")
            assert (ready["status"], ready["reason"]) == ("False", "InternalError")
            assert stalled["status"] == "True"
            assert "ZeroDivisionError" in ready["message"]
            number = ready["message"].split()[2]
            told = [record for record in caplog.records if record.__dict__.get("number") == number]
            assert told, "the log has the number too"
            assert told[0].exc_info
            assert counted(INTERNAL_ERRORS) == before + 1
            assert life.status["revisions"]["serving"] == revision, "what is known stays"
            after = life.api.writes[writes:]
            assert all("Deployment" not in write for write in after), "what serves, serves on"
            await failing(life)
            assert life.condition("Ready") == ready, "the same error says the same"
        await life.reconciler.reconcile(KEY)
        assert life.is_ready
        assert not life.condition("Stalled")

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())


def test_an_error_in_reading_is_a_condition_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnet_operator.seen.service.resolve", broken)
    world = World()
    world.reconcile()
    ready = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InternalError")


def test_another_object_is_seen_and_planned_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        life = await serving()

        def only_this(observed: Any, **facts: Any) -> Any:
            if observed.service.meta.name == NAME:
                raise RecursionError
            return make_plan(observed, **facts)

        other = {"name": "other", "namespace": NAMESPACE}
        kind = {"apiVersion": "serving.resnet-operator.io/v1alpha1", "kind": "ResNetService"}
        life.api.put(kind | {"metadata": other, "spec": a_spec()})
        life._deliver()
        with monkeypatch.context() as patch:
            patch.setattr(reconcile, "make_plan", only_this)
            with pytest.raises(RecursionError):
                await life.reconciler.reconcile(KEY)
            await life.reconciler.reconcile((NAMESPACE, "other"))
        found = life.api.objects["ResNetService", "other"]["status"]["conditions"]
        assert {c["reason"] for c in found if c["type"] == "Ready"} != {"InternalError"}

    asyncio.run(story())


@pytest.mark.parametrize(("seconds", "slow"), [(0.2, 0), (1.5, 1)])
def test_a_slow_plan_is_named(seconds: float, slow: int, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        life = await serving()
        moments = iter(step * seconds for step in range(1000))
        object.__setattr__(life.reconciler, "timer", lambda: next(moments))
        before = counted(SLOW_PLANS)
        await life.reconciler.reconcile(KEY)
        assert counted(SLOW_PLANS) - before == slow
        named = [r for r in caplog.records if r.__dict__.get("object") == f"{NAMESPACE}/{NAME}"]
        assert len([r for r in named if "slow" in r.message]) == slow

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())


def test_the_number_of_an_error_depends_on_its_place_alone() -> None:
    found = set()
    for name in ("a", "b"):
        body = {"metadata": metadata(name), "spec": {"model": json.loads("{}")}}
        found.add(ServiceObject.from_body(body, settings=a_settings()).invalid)
    assert len(found) == 1
