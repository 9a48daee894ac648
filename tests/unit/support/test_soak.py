"""What a soak calls a plateau."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.perf.soak import Sample, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = 270


@dataclass(frozen=True)
class Case:
    """Megabytes and files of the sample with a number."""

    reason: str
    megabytes: Callable[[int], float] = lambda _: 100.0
    files: Callable[[int], int] = lambda _: 40
    holds: bool = True


CASES = (
    Case("nothing changes"),
    Case("it warms up in the first third", lambda n: 100 + min(n, 80) / 4),
    Case("it goes up and down", lambda n: 100 + n % 7, lambda n: 40 + n % 5),
    Case("one peak is no growth", lambda n: 500 if n == 260 else 100),
    Case("some kilobytes with each step", lambda n: 100 + n / 20, holds=False),
    Case("a file every five minutes", files=lambda n: 40 + n // 30, holds=False),
    Case("a step up, late and for good", lambda n: 100 if n < 200 else 110, holds=False),
    Case("it gives memory back", lambda n: 100 - n / 20),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_growth_is_seen(case: Case) -> None:
    samples = [Sample(n / 6, case.megabytes(n), case.files(n), float(n), n) for n in range(SAMPLES)]
    holds, text = verdict(samples)
    assert holds is case.holds
    assert ("a plateau" in text) is case.holds
