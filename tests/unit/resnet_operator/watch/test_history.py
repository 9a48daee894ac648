"""After the cluster's history went back nothing is decided before all kinds are listed again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import a_settings
from tests.unit.resnet_operator.fake_server import SILENCE, FakeServer
from tests.unit.resnet_operator.virtual_time import run

from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Gone, Held, Transient
from resnet_operator.reconcile import Reconciler
from resnet_operator.seen.meta import Meta, NamedObject
from resnet_operator.seen.service import ServiceObject
from resnet_operator.telemetry.metrics import HELD
from resnet_operator.watch.concerns import Watched
from resnet_operator.watch.history import contradicts
from resnet_operator.watch.store import Listing
from resnet_operator.watch.stream import LIMITS, Stream
from resnet_operator.watch.views import Views
from resnet_operator.watch.watch import Watches
from resnet_operator.work.attempt import HELD_SECONDS
from resnet_operator.work.queue import WorkQueue

CLAIM, REFERENCED, ROUTE = "PersistentVolumeClaim", "ReferencedConfigMap", "HTTPRoute"
# A kind in a namespace each; two of them are of one kind.
PLACES = (
    (CLAIM, "models"),
    (CLAIM, "others"),
    (REFERENCED, "models"),
    (ROUTE, "models"),
)


@dataclass(kw_only=True)
class Eyes:
    """The streams of all places, and the server behind each."""

    servers: list[FakeServer]
    watches: Watches

    def restore(self, *, ahead: int = 0) -> None:
        """Put another history behind all of them, and cut no connection."""
        for (kind, namespace), server in zip(PLACES, self.servers, strict=True):
            old = FakeServer(version=50, prefix="old")
            if kind == CLAIM:
                old.put("kept", namespace=namespace)
            for number in range(ahead):
                old.put("busy", namespace=namespace, phase=str(number))
            server.become(old)

    def cut(self, place: int) -> None:
        self.servers[place].send(None)

    def lists(self, place: int) -> int:
        return [verb for _, verb, _ in self.servers[place].calls].count("list")

    @property
    def names(self) -> set[tuple[str, str]]:
        found = self.watches.views.stores[CLAIM].all()
        return {(view.meta.namespace, view.meta.name) for view in found}

    @property
    def is_one(self) -> bool:
        self.watches.history.measure()
        assert HELD._value.get() == (not self.watches.history.is_one), "the metric says it"
        assert bool(self.watches.history.problems()) == (not self.watches.history.is_one)
        return self.watches.history.is_one

    async def until(self, what: Callable[[], bool], *, within: float) -> float:
        """Return how long it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not what():
            assert loop.time() < begun + within, self.watches.problems()
            await asyncio.sleep(0.01)
        return loop.time() - begun


def optional(kind: str) -> Watched:
    return Watched(
        kind=kind,
        path="apis/x/v1/x",
        keys=lambda *_: (),
        metadata_only=kind == REFERENCED,
        is_optional=kind == ROUTE,
    )


@asynccontextmanager
async def eyes() -> AsyncIterator[Eyes]:
    servers = [FakeServer(version=1000) for _ in PLACES]
    for server, (kind, namespace) in zip(servers, PLACES, strict=True):
        if kind == CLAIM:
            for name in ("kept", "lost"):
                server.put(name, namespace=namespace)
    views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
    watches = Watches(views=views, queue=WorkQueue(), clock=asyncio.get_running_loop().time)
    tasks = []
    for server, (kind, namespace) in zip(servers, PLACES, strict=True):
        sight = watches.sights.add(kind, namespace)
        stream = Stream(connection=server, kind=kind, path="/x", page_size=2)  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(watches.follow(optional(kind), stream, sight)))
    found = Eyes(servers=servers, watches=watches)
    try:
        await found.until(lambda: watches.synced, within=5)
        await asyncio.sleep(1)  # virtual: all watches are open
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


ALL = {(namespace, "kept") for _, namespace in PLACES[:2]}


# How far the other history goes beyond ours; ahead of ours it shows by an object only.
FIRST = [
    pytest.param(place, ahead, id=f"{kind} in {namespace}, {ahead}")
    for place, (kind, namespace) in enumerate(PLACES)
    for ahead in (0, 2000)
    if not ahead or kind == CLAIM
]


