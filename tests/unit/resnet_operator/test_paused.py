"""What waits for others goes on with its plan, if nothing has happened since; else it plans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, a_settings, a_spec, metadata

from resnet_operator import reconcile as module
from resnet_operator.plan.actions import Action, Create, Plan
from resnet_operator.plan.paused import Paused
from resnet_operator.reconcile import Reconciler
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views
from resnet_operator.work.queue import WHEN_QUIET, WorkQueue

KEY = (NAMESPACE, "a")


def child(name: str) -> Action:
    return Create(body={"kind": "ConfigMap", "metadata": metadata(name)})


PLAN = Plan(actions=(child("pods"), child("service")), urgent=1, status={})


@dataclass(kw_only=True)
class Bench:
    """A reconciler whose look and plan are what a test says, and what it has written."""

    plan: Plan = PLAN
    facts: dict[str, Any] = field(default_factory=dict)
    has_no_news: bool = True
    waits: bool = True
    written: list[str] = field(default_factory=list)
    plans: int = 0
    while_writing: Callable[[Bench], None] = lambda _: None
    views: Views = field(init=False)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
        self.see()
        self.reconciler = Reconciler(
            kube=None,  # type: ignore[arg-type]
            views=self.views,
            settings=a_settings(),
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            others_wait=lambda: self.waits,
            has_no_news=lambda _: self.has_no_news,
        )

    def see(self, version: int = 1, **spec: Any) -> None:
        meta = metadata("a", version=version) | {"generation": version}
        body = {"kind": "ResNetService", "metadata": meta, "spec": a_spec() | spec}
        self.views.services.put(body)

    async def observe(self, service: ServiceObject, **_: Any) -> Observed:
        return Observed(service=service, **self.facts)

    def make_plan(self, _: Observed, **__: Any) -> Plan:
        self.plans += 1
        return self.plan

    def look(self) -> float | None:
        return asyncio.run(self.reconciler.reconcile(KEY))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench()

    class Executor:
        def __init__(self, **_: Any) -> None: ...

        async def execute(self, actions: tuple[Any, ...]) -> None:
            found.written += [action.body["metadata"]["name"] for action in actions]
            found.while_writing(found)

    monkeypatch.setattr(module, "observe", found.observe)
    monkeypatch.setattr(module, "make_plan", found.make_plan)
    monkeypatch.setattr(module, "as_status", lambda status: status)
    monkeypatch.setattr(module, "_same_status", lambda *_: True)
    monkeypatch.setattr(module, "Executor", Executor)
    return found


def test_nothing_has_happened(bench: Bench) -> None:
    assert bench.look() == WHEN_QUIET
    assert bench.written == ["pods"]
    assert bench.look() == module.LOOK_AGAIN_SECONDS, "its own writes are looked at"
    assert (bench.written, bench.plans) == (["pods", "service"], 1)
    bench.waits = False
    bench.look()
    assert bench.plans == 2, "a plan is gone on with once"


def news(bench: Bench) -> None:
    bench.has_no_news = False


def another_sight(bench: Bench) -> None:
    bench.facts = {"warnings": ("no space left",)}


def another_spec(bench: Bench) -> None:
    bench.see(2, suspend=True)


# what happens before it is the object's turn, why its plan may not be gone on with
BEFORE: tuple[tuple[Callable[[Bench], None], str], ...] = (
    (news, "somebody has added it: what for need not be seen in it"),
    (another_sight, "nobody tells of everything that a plan depends on"),
    (another_spec, "the plan is of another spec"),
)


@pytest.mark.parametrize("happens", [row[0] for row in BEFORE], ids=[row[1] for row in BEFORE])
def test_something_has_happened(bench: Bench, happens: Callable[[Bench], None]) -> None:
    bench.look()
    happens(bench)
    bench.look()
    assert bench.plans == 2


def test_the_spec_changes_while_its_pods_are_written(bench: Bench) -> None:
    """What is seen afterwards is of the new spec, and the plan is not."""
    bench.while_writing = another_spec
    bench.look()
    bench.look()
    assert bench.plans == 2


PLANS: tuple[tuple[Plan, str], ...] = (
    (replace(PLAN, requeue_after=30.0), "it has a time of its own, which goes on"),
    (replace(PLAN, actions=(child("pods"),)), "nothing is left: it is looked at as it is"),
)


@pytest.mark.parametrize("plan", [row[0] for row in PLANS], ids=[row[1] for row in PLANS])
def test_a_plan_that_is_not_kept(bench: Bench, plan: Plan) -> None:
    bench.plan = plan
    bench.look()
    bench.look()
    assert bench.plans == 2


def test_an_object_that_is_gone_leaves_nothing(bench: Bench) -> None:
    bench.look()
    bench.views.services.remove({"metadata": metadata("a", version=3)})
    assert bench.look() is None
    assert not len(bench.reconciler.paused)


def test_no_more_than_so_many_are_kept(bench: Bench) -> None:
    service = bench.views.services.one(*KEY)
    assert service is not None
    seen, paused = Observed(service=service), Paused(most=2)
    keys = [(NAMESPACE, name) for name in "aabc"]
    for key in keys:
        paused.keep(key, seen, PLAN)
    assert [paused.take(key, seen) for key in keys] == [PLAN, None, PLAN, None]


# what happens while a key is worked on that then waits for others, whether there is no news
WAITING: tuple[tuple[Callable[[WorkQueue], None], bool], ...] = (
    (lambda _: None, True),
    (lambda queue: queue.add(KEY), False),
)


@pytest.mark.parametrize(("happens", "expected"), WAITING, ids=("its turn", "somebody adds it"))
def test_the_queue_tells_whether_there_is_news(
    happens: Callable[[WorkQueue], None], expected: bool
) -> None:
    async def turns() -> list[bool]:
        queue, found = WorkQueue(), []

        async def do(key: tuple[str, str]) -> float | None:
            found.append(queue.is_patient(key))
            if len(found) > 1:
                return None
            happens(queue)
            return WHEN_QUIET

        queue.add(KEY)
        worker = asyncio.create_task(queue.work(do))
        await asyncio.sleep(0)
        while not queue.is_idle():
            await asyncio.sleep(0)
        worker.cancel()
        return found

    assert asyncio.run(turns()) == [False, expected]
