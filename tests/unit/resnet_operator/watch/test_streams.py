"""What may befall a watch, in virtual time: it is seen, it is said, and it heals by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from tests.support.builders import a_settings
from tests.unit.resnet_operator.fake_server import SILENCE, FakeServer
from tests.unit.resnet_operator.virtual_time import run

from resnet_operator.errors import LoginFailed, Transient
from resnet_operator.seen.service import ServiceObject
from resnet_operator.telemetry.metrics import RELISTS, UNREADABLE
from resnet_operator.watch.concerns import WATCHED
from resnet_operator.watch.stream import LIMITS, Stream
from resnet_operator.watch.views import Views
from resnet_operator.watch.watch import Watches
from resnet_operator.work.queue import WorkQueue

KIND = "PersistentVolumeClaim"
CLAIMS = next(watched for watched in WATCHED if watched.kind == KIND)
CUT = aiohttp.ClientPayloadError("the connection was reset")
UNKNOWN = LoginFailed("the API server does not accept the credentials")
Deed = Callable[[FakeServer], None]


@dataclass(kw_only=True)
class Eyes:
    """The one kind's stream, and what it has shown so far."""

    server: FakeServer
    watches: Watches

    @property
    def seen(self) -> dict[str, str]:
        found = self.watches.views.stores[KIND].all()
        return {
            view.meta.name: f"{view.meta.uid} {view.meta.version} {view.phase}" for view in found
        }

    @property
    def there(self) -> dict[str, str]:
        return {
            name: f"{meta['uid']} {meta['resourceVersion']} {body['status']['phase']}"
            for (_, name), body in self.server.objects.items()
            if (meta := body["metadata"])
        }

    @property
    def problems(self) -> str:
        return "\n".join(self.watches.sights.problems())

    async def sees_all(self, *, within: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while self.seen != self.there:
            assert loop.time() < end, f"{self.seen} is not {self.there}: {self.problems}"
            await asyncio.sleep(0.1)


@asynccontextmanager
async def eyes(server: FakeServer | None = None, **limits: Any) -> AsyncIterator[Eyes]:
    server = server or FakeServer()
    views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
    clock = asyncio.get_running_loop().time
    watches = Watches(views=views, queue=WorkQueue(), clock=clock)
    sight = watches.sights.add(KIND, None)
    stream = Stream(connection=server, kind=KIND, path="/claims", page_size=2)  # type: ignore[arg-type]
    task = asyncio.create_task(watches.follow(CLAIMS, stream, sight))
    try:
        yield Eyes(server=server, watches=watches)
        assert not task.done(), "a stream never ends by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def refused(**always: Any) -> Deed:
    """Return the deed that has all requests of these verbs fail."""

    def do(server: FakeServer) -> None:
        server.always.update(always)
        server.send(CUT)

    return do


def nothing(server: FakeServer) -> None:
    """Leave the server as it is."""


def heal(server: FakeServer) -> None:
    server.always.clear()


def cut(server: FakeServer) -> None:
    server.send(CUT)


def next_list(*instead: Any) -> Deed:
    """Return the deed that the next list meets this instead, and has to come at once."""

    def do(server: FakeServer) -> None:
        server.lists.extend(instead)
        server.send(CUT)

    return do


def next_watch(*instead: Any) -> Deed:
    def do(server: FakeServer) -> None:
        server.watches.extend(instead)
        server.send(CUT)

    return do


def half_a_line(server: FakeServer) -> None:
    server.send(b'{"type": "ADD')
    server.send(None)


def sent(data: Any) -> Deed:
    line = data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
    return lambda server: server.send(line)


def change_all(server: FakeServer) -> None:
    """Do a bit of everything: one is changed, one goes, one comes."""
    server.put("a", phase="Bound")
    server.delete("b")
    server.put("d")


def change_and_compact(server: FakeServer) -> None:
    change_all(server)
    server.compact()


def restore(*, before: int = 1, then: int = 0, is_cut: bool) -> Deed:
    """Return to an older etcd, whose version is behind ours, or has got ahead of it again."""

    def do(server: FakeServer) -> None:
        old = server.snapshot()
        for number in range(before):
            server.put(f"lost-{number}")
        server.put("a", phase="Lost")
        server.delete("c")
        for _ in range(then):
            old.put("b", phase="Bound")
        cast_back.append((server, old, is_cut))

    return do


cast_back: list[tuple[FakeServer, FakeServer, bool]] = []


def now_restored(_: FakeServer) -> None:
    """Exchange the server after its lost future was seen."""
    while cast_back:
        server, old, is_cut = cast_back.pop()
        old.put("new")
        server.become(old)
        if is_cut:
            server.send(CUT)


def replaced(server: FakeServer) -> None:
    """Another cluster at the same address: the same names, higher versions, all of it older."""
    other = FakeServer(version=5000, prefix="other")
    for name in ("a", "b", "x"):
        other.put(name)
    for _ in range(100):
        other.put("x", phase="Bound")
    server.become(other)
    server.send(CUT)


@dataclass(frozen=True)
class Fault:
    """`breaks` happens, then the cluster changes, then `heals`; all is seen in time after that."""

    reason: str
    breaks: Deed
    # What readiness says after a minute and a half of it; empty: it heals at once.
    says: str = ""
    heals: Deed = heal
    changes: Deed = change_all
    relisted_for: str = ""


def event(**found: Any) -> dict[str, Any]:
    return found


PAGE = b"<!doctype html><title>Sign in</title>\n"
META = {"namespace": "models", "name": "a", "uid": "u", "resourceVersion": "101"}
FAULTS = (
    Fault("a watch is cut", cut, relisted_for="cut"),
    Fault("a watch ends too early, in good order", lambda s: s.send(None), relisted_for="early"),
    Fault("401 for a moment", next_list(UNKNOWN), relisted_for="login"),
    Fault(
        "401 for long",
        refused(list=UNKNOWN, watch=UNKNOWN),
        "does not accept the credentials",
        relisted_for="login",
    ),
    Fault("401 for watches only", refused(watch=UNKNOWN), relisted_for="login"),
    Fault(
        "403 for a while", refused(list=403, watch=403), "403: injected", relisted_for="forbidden"
    ),
    Fault("404 for a while: the CRD is away", refused(list=404), "404", relisted_for="absent"),
    Fault("too many requests", refused(list=429, watch=429), "429", relisted_for="busy"),
    Fault("the server's own error", refused(list=500, watch=503), "500", relisted_for="server"),
    Fault(
        "the server cannot be reached",
        refused(list=Transient(0, "no route"), watch=Transient(0, "no route")),
        "no route",
        relisted_for="network",
    ),
    Fault(
        "a bug of ours",
        refused(list=ZeroDivisionError("oops")),
        "oops",
        relisted_for="failure",
    ),
    Fault(
        "connections are accepted, and nothing comes",
        refused(list=SILENCE, watch=SILENCE),
        "cut",
        relisted_for="cut",
    ),
    Fault("watches are accepted, and nothing comes", refused(watch=SILENCE), relisted_for="silent"),
    Fault(
        "410 by an event, with deletions in the gap",
        next_watch(Transient(503, "away"), Transient(503, "away")),
        changes=change_and_compact,
    ),
    Fault("410 by a status", next_watch(410), relisted_for="expired"),
    Fault("410 by a status, again and again", refused(watch=410), relisted_for="expired"),
    Fault("410 for lists too", refused(list=410, watch=410), "410", relisted_for="expired"),
    Fault(
        "a proxy that answers all with a page and 200",
        refused(list=PAGE, watch=PAGE),
        "the list is no list",
        relisted_for="garbage",
    ),
    Fault("a proxy that answers watches with a page and 200", refused(watch=PAGE)),
    Fault("a proxy that answers watches with nothing and 200", refused(watch=b"\n")),
    Fault("a proxy that answers with an object of another kind", next_list(b'{"kind":"Status"}')),
    Fault("a redirect to a login", refused(list=302, watch=302), "302", relisted_for="refused"),
    Fault("a list's page is too old", next_list(410), relisted_for="expired"),
    Fault(
        "an error by an event",
        sent(event(type="ERROR", object={"kind": "Status", "code": 500, "message": "etcd"})),
        relisted_for="refused",
    ),
    Fault(
        "an error without a word", sent(event(type="ERROR", object=None)), relisted_for="garbage"
    ),
    Fault("half a line", half_a_line, relisted_for="cut"),
    Fault("a line that is no JSON", sent(b"<html>gateway</html>\n"), relisted_for="garbage"),
    Fault("a line that is no text", sent(b"\xff\xfe\x00\n"), relisted_for="garbage"),
    Fault("a line that is a number", sent(17), relisted_for="garbage"),
    Fault("a line without end", sent(b"x" * (2**20 * 17)), relisted_for="garbage"),
    Fault("an event without object", sent(event(type="ADDED")), relisted_for="garbage"),
    Fault("an event of null", sent(event(type="ADDED", object=None)), relisted_for="garbage"),
    Fault(
        "an object without uid",
        sent(event(type="ADDED", object={"metadata": {**META, "uid": None}})),
        relisted_for="garbage",
    ),
    Fault(
        "a version that is no number",
        sent(event(type="ADDED", object={"metadata": {**META, "resourceVersion": "x"}})),
        relisted_for="garbage",
    ),
    Fault(
        "a bookmark without version",
        sent(event(type="BOOKMARK", object={"kind": "Pod", "metadata": {}})),
        relisted_for="garbage",
    ),
    Fault(
        "an event from the past",
        sent(event(type="MODIFIED", object={"metadata": {**META, "resourceVersion": "1"}})),
        relisted_for="rewound",
    ),
    Fault("a list that is no list", next_list(b"[]"), relisted_for="garbage"),
    Fault("a list of nothing", next_list(b'{"items":null}')),
    Fault("a list that is cut", next_list(b'{"metadata":')),
    Fault(
        "etcd was restored, the connections are open",
        restore(before=3, is_cut=False),
        changes=nothing,
        heals=now_restored,
        relisted_for="rewound",
    ),
    Fault(
        "etcd was restored, the connections are cut",
        restore(before=3, is_cut=True),
        changes=nothing,
        heals=now_restored,
    ),
    Fault(
        "etcd was restored, and its version is ahead of ours already",
        restore(before=3, then=40, is_cut=True),
        changes=nothing,
        heals=now_restored,
    ),
    Fault("another cluster at the same address", replaced, changes=nothing),
)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.reason)
def test_a_fault_is_said_and_heals(case: Fault) -> None:
    async def test() -> None:
        before = relists(case.relisted_for)
        async with eyes() as found:
            for name in ("a", "b", "c"):
                found.server.put(name)
            await found.sees_all(within=5)
            assert found.problems == ""
            case.breaks(found.server)
            await asyncio.sleep(0.5)
            case.changes(found.server)
            if case.says:
                await asyncio.sleep(90)
                assert KIND in found.problems
                assert case.says in found.problems
            else:
                await found.sees_all(within=LIMITS.blind_seconds)
            case.heals(found.server)
            await found.sees_all(within=LIMITS.blind_seconds)
            assert found.problems == "", "readiness comes back with the sight"
            found.server.put("later")
            await found.sees_all(within=LIMITS.blind_seconds)
        if case.relisted_for:
            assert relists(case.relisted_for) > before, "the metric says why"

    run(test())


