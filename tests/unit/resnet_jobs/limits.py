"""A time limit that is over once the tool has said something, however slow the machine is."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

from resnet_jobs.driver import tool
from resnet_jobs.driver.message import log

if TYPE_CHECKING:
    import pytest

LIMIT_SECONDS = 3600


def time_is_up_after(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Put the driver's clock forward by the limit as soon as the tool has printed the word."""
    passed = [0]

    def hear(text: str) -> None:
        log(text)
        if text == word:
            passed[0] = LIMIT_SECONDS

    monkeypatch.setattr(tool, "HEARTBEAT_SECONDS", 0.05)  # how often it looks at the clock
    monkeypatch.setattr(tool, "log", hear)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(tool, "time", clock)
