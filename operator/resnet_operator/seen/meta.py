"""What all objects have, and an object kept whole for a comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from sys import intern
from typing import Any

import orjson

from resnet_operator import names
from resnet_operator.reading.packed import PACKER
from resnet_operator.seen.compare import COMPARED, STATED_METADATA, has_stated

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Meta:
    """What all objects have; `version` orders two sightings, but does not make them differ."""

    namespace: str
    name: str
    uid: str
    version: str = field(compare=False)
    created: str
    controller: str | None
    owners: tuple[str, ...]
    labels: Mapping[str, str]
    deleting: bool

    @classmethod
    def from_body(cls, body: Body) -> Meta:
        meta = body["metadata"]
        # The children of an object have much in common: each text of that is held once.
        found = meta.get("ownerReferences") or ()
        owners = [(intern(one["uid"]), one.get("controller")) for one in found]
        return cls(
            namespace=intern(meta.get("namespace", "")),
            name=intern(meta["name"]),
            uid=meta["uid"],
            version=meta["resourceVersion"],
            created=intern(meta.get("creationTimestamp") or ""),
            controller=next((uid for uid, controls in owners if controls), None),
            owners=tuple(uid for uid, _ in owners),
            labels={key: intern(value) for key, value in (meta.get("labels") or {}).items()},
            deleting=bool(meta.get("deletionTimestamp")),
        )


@dataclass(frozen=True, slots=True)
class Live:
    """An object kept whole for comparison, as packed JSON."""

    packed: bytes

    @classmethod
    def from_body(cls, body: Body, *sections: str) -> Live:
        meta = body["metadata"]
        kept = {"metadata": {key: meta[key] for key in STATED_METADATA if key in meta}} | {
            name: body[name] for name in sections if name in body
        }
        return cls(PACKER.pack(orjson.dumps(kept, default=_plain), like=_kind_of(body)))

    def unpack(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(PACKER.unpack(self.packed))
        return value

    def states(self, body: Body, *, without: Collection[str] = ()) -> bool:
        """Tell whether the object has all that `body` states; most looks repeat one before."""
        stated = orjson.dumps([body, sorted(without)], option=orjson.OPT_SORT_KEYS)
        return COMPARED.answer(
            blake2b(self.packed + stated, digest_size=16).digest(),
            lambda: has_stated(body, self.unpack(), without=without),
        )


def _kind_of(body: Body) -> str:
    """Return what objects have in common that are much alike; an item of a list names no kind."""
    spec, labels = body.get("spec"), body["metadata"].get("labels") or {}
    fields = sorted(map(str, spec)) if isinstance(spec, Mapping) else ()
    return " ".join((str(labels.get(names.COMPONENT)), *fields))


def _plain(value: Any) -> Any:
    # kopf hands out read-only mapping views.
    return dict(value) if isinstance(value, Mapping) else str(value)


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object of which only the metadata is known."""

    meta: Meta
