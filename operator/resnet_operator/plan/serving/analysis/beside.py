"""What there is beside the service's own children for a trial: a Deployment, Services. Pure.

Called by `canary`, and what is there of it outlives no trial.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resnet_operator.plan.actions import Action, Apply, Delete, applied
from resnet_operator.plan.serving.analysis.trial import ROUTE, Trial
from resnet_operator.render.canary import revision_service
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import NetworkServiceObject
from resnet_operator.seen.workload import DeploymentObject

KINDS = (("apps/v1", "Deployment"), ("v1", "Service"))


def url_of(trial: Trial) -> str:
    """Return the address of the old revision's model, where answers are to be compared."""
    if trial.options.min_agreement is None:
        return ""
    meta = trial.observed.service.meta
    return (
        f"http://{trial.old.name}.{meta.namespace}.svc:8000/v2/models/{trial.resolved.model_name}"
    )


def apply_canary(trial: Trial, body: dict[str, Any]) -> tuple[Action, ...]:
    live = trial.live
    if live is not None and live.meta.deleting:
        return ()
    return applied(body, live, uid=trial.observed.service.meta.uid)


def apply_services(trial: Trial) -> tuple[Action, ...]:
    """Return what makes pods of one revision be found apart from those of the other."""
    return tuple(action for name in _services(trial) for action in _apply(trial, name))


def _services(trial: Trial) -> tuple[str, ...]:
    asked = trial.old.name if url_of(trial) else ""
    routed = trial.new.name if trial.by_route else ""
    return tuple(name for name in (asked, routed) if name)


def _apply(trial: Trial, revision: str) -> tuple[Action, ...]:
    body = revision_service(service=trial.observed.service.meta, revision=revision)
    live = next((s for s in trial.observed.canary_services if s.meta.name == revision), None)
    if live is not None and (live.meta.deleting or live.live.states(body)):
        return ()
    return (Apply(body=body, adopt=live is not None),)


def without_others(trial: Trial) -> tuple[Action, ...]:
    """Return what ends all that is of no use to this trial."""
    kept = {("Deployment", trial.new.name), *(("Service", name) for name in _services(trial))}
    return _without(trial.observed, kept | _routed(trial.observed))


def without_all(observed: Observed, *, may_wait: bool) -> tuple[Action, ...]:
    """Return what ends the trial of any revision; `may_wait` for the route to name it no longer."""
    return _without(observed, _routed(observed) if may_wait else set())


def lingers(observed: Observed) -> bool:
    """Tell whether something is kept only because the route still names it."""
    named = _routed(observed)
    return any((kind, one.meta.name) in named for kind, one in _there(observed))


def _routed(observed: Observed) -> set[tuple[str, str]]:
    """Return what the live route sends requests to: a Service that lacks is an error to clients."""
    route = observed.network.get(ROUTE)
    backends = route.backends if route else ()
    return {(kind, name) for name in backends for _, kind in KINDS}


def _there(
    observed: Observed,
) -> Iterable[tuple[str, DeploymentObject | NetworkServiceObject]]:
    yield from (("Deployment", one) for one in observed.canaries)
    yield from (("Service", one) for one in observed.canary_services)


def _without(observed: Observed, kept: set[tuple[str, str]]) -> tuple[Action, ...]:
    versions = {kind: version for version, kind in KINDS}
    return tuple(
        Delete.of(versions[kind], kind, one.meta)
        for kind, one in _there(observed)
        if (kind, one.meta.name) not in kept and not one.meta.deleting
    )
