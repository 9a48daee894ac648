"""The children that the operator would make of a ResNetService, by the operator's own rendering."""

from __future__ import annotations

from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.offline.order import Order
from resnet_operator import names
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.conversion import job, record_owner
from resnet_operator.render.network import network_children, network_service
from resnet_operator.render.objects import owner_reference
from resnet_operator.render.serving import (
    CONFIG_KEY,
    TEMPLATE_KEY,
    deployment,
    revision_config_map,
)
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.seen.meta import Meta

Children = dict[str, dict[str, Any]]
RECORD_UID = "00000000-0000-4000-8000-000000000001"


def before_the_artifact(order: Order) -> Children:
    """Return what is made at once: the record, the conversion's Job, what lies before the pods."""
    service, resolved = order.meta, order.decided
    record = record_owner(
        key=resolved.source_key,
        service=service,
        owner=owner_reference(service, controller=False),
    )
    about = record["metadata"] | {"uid": RECORD_UID, "resourceVersion": "1"}
    found: Children = {
        "record": record,
        "job": job(
            service=service,
            resolved=resolved,
            record=Meta.from_body({"metadata": about}),
            attempt=1,
            settings=order.settings,
        ),
        "service": network_service(service=service, resolved=resolved),
    }
    for child in network_children(service=service, resolved=resolved, settings=order.settings):
        found[child["kind"].lower()] = child
    return found


def after_the_artifact(order: Order, artifact: Artifact, labels: str | None) -> Children:
    """Return what serves an artifact: the revision with config.pbtxt, and the Deployment."""
    try:
        resolved = settle(order.decided, artifact)
        revision = revision_config_map(
            service=order.meta,
            resolved=resolved,
            artifact=artifact,
            revision=names.revision_name(
                order.meta.name,
                declared_digest(
                    resolved=resolved,
                    artifact_sha256=artifact.sha256,
                    labels=labels,
                    settings=order.settings,
                ),
            ),
            labels=labels,
            settings=order.settings,
        )
    except InvalidSpec as error:
        raise CliError(f"{order.meta.name}: {error.message}", Exit.NOT_WELL) from error
    return {
        "revision": revision,
        "deployment": deployment(
            service=order.meta,
            resolved=resolved,
            template=revision["data"][TEMPLATE_KEY],
            replicas=resolved.replicas,
            mode=resolved.rollout.strategy,
        ),
    }


def config_of(children: Children) -> str:
    """Return config.pbtxt; "" while the artifact is not known."""
    data = children.get("revision", {}).get("data") or {}
    return str(data.get(CONFIG_KEY) or "")