def relists(reason: str) -> float:
    return float(RELISTS.labels(kind=KIND, reason=reason)._value.get())


def test_a_quiet_cluster_is_seen_at_little_cost() -> None:
    """An hour without any change: never unready, and but a watch and a look each 40 seconds."""

    async def test() -> None:
        async with eyes() as found:
            found.server.put("a")
            worst = 0.0
            for _ in range(3600):
                await asyncio.sleep(1)
                assert found.problems == ""
                worst = max(worst, found.watches.sights.all[0].age)
            assert worst < LIMITS.blind_seconds - 10
            assert len(found.server.calls) < 2 * 3600 / (LIMITS.watch_seconds * 0.9) + 4

    run(test())


def test_a_busy_cluster_needs_no_second_look() -> None:
    async def test() -> None:
        async with eyes() as found:
            for number in range(600):
                found.server.put("a", phase=str(number))
                await asyncio.sleep(1)
            await found.sees_all(within=1)
            assert [verb for _, verb, _ in found.server.calls].count("list") == 1

    run(test())


def test_an_event_that_never_came_is_not_missed_for_good() -> None:
    """As of a proxy or a cache that loses some: all else is in good order."""

    async def test() -> None:
        async with eyes() as found:
            found.server.put("a")
            await found.sees_all(within=1)
            found.server.put("a", phase="Lost")
            found.server.history.pop()
            found.server.put("b")
            await found.sees_all(within=LIMITS.relist_seconds + LIMITS.watch_seconds)

    run(test())


