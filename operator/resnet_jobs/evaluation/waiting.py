"""Waiting for the Triton beside, with a line in the log now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_jobs.base.progress import say

if TYPE_CHECKING:
    from resnet_jobs.evaluation.triton_client import Triton

WAITING_SECONDS = 30.0  # between two lines about a Triton that is not ready


def wait_ready(triton: Triton, seconds: float) -> None:
    """With a line now and then: Triton's container measures the bare speed first."""
    printed = 0.0

    def tell(waited: float) -> None:
        nonlocal printed
        if waited - printed >= WAITING_SECONDS:
            printed = waited
            say(f"waiting for Triton: {waited:.0f} s")

    triton.wait_ready(seconds, progress=tell)
