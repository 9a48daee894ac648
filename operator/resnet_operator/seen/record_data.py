"""Data of our ConfigMaps: what cannot be read is left out, and told. Called by `observed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resnet_operator.errors import Misfit
from resnet_operator.record.artifact import ARTIFACT_KEY, FAILURE_KEY, Artifact, Failure
from resnet_operator.record.measurement import RESULT_KEY, Measurement

READERS: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
    ARTIFACT_KEY: Artifact.from_record,
    FAILURE_KEY: Failure.from_record,
    RESULT_KEY: Measurement.from_record,
}


def readable(data: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the data that can be read, and what is wrong with the first that cannot."""
    kept, wrong = dict(data), ""
    for key, read in READERS.items():
        if key in kept:
            try:
                read(kept)
            except Misfit as error:
                del kept[key]
                wrong = wrong or f"{key}: {error}"
    return kept, wrong