@pytest.mark.parametrize(("first", "ahead"), FIRST)
def test_all_kinds_are_listed_again_at_once(first: int, ahead: int) -> None:
    """Whichever shows it first: the watches of the others are open, and show nothing."""

    async def test() -> None:
        async with eyes() as found:
            assert found.is_one
            before = [found.lists(place) for place in range(len(PLACES))]
            found.restore(ahead=ahead)
            found.cut(first)
            await found.until(lambda: not found.is_one, within=2)
            assert "went back" in "".join(found.watches.problems())
            assert await found.until(lambda: found.is_one, within=5) < 5
            assert found.watches.history.number == 1, "it went back once"
            assert {name for name in found.names if name[1] != "busy"} == ALL
            after = [found.lists(place) for place in range(len(PLACES))]
            assert all(b > a for a, b in zip(before, after, strict=True))
            await asyncio.sleep(300)
            assert found.is_one
            assert found.watches.history.number == 1
            assert found.watches.problems() == []

    run(test())


def test_nothing_changes_in_what_is_known_before_decisions_are_held() -> None:
    """One list in two pages: neither what it shows nor what it lacks is told before."""

    async def test() -> None:
        async with eyes() as found:
            states: list[tuple[set[tuple[str, str]], bool]] = []
            known = set(found.names)
            found.restore()
            found.cut(0)
            loop = asyncio.get_running_loop()
            end = loop.time() + 3
            while loop.time() < end:
                states.append((set(found.names), found.is_one))
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            assert all(names in (known, ALL) for names, is_one in states if is_one)
            assert any(not is_one for _, is_one in states)

    run(test())


UNLISTABLE = (
    ("refused", 403),
    ("an error", Transient(503, "away")),
    ("no answer", SILENCE),
)


@pytest.mark.parametrize(("reason", "instead"), UNLISTABLE, ids=[case[0] for case in UNLISTABLE])
def test_a_kind_that_cannot_be_listed_is_not_waited_for_long(reason: str, instead: Any) -> None:
    async def test() -> None:
        async with eyes() as found:
            found.restore()
            found.servers[1].always = {"list": instead}
            found.cut(0)
            await found.until(lambda: not found.is_one, within=2)
            took = await found.until(lambda: found.is_one, within=60)
            assert took <= LIMITS.hold_seconds + 1 < LIMITS.blind_seconds
            await asyncio.sleep(LIMITS.blind_seconds)
            assert CLAIM in "".join(found.watches.problems()), "it is said that it is not seen"
            found.servers[1].always = {}
            await found.until(lambda: not found.watches.problems(), within=LIMITS.blind_seconds)
            assert found.names == ALL

    run(test())


def test_a_kind_that_the_cluster_lacks_is_not_waited_for() -> None:
    async def test() -> None:
        async with eyes() as found:
            found.servers[3].always = {"list": Gone(404, "no such kind")}
            found.cut(3)
            await found.until(lambda: ROUTE in found.watches.views.absent_kinds, within=5)
            found.restore()
            found.cut(0)
            await found.until(lambda: not found.is_one, within=2)
            assert await found.until(lambda: found.is_one, within=60) < 5

    run(test())


