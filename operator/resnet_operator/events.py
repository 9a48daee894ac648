"""Kubernetes Events about a ResNetService: one POST each, on transitions only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.plan.actions import Event
from resnet_operator.plan.times import to_text
from resnet_operator.seen.meta import Meta


def event_body(service: Meta, event: Event, *, now: datetime) -> dict[str, Any]:
    """Return the Event; its name is unique by the object's version and the reason."""
    suffix = names.digest([service.uid, service.version, event.reason, to_text(now)], 12)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{service.name}.{suffix}", "namespace": service.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": service.name,
            "namespace": service.namespace,
            "uid": service.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "reportingInstance": names.MANAGER,
        "firstTimestamp": to_text(now),
        "lastTimestamp": to_text(now),
        "count": 1,
    }
