"""What scales the object: a HorizontalPodAutoscaler, or KEDA's ScaledObject. Called by `network`.

It writes `spec.serving.replicas` through the object's scale subresource; the operator never does.
The queries are those of docs/scaling.md.
"""

from __future__ import annotations

from typing import Any

from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.serving.autoscaling import Autoscaling, ScaleTarget
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings

# Names of the rules for prometheus-adapter.
METRICS = {
    ScaleTarget.QUEUE_TIME: "triton_queue_microseconds",
    ScaleTarget.REQUESTS: "triton_requests_per_second",
}
QUEUE_MICROSECONDS, CPU_PERCENT = 5000, 70
SCALE_DOWN_SECONDS = 300
HPA_TEMPLATE, KEDA_TEMPLATE = "horizontalpodautoscaler.yaml.j2", "scaledobject.yaml.j2"


def autoscaler(
    service: Meta, resolved: Resolved, settings: Settings
) -> tuple[str, dict[str, Any]] | None:
    """Return the template and its context; none for an object that is suspended."""
    options = resolved.spec.serving.autoscaling
    if options is None or resolved.suspended:
        return None
    context: dict[str, Any] = {
        "target": {"apiVersion": API_VERSION, "kind": KIND, "name": service.name},
        "min_replicas": options.min_replicas,
        "max_replicas": options.max_replicas,
        "scale_down_seconds": SCALE_DOWN_SECONDS
        if options.scale_down_seconds is None
        else options.scale_down_seconds,
    }
    kind = options.target or ScaleTarget.QUEUE_TIME
    value = target_value(options, resolved)
    if settings.autoscaling.provider == "KEDA":
        address = settings.autoscaling.prometheus_address
        trigger = _trigger(kind, value, service, resolved.model_name, address)
        return KEDA_TEMPLATE, context | {"trigger": trigger}
    return HPA_TEMPLATE, context | {"metric": _metric(kind, value)}


def target_value(options: Autoscaling, resolved: Resolved) -> int:
    """Return the value above which pods are added.

    A request that waits for its batch to fill waits by wish: the target is above that.
    """
    if options.value is not None:
        return options.value
    if options.target is ScaleTarget.CPU:
        return CPU_PERCENT
    return max(QUEUE_MICROSECONDS, 2 * resolved.max_queue_delay_microseconds)


def _metric(kind: ScaleTarget, value: int) -> dict[str, Any]:
    if kind is ScaleTarget.CPU:
        target: dict[str, Any] = {"type": "Utilization", "averageUtilization": value}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    target = {"type": "AverageValue", "averageValue": quantity(value)}
    return {"type": "Pods", "pods": {"metric": {"name": METRICS[kind]}, "target": target}}


def quantity(number: int) -> str:
    """Return a number as the API server writes it; in other words it would be put back for ever."""
    suffixes = iter(("", "k", "M", "G", "T", "P", "E"))
    suffix = next(suffixes)
    while number and number % 1000 == 0:
        number, suffix = number // 1000, next(suffixes)
    return f"{number}{suffix}"


def _trigger(
    kind: ScaleTarget, value: int, service: Meta, network: str, address: str
) -> dict[str, Any]:
    if kind is ScaleTarget.CPU:
        return {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(value)}}
    of = f'namespace="{service.namespace}",name="{service.name}"'
    # A pipeline's request is one in each of its models, and comes to the network once.
    count = f'sum(rate(nv_inference_request_success{{{of},model="{network}"}}[1m]))'
    # KEDA asks for one number of all pods, which its HPA compares with the mean of a pod.
    queries = {
        ScaleTarget.REQUESTS: (count, "AverageValue"),
        ScaleTarget.QUEUE_TIME: (
            f"sum(rate(nv_inference_queue_duration_us{{{of}}}[1m])) / clamp_min({count}, 0.1)",
            "Value",
        ),
    }
    query, metric_type = queries[kind]
    return {
        "type": "prometheus",
        "metricType": metric_type,
        "metadata": {"serverAddress": address, "query": query, "threshold": str(value)},
    }
