"""What the publisher of a model says of it, as a message or a record holds it.

It is text from strangers, checked in the Job and again here, by the same functions. A record is
written once, so what a revision takes from it stays as it is when the publisher writes something
else. Pure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from resnet_contract.report.publisher import (
    MOST_LABEL_BYTES,
    MOST_LABELS,
    PictureFacts,
    PublishedLabels,
    read_pictures,
)
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import decode

LONGEST_SOURCE = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Publisher(PictureFacts):
    """With the names of the classes as the store holds them."""

    labels: PublishedLabels | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the Job wrote it."""
        labels = {"labels": self.labels.to_json()} if self.labels else {}
        return PictureFacts.to_json(self) | labels

    def shown(self) -> dict[str, Any]:
        """Return it as a status says it: of the labels how many there are."""
        return self.to_json() | ({"labels": self.labels.count} if self.labels else {})


@dataclass(frozen=True, slots=True)
class _Labels:
    count: Annotated[int, Field(ge=1, le=MOST_LABELS)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=1, le=MOST_LABEL_BYTES, validation_alias="sizeBytes")]


LABELS = TypeAdapter(_Labels)


def publisher_of(value: Any) -> Publisher | None:
    """Read what `to_json` wrote; raises Misfit for what no Job of ours can have written."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Misfit("it is not an object")
    found, refused = read_pictures(value)
    for key, why in refused.items():
        raise Misfit(f"{key}: {why}")
    source, labels = value.get("source", ""), value.get("labels")
    if not isinstance(source, str) or len(source) > LONGEST_SOURCE:
        raise Misfit(f"source: it is not a text of at most {LONGEST_SOURCE} characters")
    stored = None if labels is None else PublishedLabels(**asdict(decode(LABELS, labels)))
    return Publisher(source=source, labels=stored, **found)
