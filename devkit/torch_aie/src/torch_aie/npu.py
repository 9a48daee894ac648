"""`torch_aie.npu`: streams, which order nothing here, because torch computes at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class Stream:
    def __init__(self, device: str) -> None:
        self.device = device

    def synchronize(self) -> None:
        """Nothing is under way."""


@contextlib.contextmanager
def stream(chosen: Any) -> Iterator[Any]:
    yield chosen
