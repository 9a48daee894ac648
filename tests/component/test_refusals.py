"""An API server that does not want what the operator wants: told in its words, asked seldom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.component.client import ApiError
from tests.component.objects import service
from tests.component.world import until

from resnet_operator.plan import make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.component.world import World

NAME = "resnet50"
MANIFEST = service(NAME)
WORDS = "our company wants a cost centre on every Deployment"
GROUP = "admissionregistration.k8s.io/v1"
POLICIES = f"/apis/{GROUP}/validatingadmissionpolicies"
BINDINGS = f"/apis/{GROUP}/validatingadmissionpolicybindings"
PROBE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "probe"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "a", "image": "a"}]},
        },
    },
}


@pytest_asyncio.fixture
async def policy(world: World) -> AsyncIterator[str]:
    """A policy of this namespace that refuses Deployments; the path of its binding."""
    name = f"refuse-{world.namespace}"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["deployments"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": WORDS}],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    bound = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    kind = "ValidatingAdmissionPolicy"
    about = {"apiVersion": GROUP, "metadata": {"name": name}}
    await world.api.request("POST", POLICIES, about | {"kind": kind, "spec": spec})
    await world.api.request("POST", BINDINGS, about | {"kind": f"{kind}Binding", "spec": bound})
    await until(lambda: is_refused(world), what="the policy to be in force")
    yield f"{BINDINGS}/{name}"
    await world.api.request("DELETE", f"{POLICIES}/{name}")


async def is_refused(world: World) -> bool:
    try:
        await world.api.request("POST", world.path("Deployment") + "?dryRun=All", PROBE)
    except ApiError as error:
        return WORDS in error.message
    return False


async def test_a_policy_is_quoted_and_asked_again_seldom(
    world: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "REFUSED_SECONDS", 1.0)
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    said = await world.condition(NAME, "Ready", "False", "Rejected")
    assert said["message"] == f"the API server refused a Deployment: {WORDS}"
    await operator.idle()
    mark = len(world.proxy.calls)

    async def has_tried() -> bool:
        return len(tries(world, mark)) >= 3

    await until(has_tried, what="three more tries")
    times = tries(world, mark)
    assert times[2] - times[0] >= 1.9, "one each second, as set"
    assert [call for call in world.proxy.writes(mark) if "status" in call or "events" in call] == []
    await world.api.request("DELETE", policy)
    await world.is_ready(NAME)


def tries(world: World, mark: int) -> list[float]:
    fits = ("patch", "deployments")
    return [call.time for call in world.proxy.since(mark) if (call.verb, call.resource) == fits]


async def test_a_quota_on_objects_is_quoted(world: World) -> None:
    quotas = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    spec = {"hard": {"count/services": "0"}}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}}
    await world.api.request("POST", quotas, body | {"spec": spec})

    async def is_in_force() -> bool:
        return "hard" in (await world.api.request("GET", f"{quotas}/small")).get("status", {})

    await until(is_in_force, what="the quota to be in force")
    await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    said = await world.condition(NAME, "Ready", "False", "Rejected")
    assert "refused a Service: exceeded quota: small" in said["message"]
