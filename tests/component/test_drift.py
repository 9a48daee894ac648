"""What others change: what is ours is put back, what is theirs stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from tests.component.objects import service
from tests.component.world import RunningOperator, World, until

from resnet_operator import names

Body = dict[str, Any]
NAME = "resnet50"
MANIFEST = service(NAME, serving={"replicas": 2, "env": [{"name": "LEVEL", "value": "3"}]})


@pytest_asyncio.fixture
async def operator(world: World) -> RunningOperator:
    """An operator with one service, of which all children are there."""
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.becomes(
        "ResNetService", NAME, lambda b: b["status"]["replicas"] == 2, what="two pods"
    )
    await operator.idle()
    return operator


def container(body: Body) -> Body:
    found: Body = body["spec"]["template"]["spec"]["containers"][0]
    return found


@dataclass(frozen=True)
class Edit:
    reason: str
    kind: str
    change: Body
    # The part that must be again as it was.
    part: Callable[[Body], Any]
    name: str = NAME


TEMPLATE = "/spec/template/spec/containers/0"
EDITS = (
    Edit(
        "another image",
        "Deployment",
        {"op": "replace", "path": f"{TEMPLATE}/image", "value": "evil:1"},
        lambda b: container(b)["image"],
    ),
    Edit(
        "another value of a variable that the user set",
        "Deployment",
        {
            "op": "replace",
            "path": f"{TEMPLATE}/env/3",  # after ours
            "value": {"name": "LEVEL", "value": "0"},
        },
        lambda b: {e["name"]: e["value"] for e in container(b)["env"]}["LEVEL"],
    ),
    Edit(
        "an argument of Triton removed",
        "Deployment",
        {"op": "remove", "path": f"{TEMPLATE}/args/4"},
        lambda b: container(b)["args"],
    ),
    Edit(
        "replicas: the spec says how many, kubectl scale goes to the ResNetService",
        "Deployment",
        {"op": "replace", "path": "/spec/replicas", "value": 5},
        lambda b: b["spec"]["replicas"],
    ),
    Edit(
        "a label of ours on the pods changed",
        "Deployment",
        {
            "op": "replace",
            "path": "/spec/template/metadata/labels/" + names.REVISION.replace("/", "~1"),
            "value": "other",
        },
        lambda b: b["spec"]["template"]["metadata"]["labels"][names.REVISION],
    ),
    Edit(
        "the label by which we find it removed",
        "Deployment",
        {"op": "remove", "path": "/metadata/labels/" + names.MANAGED_BY.replace("/", "~1")},
        lambda b: b["metadata"]["labels"].get(names.MANAGED_BY),
    ),
    Edit(
        "the owner removed",
        "Deployment",
        {"op": "remove", "path": "/metadata/ownerReferences"},
        lambda b: [o["uid"] for o in b["metadata"].get("ownerReferences", [])],
    ),
    Edit(
        "another selector of the Service",
        "Service",
        {
            "op": "replace",
            "path": "/spec/selector",
            "value": {"app": "evil"},
        },
        lambda b: b["spec"]["selector"].get(names.INSTANCE),
    ),
    Edit(
        "a port of the Service removed",
        "Service",
        {"op": "remove", "path": "/spec/ports/1"},
        lambda b: [port["port"] for port in b["spec"]["ports"]],
    ),
    Edit(
        "all labels of the Service removed",
        "Service",
        {"op": "remove", "path": "/metadata/labels"},
        lambda b: b["metadata"].get("labels"),
    ),
    Edit(
        "the store scaled to nothing: no Job could write, no new pod start",
        "Deployment",
        {"op": "replace", "path": "/spec/replicas", "value": 0},
        lambda b: b["spec"]["replicas"],
        names.STORE_NAME,
    ),
    Edit(
        "another image of the store",
        "Deployment",
        {"op": "replace", "path": f"{TEMPLATE}/image", "value": "evil:1"},
        lambda b: container(b)["image"],
        names.STORE_NAME,
    ),
    Edit(
        "another selector of the store's Service: downloads would come from elsewhere",
        "Service",
        {"op": "replace", "path": "/spec/selector", "value": {"app": "evil"}},
        lambda b: b["spec"]["selector"].get(names.COMPONENT),
        names.STORE_NAME,
    ),
    Edit(
        "another configuration of the store",
        "ConfigMap",
        {"op": "replace", "path": "/data/nginx.conf", "value": "events {}"},
        lambda b: b["data"]["nginx.conf"],
        names.STORE_NAME,
    ),
    Edit(
        "the store opened to every namespace",
        "NetworkPolicy",
        {"op": "replace", "path": "/spec/ingress", "value": [{}]},
        lambda b: b["spec"]["ingress"],
        names.STORE_NAME,
    ),
)


@pytest.mark.parametrize("case", EDITS, ids=lambda case: case.reason)
async def test_an_edit_of_what_is_ours_is_put_back(
    case: Edit, world: World, operator: RunningOperator
) -> None:
    before = await world.get(case.kind, case.name)
    edited = await world.json_patch(case.kind, case.name, case.change)
    assert case.part(edited) != case.part(before), "the edit edits nothing"
    await world.becomes(
        case.kind, case.name, lambda b: case.part(b) == case.part(before), what=case.reason
    )
    await operator.idle()
    after = await world.get(case.kind, case.name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await world.get("ResNetService", NAME))["status"]["phase"] == "Deploying"


@dataclass(frozen=True)
class Deletion:
    reason: str
    kind: str
    name: Callable[[World], Awaitable[str]]


async def _named(_: World) -> str:
    return NAME


async def _store(_: World) -> str:
    return names.STORE_NAME


async def _revision(world: World) -> str:
    (found,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    return str(found["metadata"]["name"])


async def _runtime(world: World) -> str:
    (found,) = await world.ours("ConfigMap", names.RUNTIME_COMPONENT)
    return str(found["metadata"]["name"])


DELETIONS = (
    Deletion("the Deployment", "Deployment", _named),
    Deletion("the Service", "Service", _named),
    Deletion("the revision, which pods mount when they start", "ConfigMap", _revision),
    Deletion("the runtime, which pods mount when they start", "ConfigMap", _runtime),
    Deletion("the store's Deployment", "Deployment", _store),
    Deletion("the store's Service", "Service", _store),
    Deletion("the store's configuration", "ConfigMap", _store),
    Deletion("the store's NetworkPolicy", "NetworkPolicy", _store),
)


@pytest.mark.parametrize("case", DELETIONS, ids=lambda case: case.reason)
async def test_a_deleted_child_comes_back(
    case: Deletion, world: World, operator: RunningOperator
) -> None:
    name = await case.name(world)
    before = await world.get(case.kind, name)
    await world.delete(case.kind, name)

    async def is_back() -> Body | None:
        found = await world.find(case.kind, name)
        return found if found and found["metadata"]["uid"] != before["metadata"]["uid"] else None

    after = await until(is_back, what=case.reason)
    await operator.idle()
    for part in ("data", "immutable"):
        assert after.get(part) == before.get(part)
    if case.kind != "ConfigMap":
        template = before["spec"].get("template", before["spec"].get("selector"))
        assert after["spec"].get("template", after["spec"].get("selector")) == template


@dataclass(frozen=True)
class Addition:
    reason: str
    kind: str
    change: Body
    is_there: Callable[[Body], Any]


NOTE = {"example.com/note": "by a person"}
ADDITIONS = (
    Addition(
        "an annotation on the Deployment",
        "Deployment",
        {"metadata": {"annotations": NOTE}},
        lambda b: b["metadata"]["annotations"]["example.com/note"],
    ),
    Addition(
        "kubectl rollout restart: an annotation on the pod template",
        "Deployment",
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01"}}
                }
            }
        },
        lambda b: b["spec"]["template"]["metadata"]["annotations"][
            "kubectl.kubernetes.io/restartedAt"
        ],
    ),
    Addition(
        "a label on the Service",
        "Service",
        {"metadata": {"labels": {"team": "vision"}}},
        lambda b: b["metadata"]["labels"]["team"],
    ),
    Addition(
        "an annotation of the Service, as load balancers want",
        "Service",
        {"metadata": {"annotations": NOTE}},
        lambda b: b["metadata"]["annotations"]["example.com/note"],
    ),
    Addition(
        "a field of the pods that we do not state",
        "Deployment",
        {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}},
        lambda b: b["spec"]["template"]["spec"]["nodeSelector"]["disk"],
    ),
)


@pytest.mark.parametrize("case", ADDITIONS, ids=lambda case: case.reason)
async def test_an_addition_of_others_is_left_alone(
    case: Addition, world: World, operator: RunningOperator
) -> None:
    """And stays when the operator has something to write itself."""
    await world.patch(case.kind, NAME, case.change)
    await world.patch("ResNetService", NAME, {"spec": {"serving": {"replicas": 1}}})
    await world.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == 1, what="one pod less"
    )
    await operator.idle()
    assert case.is_there(await world.get(case.kind, NAME))
