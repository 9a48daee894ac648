"""The namespace's store, where it is a server of ours. Called by `conversion` and `serving`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply, Create, MakeSecret
from resnet_operator.render.store import store_children, store_digest
from resnet_operator.seen.compare import COMPARED
from resnet_operator.seen.meta import Live
from resnet_operator.seen.observed import Observed, StoreObserved
from resnet_operator.seen.others import unpacked
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


def _stands(namespace: str, store: StoreObserved, settings: Settings) -> bool:
    """Tell whether all children are there and say what we state; most looks repeat one before."""
    there = _live(store).values()
    if not store.claim or store.config is None or None in there:
        return False
    seen = b"".join([store.config, *(live.packed for live in there if live)])
    wanted = f"{namespace} {store_digest(settings)}".encode()
    return COMPARED.answer(
        blake2b(seen + wanted, digest_size=16).digest(),
        lambda: all(_says(child, store) for child in store_children(namespace, settings)),
    )


def _says(child: dict[str, Any], store: StoreObserved) -> bool:
    """Tell whether a child is there and says what we state, whoever has changed it."""
    if child["kind"] == "PersistentVolumeClaim":
        return store.claim
    if child["kind"] == "ConfigMap":
        return store.config is not None and child["data"].items() <= unpacked(store.config).items()
    live = _live(store)[child["kind"]]
    return live is not None and live.states(child)


def _live(store: StoreObserved) -> dict[str, Live | None]:
    return {
        "Deployment": store.deployment,
        "Service": store.service,
        "NetworkPolicy": store.policy,
    }


def plan_store(observed: Observed, *, settings: Settings) -> tuple[Action, ...]:
    """Make the namespace's store when it is not there as the settings want it."""
    if settings.store.type is not StoreType.SERVER or observed.store is None:
        return ()
    store, namespace = observed.store, observed.service.meta.namespace
    if _stands(namespace, store, settings):
        return ()
    children = store_children(namespace, settings)
    there = {kind: live is not None for kind, live in _live(store).items()}
    there["ConfigMap"] = store.config is not None
    # A claim's spec cannot be changed; it is made once and never touched again.
    first = store.deployment is None  # a namespace made again has no Secret any more
    secret = MakeSecret(namespace=namespace, again=first)
    return secret, *(
        Create(body=child)
        if child["kind"] == "PersistentVolumeClaim"
        else Apply(body=child, adopt=there.get(child["kind"], True))
        for child in children
        if not (child["kind"] == "PersistentVolumeClaim" and store.claim)
    )
