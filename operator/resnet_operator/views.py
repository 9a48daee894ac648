"""What is known of the cluster: one store for each kind, filled by the watches and by our writes.

A watch lags behind our own write by one round trip. Without the answers of our writes in here, a
second look in that gap would write again, or believe that nothing was made. An object's
resourceVersion says which of two sightings is the newer one, so both go through the same door.
`watch` and `reconcile` fill the stores, `observe` reads them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from resnet_operator import names
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


class HasMeta(Protocol):
    @property
    def meta(self) -> Meta: ...


T = TypeVar("T", bound=HasMeta)
Name = tuple[str, str]
# What an object is found by beside its name: ("owner", namespace, uid) …
IndexKey = tuple[str, str, str]


# What lies between clients and pods, beside the Service.
NETWORK_KINDS = ("PodDisruptionBudget", "NetworkPolicy", "Ingress", "HTTPRoute")
# Answers come within seconds of the write; far fewer objects than this end in that time.
REMEMBERED_GONE = 256


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a sighting taught: `before` is None for a new object, `after` for one that is gone."""

    before: T | None
    after: T | None


class Store(Generic[T]):
    """All objects of one kind, by name and by index key."""

    def __init__(
        self,
        project: Callable[[Body], T],
        index: Callable[[T], tuple[IndexKey, ...]] = lambda _: (),
    ) -> None:
        self._project = project
        self._index_of = index
        self._objects: dict[Name, T] = {}
        self._index: dict[IndexKey, dict[Name, T]] = {}
        self._gone: deque[str] = deque(maxlen=REMEMBERED_GONE)

    def put(self, body: Body) -> Change[T] | None:
        """Keep a sighting; None when it teaches nothing.

        An older one is not kept, but somebody else changed the object before our last write, whose
        answer showed that change to nobody: it counts as one.
        """
        meta = body["metadata"]
        name = (meta.get("namespace", ""), meta["name"])
        known = self._objects.get(name)
        if known is not None and int(known.meta.version) >= int(meta["resourceVersion"]):
            is_echo = known.meta.version == meta["resourceVersion"]
            return None if is_echo else Change(known, known)
        if meta["uid"] in self._gone:
            return None  # an answer to a write of ours that comes after the news of its end
        view = self._project(body)
        self._forget(name)
        self._objects[name] = view
        for key in self._index_of(view):
            self._index.setdefault(key, {})[name] = view
        # Views hold what matters to us; the version itself does not count.
        return None if known == view else Change(known, view)

    def remove(self, body: Body) -> Change[T] | None:
        """Drop what was deleted; None when it is unknown, or another one has its name by now."""
        meta = body["metadata"]
        name = (meta.get("namespace", ""), meta["name"])
        self._gone.append(meta["uid"])
        known = self._objects.get(name)
        if known is None or known.meta.uid != meta["uid"]:
            return None
        self._forget(name)
        return Change(known, None)

    def sweep(
        self, *, namespace: str | None, listed: Collection[Name], version: str
    ) -> list[Change[T]]:
        """Drop what a list of this version did not show: nobody tells of those deletions."""
        gone = [
            view
            for name, view in self._objects.items()
            if namespace in {None, name[0]}
            and name not in listed
            and int(view.meta.version) <= int(version)
        ]
        for view in gone:
            self._forget((view.meta.namespace, view.meta.name))
        return [Change(view, None) for view in gone]

    def _forget(self, name: Name) -> None:
        view = self._objects.pop(name, None)
        if view is None:
            return
        for key in self._index_of(view):
            entry = self._index[key]
            del entry[name]
            if not entry:
                del self._index[key]

    def one(self, namespace: str, name: str) -> T | None:
        return self._objects.get((namespace, name))

    def some(self, key: IndexKey) -> tuple[T, ...]:
        """Return the objects under an index key, in the order they came."""
        return tuple(self._index.get(key, {}).values())

    def all(self) -> Collection[T]:
        return self._objects.values()


