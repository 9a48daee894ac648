"""What children have in common: who owns them, what selects their pods, how these change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.rollout import Strategy
from resnet_operator.seen.meta import Meta

Reference = dict[str, Any]
# A switch from one to another restarts no pod.
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
STRATEGIES: dict[Strategy, dict[str, Any]] = {
    Strategy.AUTO: SURGE,
    Strategy.SURGE: SURGE,
    Strategy.REPLACE: {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    },
    Strategy.RECREATE: {"type": "Recreate"},
}


def owner_reference(owner: Meta, *, controller: bool) -> Reference:
    """Return the reference to a ResNetService; without blockOwnerDeletion, which needs rights."""
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name, "uid": owner.uid}
    return reference | ({"controller": True} if controller else {})


def record_reference(record: Meta) -> Reference:
    """Return the reference to a record, which owns what was made for several objects."""
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": record.name, "uid": record.uid}
    return reference | {"controller": True}


def selector(service: Meta) -> dict[str, str]:
    """Return what selects the serving pods."""
    return {
        names.MANAGED_BY: names.MANAGER,
        names.COMPONENT: names.SERVING,
        names.INSTANCE: service.name,
    }


def config_map(
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    data: Mapping[str, str],
    owners: Sequence[Reference] = (),
    immutable: bool,
) -> dict[str, Any]:
    """Return a ConfigMap; once it is immutable, only a new one can say something else."""
    owned = {"ownerReferences": list(owners)} if owners else {}
    metadata = {"name": name, "namespace": namespace, "labels": labels, **owned}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return body | ({"immutable": True} if immutable else {})
