"""From the API server's watches to views and keys on the queue. The only module that knows kopf.

kopf keeps login, signals and the list and watch requests with their retries. Its handlers and
indexes are not used: both take a task for each object, and waiting for the indexes costs the
square of the number of objects (docs/decisions/010-kopf-streams.md). Called by `app`.
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

import kopf
from kopf._cogs.clients import fetching, watching
from kopf._cogs.clients.errors import APINotFoundError
from kopf._cogs.structs.references import NamespaceName, Resource

from resnet_operator import names
from resnet_operator.api import GROUP, PLURAL, VERSION
from resnet_operator.cluster.store import Change
from resnet_operator.metrics import LAST_EVENT_SECONDS
from resnet_operator.observed import Body, ConfigMapObject, Meta
from resnet_operator.queue import Key, WorkQueue
from resnet_operator.views import Views

log = logging.getLogger(__name__)

# A stream that breaks off at once, time after time, is not opened again at once.
SHORT_SECONDS = 5.0
MAX_PAUSE_SECONDS = 30.0
# Nobody tells when a kind is installed: it is looked for now and then.
ABSENT_SECONDS = 60.0

Keep = Callable[[Body], Change[Any] | None]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One kind: where it is, and whom its changes concern."""

    kind: str
    resource: tuple[str, str, str]
    keys: Callable[[Change[Any], Views], Iterable[Key]]
    ours_only: bool = True
    # A kind that the cluster may lack; it is followed only when the settings say so.
    is_optional: bool = False


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what kopf needs to be a quiet watch engine."""
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = 600
    # A page of Deployments is megabytes once it is parsed, and memory is not given back.
    settings.watching.chunk_size = 100
    for watched in WATCHED:
        if watched.ours_only:
            # The key must be a tuple: a string is silently ignored.
            settings.watching.label_selectors[watched.resource] = names.MANAGED_SELECTOR


@dataclass(kw_only=True)
class Watches:
    """Follows all kinds in all namespaces; keys are queued once everything has been listed."""

    views: Views
    queue: WorkQueue
    settings: kopf.OperatorSettings
    namespaces: tuple[str, ...] = ()
    with_optional: bool = False
    synced: bool = False
    _unlisted: set[tuple[str, str | None]] = field(default_factory=set)

    def start(self) -> list[asyncio.Task[None]]:
        """Start a task for each kind and namespace; none of them ends by itself."""
        places = [
            (watched, namespace)
            for watched in WATCHED
            if self.with_optional or not watched.is_optional
            for namespace in (self.namespaces or (None,))
        ]
        self._unlisted = {(watched.kind, namespace) for watched, namespace in places}
        return [
            asyncio.create_task(
                self._follow(watched, namespace), name=f"watch {watched.kind} {namespace or ''}"
            )
            for watched, namespace in places
        ]

    async def _follow(self, watched: Watched, namespace: str | None) -> None:
        pause = Pause()
        while True:
            opened = time.monotonic()
            try:
                await self._list_and_watch(watched, namespace)
            except Exception as error:
                if watched.is_optional and isinstance(error, APINotFoundError):
                    self._is_absent(watched.kind, namespace)
                    await asyncio.sleep(ABSENT_SECONDS)
                    continue
                # Whatever it is: without this kind nothing works, so it is tried for ever.
                about = {"kind": watched.kind, "error": f"{type(error).__name__}: {error}"}
                log.warning("watch broke off, will list again", extra=about)
            await asyncio.sleep(pause.after(time.monotonic() - opened))

    async def _list_and_watch(self, watched: Watched, namespace: str | None) -> None:
        """List once, then follow the changes until the server wants a new list."""
        resource = Resource(*watched.resource, kind=watched.kind, namespaced=True)
        place = NamespaceName(namespace) if namespace else None
        store = self.views.stores[watched.kind]
        listing = store.listing(namespace)
        version = ""
        async for chunk, list_version in fetching.fetch_objs(
            settings=self.settings, resource=resource, namespace=place, logger=log
        ):
            if not version:
                store.begin(listing, list_version)
                version = list_version
            for item in chunk:
                listing.listed.add((item["metadata"]["namespace"], item["metadata"]["name"]))
                self._see(watched, item, functools.partial(store.show, listing))
            del chunk
        if listing.went_back:
            log.warning("the cluster's history went back", extra={"kind": watched.kind})
        for change in store.sweep(listing):
            self._tell(watched, change)
        self._is_there(watched.kind)
        self._is_listed(watched.kind, namespace)
        pause, never = Pause(), asyncio.get_running_loop().create_future()
        while True:
            opened = time.monotonic()
            async for event in watching.watch_objs(
                settings=self.settings,
                resource=resource,
                namespace=place,
                since=version,
                operator_pause_waiter=never,
            ):
                body: Any = event["object"]
                kind = event["type"]
                if kind == "ERROR":
                    log.debug("watch was refused", extra={"kind": watched.kind, "error": body})
                    return
                version = body["metadata"].get("resourceVersion", version)
                if kind != "BOOKMARK":
                    self._see(watched, body, store.remove if kind == "DELETED" else store.put)
            await asyncio.sleep(pause.after(time.monotonic() - opened))

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
            about = {"kind": watched.kind, "object": body["metadata"].get("name")}
            log.exception("object cannot be read", extra=about)

    def _tell(self, watched: Watched, change: Change[Any]) -> None:
        LAST_EVENT_SECONDS.set_to_current_time()
        if self.synced:
            for key in watched.keys(change, self.views):
                self.queue.add(key)

    def _is_absent(self, kind: str, namespace: str | None) -> None:
        """Note that the cluster does not have a kind, and wait for it no longer."""
        if kind not in self.views.absent_kinds:
            self.views.absent_kinds |= {kind}
            log.info("the cluster does not have this kind", extra={"kind": kind})
            if self.synced:
                self.add_all()
        self._is_listed(kind, namespace)

    def _is_there(self, kind: str) -> None:
        if kind in self.views.absent_kinds:
            self.views.absent_kinds -= {kind}
            self.add_all()

    def _is_listed(self, kind: str, namespace: str | None) -> None:
        self._unlisted.discard((kind, namespace))
        if not self._unlisted and not self.synced:
            self.synced = True
            log.info("all objects are listed", extra={"services": len(self.views.services.all())})
            self.add_all()

    def add_all(self) -> None:
        """Have every ResNetService looked at; nothing is decided before everything is listed."""
        if not self.synced:
            return
        for view in self.views.services.all():
            self.queue.add((view.meta.namespace, view.meta.name))


@dataclass
class Pause:
    """How long to wait before a stream is opened again: longer each time it did not last."""

    failures: int = 0

    def after(self, lasted: float) -> float:
        """Return seconds; a stream that lasted is opened again at once."""
        if lasted > SHORT_SECONDS:
            self.failures = 0
            return 0.0
        self.failures += 1
        pause: float = min(0.1 * 2.0**self.failures, MAX_PAUSE_SECONDS)
        return pause * (1 + random.random() / 4)  # noqa: S311 - jitter, no secret


def _own_key(change: Change[Any], _: Views) -> Iterable[Key]:
    meta = _meta(change)
    return ((meta.namespace, meta.name),)


def _keys(change: Change[Any], views: Views) -> Iterable[Key]:
    """Return the ResNetServices that an object of ours concerns, by its labels."""
    meta = _meta(change)
    if meta.labels.get(names.COMPONENT) == names.STORE:
        return _all_of_namespace(meta.namespace, views) if change.after is None else ()
    if key := meta.labels.get(names.ARTIFACT):
        return views.users_of_artifact(meta.namespace, key)
    if instance := meta.labels.get(names.INSTANCE):
        return ((meta.namespace, instance),)
    return ()


def _all_of_namespace(namespace: str, views: Views) -> Iterable[Key]:
    found = [view.meta for view in views.services.all()]
    return [(meta.namespace, meta.name) for meta in found if meta.namespace == namespace]


def _config_map_keys(change: Change[ConfigMapObject], views: Views) -> Iterable[Key]:
    meta, before, after = _meta(change), change.before, change.after
    component = meta.labels.get(names.COMPONENT)
    if component == names.RUNTIME_COMPONENT and after is None:
        runtime = meta.labels.get(names.RUNTIME, "")
        found = views.config_maps.some(("uses-runtime", meta.namespace, runtime))
        return {(meta.namespace, item.meta.labels.get(names.INSTANCE, "")) for item in found}
    if component == names.RECORD and before and after and before.packed == after.packed:
        # Somebody joined or left. Telling all the others would cost the square of their number.
        uids = set(before.meta.owners) ^ set(after.meta.owners)
        found_too = [v for uid in uids for v in views.services.some(("uid", meta.namespace, uid))]
        return [(view.meta.namespace, view.meta.name) for view in found_too]
    return _keys(change, views)


def _claim_keys(change: Change[Any], views: Views) -> Iterable[Key]:
    meta = _meta(change)
    found = views.services.some(("claim", meta.namespace, meta.name))
    return [(view.meta.namespace, view.meta.name) for view in found]


def _meta(change: Change[Any]) -> Meta:
    view: Any = change.before if change.after is None else change.after
    meta: Meta = view.meta
    return meta


WATCHED = (
    Watched(
        kind="ResNetService",
        resource=(GROUP, VERSION, PLURAL),
        keys=_own_key,
        ours_only=False,
    ),
    Watched(kind="Deployment", resource=("apps", "v1", "deployments"), keys=_keys),
    Watched(kind="Service", resource=("", "v1", "services"), keys=_keys),
    Watched(kind="ConfigMap", resource=("", "v1", "configmaps"), keys=_config_map_keys),
    Watched(kind="Job", resource=("batch", "v1", "jobs"), keys=_keys),
    Watched(kind="Pod", resource=("", "v1", "pods"), keys=_keys),
    Watched(
        kind="PersistentVolumeClaim",
        resource=("", "v1", "persistentvolumeclaims"),
        keys=_claim_keys,
        ours_only=False,
    ),
    Watched(
        kind="PodDisruptionBudget", resource=("policy", "v1", "poddisruptionbudgets"), keys=_keys
    ),
    Watched(
        kind="NetworkPolicy", resource=("networking.k8s.io", "v1", "networkpolicies"), keys=_keys
    ),
    Watched(kind="Ingress", resource=("networking.k8s.io", "v1", "ingresses"), keys=_keys),
    Watched(
        kind="HTTPRoute",
        resource=("gateway.networking.k8s.io", "v1", "httproutes"),
        keys=_keys,
        is_optional=True,
    ),
)
