"""The bundle names its copies as the chart does."""

from __future__ import annotations

import pytest
from devkit.release.pusher.references import mirrored
from tests.chart.image_cases import MIRRORED


@pytest.mark.parametrize(("reference", "mirror", "expected", "why"), MIRRORED)
def test_mirrored(reference: str, mirror: str, expected: str, why: str) -> None:
    assert mirrored(reference, mirror) == expected, why
