"""What no Job could carry out is refused before there is a Job, with the Job's own sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from tests.cluster.manifests import service
from tests.cluster.orders import manifests, refusals_of_the_job, sighted
from tests.support.builders import deterministic

many = settings(deterministic, max_examples=300)
AIPP = "conversion.preprocessing"
SOURCE = {"height": 256, "width": 256}

# Objects may be older than the CRD's rules, and CEL cannot see everything.
OLDER: list[tuple[str, dict[str, Any], str]] = [
    (
        "deviations of 0..1 without a mean",
        {f"{AIPP}.std": [0.229, 0.224, 0.225]},
        "these look like 0..1",
    ),
    (
        "an odd crop of YUV420SP",
        {
            AIPP: {
                "pixelFormat": "YUV420SP",
                "source": SOURCE,
                "crop": {"top": 3, "height": 224, "width": 224},
            }
        },
        "write an even crop.top and crop.left",
    ),
    (
        "a crop beyond the picture",
        {
            AIPP: {
                "pixelFormat": "RGB888",
                "source": SOURCE,
                "crop": {"top": 40, "height": 224, "width": 224},
            }
        },
        "write a crop that lies within source",
    ),
    (
        "two means and three deviations",
        {AIPP: {"pixelFormat": "RGB888", "source": SOURCE, "mean": [1, 2], "std": [1, 2, 3]}},
        "write as many numbers in std as in mean",
    ),
    (
        "batch sizes that do not ascend",
        {"conversion.batchSizes": [4, 2]},
        "write the batch sizes in ascending order",
    ),
    (
        "a data set with dots for a name",
        {"validation.dataset.uri": "pvc://data/."},
        "dots alone are none",
    ),
    (
        "a configuration beside what it replaces",
        {
            "conversion.quantization.rawConfig": "{}",
            "conversion.quantization.skipLayers": ["fc"],
        },
        "remove skipLayers and jointQuantization, or rawConfig",
    ),
]


@pytest.mark.parametrize(("reason", "changes", "sentence"), OLDER, ids=[row[0] for row in OLDER])
def test_an_older_object_is_refused_and_no_job_is_made(
    reason: str, changes: dict[str, Any], sentence: str
) -> None:
    found = sighted(service(changes))
    assert found.resolved is None, reason
    assert sentence in (found.invalid or ""), reason


@pytest.mark.thorough
@many
@given(manifests())
def test_what_is_accepted_the_job_accepts(manifest: dict[str, Any]) -> None:
    found = sighted(manifest)
    if found.resolved is not None:
        assert refusals_of_the_job(found.resolved) == []


@pytest.mark.thorough
def test_most_of_what_is_drawn_is_accepted() -> None:
    """Else the property above would say little."""
    accepted = []

    @settings(many, max_examples=100)
    @given(manifests())
    def draw(manifest: dict[str, Any]) -> None:
        accepted.append(sighted(manifest).resolved is not None)

    draw()
    assert sum(accepted) * 3 > len(accepted)
