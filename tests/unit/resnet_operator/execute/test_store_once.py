"""A namespace's store is made once, however many of its objects come at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import a_settings

from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict
from resnet_operator.execute import Executor
from resnet_operator.plan.actions import Action, Apply, Create, MakeSecret
from resnet_operator.render.store import store_children
from resnet_operator.watch.views import Views

WORKERS = 16
CLAIM = "PersistentVolumeClaim"


class SlowKube(Kube):
    """Answers after everybody else had a turn, and knows what is there."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.there: set[tuple[str, str]] = set()
        self.version = 100

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self._make(body)

    async def apply_new(self, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        return await self._make(body)

    async def apply(
        self, body: dict[str, Any], *, manager: str, subresource: str = ""
    ) -> dict[str, Any]:
        self.there.discard(_place(body))
        return await self._make(body)

    async def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked[_place(body)] += 1
        for _ in range(WORKERS):
            await asyncio.sleep(0)
        if _place(body) in self.there:
            raise Conflict(409, "already exists")
        self.there.add(_place(body))
        self.version += 1
        return seen(body, version=self.version)


def _place(body: dict[str, Any]) -> tuple[str, str]:
    return body["kind"], body["metadata"]["namespace"]


def seen(body: dict[str, Any], *, version: int, **meta: Any) -> dict[str, Any]:
    given = {"uid": f"uid-{version}", "resourceVersion": str(version)}
    return body | {"metadata": body["metadata"] | given | meta}


def views() -> Views:
    def fail(_: Any) -> Any:
        raise AssertionError

    return Views(fail)


def first_plan(namespace: str, *, adopt: bool = False) -> tuple[Action, ...]:
    """Return what the plan of an object in a new namespace has of the store."""
    return MakeSecret(namespace=namespace, again=True), *(
        Create(body=child) if child["kind"] == CLAIM else Apply(body=child, adopt=adopt)
        for child in store_children(namespace, a_settings())
    )


def execute(known: Views, *plans: tuple[Action, ...]) -> SlowKube:
    kube = SlowKube()

    async def all_at_once() -> None:
        executor = Executor(kube=kube, views=known)
        found = await asyncio.gather(*(executor.execute(plan) for plan in plans))
        assert found == [None] * len(plans)

    asyncio.run(all_at_once())
    return kube


@dataclass(frozen=True)
class Case:
    reason: str
    namespaces: tuple[str, ...]
    times: dict[str, int]


CASES = (
    Case("all objects of a namespace come at once", ("a",) * WORKERS, {"a": 1}),
    Case("each namespace has its own", ("a", "b") * (WORKERS // 2), {"a": 1, "b": 1}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_each_child_is_asked_for_once(case: Case) -> None:
    kube = execute(views(), *(first_plan(name) for name in case.namespaces))
    kinds = {child["kind"] for child in store_children("a", a_settings())} | {"Secret"}
    wanted = {(kind, name): n for name, n in case.times.items() for kind in kinds}
    assert kube.asked == wanted


def test_what_was_changed_is_put_back_by_each() -> None:
    """Whoever planned it saw another content: that it is there says nothing."""
    known = views()
    execute(known, first_plan("a"))
    children = [item for item in first_plan("a", adopt=True) if isinstance(item, Apply)]
    kube = execute(known, tuple(children), tuple(children))
    assert set(kube.asked.values()) == {2}


def test_what_somebody_else_controls_is_not_ours() -> None:
    """It is asked for, so that the API server says that it is in the way."""
    known = views()
    (policy,) = (c for c in store_children("a", a_settings()) if c["kind"] == "NetworkPolicy")
    owner = {"uid": "other", "controller": True, "kind": "Other", "name": "other"}
    known.stores["NetworkPolicy"].put(seen(policy, version=1, ownerReferences=[owner]))
    kube = execute(known, (Apply(body=policy, adopt=False),))
    assert kube.asked == {("NetworkPolicy", "a"): 1}


def test_a_secret_that_a_pod_misses_is_made_again() -> None:
    known = views()
    known.namespaces_with_secret.add("a")
    kube = execute(known, (MakeSecret(namespace="a", again=True),))
    assert kube.asked == {("Secret", "a"): 1}
