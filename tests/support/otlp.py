"""A real OpenTelemetry collector that writes down what it receives, and what it wrote.

`devkit/servers/build.sh` makes the program, once.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.servers import free_port, programs, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Collector:
    """`url` is for `tracing.otlpEndpoint`."""

    url: str
    traces: Path

    def spans(self) -> list[Span]:
        """Return all spans so far. A line that is being written is left for the next time."""
        lines = self.traces.read_text("utf-8").splitlines(keepends=True)
        return [span for line in lines if line.endswith("\n") for span in spans_of(line)]


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    port, traces = free_port(), folder / "traces.json"
    traces.touch()
    pipeline = {"receivers": ["otlp"], "exporters": ["file"]}
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"{HOST}:{port}"}}}},
        "exporters": {"file": {"path": str(traces), "flush_interval": "100ms"}},
        "service": {
            "pipelines": {"traces": pipeline},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    file = folder / "collector.yaml"
    file.write_text(json.dumps(configuration), "utf-8")  # JSON is YAML
    command: list[str | Path] = [programs() / "collector", "--config", file]
    with running(command, folder / "collector.log", host=HOST, port=port):
        yield Collector(f"http://{HOST}:{port}", traces)


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


def spans_of(request: str) -> Iterator[Span]:
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
