"""Every way in which a Job can end badly, with its exit status.

From 64 to 79 the user must act, from 80 on another attempt can help: the Job's podFailurePolicy and
the operator's back-off rest on that split.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reasons of conditions that a Job can name."""

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
PERMANENT_EXIT_CODES = range(64, 80)
# Of a chip without room: the runtime's own word, and pyACL's codes for memory of the device.
FULL_CHIP_CODES = frozenset(
    ("ChipFull", "200000", "207001", "207018", "245000", "245001", "245002")
)
