"""Failures as values. Every command raises `JobError`; `__main__` alone turns it into a
termination message and an exit status.
"""

from __future__ import annotations

from resnet_contract.reasons import EXIT_CODES, EXIT_NOT_FINITE, EXIT_UNEXPECTED, Reason
from resnet_contract.report.messages import Failed
from resnet_jobs.driver.message import MESSAGE_CHARACTERS, clip

__all__ = [
    "EXIT_CODES",
    "EXIT_NOT_FINITE",
    "EXIT_UNEXPECTED",
    "JobError",
    "Reason",
    "clip",
    "invalid",
    "unsupported",
]


class JobError(Exception):
    """A command cannot go on. `message` is one sentence for people that says what to do."""

    def __init__(
        self, reason: Reason, message: str, *, detail: str = "", exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.detail = detail
        self.exit_code = EXIT_CODES[reason] if exit_code is None else exit_code

    def payload(self) -> dict[str, object]:
        """The failure form of the termination message."""
        return Failed(
            reason=str(self.reason), message=shortened(self.message), detail=self.detail
        ).to_json()


def shortened(text: str) -> str:
    """One line; what to do, which stands behind the last semicolon, is not what is cut off."""
    line = " ".join(text.split())
    said, mark, advice = line.rpartition("; ")
    room = MESSAGE_CHARACTERS - len(mark) - len(advice) - 1
    if len(line) <= MESSAGE_CHARACTERS or not mark or room < MESSAGE_CHARACTERS // 3:
        return clip(line)
    return f"{said[:room]}…{mark}{advice}"


def invalid(message: str) -> JobError:
    return JobError(Reason.INVALID_SPEC, message)


def unsupported(message: str) -> JobError:
    return JobError(Reason.UNSUPPORTED_MODEL, message)
