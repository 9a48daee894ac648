"""`serving.autoscaling` as an HPA or a ScaledObject: what is measured, and when pods are added."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAME, NAMESPACE, a_settings, metadata, resolved

from resnet_operator.api import API_VERSION, KIND
from resnet_operator.render.autoscaler import quantity
from resnet_operator.render.network import network_children
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings

KEDA = {"provider": "KEDA", "prometheusAddress": "http://prometheus:9090"}


@dataclass(frozen=True)
class Case:
    reason: str
    options: dict[str, Any]
    metric: dict[str, Any]
    serving: dict[str, Any] = field(default_factory=dict)


def pods(name: str, value: str) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": value}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def cpu(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


CASES = (
    Case("by default the wait of requests", {}, pods("triton_queue_microseconds", "5k")),
    Case(
        "a request that waits for its batch waits by wish",
        {"target": "QueueTime"},
        pods("triton_queue_microseconds", "40k"),
        {"batching": {"maxQueueDelayMicroseconds": 20_000}},
    ),
    Case("a wait that is stated", {"value": 900}, pods("triton_queue_microseconds", "900")),
    Case("a processor", {"target": "CPU"}, cpu(70)),
    Case("a processor, sooner", {"target": "CPU", "value": 50}, cpu(50)),
    Case(
        "requests",
        {"target": "Requests", "value": 200},
        pods("triton_requests_per_second", "200"),
    ),
)


def children(
    options: dict[str, Any] | None, settings: Settings, **more: Any
) -> dict[str, dict[str, Any]]:
    serving = more.pop("serving", {}) | {"autoscaling": options}
    found = network_children(
        service=Meta.from_body({"metadata": metadata(NAME)}),
        resolved=resolved({"serving": serving, **more}),
        settings=settings,
    )
    return {body["kind"]: body for body in found}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_horizontal_pod_autoscaler(case: Case) -> None:
    options = {"maxReplicas": 4, **case.options}
    found = children(options, a_settings(), serving=case.serving)
    assert found.keys() == {"HorizontalPodAutoscaler"}
    spec = found["HorizontalPodAutoscaler"]["spec"]
    assert spec == {
        "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": NAME},
        "minReplicas": 1,
        "maxReplicas": 4,
        "metrics": [case.metric],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_scaled_object_has_the_same_target(case: Case) -> None:
    options = {"maxReplicas": 4, "minReplicas": 2, "scaleDownSeconds": 0, **case.options}
    found = children(options, a_settings(autoscaling=KEDA), serving=case.serving)
    assert found.keys() == {"ScaledObject"}
    spec = found["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 4)
    (trigger,) = spec["triggers"]
    stated = trigger["metadata"].get("threshold") or trigger["metadata"]["value"]
    assert {stated, quantity(int(stated))} & words(case.metric), "the same number as in an HPA"
    if trigger["type"] == "prometheus":
        assert trigger["metadata"]["serverAddress"] == "http://prometheus:9090"
        # The labels of docs/metrics.md: the pods of `a-b` have names that begin with those of `a`.
        of = re.findall(r"\{(.*?)\}", trigger["metadata"]["query"])
        service = f'namespace="{NAMESPACE}",name="{NAME}"'
        # One request of a pipeline is one of each of its models.
        assert {f'{service},model="{NAME}"'} <= set(of) <= {service, f'{service},model="{NAME}"'}


def words(value: Any) -> set[str]:
    """Return every number and text of a metric."""
    if isinstance(value, dict):
        return {word for one in value.values() for word in words(one)}
    return {str(value)}


QUANTITIES = ((900, "900"), (1000, "1k"), (1500, "1500"), (40_000, "40k"), (3_000_000, "3M"))


@pytest.mark.parametrize(("number", "text"), QUANTITIES)
def test_a_number_is_written_as_the_api_server_writes_it(number: int, text: str) -> None:
    """`5000` comes back as `5k`: what is compared would never be the same."""
    assert quantity(number) == text


NONE: tuple[tuple[str, dict[str, Any] | None, dict[str, Any]], ...] = (
    ("nobody asks for one", None, {}),
    ("a suspended object is scaled by nobody", {"maxReplicas": 2}, {"suspend": True}),
)


@pytest.mark.parametrize(("reason", "options", "more"), NONE, ids=[case[0] for case in NONE])
def test_no_autoscaler(reason: str, options: dict[str, Any] | None, more: dict[str, Any]) -> None:
    assert children(options, a_settings(), **more) == {}, reason


def test_keda_needs_an_address() -> None:
    with pytest.raises(ValueError, match=r"write the address of Prometheus"):
        a_settings(autoscaling={"provider": "KEDA"})
