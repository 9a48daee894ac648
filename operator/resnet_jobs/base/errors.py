"""Failures as values: every way a Job can end badly, with its exit code.

Every command raises `JobError`; `__main__` alone turns it into a termination message and an exit
status. Exit codes 64-79 mean that the user must act, 80-99 that another attempt can help: the
Job's podFailurePolicy and the operator's back-off rest on that split.
"""

from __future__ import annotations

from enum import StrEnum

MESSAGE_LIMIT = 300


class Reason(StrEnum):
    """The operator's condition reasons that a Job can name."""

    INVALID_SPEC = "InvalidSpec"
    UNSUPPORTED_MODEL = "UnsupportedModel"
    MODEL_NOT_FOUND = "ModelNotFound"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    ACCESS_DENIED = "AccessDenied"
    CONVERSION_FAILED = "ConversionFailed"
    DOWNLOAD_FAILED = "DownloadFailed"
    STORE_UNAVAILABLE = "StoreUnavailable"
    STORE_FULL = "StoreFull"
    EPHEMERAL_STORAGE_EXCEEDED = "EphemeralStorageExceeded"
    OUT_OF_MEMORY = "OutOfMemory"
    QUANTIZATION_FAILED = "QuantizationFailed"
    ARTIFACT_MISSING = "ArtifactMissing"
    RESULT_LOST = "ResultLost"
    EVALUATION_FAILED = "EvaluationFailed"


# From the driver alone come ConversionTimeout (70), ChipMismatch of an OM (73), and what of
# ConversionFailed (82) and QuantizationFailed (88) can be tried again.
EXIT_CODES = {
    Reason.INVALID_SPEC: 64,
    Reason.UNSUPPORTED_MODEL: 65,
    Reason.MODEL_NOT_FOUND: 66,
    Reason.CHECKSUM_MISMATCH: 67,
    Reason.ACCESS_DENIED: 68,
    Reason.CONVERSION_FAILED: 69,
    Reason.QUANTIZATION_FAILED: 71,
    Reason.DOWNLOAD_FAILED: 80,
    Reason.STORE_UNAVAILABLE: 81,
    Reason.STORE_FULL: 83,
    Reason.EPHEMERAL_STORAGE_EXCEEDED: 84,
    Reason.OUT_OF_MEMORY: 85,
    Reason.ARTIFACT_MISSING: 86,
    Reason.RESULT_LOST: 87,
    Reason.EVALUATION_FAILED: 89,
}
EXIT_NOT_FINITE = 72  # EvaluationFailed that another attempt would only repeat
EXIT_UNEXPECTED = 90


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
        return {
            "ok": False,
            "reason": str(self.reason),
            "message": clip(self.message),
            "detail": self.detail,
            "code": None,
        }


def clip(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
