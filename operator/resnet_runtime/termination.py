"""The termination message of a serving container: one cause, the first one, as JSON.

The models (model_common.py), benchmark.py and launch.py, which runs them, write to the same file.
Standard library, Python >= 3.8.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, Optional

from resnet_runtime.processes import log, out_of_memory_kills

# The kubelet keeps 4096 bytes; a longer text would be cut in the middle of the JSON.
TERMINATION_BYTES = 1500
MESSAGE_CHARACTERS = 300
OUT_OF_MEMORY = "{}: the memory limit was reached; raise serving.resources.limits.memory"


def termination_path() -> str:
    return os.environ.get("RESNET_TERMINATION_LOG", "/dev/termination-log")


def write_termination(
    reason: str, message: str, *, code: Optional[str] = None, detail: str = ""
) -> None:
    """Leave the cause for the operator, unless one was left before: the first is the cause."""
    path = termination_path()
    record = {"reason": reason, "message": message[:MESSAGE_CHARACTERS], "code": code}
    if detail:
        record["detail"] = detail
    text = _json(record)
    while len(text) > TERMINATION_BYTES and record.get("detail"):
        record["detail"] = str(record["detail"])[: len(str(record["detail"])) * 3 // 4]
        text = _json(record)
    sys.stderr.write("{!r}\n".format(record))
    try:
        if os.path.exists(path) and os.path.getsize(path):
            return
        with open(path, "wb") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write("cannot write {}: {}\n".format(path, error))


def _json(record: Dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")


class TerminationLog:
    """The file that the kubelet reads when the container has ended."""

    def __init__(self) -> None:
        self._path = termination_path()

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def _replace(self, text: str) -> None:
        try:
            with open(self._path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            log("cannot write {}: {}".format(self._path, error))

    def write(self, reason: str, message: str) -> None:
        """Leave a message, unless a model left one: that one is closer to the cause."""
        log("{}: {}".format(reason, message))
        if not self._read():
            self._replace(json.dumps({"reason": reason, "message": message, "code": None}))

    def write_end(self, reason: str, message: str) -> None:
        """Leave how a process ended; where the kernel killed one for memory, that is why."""
        if out_of_memory_kills():
            reason, message = "OutOfMemory", OUT_OF_MEMORY.format(message)
        self.write(reason, message)

    def take(self) -> str:
        """Return what was left, and leave nothing."""
        text = self._read()
        self._replace("")
        return text

    def forget_load_failure(self) -> None:
        """Drop what a model wrote about a load that then succeeded after all."""
        if '"ModelLoadFailed"' in self._read():
            self._replace("")