class Views:
    """The stores of all kinds, and the sightings that have to wait."""

    def __init__(self, project_service: Callable[[Body], ServiceObject]) -> None:
        self.services = Store(project_service, _index_service)
        self.deployments = Store(DeploymentObject.from_body)
        self.network_services = Store(NetworkServiceObject.from_body)
        self.config_maps = Store(ConfigMapObject.from_body, _index_config_map)
        self.jobs = Store(JobObject.from_body, _index_job)
        self.pods = Store(Pod.from_body, _index_pod)
        self.claims = Store(Claim.from_body)
        self.stores: dict[str, Store[Any]] = {
            "ResNetService": self.services,
            "Deployment": self.deployments,
            "Service": self.network_services,
            "ConfigMap": self.config_maps,
            "Job": self.jobs,
            "Pod": self.pods,
            "PersistentVolumeClaim": self.claims,
            **{kind: Store(NetworkServiceObject.from_body) for kind in NETWORK_KINDS},
        }
        # Kinds that the cluster does not have, as the last try to list them has shown.
        self.absent_kinds: frozenset[str] = frozenset()
        self._held: dict[tuple[str, Name], list[Callable[[], None]]] = {}

    @contextlib.contextmanager
    def writing(self, body: Body) -> Iterator[None]:
        """Hold back what the watch shows of an object while we write it.

        Its news may overtake the answer of the write, and would then look like somebody else's.
        """
        place = _place(body)
        if place in self._held:
            yield  # two of us write at the same time: the first one lets go
            return
        held = self._held[place] = []
        try:
            yield
        finally:
            del self._held[place]
            for see in held:
                see()

    def when_written(self, kind: str, name: Name, see: Callable[[], None]) -> None:
        """Do something at once, or as soon as the object is not being written any more."""
        held = self._held.get((kind, name))
        if held is None:
            see()
        else:
            held.append(see)

    def remember(self, answer: Body) -> None:
        """Keep what the API server answered to a write of ours."""
        if store := self.stores.get(answer.get("kind", "")):
            store.put(answer)

    def users_of_artifact(self, namespace: str, key: str) -> tuple[Name, ...]:
        """Return the names of the ResNetServices that want an artifact."""
        found = self.services.some(("artifact", namespace, key))
        return tuple((item.meta.namespace, item.meta.name) for item in found)


def _place(body: Body) -> tuple[str, Name]:
    meta = body["metadata"]
    return body["kind"], (meta["namespace"], meta["name"])


def _index_service(view: ServiceObject) -> tuple[IndexKey, ...]:
    namespace = view.meta.namespace
    keys: list[IndexKey] = [("uid", namespace, view.meta.uid)]
    if view.resolved is not None:
        keys.append(("artifact", namespace, view.resolved.source_key))
        keys += [("claim", namespace, claim) for claim in view.claims]
    return tuple(keys)


def _index_config_map(view: ConfigMapObject) -> tuple[IndexKey, ...]:
    namespace, labels = view.meta.namespace, view.meta.labels
    component = labels.get(names.COMPONENT, "")
    if component == names.REVISION_COMPONENT:
        instance, runtime = labels.get(names.INSTANCE, ""), labels.get(names.RUNTIME, "")
        return (
            ("revision", namespace, instance),
            ("uses-runtime", namespace, runtime),
            ("names-artifact", namespace, ""),
        )
    if component == names.RUNTIME_COMPONENT:
        return (("runtime", namespace, ""),)
    if component == names.VALIDATION:
        return (("validated", namespace, labels.get(names.VALIDATED, "")),)
    if component == names.RECORD:
        owners = [("owner", namespace, owner) for owner in sorted(set(view.meta.owners))]
        return (*owners, ("names-artifact", namespace, ""))
    return ()


def _index_job(view: JobObject) -> tuple[IndexKey, ...]:
    labels = view.meta.labels
    kind = "validation" if labels.get(names.COMPONENT) == names.VALIDATION else "artifact"
    return ((kind, view.meta.namespace, labels.get(names.ARTIFACT, "")),)


def _index_pod(view: Pod) -> tuple[IndexKey, ...]:
    labels = view.meta.labels
    if labels.get(names.COMPONENT) == names.CONVERSION:
        return (("artifact", view.meta.namespace, labels.get(names.ARTIFACT, "")),)
    if labels.get(names.COMPONENT) == names.VALIDATION:
        return (("validation", view.meta.namespace, labels.get(names.ARTIFACT, "")),)
    return (("instance", view.meta.namespace, labels.get(names.INSTANCE, "")),)
