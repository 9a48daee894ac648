"""A ResNetService as the operator keeps it: parsed, resolved or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import InvalidSpec
from resnet_operator.reading.failures import internal_error
from resnet_operator.resolve.resolve import resolve
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Body, Meta
from resnet_operator.seen.service_spec import spec_of, status_seen
from resnet_operator.settings.operator import Settings


@dataclass(frozen=True, slots=True)
class ServiceObject:
    """A ResNetService, parsed; exactly one of `resolved` and `invalid` is there."""

    meta: Meta
    generation: int
    retry: str
    resolved: Resolved | None
    invalid: str | None
    status: Mapping[str, Any]
    # The reason of `invalid`.
    refusal: Reason = Reason.INVALID_SPEC

    @classmethod
    def from_body(cls, body: Body, *, settings: Settings) -> ServiceObject:
        meta = Meta.from_body(body)
        resolved, invalid, refusal = None, None, Reason.INVALID_SPEC
        try:
            spec = spec_of(body)
            resolved = resolve(name=meta.name, uid=meta.uid, spec=spec, settings=settings)
        except InvalidSpec as error:
            invalid, refusal = error.message, error.reason
        except Exception as error:
            failure = internal_error(error, what=f"{meta.namespace}/{meta.name}")
            invalid, refusal = failure.message, Reason.INTERNAL_ERROR
        annotations = body["metadata"].get("annotations") or {}
        return cls(
            meta=meta,
            generation=body["metadata"].get("generation", 0),
            retry=annotations.get(names.RETRY, ""),
            resolved=resolved,
            invalid=invalid,
            refusal=refusal,
            status=status_seen(body),
        )

    @classmethod
    def again(cls, body: Body, known: ServiceObject) -> ServiceObject | None:
        """Return a later sighting of the same spec, which is not read again; None for another."""
        meta = Meta.from_body(body)
        if (meta.uid, body["metadata"].get("generation", 0)) != (known.meta.uid, known.generation):
            return None
        annotations = body["metadata"].get("annotations") or {}
        retry = annotations.get(names.RETRY, "")
        return replace(known, meta=meta, retry=retry, status=status_seen(body))

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the claims that the spec names."""
        if self.resolved is None:
            return ()
        parts = (urlsplit(uri) for uri in self.resolved.uris)
        return tuple(part.netloc for part in parts if part.scheme == "pvc") + (
            (self.resolved.op_cache_claim,) if self.resolved.op_cache_claim else ()
        )

    @property
    def config_maps(self) -> frozenset[str]:
        """Return the ConfigMaps of the user that the spec names, and that are read."""
        if self.resolved is None:
            return frozenset()
        parts = (urlsplit(uri) for uri in (*self.resolved.uris, *self.resolved.gate_uris))
        found = {part.netloc for part in parts if part.scheme == "configmap"}
        if labels := self.resolved.spec.model.class_labels:
            found.add(labels.config_map_key_ref.name)
        return frozenset(found)
