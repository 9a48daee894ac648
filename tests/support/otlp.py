"""Reads the spans that Triton exports: OTLP over HTTP as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Span:
    """One span; `resource` is what the whole process says of itself."""

    name: str
    trace: str
    span: str
    parent: str
    nanoseconds: int
    attributes: dict[str, str]
    events: tuple[str, ...]
    resource: dict[str, str]


def spans_of(request: bytes) -> Iterator[Span]:
    """Give the spans of an ExportTraceServiceRequest."""
    for of_resource in json.loads(request)["resourceSpans"]:
        about = _attributes(of_resource["resource"])
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                yield Span(
                    name=span["name"],
                    trace=span["traceId"],
                    span=span["spanId"],
                    parent=span.get("parentSpanId", ""),
                    nanoseconds=int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]),
                    attributes=_attributes(span),
                    events=tuple(event["name"] for event in span.get("events") or ()),
                    resource=about,
                )


def _attributes(of: dict[str, Any]) -> dict[str, str]:
    """Return a list of keys and values, the one word of each value as text."""
    listed = of.get("attributes") or ()
    return {pair["key"]: str(next(iter(pair["value"].values()))) for pair in listed}
