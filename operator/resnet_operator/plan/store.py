"""The namespace's store, where it is a server of ours. Called by `conversion` and `serving`."""

from __future__ import annotations

from resnet_operator.observed import Observed
from resnet_operator.plan.actions import Action, Apply, Create
from resnet_operator.render.store import store_children, store_digest
from resnet_operator.settings import Settings, StoreType


def plan_store(observed: Observed, *, settings: Settings) -> tuple[Action, ...]:
    """Make the namespace's store when it is not there as the settings want it."""
    if settings.store.type is not StoreType.SERVER or observed.store is None:
        return ()
    store = observed.store
    same = store.deployment == store_digest(settings)
    if same and store.claim and store.service and store.config and store.policy:
        return ()
    children = store_children(observed.service.meta.namespace, settings)
    there = {
        "Deployment": store.deployment is not None,
        "Service": store.service,
        "ConfigMap": store.config,
        "NetworkPolicy": store.policy,
    }
    # A claim's spec cannot be changed; it is made once and never touched again.
    return tuple(
        Create(body=child)
        if child["kind"] == "PersistentVolumeClaim"
        else Apply(body=child, adopt=there.get(child["kind"], True))
        for child in children
        if not (child["kind"] == "PersistentVolumeClaim" and store.claim)
    )