def test_a_missing_kind_is_told_once_each_time_it_goes_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line that docs/batch.md sends its reader to; not once for every look."""

    def told() -> list[tuple[str, str]]:
        return [
            (record.levelname, vars(record)["kind"])
            for record in caplog.records
            if record.message == "the cluster does not have this kind"
        ]

    async def test() -> None:
        async with eyes() as found:
            absent = found.watches.views
            assert told() == []
            for times in (1, 2):
                found.servers[3].always = {"list": Gone(404, "no such kind")}
                found.cut(3)
                await found.until(lambda: ROUTE in absent.absent_kinds, within=5)
                looks = found.lists(3)
                await found.until(
                    lambda looks=looks: found.lists(3) >= looks + 3,  # type: ignore[misc]
                    within=LIMITS.absent_seconds * 4,
                )
                assert told() == [("INFO", ROUTE)] * times
                assert found.watches.problems() == [], "nothing is wrong with it"
                found.servers[3].always = {}
                await found.until(lambda: not absent.absent_kinds, within=LIMITS.absent_seconds * 2)
                await asyncio.sleep(1)  # virtual: its watch is open

    caplog.set_level(logging.INFO, logger="resnet_operator.watch.watch")
    run(test())


def test_a_list_that_was_asked_for_before_counts_for_nothing() -> None:
    """Its answer may be of the server that is lost."""

    async def test() -> None:
        async with eyes() as found:
            answered = asyncio.Event()
            real = found.servers[1].open

            async def late(*args: Any, **options: Any) -> Any:
                answer = await real(*args, **options)
                if "watch" not in options.get("query", args[2] if len(args) > 2 else {}):
                    content = await answer.read()
                    await answered.wait()
                    answer.instead = content
                return answer

            found.servers[1].open = late  # type: ignore[method-assign]
            found.cut(1)
            await asyncio.sleep(1)
            found.restore()
            found.cut(0)
            await found.until(lambda: not found.is_one, within=2)
            await asyncio.sleep(5)
            assert not found.is_one
            found.servers[1].open = real  # type: ignore[method-assign]
            answered.set()
            await asyncio.sleep(0.05)
            assert not found.is_one, "what came was of before"
            await found.until(lambda: found.is_one, within=2)
            assert found.names == ALL

    run(test())


def test_nothing_is_written_meanwhile() -> None:
    """Not even by a reconcile that has begun before."""
    looked: list[str] = []

    async def test() -> None:
        kube = Kube(None, may_decide=lambda: False)  # type: ignore[arg-type]
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": "a", "name": "b"},
        }
        for write in (
            kube.create(body),
            kube.apply(body, manager="x"),
            kube.apply_new(body, manager="x"),
            kube.delete(body, uid="x"),
        ):
            with pytest.raises(Held):
                await write
        views: Any = None
        reconciler = Reconciler(
            kube=kube,
            views=views,
            settings=a_settings(),
            clock=lambda: looked.append("at the clock"),  # type: ignore[arg-type,return-value]
            may_decide=lambda: False,
        )
        assert await reconciler.reconcile(("a", "b")) == HELD_SECONDS

    run(test())
    assert looked == []


@dataclass(frozen=True)
class Shown:
    """An object that was known, and what a list at version 200 shows of that name."""

    reason: str
    known: tuple[str, int, str] | None
    shown: tuple[str, int, str]
    is_other: bool
    went_back: bool = False


SHOWN = (
    Shown("a new one", None, ("a", 150, "10:00"), is_other=False),
    Shown("the same", ("a", 150, "10:00"), ("a", 150, "10:00"), is_other=False),
    Shown("a change", ("a", 150, "10:00"), ("a", 160, "10:00"), is_other=False),
    Shown("an older state of it", ("a", 150, "10:00"), ("a", 140, "10:00"), is_other=True),
    Shown(
        "what we wrote after the list was made",
        ("a", 210, "10:00"),
        ("a", 140, "10:00"),
        is_other=False,
    ),
    Shown("made again", ("a", 150, "10:00"), ("b", 160, "10:05"), is_other=False),
    Shown(
        "made again in the same second", ("a", 150, "10:00"), ("b", 160, "10:00"), is_other=False
    ),
    Shown(
        "another one of the name that is older, and changed of late",
        ("a", 150, "10:00"),
        ("b", 190, "09:00"),
        is_other=True,
    ),
    Shown(
        "another one of the name of an older version",
        ("a", 150, "10:00"),
        ("b", 20, "11:00"),
        is_other=True,
    ),
    Shown(
        "it is known already that history went back",
        ("a", 150, "10:00"),
        ("a", 140, "10:00"),
        is_other=False,
        went_back=True,
    ),
)


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case.reason)
def test_a_list_of_another_history_is_told_by_an_object(case: Shown) -> None:
    def body(uid: str, version: int, created: str) -> dict[str, Any]:
        meta = {"namespace": "models", "name": "x", "uid": uid, "creationTimestamp": created}
        return {"metadata": meta | {"resourceVersion": str(version)}}

    listing = Listing(namespace=None, floor=300 if case.went_back else 180, version=200)
    known = case.known and NamedObject(Meta.from_body(body(*case.known)))
    assert contradicts(listing, known, body(*case.shown)) is case.is_other
