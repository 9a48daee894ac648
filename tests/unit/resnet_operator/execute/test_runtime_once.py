"""The runtime's files are 200 KB: many objects of a namespace that all want them send them once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict, Rejected
from resnet_operator.execute import Executor
from resnet_operator.plan.actions import Create
from resnet_operator.render.serving import runtime_config_map
from resnet_operator.watch.views import RUNTIMES_AT_ONCE, Views

WORKERS = 16


class SlowKube(Kube):
    """Answers after everybody else had a turn, and notes how many wait for it at once."""

    def __init__(self) -> None:
        self.sent = self.under_way = self.most = 0

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.sent += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(WORKERS):
            await asyncio.sleep(0)
        self.under_way -= 1
        return seen(body, version=self.sent)


def seen(body: dict[str, Any], *, version: int) -> dict[str, Any]:
    given = {"uid": f"uid-{version}", "resourceVersion": str(version)}
    return body | {"metadata": body["metadata"] | given}


def views() -> Views:
    def fail(_: Any) -> Any:
        raise AssertionError

    return Views(fail)


def make(known: Views, namespaces: tuple[str, ...]) -> SlowKube:
    kube = SlowKube()

    async def all_at_once() -> None:
        executor = Executor(kube=kube, views=known)
        bodies = [runtime_config_map(name) for name in namespaces]
        found = await asyncio.gather(*(executor.execute((Create(body=one),)) for one in bodies))
        assert found == [None] * len(namespaces)

    asyncio.run(all_at_once())
    return kube


# namespaces of the objects, how often it is sent, how many at once, why
WANTED = (
    (("a",) * WORKERS, 1, 1, "all objects of a namespace need the same one"),
    (("a", "b") * (WORKERS // 2), 2, 2, "each namespace has its own"),
    (tuple("abcdefghijkl"), 12, RUNTIMES_AT_ONCE, "all at once would cost memory"),
)


@pytest.mark.parametrize(
    ("namespaces", "sent", "most"), [row[:3] for row in WANTED], ids=[r[3] for r in WANTED]
)
def test_it_is_sent_once(namespaces: tuple[str, ...], sent: int, most: int) -> None:
    kube = make(views(), namespaces)
    assert (kube.sent, kube.most) == (sent, most)


class StuckKube(SlowKube):
    """Never answers for one namespace, as behind a webhook that is gone."""

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["metadata"]["namespace"] == "stuck":
            await asyncio.Event().wait()
        return await super().create(body)


def test_one_namespace_does_not_hold_up_the_others() -> None:
    async def run() -> None:
        executor = Executor(kube=StuckKube(), views=views())
        stuck, *others = [
            asyncio.ensure_future(executor.execute((Create(body=runtime_config_map(name)),)))
            for name in ("stuck", "a", "b")
        ]
        assert await asyncio.gather(*others) == [None, None]
        assert not stuck.done()
        stuck.cancel()

    asyncio.run(asyncio.wait_for(run(), timeout=60))


def test_a_forged_one_does_not_count() -> None:
    """It was just deleted, and the watch has not told of that yet."""
    known = views()
    forged = runtime_config_map("a") | {"data": {"launch.py": "forged"}}
    known.config_maps.put(seen(forged, version=1))
    assert make(known, ("a",)).sent == 1


class ForgedKube(SlowKube):
    """Somebody has made an immutable ConfigMap of the name first, as if we had."""

    def __init__(self) -> None:
        super().__init__()
        self.is_forged = True

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.is_forged:
            raise Conflict(409, "already exists")
        return await super().create(body)

    async def list_one(self, *_: str, **__: str) -> list[dict[str, Any]]:
        ours = [{"manager": names.MANAGER, "operation": "Update"}]
        meta = {"name": "forged", "namespace": "a", "uid": "1", "resourceVersion": "1"}
        return [{"metadata": meta | {"managedFields": ours}, "data": {"launch.py": "forged"}}]

    async def apply(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise Rejected(422, "field is immutable when `immutable` is set")

    async def delete(self, *_: Any, **__: Any) -> None:
        self.is_forged = False


def test_a_forged_one_that_cannot_be_changed_is_replaced() -> None:
    """Who replaces it holds the namespace's turn already, and waited for itself for ever."""
    kube = ForgedKube()

    async def run() -> None:
        executor = Executor(kube=kube, views=views())
        wanted = Create(body=runtime_config_map("a"))
        assert await asyncio.wait_for(executor.execute((wanted,)), timeout=60) is None

    asyncio.run(run())
    assert (kube.is_forged, kube.sent) == (False, 1)
