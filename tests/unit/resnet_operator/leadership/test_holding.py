"""Two installations over one namespace: the first one acts, the other one stands back."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import a_settings, deterministic
from tests.unit.resnet_operator.virtual_time import now, run

from resnet_operator import names
from resnet_operator.errors import Conflict
from resnet_operator.leadership.holding import (
    ASK_SECONDS,
    FORGET_SECONDS,
    PATIENCE_SECONDS,
    Holding,
    Mark,
)
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views

NAMESPACE = "models"
LATENCY = 0.2


class Cluster:
    """One ConfigMap, and those who see it a moment later."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.version = 0
        self.writes: list[tuple[float, str, dict[str, str]]] = []
        self.watchers: list[Installation] = []

    def write(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        meta = body["metadata"] | {"resourceVersion": str(self.version), "uid": "u"}
        self.body = copy.deepcopy(body | {"metadata": meta})
        self.writes.append((now(), who, body["data"]))
        for watcher in self.watchers:
            asyncio.get_running_loop().call_later(LATENCY, watcher.see, copy.deepcopy(self.body))
        return copy.deepcopy(self.body)

    def forge(self, data: Any) -> None:
        labels = names.labels(names.HOLDER)
        meta = {"namespace": NAMESPACE, "name": names.HOLDER_NAME, "labels": labels}
        self.write("somebody", {"kind": "ConfigMap", "metadata": meta, "data": data})

    @property
    def mark(self) -> dict[str, str]:
        return dict(self.body["data"]) if self.body else {}


class Installation:
    """Looks at its one object whenever it is told to, as a worker would; also its kube."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name, self.cluster = name, cluster
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
        clock = asyncio.get_running_loop().time
        self.holding = Holding(me=name, views=self.views, kube=self, clock=clock)  # type: ignore[arg-type]
        self.acted: list[float] = []
        self._due = asyncio.Event()
        cluster.watchers.append(self)
        if cluster.body:
            self.views.config_maps.put(cluster.body)
        self.task = asyncio.create_task(self._work())

    def see(self, body: dict[str, Any]) -> None:
        if self in self.cluster.watchers:
            self.views.config_maps.put(body)
            self._due.set()

    async def _work(self) -> None:
        while True:
            step = await self.holding.turn(NAMESPACE)
            if step.acts:
                self.acted.append(now())
            self._due.clear()
            # At the latest the resync.
            pause = 600.0 if step.again is None else step.again
            try:
                async with asyncio.timeout(pause):
                    await self._due.wait()
            except TimeoutError:
                pass

    async def leave(self) -> None:
        self.cluster.watchers.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def rival(self) -> str:
        return self.holding.rival(NAMESPACE)

    # What it writes by.

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(LATENCY)
        if self.cluster.body is not None:
            raise Conflict(409, "already exists")
        return self.cluster.write(self.name, body)

    async def apply(self, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        await asyncio.sleep(LATENCY)
        if body["metadata"]["resourceVersion"] != str(self.cluster.version):
            raise Conflict(409, "has changed")
        return self.cluster.write(self.name, body)

    async def list_one(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return [copy.deepcopy(self.cluster.body)] if self.cluster.body else []


def in_cluster(test: Callable[[Cluster], Awaitable[None]]) -> Callable[[], None]:
    def wrapper() -> None:
        async def inner() -> None:
            cluster = Cluster()
            try:
                await test(cluster)
            finally:
                for watcher in list(cluster.watchers):
                    await watcher.leave()

        run(inner())

    wrapper.__name__, wrapper.__doc__ = test.__name__, test.__doc__
    return wrapper


@in_cluster
async def test_alone_it_costs_one_write(cluster: Cluster) -> None:
    one = Installation("one/a", cluster)
    await asyncio.sleep(24 * 3600)
    assert cluster.mark == {"holder": "one/a"}
    assert len(cluster.writes) == 1
    assert one.acted[0] < 1, "and no time"
    assert one.holding.contested() == 0


@in_cluster
async def test_a_restart_acts_at_once(cluster: Cluster) -> None:
    cluster.forge({"holder": "one/a"})
    one = Installation("one/a", cluster)
    await asyncio.sleep(1)
    assert one.acted
    assert len(cluster.writes) == 1


@in_cluster
async def test_the_second_one_stands_back_and_both_say_so(cluster: Cluster) -> None:
    first = Installation("one/a", cluster)
    await asyncio.sleep(10)
    second = Installation("two/b", cluster)
    await asyncio.sleep(24 * 3600)
    assert second.acted == []
    assert first.rival == "two/b"
    assert first.holding.contested() == second.holding.contested() == 1
    asks = 24 * 3600 / ASK_SECONDS
    assert len(cluster.writes) <= 2 * asks + 4, "an ask and an answer now and then"


@in_cluster
async def test_two_that_come_at_once(cluster: Cluster) -> None:
    both = [Installation("one/a", cluster), Installation("two/b", cluster)]
    await asyncio.sleep(3600)
    assert [bool(one.acted) for one in both].count(True) == 1


@in_cluster
async def test_a_holder_that_is_gone_is_followed(cluster: Cluster) -> None:
    cluster.forge({"holder": "gone/x"})
    one = Installation("one/a", cluster)
    await asyncio.sleep(PATIENCE_SECONDS - 1)
    assert one.acted == [], "it may be about to come back"
    await asyncio.sleep(4)
    assert one.acted
    assert cluster.mark == {"holder": "one/a"}
    assert one.holding.contested() == 0


@in_cluster
async def test_who_stood_back_takes_over_when_the_first_one_is_uninstalled(
    cluster: Cluster,
) -> None:
    first = Installation("one/a", cluster)
    await asyncio.sleep(10)
    second = Installation("two/b", cluster)
    await asyncio.sleep(3600)
    await first.leave()
    await asyncio.sleep(2 * ASK_SECONDS)
    assert second.acted
    assert second.holding.contested() == 0


@in_cluster
async def test_a_rival_that_is_uninstalled_is_forgotten(cluster: Cluster) -> None:
    first = Installation("one/a", cluster)
    await asyncio.sleep(10)
    second = Installation("two/b", cluster)
    await asyncio.sleep(3600)
    await second.leave()
    assert first.rival == "two/b"
    await asyncio.sleep(FORGET_SECONDS + 1)
    assert first.rival == ""
    assert first.holding.contested() == 0


@in_cluster
async def test_who_was_away_for_long_finds_another_one_and_does_not_fight(
    cluster: Cluster,
) -> None:
    first = Installation("one/a", cluster)
    await asyncio.sleep(10)
    await first.leave()
    second = Installation("two/b", cluster)
    await asyncio.sleep(60)
    back = Installation("one/a", cluster)
    await asyncio.sleep(3600)
    assert second.acted
    assert back.acted == []


MARKS: tuple[dict[str, Any], ...] = (
    {},
    {"holder": ""},
    {"holder": "x" * 300},
    {"rival": "x"},
    {"holder": "gone/x", "rival": "one/a", "asked": "w", "answered": "w"},
    {"holder": "gone/x", "rival": "one/a", "asked": "w"},
    {"holder": "gone/x", "answered": "somebody-answers-all"},
    {"holder": "one/a", "rival": "two/b", "asked": "w"},
)


@pytest.mark.parametrize("data", MARKS, ids=str)
def test_whatever_stands_in_it_is_no_end(data: dict[str, Any]) -> None:
    @in_cluster
    async def test(cluster: Cluster) -> None:
        cluster.forge(data)
        one = Installation("one/a", cluster)
        await asyncio.sleep(PATIENCE_SECONDS + 5)
        assert one.acted

    test()


@in_cluster
async def test_a_mark_that_lost_its_labels_is_found(cluster: Cluster) -> None:
    """The watch does not show it any more, and making one is refused."""
    cluster.forge({"holder": "one/a"})
    watchers, cluster.watchers = cluster.watchers, []
    one = Installation("one/a", cluster)
    one.views.config_maps._objects.clear()
    await asyncio.sleep(5)
    assert one.acted
    cluster.watchers = [*watchers, one]


@in_cluster
async def test_without_a_name_there_is_nobody_to_tell_from(cluster: Cluster) -> None:
    one = Installation("", cluster)
    await asyncio.sleep(10)
    assert one.acted
    assert cluster.writes == []


@pytest.mark.thorough
@settings(deterministic, max_examples=40)
@given(st.randoms(use_true_random=False))
def test_in_the_end_one_acts(chance: random.Random) -> None:
    """Three come and go as they like; once they stay, one acts and none of the others."""

    @in_cluster
    async def test(cluster: Cluster) -> None:
        for turn in range(8):
            here = {one.name: one for one in cluster.watchers}
            name = chance.choice(["one/a", "two/b", "three/c"])
            if name in here and chance.random() < 0.6:
                await here[name].leave()
            elif name not in here:
                Installation(name, cluster)
            if chance.random() < 0.1:
                cluster.forge(chance.choice(MARKS))
            await asyncio.sleep(chance.random() * 100 * (turn % 3))
        if not cluster.watchers:
            Installation("one/a", cluster)
        await asyncio.sleep(ASK_SECONDS + 4 * PATIENCE_SECONDS)
        settled, mark = now(), cluster.mark["holder"]
        await asyncio.sleep(4 * ASK_SECONDS)
        assert cluster.mark["holder"] == mark
        acting = {one.name for one in cluster.watchers if any(at > settled for at in one.acted)}
        assert acting <= {mark}
        assert mark in {one.name for one in cluster.watchers}, "it is one of those who are here"

    test()


def test_a_mark_says_only_what_it_has() -> None:
    assert Mark(holder="a").data() == {"holder": "a"}
