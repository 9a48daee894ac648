"""How long tests wait for what has to happen.

Machines differ by a factor of four, and a busy one is slower still. A deadline costs nothing while
tests pass, so each is a multiple of what a calm machine needs. Never use it for a claim about
speed: what must be quick is counted or ordered, not timed.
"""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("RESNET_TEST_PATIENCE", "6"))


def patient(seconds: float) -> float:
    """Return how long to wait for what takes up to so many seconds on a calm machine."""
    return seconds * FACTOR
