"""After a stream broke off: the metric's word for why, and how long to wait before the next one."""

from __future__ import annotations

import random
from dataclasses import dataclass

from resnet_operator.errors import KubeError, LoginFailed
from resnet_operator.watch.stream import LIMITS, Broken, Limits

# What a list after the first one was for, by the status of the answer before it.
REASONS = {0: "network", 403: "forbidden", 404: "absent", 410: "expired", 429: "busy"}


def reason_of(error: Exception) -> str:
    """Return the word of the metric for what broke a stream off: one of a closed list."""
    if isinstance(error, Broken):
        return error.reason
    if isinstance(error, LoginFailed):
        return "login"
    if isinstance(error, KubeError):
        return REASONS.get(error.status, "server" if error.status >= 500 else "refused")
    return "failure"


@dataclass(kw_only=True)
class Pause:
    """How long to wait before a stream is opened again: longer each time it did not last."""

    limits: Limits = LIMITS
    failures: int = 0

    def after(self, lasted: float) -> float:
        """Return seconds; after a stream that lasted they are few."""
        if lasted > self.limits.short_seconds:
            self.failures = 0
        self.failures += 1
        longest = self.limits.max_pause_seconds
        pause: float = min(0.1 * 2.0 ** min(self.failures, 32), longest)
        return pause * (1 + random.random() / 4)  # noqa: S311 - jitter, no secret
