"""What is seen of a revision on trial, and of its pods when their Deployment is gone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import metadata, pod_body, resolved, running

from resnet_operator import names
from resnet_operator.observe_canary import observe_canary
from resnet_operator.seen.meta import Meta
from resnet_operator.watch.views import Views

Body = dict[str, Any]
SERVICE = Meta.from_body({"metadata": metadata("digits")})
REVISION = "digits-0a1b2c3d4e"


def a_pod(*, replica_set: str = f"{REVISION}-5d4f9c", **facts: Any) -> Body:
    labels = {
        names.INSTANCE: "digits",
        names.REVISION: REVISION,
        names.TEMPLATE_HASH: "5d4f9c",
    }
    body = pod_body("p", labels=labels, **({"containers": [running("triton")]} | facts))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": "u"}
    body["metadata"]["ownerReferences"] = [owner | {"controller": True}]
    return body


CASES: list[tuple[str, Body, bool]] = [
    ("its Deployment is gone, it serves on for a moment", {"ready": True}, True),
    ("it starts", {}, True),
    ("the service's own pod", {"replica_set": "digits-5d4f9c"}, False),
    ("a pod of another revision's Deployment", {"replica_set": "digits-ffff-5d4f9c"}, False),
    ("what tells something may be anybody's", {"phase": "Failed", "reason": "Evil"}, False),
]


@pytest.mark.parametrize(("why", "facts", "seen"), CASES, ids=[case[0] for case in CASES])
async def test_pods_that_outlive_their_deployment_are_seen(
    why: str, facts: Body, seen: bool
) -> None:
    views = Views(lambda body: body)  # type: ignore[arg-type, return-value]
    views.remember({"kind": "Pod", **a_pod(**facts)})
    kube: Any = None  # nothing is read
    found = await observe_canary(SERVICE, resolved(), (), views, kube, None)
    assert [pod.meta.name for pod in found.pods] == (["p"] if seen else []), why
