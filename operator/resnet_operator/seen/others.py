"""ConfigMaps, claims and objects of the network as the operator keeps them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from resnet_operator import names
from resnet_operator.reading.packed import PACKER
from resnet_operator.record.artifact import record_digest
from resnet_operator.record.in_use import Named, named_by
from resnet_operator.seen.meta import Body, Live, Meta
from resnet_operator.seen.record_data import readable
from resnet_operator.seen.route import backends_of, refusal_of


@dataclass(frozen=True, slots=True)
class NetworkServiceObject:
    meta: Meta
    live: Live
    refusal: str = ""
    # Of an HTTPRoute: where requests and copies of them go.
    backends: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, body: Body) -> NetworkServiceObject:
        return cls(
            meta=Meta.from_body(body),
            live=Live.from_body(body, "spec"),
            refusal=refusal_of(body),
            backends=backends_of(body),
        )


@dataclass(frozen=True, slots=True)
class ConfigMapObject:
    """A record, revision, runtime or store ConfigMap; `packed` holds its data."""

    meta: Meta
    packed: bytes
    immutable: bool
    artifact: Named
    # What of the data cannot be read, and is therefore left out of it.
    misfit: str = ""
    digest: str = ""  # of what a status vouches for, and of a runtime

    @classmethod
    def from_body(cls, body: Body) -> ConfigMapObject:
        labels = body["metadata"].get("labels") or {}
        # The runtime's files are only ever named, never read back.
        keep = labels.get(names.COMPONENT) != names.RUNTIME_COMPONENT
        data, misfit = readable(body.get("data") or {}) if keep else ({}, "")
        return cls(
            meta=Meta.from_body(body),
            misfit=misfit,
            packed=PACKER.pack(orjson.dumps(data), like=f"data of {labels.get(names.COMPONENT)}"),
            immutable=bool(body.get("immutable")),
            artifact=named_by(data),
            digest=_digest(labels.get(names.COMPONENT), data) if keep else _of_runtime(body),
        )

    @classmethod
    def again(cls, body: Body, known: ConfigMapObject) -> ConfigMapObject | None:
        """Return a later sighting of data that cannot have changed; None where it can have."""
        meta = Meta.from_body(body)
        is_same = meta.uid == known.meta.uid and known.immutable and body.get("immutable") is True
        component = meta.labels.get(names.COMPONENT)
        if not is_same or component != known.meta.labels.get(names.COMPONENT):
            return None
        return replace(known, meta=meta)

    def data(self) -> dict[str, str]:
        return unpacked(self.packed)


def unpacked(packed: bytes) -> dict[str, str]:
    """Return a ConfigMap's data, for the caller to keep."""
    return dict(_unpacked(packed))


@functools.lru_cache(maxsize=48)
def _unpacked(packed: bytes) -> dict[str, str]:
    """Return data: a plan asks several times for that of the same few ConfigMaps."""
    value: dict[str, str] = orjson.loads(PACKER.unpack(packed))
    return value


def _digest(component: object, data: Mapping[str, str]) -> str:
    return record_digest(data) if component == names.RECORD else names.digest(data, 32)


def _of_runtime(body: Body) -> str:
    return names.digest(body.get("data"), 10)


@dataclass(frozen=True, slots=True)
class Claim:
    meta: Meta
    phase: str

    @classmethod
    def from_body(cls, body: Body) -> Claim:
        return cls(
            meta=Meta.from_body(body), phase=(body.get("status") or {}).get("phase", "Pending")
        )
