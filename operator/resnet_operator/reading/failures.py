"""An error that nobody has expected, as the one object sees it at which it came up."""

from __future__ import annotations

import hashlib
import logging
import traceback
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InternalFailure:
    """`number` stands in the log too; it is of the place in the code, so it does not change."""

    number: str
    message: str


def internal_error(error: BaseException, *, what: str) -> InternalFailure:
    """Log an error with its trace, and return what the object's condition says of it."""
    kind = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)[-20:]
    place = [kind, *(f"{frame.name}:{frame.lineno}" for frame in frames)]
    number = hashlib.sha256("/".join(place).encode()).hexdigest()[:8]
    log.error(
        "internal error",
        extra={"object": what, "number": number, "error": kind},
        exc_info=error,
    )
    return InternalFailure(
        number,
        f"internal error {number} ({kind}); report it with the operator's log lines of that number",
    )
