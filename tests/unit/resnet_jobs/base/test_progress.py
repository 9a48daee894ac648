"""Progress lines: readable, and few."""

from __future__ import annotations

import pytest
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.progress import MIB, describe
from resnet_jobs.base.clock import backoff_delays
from resnet_jobs.base.progress import Progress

LINES = [
    ("half way", 120 * MIB, 243 * MIB, "downloaded 120 of 243 MiB (49 %)"),
    ("small files in KiB", 2048, 4096, "downloaded 2 of 4 KiB (50 %)"),
    ("no size known", 5 * MIB, None, "downloaded 5 MiB"),
    ("done", 243 * MIB, 243 * MIB, "downloaded 243.0 MiB"),
]


@pytest.mark.parametrize(("reason", "done", "total", "want"), LINES, ids=[x[0] for x in LINES])
def test_lines(reason: str, done: int, total: int | None, want: str) -> None:
    assert describe("downloaded", done, total) == want, reason


def test_a_line_every_few_seconds_at_most(fake_time: FakeTime) -> None:
    lines: list[str] = []
    monotonic = fake_time.clock.monotonic
    progress = Progress("downloaded", total=100 * MIB, monotonic=monotonic, write=lines.append)
    for _ in range(100):
        fake_time.now += 0.1
        progress.advance(MIB)
    progress.finish()
    assert len(lines) == 4
    assert lines[-1] == "downloaded 100.0 MiB in 10.0 s"


@pytest.mark.parametrize(
    ("total", "want"), [(0, ()), (5, (1, 2, 2)), (40, (1, 2, 4, 8, 10, 10, 5))]
)
def test_delays_add_up(total: float, want: tuple[float, ...]) -> None:
    assert backoff_delays(total) == want
