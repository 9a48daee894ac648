"""Who acts of several operators: one at a time, whatever the API server and the clocks do."""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import deterministic
from tests.unit.resnet_operator.virtual_time import now, run

from resnet_operator.cluster.connection import error_of
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import NotLeading, Transient
from resnet_operator.leadership.lease import TIMES, Leadership, _lease

TAKEOVER_SECONDS = 15


class Leases:
    """The one Lease of an API server, with its preconditions."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.requests = 0

    def do(self, method: str, body: Any) -> dict[str, Any]:
        self.requests += 1
        if method == "POST":
            if self.lease is not None:
                raise error_of(409, b"", {})
            self.lease = copy.deepcopy(body)
        elif self.lease is None:
            raise error_of(404, b"", {})
        elif method == "PATCH":
            if body["metadata"]["resourceVersion"] != str(self.version):
                raise error_of(409, b"", {})
            self.lease["spec"] |= body["spec"]
        if method != "GET":
            self.version += 1
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)


@dataclass
class Line:
    """One operator's connection; it can be cut, or hang."""

    leases: Leases
    error: Exception | None = None
    hangs: bool = False
    sent: list[str] = field(default_factory=list)

    async def open(self, method: str, path: str, *rest: Any, body: Any = None, **_: Any) -> Any:
        await asyncio.sleep(0.05)
        if self.hangs:
            await asyncio.sleep(30)
            raise Transient(0, "no answer")
        if self.error:
            raise self.error
        self.sent.append(path)
        if "leases" not in path:
            return Answer({})
        return Answer(self.leases.do(method, body))


class Answer:
    def __init__(self, content: Any) -> None:
        self.text, self.content = orjson.dumps(content), self

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self.text


