"""A ResNetBatch as the operator keeps it: parsed, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnet_operator.api.batch.spec import ResNetBatchSpec
from resnet_operator.api.batch.status import ResNetBatchStatus
from resnet_operator.api.kubernetes.reserved import NAME_RULE
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import InvalidSpec
from resnet_operator.reading.failures import internal_error
from resnet_operator.seen.meta import Body, Meta
from resnet_operator.seen.service_spec import spec_as, status_seen


@dataclass(frozen=True, slots=True)
class BatchObject:
    """Exactly one of `spec` and `invalid` is there."""

    meta: Meta
    generation: int
    spec: ResNetBatchSpec | None
    invalid: str
    status: Mapping[str, Any]
    # The reason of `invalid`.
    refusal: Reason = Reason.INVALID_SPEC

    @classmethod
    def from_body(cls, body: Body) -> BatchObject:
        meta = Meta.from_body(body)
        spec, invalid, refusal = None, "", Reason.INVALID_SPEC
        try:
            if NAME_RULE.broken(meta.name):
                raise InvalidSpec(NAME_RULE.message)
            spec = spec_as(ResNetBatchSpec, body)
        except InvalidSpec as error:
            invalid, refusal = error.message, error.reason
        except Exception as error:
            failure = internal_error(error, what=f"{meta.namespace}/{meta.name}")
            invalid, refusal = failure.message, Reason.INTERNAL_ERROR
        return cls(
            meta=meta,
            generation=body["metadata"].get("generation", 0),
            spec=spec,
            invalid=invalid,
            refusal=refusal,
            status=status_seen(body, ResNetBatchStatus),
        )

    @property
    def service(self) -> str:
        return self.spec.service.name if self.spec else ""
