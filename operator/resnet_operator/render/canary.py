"""The Deployment of a revision that is analysed: the revision's own pods, beside the old ones.

It has the revision's name, and selects by the revision's label; the Service selects its pods too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from resnet_operator import names
from resnet_operator.api.rollout import Strategy
from resnet_operator.render.engine import render_one
from resnet_operator.render.objects import STRATEGIES, owner_reference, selector
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.pods import Maker

# Read by `resnet_runtime.sampler`.
COMPARED_WITH = "RESNET_COMPARED_WITH"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Who gets the requests while a revision is on trial, and all by default.

    `only` is the one revision that the Service selects. Of the route's requests `percent` go to the
    Service of revision `to`; with `copies` it gets copies, and nobody its answers.
    """

    only: str = ""
    to: str = ""
    percent: int = 0
    copies: bool = False

    @property
    def routed(self) -> bool:
        """Tell whether the route has to name the revision at all."""
        return bool(self.to) and (self.copies or self.percent > 0)


PLAIN = Traffic()


def canary(
    *,
    service: Meta,
    resolved: Resolved,
    revision: str,
    template: str,
    replicas: int,
    state: str,
    compared_with: str = "",
) -> dict[str, Any]:
    """Return the Deployment around a revision's stored pod template (JSON text).

    `compared_with` is the address at which its pods ask for the old revision's answers.
    """
    shape = render_one(
        "deployment.yaml.j2",
        name=revision,
        namespace=service.namespace,
        labels=names.labels(names.CANARY, **{names.INSTANCE: service.name}),
        annotations={names.ANALYSIS: state},
        owners=[owner_reference(service, controller=True)],
        replicas=replicas,
        progress_deadline_seconds=resolved.progress_deadline_seconds,
        strategy=STRATEGIES[Strategy.SURGE],
        selector=selector(service) | {names.REVISION: revision},
    )
    shape["spec"]["template"] = orjson.loads(template)
    if compared_with:
        for container in shape["spec"]["template"]["spec"]["containers"]:
            if container["name"] == Maker.TRITON:
                asks = {"name": COMPARED_WITH, "value": compared_with}
                container["env"] = [*container.get("env", ()), asks]
    return shape


def revision_service(*, service: Meta, revision: str) -> dict[str, Any]:
    """Return the Service of one revision's pods alone, for its route and for who compares."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": revision,
            "namespace": service.namespace,
            "labels": names.labels(names.CANARY, **{names.INSTANCE: service.name}),
            "ownerReferences": [owner_reference(service, controller=True)],
        },
        "spec": {
            "selector": selector(service) | {names.REVISION: revision},
            "ports": [{"name": "http", "port": 8000, "protocol": "TCP", "targetPort": "http"}],
        },
    }
