"""How a container in a foreign image ends: its errors, its termination message, its exit status.

Used by every script of this folder, and by `resnet_jobs.base.report` for the containers of our own
image: both sides must cut a message the same way.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any, Callable, NoReturn

MESSAGE_BYTES = 1500  # the kubelet divides 12 KiB of messages by the number of containers
MESSAGE_CHARACTERS = 300
# (job, scratch folder, environment) -> success message
Step = Callable[[Any, str, Any], Any]


class DriverError(Exception):
    """The conversion cannot go on; `payload` is the termination message."""

    def __init__(
        self,
        reason: str,
        exit_code: int,
        message: str,
        detail: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.payload: dict[str, Any] = {
            "ok": False,
            "reason": reason,
            "message": clip(message),
            "detail": detail,
            "code": code,
        }


class StoppedError(Exception):
    """SIGTERM arrived: the pod is being deleted."""


def log(text: str) -> None:
    print(text, flush=True)


def clip(text: str, limit: int = MESSAGE_CHARACTERS) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def fit_message(payload: dict[str, Any]) -> str:
    """`payload` as JSON of at most MESSAGE_BYTES. What tells least gives way first: the start of
    the log tail, then the last notes, arguments and words. Raises ValueError when nothing is left
    to give.
    """
    fitted = dict(payload)
    for key in ("detail", "notes", "argv", "message"):
        value = fitted.get(key)
        if _bytes(fitted) <= MESSAGE_BYTES:
            break
        if not isinstance(value, (str, list)):
            continue
        low, high = 0, len(value)
        while low < high:  # the longest part of the value that fits
            middle = (low + high + 1) // 2
            fitted[key] = _part(key, value, middle)
            low, high = (middle, high) if _bytes(fitted) <= MESSAGE_BYTES else (low, middle - 1)
        fitted[key] = _part(key, value, low)
    if _bytes(fitted) > MESSAGE_BYTES:
        raise ValueError("the message does not fit into {} bytes".format(MESSAGE_BYTES))
    return _json(fitted)


def _part(key: str, value: Any, length: int) -> Any:
    return value[len(value) - length :] if key == "detail" else value[:length]


def _json(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def _bytes(value: dict[str, Any]) -> int:
    return len(_json(value).encode("utf-8"))


def write_message(payload: dict[str, Any], path: str) -> None:
    """A message that cannot be written is lost for the operator, but never hides the exit code.

    One write over the one before it, blanks over what would be left of that: who is killed
    meanwhile leaves the one or the other, and never half of any.
    """
    text = fit_message(payload)
    try:
        place = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(place, "wb", buffering=0) as file:
            file.write(text.encode("utf-8").ljust(os.fstat(place).st_size))
    except OSError as error:
        log("cannot write {}: {}; the message was {}".format(path, error, text))


def outcome(step: Step, environment: dict[str, str]) -> tuple[dict[str, Any], int]:
    """(termination message, exit status) of the whole container: never an exception."""
    try:
        job = json.loads(environment.get("RESNET_JOB") or "{}")
        return step(job, environment.get("RESNET_SCRATCH") or "/scratch", environment), 0
    except DriverError as error:
        failure = error
    except StoppedError:
        text = "the conversion was stopped from outside: the pod is being deleted"
        failure = DriverError("ConversionFailed", 82, text)
    except Exception as error:  # the operator must never be left without a sentence
        text = "unexpected {}: {}".format(type(error).__name__, error)
        failure = DriverError("ConversionFailed", 90, text)
    return failure.payload, failure.exit_code


def run_container(step: Step) -> int:
    """Runs the container's one step; its exit status. The message is written whatever happens."""
    signal.signal(signal.SIGTERM, _stop)
    environment = dict(os.environ)
    payload, exit_code = outcome(step, environment)
    write_message(payload, environment.get("RESNET_TERMINATION_LOG") or "/dev/termination-log")
    log(_json(payload))
    return exit_code


def _stop(_number: int, _frame: Any) -> NoReturn:
    raise StoppedError
