"""Clients of a service of the digits network: all the time, and each answer is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.story import FP16_TOLERANCE, PICTURES, Story, digits_batch, expected_logits
from tests.support.clients import PAUSE_SECONDS, Load

if TYPE_CHECKING:
    import numpy as np


def load(
    story: Story,
    name: str = "digits",
    *,
    model: str = "",
    sent: tuple[np.ndarray, np.ndarray] | None = None,
    tolerance: float = FP16_TOLERANCE,
    pause_seconds: float = PAUSE_SECONDS,
) -> Load:
    """Return them, not begun; `sent` is a batch as the model takes it, and the logits of it."""
    batch = digits_batch(PICTURES[:1])
    batch, expected = sent or (batch, expected_logits(batch))
    address = story.address(name)
    return Load(
        http=f"{address}:8000",
        grpc=f"{address}:8001",
        model=model or name,
        batch=batch,
        expected=expected,
        tolerance=tolerance,
        pause_seconds=pause_seconds,
    )
