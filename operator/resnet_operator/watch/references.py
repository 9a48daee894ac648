"""What was read of the ConfigMaps that users name: class labels, and whether a model is in one.

The content of a ConfigMap is read once, by a LIST, and kept until the watch tells that it changed.
That watch carries names and versions only, and begins without a list: what nobody names costs no
memory. Filled through `views`, read by `observe`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, TypeVar

from resnet_operator.cluster.kube import Kube
from resnet_operator.seen.meta import Body, Meta, NamedObject
from resnet_operator.watch.store import Change, Name

T = TypeVar("T")
# Fewer answers than this are not worth looking for those that nobody needs any more.
FEW = 64


class References:
    """Answers about ConfigMaps by name; it has of a `Store` what a watch needs."""

    def __init__(self, is_named: Callable[[Name], bool]) -> None:
        self._is_named = is_named
        self._known: dict[Name, dict[Hashable, Any]] = {}
        self._worth_pruning = FEW
        self.highest = 0

    async def read(
        self, kube: Kube, name: Name, what: Hashable, answer: Callable[[Body | None], T]
    ) -> T:
        """Return the answer to `what` about a ConfigMap, None if there is no such ConfigMap."""
        self._prune()
        known = self._known.setdefault(name, {})
        if what not in known:
            namespace, selector = name[0], f"metadata.name={name[1]}"
            found = await kube.list_one("v1", "ConfigMap", namespace, field_selector=selector)
            # Into the very answers of before: what changed meanwhile has been put aside.
            known[what] = answer(found[0] if found else None)
        value: T = known[what]
        return value

    def put(self, body: Body) -> Change[NamedObject] | None:
        """Put aside what was known of a ConfigMap that changed; None if no object names it."""
        view = NamedObject(Meta.from_body(body))
        self.highest = max(self.highest, int(view.meta.version))
        name = (view.meta.namespace, view.meta.name)
        self._known.pop(name, None)
        return Change(None, view) if self._is_named(name) else None

    remove = put

    def all(self) -> Collection[Name]:
        """Return the names of the ConfigMaps of which anything is known."""
        return self._known.keys()

    def begin(self, namespace: str | None, version: int) -> None:
        """Put everything aside that changed, or may have changed, before a watch began."""
        self.highest = version
        for name in [name for name in self._known if namespace in {None, name[0]}]:
            del self._known[name]

    def _prune(self) -> None:
        if len(self._known) < self._worth_pruning:
            return
        for name in [name for name in self._known if not self._is_named(name)]:
            del self._known[name]
        self._worth_pruning = max(FEW, 2 * len(self._known))
