"""From the API server's watches to views, and to keys on the queue (decision 010).

Each kind in each place has a task that lists and then watches, for ever. A watch that ended in good
order is opened again where it ended; after anything else there is a new list, because what ended it
may have been the end of that server's history. Called by `app`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from resnet_operator.cluster.connection import Connection
from resnet_operator.errors import Gone, KubeError, LoginFailed
from resnet_operator.seen.meta import Body
from resnet_operator.telemetry.metrics import LAST_EVENT_SECONDS, RELISTS, UNREADABLE
from resnet_operator.watch.concerns import WATCHED, Watched
from resnet_operator.watch.sight import Sight, Sights
from resnet_operator.watch.store import Change
from resnet_operator.watch.stream import LIMITS, Broken, Limits, Stream
from resnet_operator.watch.views import Views
from resnet_operator.work.queue import Key, WorkQueue

log = logging.getLogger(__name__)

# A watch that showed something in this last part of its time needs no further proof of life.
FRESH = 0.2
Keep = Callable[[Body], Change[Any] | None]
# What a list after the first one was for, by the status of the answer before it.
REASONS = {0: "network", 403: "forbidden", 404: "absent", 410: "expired", 429: "busy"}


@dataclass(kw_only=True)
class Watches:
    """Follows all kinds in all namespaces; keys are queued once everything has been listed."""

    views: Views
    queue: WorkQueue
    namespaces: tuple[str, ...] = ()
    # Of the kinds that a cluster may lack, those that are asked for.
    optional_kinds: frozenset[str] = frozenset()
    limits: Limits = LIMITS
    clock: Callable[[], float] = time.monotonic
    synced: bool = False
    # An operator that only looks on queues nothing.
    is_leading: bool = True
    sights: Sights = field(init=False)

    def __post_init__(self) -> None:
        self.sights = Sights(limits=self.limits, clock=self.clock)

    def start(self, connection: Connection) -> list[asyncio.Task[None]]:
        """Start a task for each kind and namespace; none of them ends by itself."""
        places = [
            (watched, self.sights.add(watched.kind, namespace))
            for watched in WATCHED
            if not watched.is_optional or watched.kind in self.optional_kinds
            for namespace in (self.namespaces or (None,))
        ]
        return [
            asyncio.create_task(
                self.follow(watched, self._stream(connection, watched, sight.namespace), sight),
                name=f"watch {sight.name}",
            )
            for watched, sight in places
        ]

    def _stream(self, connection: Connection, watched: Watched, namespace: str | None) -> Stream:
        return Stream(
            connection=connection,
            kind=watched.kind,
            path=watched.place(namespace),
            selector=watched.selector,
            metadata_only=watched.metadata_only,
            limits=self.limits,
        )

    async def follow(self, watched: Watched, stream: Stream, sight: Sight) -> None:
        """List and watch, and begin again whatever happens; without any kind nothing works."""
        begin = self._begin if watched.metadata_only else self._list
        pause = Pause(limits=self.limits)
        while True:
            opened = self.clock()
            sight.tried()
            try:
                version = await begin(watched, stream, sight)
                await self._watch(watched, stream, sight, version)
            except Gone as error:
                if watched.is_optional:
                    self._is_absent(sight)
                    await asyncio.sleep(self.limits.absent_seconds)
                    continue
                self._broke_off(sight, error)
            except Exception as error:
                self._broke_off(sight, error)
            await asyncio.sleep(pause.after(self.clock() - opened))

    async def _list(self, watched: Watched, stream: Stream, sight: Sight) -> str:
        """Take in what is; returns the version from which to watch."""
        store, version = self.views.stores[watched.kind], ""
        listing = store.listing(sight.namespace)
        show = functools.partial(store.show, listing)
        async for page in stream.pages():
            if not version:
                version = page.version
                store.begin(listing, version)
            for item in page.items:
                listing.listed.add((item["metadata"]["namespace"], item["metadata"]["name"]))
                self._see(watched, item, show)
        if listing.went_back:
            about = {"kind": watched.kind, "from": listing.floor, "to": listing.version}
            log.warning("the cluster's history went back", extra=about)
        for change in store.sweep(listing):
            self._tell(watched, change)
        self._is_listed(sight)
        return version

    async def _begin(self, _: Watched, stream: Stream, sight: Sight) -> str:
        """Forget what was read of users' ConfigMaps; returns the version from which to watch."""
        version = await stream.version()
        self.views.references.begin(sight.namespace, version)
        self._is_listed(sight)
        self.add(self.views.names_with_references(sight.namespace))
        return str(version)

    async def _watch(self, watched: Watched, stream: Stream, sight: Sight, version: str) -> None:
        """Follow the changes, watch after watch, until one does not end in good order."""
        store = self.views.stores[watched.kind]
        while True:
            async for event in stream.events(version):
                if int(event.version) < int(version):
                    raise Broken("rewound", f"version {event.version} came after {version}")
                version = event.version
                store.highest = max(store.highest, int(version))
                sight.seen()
                if event.type != "BOOKMARK":
                    keep = store.remove if event.type == "DELETED" else store.put
                    self._see(watched, event.body, keep)
            if sight.age > self.limits.watch_seconds * FRESH:
                await self._look(stream, store.highest)
                sight.seen()

    async def _look(self, stream: Stream, highest: int) -> None:
        """Ask whether the server is where we are: one that is behind is silent until it is not."""
        if (reached := await stream.version()) < highest:
            raise Broken("rewound", f"the server is at version {reached}, we at {highest}")

    def _see(self, watched: Watched, body: Body, keep: Keep) -> None:
        meta = body["metadata"]
        name = (meta["namespace"], meta["name"])
        self.views.when_written(
            watched.kind, name, functools.partial(self._learn, watched, body, keep)
        )

    def _learn(self, watched: Watched, body: Body, keep: Keep) -> None:
        try:
            change = keep(body)
            if change is not None:
                self._tell(watched, change)
        except Exception:
            # One odd object must not keep all others from being seen.
            UNREADABLE.labels(kind=watched.kind).inc()
            about = {"kind": watched.kind, "object": body["metadata"].get("name")}
            log.exception("object cannot be read", extra=about)

    def _tell(self, watched: Watched, change: Change[Any]) -> None:
        LAST_EVENT_SECONDS.set_to_current_time()
        self.add(watched.keys(change, self.views))

    def _broke_off(self, sight: Sight, error: Exception) -> None:
        is_expected = isinstance(error, KubeError)
        words = str(error) if is_expected else repr(error)
        if not sight.trouble:
            about = {"kind": sight.name, "error": words}
            trace = None if is_expected else error
            log.warning("watch broke off, will list again", extra=about, exc_info=trace)
        sight.trouble = words
        RELISTS.labels(kind=sight.kind, reason=_reason(error)).inc()

    def _is_absent(self, sight: Sight) -> None:
        """Note that the cluster does not have a kind, and wait for it no longer."""
        if sight.kind not in self.views.absent_kinds:
            self.views.absent_kinds |= {sight.kind}
            log.info("the cluster does not have this kind", extra={"kind": sight.kind})
            self.add_all()
        self._is_seen_whole(sight)

    def _is_listed(self, sight: Sight) -> None:
        if sight.kind in self.views.absent_kinds:
            self.views.absent_kinds -= {sight.kind}
            self.add_all()
        self._is_seen_whole(sight)

    def _is_seen_whole(self, sight: Sight) -> None:
        sight.seen()
        sight.is_listed = True
        if not self.synced and all(sight.is_listed for sight in self.sights.all):
            self.synced = True
            log.info("all objects are listed", extra={"services": len(self.views.services.all())})
            self.add_all()

    def add_all(self) -> None:
        """Have every ResNetService looked at; nothing is decided before everything is listed."""
        self.add(self.views.service_names())

    def add(self, keys: Iterable[Key]) -> None:
        """Have some looked at, if anything may be decided."""
        if self.synced and self.is_leading:
            for key in keys:
                self.queue.add(key)


def _reason(error: Exception) -> str:
    """Return the word of the metric for what broke a stream off: one of a closed list."""
    if isinstance(error, Broken):
        return error.reason
    if isinstance(error, LoginFailed):
        return "login"
    if isinstance(error, KubeError):
        return REASONS.get(error.status, "server" if error.status >= 500 else "refused")
    return "failure"


@dataclass(kw_only=True)
class Pause:
    """How long to wait before a stream is opened again: longer each time it did not last."""

    limits: Limits = LIMITS
    failures: int = 0

    def after(self, lasted: float) -> float:
        """Return seconds; after a stream that lasted they are few."""
        if lasted > self.limits.short_seconds:
            self.failures = 0
        self.failures += 1
        longest = self.limits.max_pause_seconds
        pause: float = min(0.1 * 2.0 ** min(self.failures, 32), longest)
        return pause * (1 + random.random() / 4)  # noqa: S311 - jitter, no secret
