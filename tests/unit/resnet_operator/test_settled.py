"""What is as it should be, and looks as it did, is not planned again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, a_settings, a_spec, metadata

from resnet_operator import reconcile as module
from resnet_operator.plan.actions import Plan
from resnet_operator.reconcile import Reconciler
from resnet_operator.seen.compare import Compared
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views

KEY = (NAMESPACE, "a")
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class Bench:
    """A reconciler whose look and plan are what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
        body = {"kind": "ResNetService", "metadata": metadata("a"), "spec": a_spec()}
        self.views.services.put(body)
        self.facts: dict[str, Any] = {}
        self.plan = Plan(actions=(), status=READY)
        self.same, self.plans = True, 0
        monkeypatch.setattr(module, "observe", self._observe)
        monkeypatch.setattr(module, "make_plan", self._make_plan)
        monkeypatch.setattr(module, "as_status", lambda status: status)
        monkeypatch.setattr(module, "_same_status", lambda *_: self.same)
        self.reconciler = Reconciler(
            kube=None,  # type: ignore[arg-type]
            views=self.views,
            settings=a_settings(),
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )

    async def _observe(self, service: ServiceObject, **_: Any) -> Observed:
        return Observed(service=service, **self.facts)

    def _make_plan(self, _: Observed, **__: Any) -> Plan:
        self.plans += 1
        return self.plan

    def look(self) -> int:
        """Reconcile; returns how often it was planned."""
        before = self.plans
        asyncio.run(self.reconciler.reconcile(KEY))
        return self.plans - before


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_the_same_again_needs_no_plan(bench: Bench) -> None:
    assert [bench.look() for _ in range(3)] == [1, 0, 0]


def test_any_difference_needs_one(bench: Bench) -> None:
    assert bench.look() == 1
    bench.facts = {"warnings": ("no space left",)}
    assert [bench.look(), bench.look()] == [1, 0]
    service = bench.views.services.one(*KEY)
    assert service is not None
    body = {"kind": "ResNetService", "metadata": metadata("a", version=9), "spec": a_spec()}
    bench.views.services.put(body | {"status": {"phase": "Failed"}})
    assert [bench.look(), bench.look()] == [1, 0]


PENDING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("it is not Ready", {"status": {"conditions": []}}),
    ("time changes it", {"status": READY, "requeue_after": 30.0}),
)


@pytest.mark.parametrize(("reason", "plan"), PENDING, ids=[case[0] for case in PENDING])
def test_what_is_not_settled_is_planned_each_time(
    reason: str, plan: dict[str, Any], bench: Bench
) -> None:
    bench.plan = replace(bench.plan, **plan)
    assert [bench.look() for _ in range(3)] == [1, 1, 1], reason


def test_an_object_that_is_gone_is_forgotten(bench: Bench) -> None:
    bench.look()
    bench.views.services.remove({"metadata": metadata("a", version=99)})
    bench.look()
    assert bench.reconciler._settled == {}


def test_comparisons_are_remembered_and_bounded() -> None:
    made: list[int] = []
    compared = Compared(3)

    def answer(number: int) -> bool:
        def compare() -> bool:
            made.append(number)
            return number % 2 == 0

        return compared.answer(bytes([number]), compare)

    assert [answer(number) for number in (1, 2, 1, 2)] == [False, True, False, True]
    assert made == [1, 2]
    for number in range(10):
        answer(number)
        assert len(compared._known) <= 3
