"""From watch events to keys on the queue. The only module that knows kopf.

kopf keeps the watches, the indexes, the login and the signals. Handlers only enqueue: since kopf
does not squash events, one that worked would run once for every stale event. There is no
finalizer and nothing of kopf is stored on an object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from resnet_operator import names
from resnet_operator.api import GROUP, PLURAL, VERSION
from resnet_operator.metrics import LAST_EVENT_SECONDS
from resnet_operator.observed import (
    Body,
    Claim,
    ConfigMapObject,
    DeploymentObject,
    JobObject,
    Meta,
    NetworkServiceObject,
    Pod,
    ServiceObject,
)
from resnet_operator.queue import Key, WorkQueue
from resnet_operator.views import IndexKey, Views

Indexed = dict[IndexKey, Any]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One kind: where it is, how it is kept, and whom its events concern."""

    kind: str
    resource: tuple[str, str, str]
    index: Callable[[Body], Indexed]
    keys: Callable[[Meta, Views], tuple[Key, ...]]
    ours_only: bool = True


class NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing: deciding what changed is not kopf's work here."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return {}

    def store(self, **_: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """Stores nothing: there are no handlers that progress."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what kopf needs to be a quiet watch engine."""
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = 600
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.finalizer = f"{GROUP}/unused"
    for watched in WATCHED:
        if watched.ours_only:
            # The key must be a tuple: a string is silently ignored.
            settings.watching.label_selectors[watched.resource] = names.MANAGED_SELECTOR


def register(
    registry: kopf.OperatorRegistry,
    *,
    views: Views,
    queue: WorkQueue,
    project_service: Callable[[Body], ServiceObject],
) -> None:
    """Put index and event handlers of all kinds into the registry."""
    _register_one(registry, _services(project_service), views=views, queue=queue)
    for watched in WATCHED:
        _register_one(registry, watched, views=views, queue=queue)


def _register_one(
    registry: kopf.OperatorRegistry, watched: Watched, *, views: Views, queue: WorkQueue
) -> None:
    async def index(body: kopf.Body, **_: Any) -> Indexed:
        return watched.index(body)

    async def on_event(event: Mapping[str, Any], body: kopf.Body, **kwargs: Any) -> None:
        if not views.indexes:
            # kopf calls no event handler before all indexes are complete.
            views.indexes |= {kind: kwargs[_index_name(kind)] for kind in KINDS}
        LAST_EVENT_SECONDS.set(time.time())
        meta = Meta.from_body(body)
        overlay = views.overlays.get(watched.kind)
        if event["type"] == "DELETED":
            if overlay:
                overlay.drop(meta.namespace, meta.name)
        elif overlay and overlay.seen(meta.namespace, meta.name, meta.version):
            return  # our own write: what it was meant to do is done
        for key in watched.keys(meta, views):
            queue.add(key)

    kopf.index(*watched.resource, registry=registry, id=_index_name(watched.kind))(index)
    kopf.on.event(*watched.resource, registry=registry, id=f"on_{watched.kind.lower()}")(on_event)


def _index_name(kind: str) -> str:
    return f"index_{kind.lower()}"


def _services(project: Callable[[Body], ServiceObject]) -> Watched:
    def index(body: Body) -> Indexed:
        view = project(body)
        meta = view.meta
        entries: Indexed = {("name", meta.namespace, meta.name): view}
        if view.resolved is not None:
            entries["artifact", meta.namespace, view.resolved.source_key] = view
            for claim in view.claims:
                entries["claim", meta.namespace, claim] = view
        return entries

    return Watched(
        kind="ResNetService",
        resource=(GROUP, VERSION, PLURAL),
        index=index,
        keys=lambda meta, _: ((meta.namespace, meta.name),),
        ours_only=False,
    )


def _index_by_name(project: Callable[[Body], Any]) -> Callable[[Body], Indexed]:
    def index(body: Body) -> Indexed:
        view = project(body)
        return {("name", view.meta.namespace, view.meta.name): view}

    return index


def _index_config_map(body: Body) -> Indexed:
    view = ConfigMapObject.from_body(body)
    meta = view.meta
    component = meta.labels.get(names.COMPONENT, "")
    entries: Indexed = {("name", meta.namespace, meta.name): view}
    if component == names.REVISION_COMPONENT:
        instance = meta.labels.get(names.INSTANCE, "")
        entries["revision", meta.namespace, instance] = view
        entries["uses-runtime", meta.namespace, meta.labels.get(names.RUNTIME, "")] = meta.name
    elif component == names.RUNTIME_COMPONENT:
        entries["runtime", meta.namespace, ""] = view
    elif component == names.RECORD:
        for owner in meta.owners:
            entries["owner", meta.namespace, owner] = view
    return entries


def _index_job(body: Body) -> Indexed:
    view = JobObject.from_body(body)
    return {("artifact", view.meta.namespace, view.meta.labels.get(names.ARTIFACT, "")): view}


def _index_pod(body: Body) -> Indexed:
    view = Pod.from_body(body)
    labels = view.meta.labels
    if labels.get(names.COMPONENT) == names.CONVERSION:
        return {("artifact", view.meta.namespace, labels.get(names.ARTIFACT, "")): view}
    return {("instance", view.meta.namespace, labels.get(names.INSTANCE, "")): view}


def _keys(meta: Meta, views: Views) -> tuple[Key, ...]:
    """Return the ResNetServices that an object of ours concerns, by its labels."""
    if key := meta.labels.get(names.ARTIFACT):
        return views.keys_of_artifact(meta.namespace, key)
    if instance := meta.labels.get(names.INSTANCE):
        return ((meta.namespace, instance),)
    return ()


def _claim_keys(meta: Meta, views: Views) -> tuple[Key, ...]:
    found = views.indexes["ResNetService"].get(("claim", meta.namespace, meta.name), ())
    return tuple((item.meta.namespace, item.meta.name) for item in found)


WATCHED = (
    Watched(
        kind="Deployment",
        resource=("apps", "v1", "deployments"),
        index=_index_by_name(DeploymentObject.from_body),
        keys=_keys,
    ),
    Watched(
        kind="Service",
        resource=("", "v1", "services"),
        index=_index_by_name(NetworkServiceObject.from_body),
        keys=_keys,
    ),
    Watched(
        kind="ConfigMap",
        resource=("", "v1", "configmaps"),
        index=_index_config_map,
        keys=_keys,
    ),
    Watched(kind="Job", resource=("batch", "v1", "jobs"), index=_index_job, keys=_keys),
    Watched(kind="Pod", resource=("", "v1", "pods"), index=_index_pod, keys=_keys),
    Watched(
        kind="PersistentVolumeClaim",
        resource=("", "v1", "persistentvolumeclaims"),
        index=_index_by_name(Claim.from_body),
        keys=_claim_keys,
        ours_only=False,
    ),
)

KINDS = ("ResNetService", *(watched.kind for watched in WATCHED))