def test_a_fault_that_lasts_is_no_storm() -> None:
    """Four hours of refusals: at first often, then each twenty seconds."""

    async def test() -> None:
        async with eyes() as found:
            found.server.always = {"list": 503, "watch": 503}
            found.server.send(CUT)
            await asyncio.sleep(4 * 3600)
            pauses = [
                b[0] - a[0]
                for a, b in zip(found.server.calls, found.server.calls[1:], strict=False)
            ]
            assert max(pauses) <= LIMITS.max_pause_seconds * 1.25 + 1
            assert len(pauses) <= 4 * 3600 / LIMITS.max_pause_seconds + 10
            heal(found.server)
            await found.sees_all(within=LIMITS.max_pause_seconds * 1.25 + 1)

    run(test())


def test_an_odd_object_in_a_list_does_not_hide_the_others() -> None:
    async def test() -> None:
        server = FakeServer()
        for name in ("a", "b"):
            server.put(name)
        page = server.page({"limit": "9"})
        page["items"] += [None, {"metadata": {"name": "odd"}}, {"metadata": [1]}, "text"]
        server.lists.append(json.dumps(page).encode())
        before = UNREADABLE.labels(kind=KIND)._value.get()
        async with eyes(server) as found:
            await found.sees_all(within=2)
        assert UNREADABLE.labels(kind=KIND)._value.get() == before + 4

    run(test())


def test_a_stream_that_does_not_try_is_stuck() -> None:
    """Only that makes the kubelet restart us: a cluster that is away is no reason."""

    async def test() -> None:
        async with eyes() as found:
            found.server.put("a")
            await found.sees_all(within=1)
            found.server.always = {"list": 503, "watch": 503}
            found.server.send(CUT)
            await asyncio.sleep(3600)
            assert found.watches.sights.stuck() == []
            assert "not seen for" in found.problems
        await asyncio.sleep(LIMITS.stuck_seconds + 1)
        assert found.watches.sights.stuck() == [KIND]

    run(test())
