"""Rights on ConfigMaps decide nothing that runs: who has them may write any of ours (attacker c).

Each test does what such a one can, and looks at what would be applied next.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import NAME, an_artifact
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.actions import Apply, Create, Delete
from resnet_operator.plan.trust import is_believed, revision_digest
from resnet_operator.record.artifact import record_digest
from resnet_operator.render.serving import CONFIG_KEY, TEMPLATE_KEY

Body = dict[str, Any]
EVIL_SHA256 = "66" * 32


def forged_template(template: Body, **spec: Any) -> Body:
    return {**template, "spec": {**template["spec"], **spec}}


def replace_revision(world: World, **data: str) -> Body:
    """Delete a revision and create it again with other content, our labels and our owner."""
    body = world.body("ConfigMap", world.revision)
    kept = {key: body[key] for key in ("apiVersion", "kind", "immutable")}
    meta = {
        key: body["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")
    }
    world.delete("ConfigMap", body["metadata"]["name"])
    forged = {**kept, "metadata": meta, "data": {**body["data"], **data}}
    world.apply(forged, manager="POST")
    return forged


def template_of(world: World) -> Body:
    value: Body = json.loads(world.body("ConfigMap", world.revision)["data"][TEMPLATE_KEY])
    return value


FORGERIES: list[tuple[str, Any]] = [
    ("the node's processes", lambda t: forged_template(t, hostPID=True)),
    ("the node's network", lambda t: forged_template(t, hostNetwork=True)),
    ("another account", lambda t: forged_template(t, serviceAccountName="cluster-admin")),
    (
        "the node's files",
        lambda t: forged_template(
            t, volumes=[*t["spec"]["volumes"], {"name": "root", "hostPath": {"path": "/"}}]
        ),
    ),
    (
        "another artifact",
        lambda t: json.loads(json.dumps(t).replace(an_artifact().sha256, EVIL_SHA256)),
    ),
    ("another image", lambda t: json.loads(json.dumps(t).replace("serving:1", "evil:1"))),
    ("no template", lambda t: None),
]


@pytest.mark.parametrize(("why", "forge"), FORGERIES, ids=[row[0] for row in FORGERIES])
def test_a_replaced_revision_is_replaced_again(why: str, forge: Any) -> None:
    world = World().serve()
    good = world.body("ConfigMap", world.revision)["data"]
    forged = replace_revision(world, **{TEMPLATE_KEY: json.dumps(forge(template_of(world)))})
    before = world.body("Deployment")
    plan = world.plan()
    assert described(plan.actions) == [
        f"delete ConfigMap {world.revision}",
        f"create ConfigMap {world.revision}",
    ], why
    assert [event.reason for event in plan.notices] == ["RevisionReplaced"]
    world.reconcile()
    assert world.body("ConfigMap", world.revision)["data"] == good != forged["data"]
    assert world.body("Deployment") == before, "nothing restarts"
    assert world.reconcile() == []


@pytest.mark.parametrize("key", [CONFIG_KEY, "labels.txt", "evil.py"])
def test_what_a_revision_mounts_is_held_too(key: str) -> None:
    world = World().serve()
    good = world.body("ConfigMap", world.revision)["data"]
    replace_revision(world, **{key: "forged"})
    world.reconcile()
    assert world.body("ConfigMap", world.revision)["data"] == good


def test_a_revision_that_is_laid_there_first_is_replaced() -> None:
    """The name is public arithmetic: it can be made before the operator does."""
    seen = World().serve()
    body, template = seen.body("ConfigMap", seen.revision), template_of(seen)
    world = World()
    world.convert()
    forged = forged_template(template, hostPID=True)
    meta = {
        key: body["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")
    }
    data = {**body["data"], TEMPLATE_KEY: json.dumps(forged)}
    kept = {key: body[key] for key in ("apiVersion", "kind", "immutable")}
    world.apply({**kept, "metadata": meta, "data": data}, manager="POST")
    world.reconcile()
    assert "hostPID" not in world.body("Deployment")["spec"]["template"]["spec"]
    assert world.body("ConfigMap", world.revision)["data"] == body["data"]


def test_a_forged_older_revision_cannot_be_pinned_or_rolled_back_to() -> None:
    world = World().serve()
    first = world.revision
    world.change({"serving": {"replicas": 1, "env": [{"name": "A", "value": "b"}]}})
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    assert world.revision != first
    body = world.body("ConfigMap", first)
    data = {**body["data"], TEMPLATE_KEY: json.dumps({"metadata": {}, "spec": {"hostPID": True}})}
    world.edit("ConfigMap", first, {"data": data})
    before = world.body("Deployment")["spec"]["template"]
    world.change({"rollout": {"pinRevision": first}})
    world.reconcile()
    assert world.body("Deployment")["spec"]["template"] == before
    shown = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert shown["reason"] == "RevisionNotFound"


def test_a_template_that_is_not_of_our_shape_is_rendered_again_whoever_vouches_for_it() -> None:
    """The last wall: a digest in the status does not help it."""
    world = World().serve()
    good = world.body("ConfigMap", world.revision)["data"]
    forged = forged_template(template_of(world), hostPID=True)
    data = {**good, TEMPLATE_KEY: json.dumps(forged)}
    world.edit("ConfigMap", world.revision, {"data": data})
    world.status["revisionDigests"] = {world.revision: revision_digest(data)}
    world.reconcile()
    assert world.body("ConfigMap", world.revision)["data"] == good
    assert "hostPID" not in world.body("Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("key", ["launch.py", "ascend_om.py", "evil.py"])
def test_replaced_files_of_the_runtime_are_replaced_again(key: str) -> None:
    world = World().serve()
    name = next(n for n in world.names_of("ConfigMap") if n.startswith("rns-runtime-"))
    good = world.body("ConfigMap", name)
    assert world.reconcile() == []
    world.edit("ConfigMap", name, {"data": {key: "import os"}})
    assert described(world.reconcile()) == [f"delete ConfigMap {name}", f"create ConfigMap {name}"]
    assert world.body("ConfigMap", name)["data"] == good["data"]
    assert world.reconcile() == []


# What version 0.1.0 has left: a status without digests.


def old(world: World) -> World:
    world.status = {k: v for k, v in world.status.items() if k != "revisionDigests"}
    world.status["artifact"] = {
        k: v for k, v in world.status["artifact"].items() if k != "recordDigest"
    }
    return world


def test_an_upgrade_restarts_nothing_and_notes_the_digests() -> None:
    world = old(World().serve())
    revision, record = world.revision, world.record
    assert world.reconcile() == []
    data = world.body("ConfigMap", revision)["data"]
    assert world.status["revisionDigests"] == {revision: revision_digest(data)}
    kept = world.body("ConfigMap", record)["data"]
    assert world.status["artifact"]["recordDigest"] == record_digest(kept)


def test_a_revision_of_0_1_0_with_another_template_than_runs_is_not_believed() -> None:
    world = old(World().serve())
    replace_revision(world, **{TEMPLATE_KEY: json.dumps(forged_template(template_of(world), x=1))})
    before = world.body("Deployment")
    world.reconcile()
    assert world.body("Deployment") == before


# Records.


def forge_record(world: World, **facts: Any) -> None:
    data = an_artifact(**facts).to_record()
    meta = {"name": world.record, "namespace": "models"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    world.apply({**body, "data": data, "immutable": True}, manager=names.MANAGER)


FACTS: list[tuple[str, Body]] = [
    ("another artifact", {"sha256": EVIL_SHA256}),
    ("another content key", {"content_key": "99" * 32}),
    ("another size", {"size_bytes": 5}),
    ("another name", {"file": "model.onnx"}),
    ("another order of outputs", {"outputs": ()}),
    ("other words", {"notes": ("all is well",)}),
]


@pytest.mark.parametrize(("why", "facts"), FACTS, ids=[row[0] for row in FACTS])
def test_a_forged_record_is_made_again(why: str, facts: Body) -> None:
    world = World().serve()
    forge_record(world, **facts)
    world._said.clear()  # the Job is gone since
    world.delete("Job", world.newest_job())
    before, status = world.body("Deployment"), world.status["artifact"]
    plan = world.plan()
    assert described(plan.actions)[:2] == [
        f"delete ConfigMap {world.record}",
        f"create ConfigMap {world.record}",
    ], why
    assert plan.status["artifact"] == status
    assert world.body("Deployment") == before


def test_a_record_that_is_laid_there_first_is_not_adopted() -> None:
    world = World()
    meta: dict[str, Any] = {"name": world.record, "namespace": "models"}
    meta |= {"labels": names.labels(names.RECORD, **{names.ARTIFACT: world.key})}
    data = an_artifact(sha256=EVIL_SHA256).to_record()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    world.apply({**body, "data": data, "immutable": True}, manager="POST")
    for _ in range(3):
        world.reconcile()
    assert not world.has("Deployment", NAME)
    assert world.newest_job(), "a Job makes it"
    assert world.status["artifact"] == {"job": world.newest_job()}


def test_a_record_that_is_filled_while_the_job_runs_is_held_against_it() -> None:
    world = World()
    world.reconcile()
    forge_record(world, sha256=EVIL_SHA256)
    assert world.reconcile() == [], "the Job goes on"
    world.job_succeeds()
    actions = world.plan().actions
    assert not any(isinstance(a, Apply) and a.body["kind"] == "Deployment" for a in actions)
    assert any(isinstance(a, Delete) and a.name == world.record for a in actions)


def test_a_record_whose_status_was_never_written_is_proven_by_its_job() -> None:
    """The operator ended between the two: nothing is converted again."""
    world = World().deploy()
    world.status = {}
    actions = world.plan().actions
    assert not any(isinstance(action, Create | Delete) for action in actions)
    world.reconcile()
    assert world.status["artifact"]["sha256"] == an_artifact().sha256


def test_garbage_vouches_for_nothing() -> None:
    world = World().serve()
    record = world.observe().record
    assert is_believed(record, [world.status])
    unsaid: list[dict[str, Any]] = [{}, {"artifact": {}}, {"artifact": {"record": world.record}}]
    for status in unsaid:
        assert not is_believed(record, [status])
    assert not is_believed(None, [world.status])
