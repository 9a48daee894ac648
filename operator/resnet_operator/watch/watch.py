"""From the API server's watches to views, and to keys on the queue (decision 010).

Each kind in each place has a task that lists and then watches, for ever. A watch that ended in good
order is opened again where it ended; after anything else there is a new list, because what ended it
may have been the end of that server's history. Called by `app`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from resnet_operator.cluster.connection import Connection
from resnet_operator.errors import Gone, KubeError
from resnet_operator.seen.meta import Body
from resnet_operator.telemetry.metrics import LAST_EVENT_SECONDS, RELISTS, UNREADABLE
from resnet_operator.watch.broken import Pause, reason_of
from resnet_operator.watch.concerns import WATCHED, Watched, batch_keys
from resnet_operator.watch.evident import in_order
from resnet_operator.watch.history import History, Rewound, contradicts
from resnet_operator.watch.sight import Sight, Sights
from resnet_operator.watch.store import Change
from resnet_operator.watch.stream import LIMITS, Limits, Stream
from resnet_operator.watch.views import Views
from resnet_operator.work.background import Background
from resnet_operator.work.queue import Key, WorkQueue

log = logging.getLogger(__name__)

# A watch that showed something in this last part of its time needs no further proof of life.
FRESH = 0.2
Keep = Callable[[Body], Change[Any] | None]


@dataclass(kw_only=True)
class Watches:
    """Follows all kinds in all namespaces; keys are queued once everything has been listed."""

    views: Views
    queue: WorkQueue
    # Of the second kind, which has workers of its own.
    batches: WorkQueue = field(default_factory=lambda: WorkQueue(is_measured=False))
    namespaces: tuple[str, ...] = ()
    # Of the kinds that a cluster may lack, those that are asked for.
    optional_kinds: frozenset[str] = frozenset()
    limits: Limits = LIMITS
    clock: Callable[[], float] = time.monotonic
    synced: bool = False
    # An operator that only looks on queues nothing.
    is_leading: bool = True
    sights: Sights = field(init=False)
    history: History = field(init=False)
    background: Background = field(init=False)

    def __post_init__(self) -> None:
        self.background = Background(self.queue)
        self.sights = Sights(limits=self.limits, clock=self.clock)
        self.history = History(self.sights)

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
            except Rewound as error:
                self.history.went_back(sight)
                self._broke_off(sight, error)
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
        history = self.history.number
        is_behind = self.history.is_behind(sight)
        listing = store.listing(sight.namespace, is_other_history=is_behind)
        show = functools.partial(store.show, listing)
        async for page in stream.pages():
            if not version:
                version = page.version
                store.begin(listing, version)
                if listing.went_back:
                    self.history.went_back(sight)
                    history = self.history.number
            for item in page.items:
                name = (item["metadata"]["namespace"], item["metadata"]["name"])
                if contradicts(listing, store.one(*name), item):
                    raise Rewound(f"{'/'.join(name)} was seen in another history")
                listing.listed.add(name)
                self._see(watched, item, show)
        for change in store.sweep(listing):
            self._tell(watched, change)
        self._is_listed(sight, history)
        return version

    async def _begin(self, _: Watched, stream: Stream, sight: Sight) -> str:
        """Forget what was read of users' ConfigMaps; returns the version from which to watch."""
        history, references = self.history.number, self.views.references
        version = await stream.version()
        if version < references.highest:
            self.history.went_back(sight)
            history = self.history.number
        references.begin(sight.namespace, version)
        self._is_listed(sight, history)
        self.add(self.views.names_with_references(sight.namespace))
        return str(version)

    async def _watch(self, watched: Watched, stream: Stream, sight: Sight, version: str) -> None:
        """Follow the changes until a watch breaks off, or another kind saw another history."""
        try:
            async with sight.watching():
                if self.history.is_behind(sight):
                    raise TimeoutError
                await self._follow(watched, stream, sight, version)
        except TimeoutError as error:
            raise Rewound("another kind has shown another history") from error

    async def _follow(self, watched: Watched, stream: Stream, sight: Sight, version: str) -> None:
        """Watch after watch, until one does not end in good order, or it is time to list again."""
        store, begun = self.views.stores[watched.kind], self.clock()
        while self.clock() - begun < self.limits.relist_seconds:
            async for event in stream.events(version):
                if int(event.version) < int(version):
                    raise Rewound(f"version {event.version} came after {version}")
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
            raise Rewound(f"the server is at version {reached}, we at {highest}")

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
        self.add_batches(batch_keys(watched.kind, change, self.views))

    def _broke_off(self, sight: Sight, error: Exception) -> None:
        is_expected = isinstance(error, KubeError)
        words = str(error) if is_expected else repr(error)
        if not sight.trouble:
            about = {"kind": sight.name, "error": words}
            trace = None if is_expected else error
            log.warning("watch broke off, will list again", extra=about, exc_info=trace)
        sight.trouble = words
        RELISTS.labels(kind=sight.kind, reason=reason_of(error)).inc()

    def _is_absent(self, sight: Sight) -> None:
        """Note that the cluster does not have a kind, and wait for it no longer."""
        if sight.kind not in self.views.absent_kinds:
            self.views.absent_kinds |= {sight.kind}
            log.info("the cluster does not have this kind", extra={"kind": sight.kind})
            self.add_all()
        sight.is_absent = True
        self._is_seen_whole(sight)

    def _is_listed(self, sight: Sight, history: int) -> None:
        sight.is_absent, sight.history = False, history
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
            self.begin()

    def problems(self) -> list[str]:
        """Say what is not seen of the cluster, and why."""
        return self.sights.problems() + self.history.problems()

    def begin(self) -> None:
        """Have everything looked at: at once what has news, and the rest in the background."""
        if not (self.synced and self.is_leading):
            return
        first, later = in_order(self.views)
        log.info("in charge", extra={"first": len(first), "in_background": len(later)})
        self.add(first)
        self.add_batches(self.views.batch_names())
        self.background.begin(later)

    def add_all(self) -> None:
        """Have every object looked at; nothing is decided before everything is listed."""
        self.add(self.views.service_names())
        self.add_batches(self.views.batch_names())

    def add(self, keys: Iterable[Key]) -> None:
        """Have some looked at, if anything may be decided."""
        if self.synced and self.is_leading:
            for key in keys:
                self.queue.add(key)

    def add_batches(self, keys: Iterable[Key]) -> None:
        """Have some ResNetBatches looked at, if anything may be decided."""
        if self.synced and self.is_leading:
            for key in keys:
                self.batches.add(key)
