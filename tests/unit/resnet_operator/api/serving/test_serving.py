"""What the operator itself refuses of `spec.serving`: objects may be older than the CRD."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from resnet_operator.api.serving.serving import Serving

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replicas": -1}, "replicas"),
    ({"instancesPerChip": 33}, "instancesPerChip"),
    ({"runtime": "TensorRT"}, "runtime"),
    ({"loadTimeoutSeconds": 5}, "loadTimeoutSeconds"),
    ({"batching": {"preferredBatchSizes": [0]}}, "preferredBatchSizes"),
    ({"pipeline": {"mean": [1, 2, 3, 4]}}, "mean"),
    ({"configOverrides": ""}, "configOverrides"),
]


@pytest.mark.parametrize(("given", "where"), REFUSED)
def test_bounds_hold_in_the_operator_too(given: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as failure:
        Serving.model_validate(given)
    assert where in {str(part) for error in failure.value.errors() for part in error["loc"]}


def test_one_replica_is_served_where_nothing_is_said() -> None:
    assert Serving.model_validate({}).replicas == 1
