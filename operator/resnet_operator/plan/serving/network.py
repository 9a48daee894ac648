"""The children between clients and pods, but the Service: what differs, what is wanted no longer.

Called by `make` after `serving`. They are made for objects that ask for them; a child that is
live, ours and not asked for is deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Action, Delete, Problem, applied
from resnet_operator.plan.serving.analysis.trial import ROUTE
from resnet_operator.plan.serving.serving import ServingPlan
from resnet_operator.render.network import KINDS, network_children
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.settings.operator import Settings

# Fields that Kubernetes 1.25 drops: if we missed them, we would write for ever.
MAY_BE_DROPPED = {"unhealthyPodEvictionPolicy"}
# Kinds that a cluster may lack, and what to do.
INSTEAD = {
    ROUTE: "install the Gateway API, or use serving.ingress",
    "ScaledObject": "install KEDA, or set autoscaling.provider to HPA in the operator's chart",
}


def with_network(
    serving: ServingPlan, observed: Observed, resolved: Resolved, *, settings: Settings
) -> ServingPlan:
    """Return the plan with these children's actions at its end, and with what one of them lacks.

    A route that is refused or cannot be made keeps the object from Ready, but not the pods from
    serving; it is told when all else is done.
    """
    if serving.target is None:
        return serving
    service = observed.service.meta
    children = network_children(
        service=service, resolved=resolved, settings=settings, traffic=serving.traffic
    )
    wanted = {body["kind"]: body for body in children}
    actions: list[Action] = []
    for kind, body in wanted.items():
        if kind not in observed.absent_kinds:
            live = observed.network.get(kind)
            actions += applied(body, live, uid=service.uid, without=MAY_BE_DROPPED)
    for kind, child in observed.network.items():
        if kind not in wanted and child.meta.controller == service.uid and not child.meta.deleting:
            actions.append(Delete.of(KINDS[kind], kind, child.meta))
    if actions:
        serving = replace(serving, actions=(*serving.actions, *actions))
    problem = _lack(observed, wanted) if serving.complete else None
    return replace(serving, problem=problem, complete=False) if problem else serving


def _lack(observed: Observed, wanted: Collection[str]) -> Problem | None:
    for kind, instead in INSTEAD.items():
        if kind in wanted and kind in observed.absent_kinds:
            message = f"the cluster has no {kind}; {instead}"
            return Problem(Reason.KIND_MISSING, message)
    live = observed.network.get(ROUTE)
    if ROUTE not in wanted or live is None or not live.refusal:
        return None
    message = f"the HTTPRoute is refused by {live.refusal}; correct it or the Gateway"
    return Problem(Reason.ROUTE_REFUSED, message)