class Operator:
    """Notes from when to when it acted."""

    def __init__(self, name: str, leases: Leases) -> None:
        self.name, self.line = name, Line(leases)
        self.is_synced = True
        self.acts = False
        self.spans: list[list[float]] = []
        self.leadership = Leadership(
            connection=self.line,  # type: ignore[arg-type]
            namespace="operators",
            name="resnet-operator",
            identity=name,
            may_lead=lambda: self.is_synced,
            began=self._began,
            ended=self._ended,
            clock=asyncio.get_running_loop().time,
        )
        self.task = asyncio.create_task(self.leadership.run())

    def _began(self) -> None:
        self.acts = True
        self.spans.append([now(), 1e9])

    def _ended(self) -> None:
        self.acts = False
        self.spans[-1][1] = now()

    async def kill(self) -> None:
        """End it without a goodbye; what it did last it did now."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        if self.acts:
            self._ended()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.leadership.release()


@asynccontextmanager
async def operators(*names: str) -> AsyncIterator[list[Operator]]:
    leases = Leases()
    found = [Operator(name, leases) for name in names]
    try:
        yield found
    finally:
        for operator in found:
            await operator.kill()
    never_two(found)


def never_two(found: list[Operator]) -> None:
    spans = sorted((span, one.name) for one in found for span in one.spans)
    for (one, first), (other, second) in itertools.pairwise(spans):
        assert one[1] <= other[0], f"{first} and {second} at {other[0]}"


async def leader(found: list[Operator], *, within: float) -> Operator:
    end = now() + within
    while True:
        acting = [one for one in found if one.acts]
        if acting:
            return acting[0]
        assert now() < end, "nobody acts"
        await asyncio.sleep(0.1)


def test_one_acts_and_the_others_look_on() -> None:
    async def test() -> None:
        async with operators("a", "b", "c") as found:
            first = await leader(found, within=3)
            await asyncio.sleep(3600)
            assert [one for one in found if one.acts] == [first]
            assert len(first.spans) == 1, "without interruption"

    run(test())


def test_a_leader_that_is_killed_is_replaced_in_time() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            first = await leader(found, within=3)
            await asyncio.sleep(60)
            await first.kill()
            died, others = now(), [one for one in found if one is not first]
            await leader(others, within=TAKEOVER_SECONDS)
            assert now() - died > TIMES.deadline, "not before the first must have stopped"

    run(test())


def test_a_leader_that_ends_gives_the_lease_back() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            first = await leader(found, within=3)
            await asyncio.sleep(60)
            await first.stop()
            await leader([one for one in found if one is not first], within=TIMES.look + 0.5)

    run(test())


TROUBLES = (Transient(0, "no route"), error_of(403, b"", {}), error_of(500, b"", {}), "hangs")


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_a_leader_that_is_cut_off_stops_before_another_begins(trouble: Any) -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            first = await leader(found, within=3)
            await asyncio.sleep(60)
            if trouble == "hangs":
                first.line.hangs = True
            else:
                first.line.error = trouble
            await asyncio.sleep(TIMES.deadline + 0.2)
            assert not first.acts
            assert first.leadership.trouble
            second = await leader(found, within=TAKEOVER_SECONDS)
            assert second is not first
            first.line.error, first.line.hangs = None, False
            await asyncio.sleep(60)
            assert second.acts, "who comes back does not push"
            assert first.leadership.trouble == ""

    run(test())


def test_an_api_server_that_is_away_ends_nothing_for_good() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            await leader(found, within=3)
            for one in found:
                one.line.error = Transient(0, "connection refused")
            await asyncio.sleep(TIMES.deadline + 0.2)
            assert not any(one.acts for one in found)
            await asyncio.sleep(600)
            for one in found:
                one.line.error = None
            await leader(found, within=TAKEOVER_SECONDS)

    run(test())


def test_a_short_trouble_ends_nothing() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            first = await leader(found, within=3)
            for _ in range(50):
                first.line.error = Transient(503, "busy")
                await asyncio.sleep(TIMES.renew + 0.5)
                first.line.error = None
                await asyncio.sleep(TIMES.renew + 0.5)
            assert first.acts
            assert len(first.spans) == 1

    run(test())


def test_who_does_not_see_the_cluster_does_not_lead() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            for one in found:
                one.is_synced = False
            await asyncio.sleep(60)
            assert not any(one.acts for one in found)
            found[1].is_synced = True
            assert await leader(found, within=3) is found[1]

    run(test())


def test_a_lease_that_somebody_deletes_or_takes() -> None:
    async def test() -> None:
        async with operators("a", "b") as found:
            first = await leader(found, within=3)
            await asyncio.sleep(10)  # the other one has seen who it is
            for _ in range(5):
                first.line.leases.lease = None
                await asyncio.sleep(7.3)
            assert [one for one in found if one.acts] == [first]
            assert len(first.spans) == 1
            first.line.leases.do(
                "PATCH",
                {
                    "metadata": {"resourceVersion": str(first.line.leases.version)},
                    "spec": {"holderIdentity": "somebody", "renewTime": "now"},
                },
            )
            await asyncio.sleep(TIMES.renew + 0.2)
            assert not any(one.acts for one in found)
            await leader(found, within=TAKEOVER_SECONDS)

    run(test())


GARBAGE: tuple[Any, ...] = (None, {}, {"holderIdentity": 7, "leaseDurationSeconds": "x"})


@pytest.mark.parametrize("spec", GARBAGE, ids=str)
def test_a_lease_that_says_nothing_is_free_in_the_end(spec: Any) -> None:
    async def test() -> None:
        async with operators() as _:
            leases = Leases()
            leases.lease = {"metadata": {}, "spec": spec}
            one = Operator("a", leases)
            if spec is None:
                leases.lease["spec"] = {}
            await leader([one], within=TAKEOVER_SECONDS)
            await one.kill()

    run(test())


def test_without_a_name_there_is_nobody_to_share_with() -> None:
    async def test() -> None:
        began: list[float] = []
        alone = Leadership(
            connection=Line(Leases()),  # type: ignore[arg-type]
            namespace="",
            name="",
            identity="a",
            may_lead=lambda: False,
            began=lambda: began.append(now()),
            ended=lambda: None,
        )
        task = asyncio.create_task(alone.run())
        await asyncio.sleep(1)
        assert began == [0]
        assert alone.holds
        task.cancel()

    run(test())


def test_no_write_is_sent_once_another_may_lead() -> None:
    """Also if the event loop was busy for so long that nobody had the time to stop the workers."""

    async def test() -> None:
        async with operators("a") as found:
            first = await leader(found, within=3)
            kube = Kube(first.line, may_write=lambda: first.leadership.holds)  # type: ignore[arg-type]
            body = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"namespace": "n", "name": "x"},
            }
            await kube.apply(body, manager="m")
            first.leadership._until = now()
            mark = len(first.line.sent)
            for write in (
                kube.apply(body, manager="m"),
                kube.create(body),
                kube.delete(body, uid="u"),
            ):
                with pytest.raises(NotLeading):
                    await write
            await kube.list_one("v1", "Service", "n", field_selector="x=y")
            assert len(first.line.sent) == mark + 1, "reads do no harm"

    run(test())


@pytest.mark.thorough
@settings(deterministic, max_examples=30)
@given(st.randoms(use_true_random=False))
def test_never_two_whatever_happens(chance: random.Random) -> None:
    """Random cuts, hangs, kills and new ones; in the end somebody acts."""

    logging.getLogger("resnet_operator").setLevel(logging.CRITICAL)

    async def test() -> None:
        leases = Leases()
        found = [Operator(f"first-{number}", leases) for number in range(3)]
        alive = list(found)
        for turn in range(20):
            await asyncio.sleep(chance.random() * 12)
            one = chance.choice(alive)
            deed = chance.choice(["cut", "hang", "heal", "heal", "kill", "stop"])
            if deed == "cut":
                one.line.error = Transient(0, "cut")
            elif deed == "hang":
                one.line.hangs = True
            elif deed == "heal":
                one.line.error, one.line.hangs = None, False
            elif deed in {"kill", "stop"}:
                alive.remove(one)
                await (one.kill() if deed == "kill" else one.stop())
                alive.append(Operator(f"next-{turn}", leases))
                found.append(alive[-1])
        for one in alive:
            one.line.error, one.line.hangs = None, False
        await leader(alive, within=TAKEOVER_SECONDS * 2)
        for one in alive:
            await one.kill()
        never_two(found)

    try:
        run(test())
    finally:
        logging.getLogger("resnet_operator").setLevel(logging.NOTSET)


NO_LEASES: tuple[Any, ...] = (
    None,
    5,
    "page",
    [],
    {},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {}},
    {"metadata": {"resourceVersion": 5}},
    {"kind": "Status", "status": "Success"},
)


@pytest.mark.parametrize("answer", NO_LEASES, ids=str)
def test_an_answer_that_is_no_lease_is_tried_again(answer: Any) -> None:
    """The one who keeps the Lease never ends for it: that would need a restart."""
    with pytest.raises(Transient):
        _lease(answer)


@pytest.mark.parametrize("spec", [None, 5, "x", [], [1]])
def test_a_lease_that_says_nothing_is_nobodys(spec: Any) -> None:
    assert _lease({"metadata": {"resourceVersion": "1"}, "spec": spec})["spec"] == {}
