"""The status is as the world is: a whole reconcile against an API server in a dictionary."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import ARTIFACT, NAME, NAMESPACE, Body
from tests.unit.resnet_operator.fake_api import FakeApi, Life

from resnet_operator import names
from resnet_operator.api import KIND
from resnet_operator.record.artifact import record_digest
from resnet_operator.render.conversion import record_content

MAY_LIE_SECONDS = 2.0


async def serving() -> Life:
    """An object that is Ready, whose model was converted some other day."""
    life = Life()
    life.create()
    known_artifact(life)
    await life.run(5)
    assert life.is_ready, life.status
    return life


def known_artifact(life: Life) -> None:
    life._deliver()
    service = life.views.services.one(NAMESPACE, NAME)
    assert service is not None
    assert service.resolved is not None
    body = record_content(
        key=service.resolved.source_key,
        namespace=NAMESPACE,
        data=ARTIFACT.to_record(),
        immutable=True,
    )
    if ("ConfigMap", body["metadata"]["name"]) not in life.api.objects:
        life.api.put(body)
        said = {
            "record": body["metadata"]["name"],
            "sha256": ARTIFACT.sha256,
            "recordDigest": record_digest(body["data"]),
        }
        # Another object uses it too: its status is why anybody believes it.
        mine = life.api.objects[KIND, NAME]
        meta = {"name": "another", "namespace": NAMESPACE}
        life.api.put({**mine, "metadata": meta, "status": {"artifact": said}})


def revision(life: Life) -> str:
    return life.one("ConfigMap", names.REVISION_COMPONENT)


def runtime(life: Life) -> str:
    return life.one("ConfigMap", names.RUNTIME_COMPONENT)


def itself(_: Life) -> str:
    return NAME


def unlabelled(body: Body) -> None:
    del body["metadata"]["labels"][names.MANAGED_BY]


def without_labels(body: Body) -> None:
    body["metadata"]["labels"] = {}


def unowned(body: Body) -> None:
    body["metadata"]["ownerReferences"] = []


def unowned_and_unlabelled(body: Body) -> None:
    unowned(body)
    without_labels(body)


@dataclass(frozen=True)
class Fault:
    reason: str
    kind: str
    name: Callable[[Life], str]
    change: Callable[[Body], object] | None = None  # None: it is deleted


FAULTS = (
    Fault("the revision is deleted", "ConfigMap", revision),
    Fault("the revision's managed-by label is taken", "ConfigMap", revision, unlabelled),
    Fault("all of the revision's labels are taken", "ConfigMap", revision, without_labels),
    Fault("the revision's owner is taken", "ConfigMap", revision, unowned),
    Fault("owner and labels of the revision go", "ConfigMap", revision, unowned_and_unlabelled),
    Fault("the runtime's files are deleted", "ConfigMap", runtime),
    Fault("the managed-by label of the runtime is taken", "ConfigMap", runtime, unlabelled),
    Fault("the Deployment's managed-by label is taken", "Deployment", itself, unlabelled),
    Fault("the Deployment's owner is taken", "Deployment", itself, unowned),
    Fault("owner and labels of the Deployment go", "Deployment", itself, unowned_and_unlabelled),
    Fault("the Deployment is deleted", "Deployment", itself),
    Fault("the Service is deleted", "Service", itself),
    Fault("the Service's managed-by label is taken", "Service", itself, unlabelled),
    Fault("owner and labels of the Service go", "Service", itself, unowned_and_unlabelled),
)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.reason)
def test_ready_is_never_false_for_long_after_a_repair(case: Fault) -> None:
    async def scenario() -> None:
        life = await serving()
        name = case.name(life)
        before = life.api.objects[case.kind, name]
        if case.change is None:
            life.api.remove(case.kind, name)
        else:
            life.api.edit(case.kind, name, case.change)
        seen = await life.run(120)
        assert seen[-1][1], (case.reason, life.condition("Ready"))
        false = [at for at, ready in seen if not ready]
        true = [at for at, ready in seen if ready]
        lied = sum(min(t for t in true if t > at) - at for at in false)
        assert lied <= MAY_LIE_SECONDS, (case.reason, seen)
        after = life.api.objects[case.kind, name]
        for part in ("labels", "ownerReferences"):
            assert after["metadata"].get(part) == before["metadata"].get(part), part
        life.api.writes.clear()
        await life.run(300)
        assert life.api.writes == [], "and then there is peace"

    asyncio.run(scenario())


KINDS = ("Deployment", "Service", "ConfigMap")


def forge(life: Life, **data: str) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        unowned(body)
        body["data"] = body["data"] | data

    return change


def test_what_is_adopted_has_our_content_whoever_edited_it() -> None:
    """Its field manager is ours, which anybody can write: the content is not believed."""

    async def scenario() -> None:
        life = await serving()
        name = revision(life)
        good = life.api.objects["ConfigMap", name]["data"]
        life.api.edit("ConfigMap", name, forge(life, **{"pod-template.json": "{}"}))
        await life.run(5)
        assert life.is_ready
        assert life.api.objects["ConfigMap", name]["data"] == good

    asyncio.run(scenario())


def test_an_object_that_comes_back_after_an_orphaning_deletion_adopts_all() -> None:
    """`kubectl delete --cascade=orphan` and apply again: the pods go on under the new object."""

    async def scenario() -> None:
        life = await serving()
        uid = life.api.objects[KIND, NAME]["metadata"]["uid"]
        template = life.api.objects["Deployment", NAME]["spec"]["template"]
        old = dict(life.api.objects)
        for at, body in list(life.api.objects.items()):
            owners = body["metadata"].get("ownerReferences") or []
            if any(owner["uid"] == uid for owner in owners):
                life.api.edit(*at, unowned)
        life.api.remove(KIND, NAME)
        life.create()
        seen = await life.run(30)
        assert seen[-1] == (seen[-1][0], True), life.status
        assert seen[-1][0] <= MAY_LIE_SECONDS
        new = life.api.objects[KIND, NAME]["metadata"]["uid"]
        assert new != uid
        for kind, name in (("Deployment", NAME), ("Service", NAME), ("ConfigMap", revision(life))):
            meta = life.api.objects[kind, name]["metadata"]
            assert [owner["uid"] for owner in meta["ownerReferences"]] == [new]
            assert meta["uid"] == old[kind, name]["metadata"]["uid"], "nothing was made again"
        assert life.api.objects["Deployment", NAME]["spec"]["template"] == template

    asyncio.run(scenario())


@pytest.mark.parametrize("order", list(itertools.permutations(KINDS)), ids=" ".join)
@pytest.mark.parametrize("collected", [0.0, 3.0, 25.0])
def test_an_object_that_is_deleted_and_created_at_once_becomes_ready(
    collected: float, order: tuple[str, ...]
) -> None:
    """What the old one left is still there, and goes when the garbage collector comes by."""

    async def scenario() -> None:
        life = await serving()
        uid = life.api.objects[KIND, NAME]["metadata"]["uid"]
        life.api.remove(KIND, NAME)
        life.create()
        life.collect_garbage(uid, *order, after=collected, apart=0.3)
        seen = await life.run(collected + 40)
        assert seen[-1][1], life.status
        assert seen[-1][0] <= collected + MAY_LIE_SECONDS + 1
        for at in (("Deployment", NAME), ("Service", NAME)):
            owners = life.api.objects[at]["metadata"]["ownerReferences"]
            assert [owner["uid"] for owner in owners] != [uid]
        said = {c["reason"] for c in life.status["conditions"]}
        assert "NameConflict" not in said

    asyncio.run(scenario())


def test_what_the_deleted_object_still_has_is_not_told_of_the_new_one() -> None:
    async def scenario() -> None:
        life = await serving()
        life.api.remove(KIND, NAME)
        life.create()
        await life.run(3)
        assert life.status["readyReplicas"] == 0
        assert life.condition("Available")["status"] == "False"
        ready = life.condition("Ready")
        assert ready["reason"] == "Pending"
        assert "is being removed" in ready["message"]

    asyncio.run(scenario())


STRANGERS: tuple[tuple[str, Body], ...] = (
    ("nobody's", {}),
    ("a Deployment's", {"ownerReferences": [{"kind": "Deployment", "name": "x", "uid": "u"}]}),
    (
        "another controller's",
        {
            "labels": {names.MANAGED_BY: names.MANAGER},
            "ownerReferences": [{"kind": "Shop", "name": NAME, "uid": "u", "controller": True}],
        },
    ),
    ("one that bears our label and no owner", {"labels": {names.MANAGED_BY: names.MANAGER}}),
)


@pytest.mark.parametrize(("reason", "metadata"), STRANGERS, ids=[r for r, _ in STRANGERS])
def test_a_strangers_revision_is_told_and_left_alone(reason: str, metadata: Body) -> None:
    async def scenario() -> None:
        life = await serving()
        name = revision(life)
        life.api.remove("ConfigMap", name)
        manager = [{"manager": "kubectl", "operation": "Update"}]
        strange = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "managedFields": manager,
                **metadata,
            },
            "data": {"a": "b"},
        }
        life.api.put(strange)
        await life.run(10)
        said = life.condition("Ready")
        assert (said["status"], said["reason"]) == ("False", "NameConflict"), reason
        assert name in said["message"]
        assert "kubectl" in said["message"]
        assert life.api.objects["ConfigMap", name]["data"] == {"a": "b"}
        life.api.remove("ConfigMap", name)
        await life.run(70)
        assert life.is_ready, "and once the name is free, it is taken"

    asyncio.run(scenario())


class Stubborn(FakeApi):
    """A webhook that takes one thing back in every write."""

    def _put(self, at: tuple[str, str], body: Body, verb: str) -> Body:
        if at[0] == "Deployment":
            body["spec"]["progressDeadlineSeconds"] = 1
            body.pop("status", None)
        return super()._put(at, body, verb)


def test_a_fight_with_a_webhook_costs_ever_less() -> None:
    """Not Ready and each look writes: the looks come ever more seldom."""

    async def scenario() -> None:
        life = Life()
        api: Any = Stubborn(lambda: life.now)
        life.api, life.deployment_controller = api, lambda: None  # type: ignore[method-assign]
        object.__setattr__(life.reconciler, "kube", api)
        life.create()
        known_artifact(life)
        await life.run(20)
        api.writes.clear()
        await life.run(300)
        assert 0 < len([w for w in api.writes if "Deployment" in w]) < 12, api.writes

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap", "NetworkPolicy"])
def test_a_store_that_another_owner_controls_is_told_and_left_alone(kind: str) -> None:
    """As the Deployment of an object that was called as the store is, before that was refused."""

    async def scenario() -> None:
        life = await serving()
        ours = life.api.objects[kind, names.STORE_NAME]
        life.api.remove(kind, names.STORE_NAME)
        owner = {"apiVersion": "shop/v1", "kind": "Shop", "name": "x", "uid": "u"}
        theirs = {
            **ours,
            "metadata": {
                **{k: ours["metadata"][k] for k in ("name", "namespace", "labels")},
                "annotations": ours["metadata"].get("annotations") or {},
                "ownerReferences": [{**owner, "controller": True}],
                "managedFields": [{"manager": "shop", "operation": "Apply"}],
            },
        }
        life.api.put(theirs)
        await life.run(10)
        said = life.condition("Ready")
        assert (said["status"], said["reason"]) == ("False", "NameConflict")
        assert f'{kind} "{names.STORE_NAME}" belongs to shop' in said["message"]
        owners = life.api.objects[kind, names.STORE_NAME]["metadata"]["ownerReferences"]
        assert [one["uid"] for one in owners] == ["u"]
        life.api.remove(kind, names.STORE_NAME)
        await life.run(70)
        assert life.is_ready, "and once the name is free, it is taken"

    asyncio.run(scenario())
