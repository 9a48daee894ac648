"""Which objects can wait after a start: what the watches show of them is as it should be.

Nothing is decided by this but the order. Whose spec, Deployment or Service changed while no
operator was there is looked at first; what cannot be seen so cheaply, such as an edited field of a
child, is found in the background (docs/decisions/194-news-first.md). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resnet_operator import names
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.store import Name
from resnet_operator.watch.views import Views

Claim = Callable[[ServiceObject, Views], object]


def _is_said_ready(view: ServiceObject, _: Views) -> bool:
    return any(
        one.get("type") == "Ready"
        and one.get("status") == "True"
        and one.get("observedGeneration") == view.generation
        for one in view.status.get("conditions") or ()
    )


def _has_its_pods(view: ServiceObject, views: Views) -> bool:
    live = views.deployments.one(view.meta.namespace, view.meta.name)
    if live is None or view.resolved is None:
        return False
    wanted = 0 if view.resolved.suspended else view.resolved.replicas
    counts = {live.wanted, live.replicas, live.updated, live.ready, live.available}
    return (
        live.meta.controller == view.meta.uid
        and not live.meta.deleting
        and live.observed_generation == live.generation
        and live.revision == _revisions(view.status).get("serving")
        and counts == {wanted}
    )


def _has_its_service(view: ServiceObject, views: Views) -> bool:
    live = views.network_services.one(view.meta.namespace, view.meta.name)
    return live is not None and live.meta.controller == view.meta.uid and not live.meta.deleting


def _has_its_record(view: ServiceObject, views: Views) -> bool:
    if view.resolved is None:
        return False
    name = names.record_name(view.resolved.source_key)
    record = views.config_maps.one(view.meta.namespace, name)
    said = (view.status.get("artifact") or {}).get("recordDigest")
    return record is not None and record.immutable and record.digest == said


def _has_its_revision(view: ServiceObject, views: Views) -> bool:
    name = _revisions(view.status).get("serving")
    said = (view.status.get("revisionDigests") or {}).get(name)
    live = views.config_maps.one(view.meta.namespace, str(name))
    return live is not None and live.digest == said


def _has_no_work(view: ServiceObject, views: Views) -> bool:
    """Tell whether nothing is under way beside what serves."""
    namespace = view.meta.namespace
    key = view.resolved.source_key if view.resolved else ""
    jobs = (views.jobs.some((kind, namespace, key)) for kind in ("artifact", "validation"))
    beside = views.deployments.some(("canary", namespace, view.meta.name))
    return not any(jobs) and not beside


CLAIMS: Mapping[str, Claim] = {
    "the spec can be read": lambda view, _: view.resolved is not None,
    "it stays": lambda view, _: not view.meta.deleting,
    "nobody asks for another try": lambda view, _: (
        view.retry in {"", view.status.get("lastHandledRetry")}
    ),
    "its status says Ready of this very spec": _is_said_ready,
    "its pods are those that the spec asks for": _has_its_pods,
    "its Service is there": _has_its_service,
    "its record is the one that the status names": _has_its_record,
    "its revision is the one that the status names": _has_its_revision,
    "no Job and no Deployment beside is there": _has_no_work,
}


def is_evident(view: ServiceObject, views: Views) -> bool:
    """Tell whether an object seems to be as it should, as far as a quick look can tell."""
    return all(claim(view, views) for claim in CLAIMS.values())


def in_order(views: Views) -> tuple[list[Name], list[Name]]:
    """Return whom to look at at once, and who can wait: first who names a ConfigMap of a user."""
    first: list[Name] = []
    named: list[Name] = []
    later: list[Name] = []
    for view in views.services.all():
        waits = is_evident(view, views)
        place = first if not waits else named if view.config_maps else later
        place.append((view.meta.namespace, view.meta.name))
    return first, named + later


def _revisions(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = status.get("revisions") or {}
    return found
