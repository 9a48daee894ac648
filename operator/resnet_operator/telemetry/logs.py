"""Log lines as JSON or plain text: a constant message and fields."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from resnet_operator.settings.operator import Settings

# One for all lines: json.dumps would make one for each.
ENCODER = json.JSONEncoder(default=str)
STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# What libraries attach.
NOISE = ("k8s_", "settings", "_")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = vars(record)
    # In the order in which they were said; most lines have two or three.
    extra = found.keys() - STANDARD
    return {key: found[key] for key in found if key in extra and not key.startswith(NOISE)}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return ENCODER.encode(line)


class PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        text = (
            f"{record.levelname.lower():7} {record.name}: {record.getMessage()} {fields}".rstrip()
        )
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(settings: Settings) -> None:
    """Send all logs to stderr in the chosen format."""
    # No line says them, and finding them out costs more than the rest of it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # kopf says "Handler succeeded" for every event.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logging.getLogger("kopf.activities").setLevel(logging.WARNING)
