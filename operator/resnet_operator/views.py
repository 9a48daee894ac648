"""What is known of the cluster: kopf's indexes, and our own writes that they do not show yet.

A watch lags behind our own write by one round trip. Without the overlay a second look in that
gap would write again, or believe that nothing was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from resnet_operator.observed import (
    Body,
    Claim,
    ConfigMapObject,
    DeploymentObject,
    JobObject,
    NetworkServiceObject,
    Pod,
    ServiceObject,
)

T = TypeVar("T")
# Keys of an index: ("name", namespace, name), ("owner", namespace, uid) …
IndexKey = tuple[str, str, str]
Index = Mapping[IndexKey, Iterable[Any]]

OVERLAY_SECONDS = 10.0


@dataclass
class Overlay(Generic[T]):
    """Objects as the API server answered our writes, until the watch has caught up."""

    project: Callable[[Body], T]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._entries: dict[tuple[str, str], tuple[float, T]] = {}

    def put(self, body: Body) -> None:
        view = self.project(body)
        meta = view.meta  # type: ignore[attr-defined]
        self._entries[meta.namespace, meta.name] = (self.clock(), view)

    def seen(self, namespace: str, name: str, version: str) -> bool:
        """Note what the watch has shown; tells whether it is just our own write."""
        entry = self._entries.get((namespace, name))
        if entry is None:
            return False
        ours = entry[1].meta.version  # type: ignore[attr-defined]
        if int(version) >= int(ours):
            del self._entries[namespace, name]
        return version == ours  # type: ignore[no-any-return]

    def drop(self, namespace: str, name: str) -> None:
        self._entries.pop((namespace, name), None)

    def newest(self, namespace: str, name: str, shown: T | None) -> T | None:
        """Return our own write if it is newer than what the watch has shown."""
        entry = self._entries.get((namespace, name))
        if entry is None:
            return shown
        stored, view = entry
        if self.clock() - stored > OVERLAY_SECONDS:
            del self._entries[namespace, name]
            return shown
        if shown is not None and int(shown.meta.version) >= int(view.meta.version):  # type: ignore[attr-defined]
            return shown
        return view

    def merged(self, shown: Iterable[T], fits: Callable[[T], bool]) -> Iterator[T]:
        """Yield what the watch has shown and our own writes beside it."""
        names = set()
        for view in shown:
            meta = view.meta  # type: ignore[attr-defined]
            names.add((meta.namespace, meta.name))
            newest = self.newest(meta.namespace, meta.name, view)
            if newest is not None:
                yield newest
        for key in [key for key in self._entries if key not in names]:
            view_or_none = self.newest(*key, None)
            if view_or_none is not None and fits(view_or_none):
                yield view_or_none


class Views:
    """All indexes and overlays; `watch` fills them, `observe` reads them."""

    def __init__(self, project_service: Callable[[Body], ServiceObject]) -> None:
        self.indexes: dict[str, Index] = {}
        self.overlays: dict[str, Overlay[Any]] = {
            "ResNetService": Overlay(project_service),
            "Deployment": Overlay(DeploymentObject.from_body),
            "Service": Overlay(NetworkServiceObject.from_body),
            "ConfigMap": Overlay(ConfigMapObject.from_body),
            "Job": Overlay(JobObject.from_body),
            "PersistentVolumeClaim": Overlay(Claim.from_body),
        }

    def one(self, kind: str, namespace: str, name: str) -> Any:
        shown = next(iter(self.indexes[kind].get(("name", namespace, name), ())), None)
        overlay = self.overlays.get(kind)
        return overlay.newest(namespace, name, shown) if overlay else shown

    def some(
        self,
        kind: str,
        key: IndexKey,
        fits: Callable[[Any], bool],
    ) -> tuple[Any, ...]:
        """Return the objects under an index key; `fits` tells the same of an own write."""
        shown = tuple(self.indexes[kind].get(key, ()))
        overlay = self.overlays.get(kind)
        return tuple(v for v in overlay.merged(shown, fits) if fits(v)) if overlay else shown

    def service(self, namespace: str, name: str) -> ServiceObject | None:
        found: ServiceObject | None = self.one("ResNetService", namespace, name)
        return found

    def pods(self, kind: str, namespace: str, value: str) -> tuple[Pod, ...]:
        return tuple(self.indexes["Pod"].get((kind, namespace, value), ()))

    def keys_of_artifact(self, namespace: str, key: str) -> tuple[tuple[str, str], ...]:
        found = self.indexes["ResNetService"].get(("artifact", namespace, key), ())
        return tuple((item.meta.namespace, item.meta.name) for item in found)
