"""The namespace's store, where it is a server of ours. Called by `conversion` and `serving`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply, Create, MakeSecret
from resnet_operator.render.store import store_children, store_digest
from resnet_operator.seen.observed import Observed
from resnet_operator.settings.operator import Settings, StoreType

MISSING = re.compile(rf'secrets? "{names.STORE_NAME}" not found')


def plan_secret(observed: Observed, *, warnings: Sequence[str] = ()) -> tuple[Action, ...]:
    """Make what a Job's containers get at the store by; again where a pod waits for it."""
    again = any(MISSING.search(text) for text in warnings)
    return (MakeSecret(namespace=observed.service.meta.namespace, again=again),)


def plan_missing_secret(observed: Observed, warnings: Sequence[str]) -> tuple[Action, ...]:
    """Make it again where a pod waits for it: somebody has deleted it."""
    found = plan_secret(observed, warnings=warnings)
    return tuple(item for item in found if isinstance(item, MakeSecret) and item.again)


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
    first = store.deployment is None  # a namespace made again has no Secret any more
    secret = MakeSecret(namespace=observed.service.meta.namespace, again=first)
    return secret, *(
        Create(body=child)
        if child["kind"] == "PersistentVolumeClaim"
        else Apply(body=child, adopt=there.get(child["kind"], True))
        for child in children
        if not (child["kind"] == "PersistentVolumeClaim" and store.claim)
    )
