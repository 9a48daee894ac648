"""All objects of one kind that are known, and what a sighting or a list of them teaches.

A watch lags behind our own write by one round trip, so both go through the same door: an object's
resourceVersion says which of two sightings is the newer one. Filled through `views`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from resnet_operator.seen.meta import Body, Meta


class HasMeta(Protocol):
    @property
    def meta(self) -> Meta: ...


T = TypeVar("T", bound=HasMeta)
Name = tuple[str, str]
# What an object is found by beside its name: ("owner", namespace, uid) …
IndexKey = tuple[str, str, str]

# Answers come within seconds of the write; far fewer objects than this end in that time.
REMEMBERED_GONE = 256


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a sighting taught: `before` is None for a new object, `after` for one that is gone."""

    before: T | None
    after: T | None


@dataclass(kw_only=True)
class Listing:
    """One list of a kind, page by page.

    It is the truth, whatever its version is. What is known of an object is newer only if we have
    written the object after the list was made. A list that is older than what was known when it
    was asked for comes from a cluster whose history went back: then nothing of before counts.
    """

    namespace: str | None
    floor: int
    # Another kind has shown that already.
    is_other_history: bool = False
    version: int = 0
    listed: set[Name] = field(default_factory=set)

    @property
    def went_back(self) -> bool:
        return self.is_other_history or self.version < self.floor

    def is_newer_than(self, known: HasMeta) -> bool:
        return self.went_back or int(known.meta.version) <= self.version


class Store(Generic[T]):
    """All objects of one kind, by name and by index key; what fails in here changes nothing."""

    def __init__(
        self,
        project: Callable[[Body], T],
        index: Callable[[T], Iterable[IndexKey]] = lambda _: (),
        *,
        again: Callable[[Body, T], T | None] | None = None,
    ) -> None:
        self._project = project
        # What is cheaper where most is as it was; None where it is not.
        self._again = again
        self._index_of = index
        self._objects: dict[Name, T] = {}
        self._index: dict[IndexKey, dict[Name, T]] = {}
        # The version of each one's end: a label that is given back comes after it.
        self._gone: dict[str, int] = {}
        # Known by the answer to a write of ours alone, which may hide somebody else's change.
        self._answered: set[Name] = set()
        # The highest resourceVersion that anything has shown: no later list may be older.
        self.highest = 0

    def put(self, body: Body, *, is_answer: bool = False) -> Change[T] | None:
        """Keep a sighting, or the answer to a write of ours; None when it teaches nothing.

        An older one is not kept, but somebody else changed the object before our last write, whose
        answer showed that change to nobody: it counts as one.
        """
        meta = body["metadata"]
        name, version = _name(meta), int(meta["resourceVersion"])
        known = self._objects.get(name)
        if known is not None and int(known.meta.version) >= version:
            is_echo = known.meta.version == meta["resourceVersion"]
            if is_echo and not is_answer:
                self._answered.discard(name)
            return None if is_echo else Change(known, known)
        if self._gone.get(meta["uid"], -1) >= version:
            return None  # an answer to a write of ours that comes after the news of its end
        view = self._again(body, known) if self._again and known is not None else None
        change = self._keep(name, body, view)
        if is_answer:
            self._answered.add(name)
        return change

    def remove(self, body: Body) -> Change[T] | None:
        """Drop what was deleted; None when it is unknown, or another one has its name by now."""
        meta = body["metadata"]
        name, uid = _name(meta), meta["uid"]
        self._remember_end(uid, int(meta["resourceVersion"]))
        self.highest = max(self.highest, int(meta["resourceVersion"]))
        known = self._objects.get(name)
        if known is None or known.meta.uid != uid:
            return None
        self._replace(name, known, None)
        return Change(known, None)

    def listing(self, namespace: str | None = None, *, is_other_history: bool = False) -> Listing:
        """Begin a list; to be called before the API server is asked for it."""
        floor = self.highest
        return Listing(namespace=namespace, floor=floor, is_other_history=is_other_history)

    def begin(self, listing: Listing, version: str) -> None:
        """Note the resourceVersion that all pages of a list have."""
        listing.version = int(version)
        reached = 0 if listing.went_back else self.highest
        self.highest = max(listing.version, reached)

    def show(self, listing: Listing, body: Body) -> Change[T] | None:
        """Keep what a list shows of an object; None when it teaches nothing.

        What is known by an answer to us counts as a change: no watch has shown what came before.
        """
        meta = body["metadata"]
        name = _name(meta)
        known = self._objects.get(name)
        if known is not None:
            if not listing.is_newer_than(known):
                return None
            if not listing.went_back and _is_same(known.meta, meta):
                if name not in self._answered:
                    return None
                self._answered.discard(name)
                return Change(known, known)
        self._gone.pop(meta["uid"], None)
        return self._keep(name, body)

    def sweep(self, listing: Listing) -> list[Change[T]]:
        """Drop what a list did not show: nobody tells of those deletions."""
        gone = [
            (name, view)
            for name, view in self._objects.items()
            if listing.namespace in {None, name[0]}
            and name not in listing.listed
            and listing.is_newer_than(view)
        ]
        for name, view in gone:
            self._replace(name, view, None)
        return [Change(view, None) for _, view in gone]

    def _remember_end(self, uid: str, version: int) -> None:
        self._gone[uid] = version
        if len(self._gone) > REMEMBERED_GONE:
            del self._gone[next(iter(self._gone))]

    def _keep(self, name: Name, body: Body, view: T | None = None) -> Change[T] | None:
        if view is None:
            view = self._project(body)
        known = self._objects.get(name)
        self._replace(name, known, view)
        self.highest = max(self.highest, int(view.meta.version))
        # Views hold what matters to us; the version itself does not count.
        return None if known == view else Change(known, view)

    def _replace(self, name: Name, known: T | None, view: T | None) -> None:
        """Exchange one object for another one, or for nothing, under all keys or under none."""
        before = set() if known is None else set(self._index_of(known))
        after = set() if view is None else set(self._index_of(view))
        for key in before:
            entry = self._index[key]
            del entry[name]
            if not entry:
                del self._index[key]
        self._objects.pop(name, None)
        self._answered.discard(name)
        if view is not None:
            self._objects[name] = view
            for key in after:
                self._index.setdefault(key, {})[name] = view

    def one(self, namespace: str, name: str) -> T | None:
        return self._objects.get((namespace, name))

    def some(self, key: IndexKey) -> tuple[T, ...]:
        """Return the objects under an index key, in the order they came."""
        return tuple(self._index.get(key, {}).values())

    def all(self) -> Collection[T]:
        return self._objects.values()


def _name(meta: Body) -> Name:
    return meta.get("namespace", ""), meta["name"]


def _is_same(known: Meta, meta: Body) -> bool:
    return (known.version, known.uid) == (meta["resourceVersion"], meta["uid"])
