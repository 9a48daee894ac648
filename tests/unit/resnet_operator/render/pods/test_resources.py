"""Requests and limits: defaults that give way to what the user wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.pod import Resources
from resnet_operator.render.pods.resources import with_defaults

REQUESTS, LIMITS = {"cpu": "500m", "memory": "1Gi"}, {"memory": "4Gi"}


@dataclass(frozen=True)
class Case:
    reason: str
    given: dict[str, Any] | None
    requests: dict[str, Any]
    limits: dict[str, Any]


CASES = (
    Case("nothing given", None, REQUESTS, LIMITS),
    Case("an empty block is nothing", {}, REQUESTS, LIMITS),
    Case(
        "a smaller limit alone lowers the request",
        {"limits": {"memory": "512Mi"}},
        {"cpu": "500m", "memory": "512Mi"},
        {"memory": "512Mi"},
    ),
    Case(
        "a limit of CPU alone lowers the request too, and leaves memory without limit",
        {"limits": {"cpu": "250m"}},
        {"cpu": "250m", "memory": "1Gi"},
        {"cpu": "250m"},
    ),
    Case(
        "a request above the default limit raises it",
        {"requests": {"memory": "8Gi"}},
        {"cpu": "500m", "memory": "8Gi"},
        {"memory": "8Gi"},
    ),
    Case(
        "both given are both kept",
        {"requests": {"cpu": 2, "memory": "2Gi"}, "limits": {"cpu": 4, "memory": "16Gi"}},
        {"cpu": 2, "memory": "2Gi"},
        {"cpu": 4, "memory": "16Gi"},
    ),
    Case(
        "another resource is passed on",
        {"limits": {"ephemeral-storage": "1Gi"}},
        REQUESTS,
        {"ephemeral-storage": "1Gi"},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_with_defaults(case: Case) -> None:
    given = None if case.given is None else Resources.model_validate(case.given)
    requests, limits = with_defaults(given, requests=REQUESTS, limits=LIMITS)
    assert (requests, limits) == (case.requests, case.limits), case.reason
    for name in requests.keys() & limits.keys():
        asked, allowed = parse_quantity(requests[name]), parse_quantity(limits[name])
        assert asked is None or allowed is None or asked <= allowed
