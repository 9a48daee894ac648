"""A ResNetBatch as the operator keeps it: parsed, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from resnet_operator.api.batch.spec import ResNetBatchSpec
from resnet_operator.api.batch.status import ResNetBatchStatus
from resnet_operator.reading.weight import SPEC_BYTES, STATUS_BYTES, weight
from resnet_operator.seen.meta import Body, Meta
from resnet_operator.seen.service_spec import plain, sentence_of


@dataclass(frozen=True, slots=True)
class BatchObject:
    """Exactly one of `spec` and `invalid` is there."""

    meta: Meta
    generation: int
    spec: ResNetBatchSpec | None
    invalid: str
    status: Mapping[str, Any]

    @classmethod
    def from_body(cls, body: Body) -> BatchObject:
        spec, invalid = None, ""
        given = body.get("spec") or {}
        if weight(given, SPEC_BYTES) > SPEC_BYTES:
            invalid = f"the spec is larger than {SPEC_BYTES // 1024} KiB; shorten it"
        else:
            try:
                spec = ResNetBatchSpec.model_validate(plain(given))
            except ValidationError as error:
                invalid = sentence_of(error)
        return cls(
            meta=Meta.from_body(body),
            generation=body["metadata"].get("generation", 0),
            spec=spec,
            invalid=invalid,
            status=_status_of(body),
        )

    @property
    def service(self) -> str:
        return self.spec.service.name if self.spec else ""


def _status_of(body: Body) -> dict[str, Any]:
    """Return the status that the operator wrote; what it cannot have written counts as none."""
    status = body.get("status") or {}
    if not isinstance(status, Mapping) or weight(status, STATUS_BYTES) > STATUS_BYTES:
        return {}
    found: dict[str, Any] = plain(status)
    try:
        ResNetBatchStatus.model_validate(found, strict=True)
    except ValidationError:
        return {}
    return found
