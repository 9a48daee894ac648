"""An object that is older than a rule of the CRD: what can still be done with it.

The CRD is installed under another group, first without its rules, as an earlier version had it, and
then with them, as an upgrade does it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.manifests import service
from tests.support.apiserver import CRD_FILE, eventually, wait_established
from tests.support.crd import read_crd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.apiserver import Answer, ApiServer

GROUP = "older.resnet-operator.io"
CRD = f"resnetservices.{GROUP}"
NAME = "resnet50"
Body = dict[str, Any]
# Held by the object since before the rule, by the field where the rule stands.
OLD: list[tuple[str, Body]] = [
    ("the store's Secret as a login", {"model.credentialsSecretRef": {"name": "resnet-store"}}),
    ("the store's Secret as a certificate", {"serving.tls": {"secretName": "resnet-store"}}),
    (
        "the store's Secret as a variable",
        {
            "serving.env": [
                {
                    "name": "A",
                    "valueFrom": {"secretKeyRef": {"name": "resnet-store", "key": "key"}},
                }
            ]
        },
    ),
    ("a variable that chooses chips", {"serving.env": [{"name": "LD_PRELOAD", "value": "x"}]}),
    ("a label of ours", {"serving.podLabels": {"app.kubernetes.io/name": "x"}}),
    ("a chip that is a family", {"accelerator.chip": "Ascend310P"}),
]
# What to add so that an object is another one, by a field of it.
OTHER: dict[str, Body] = {"name": {}, "secretName": {"clientAuthentication": True}}


def crd(*, with_rules: bool) -> Body:
    made: Body = read_crd(CRD_FILE)
    made["metadata"] = {"name": CRD}
    made["spec"]["group"] = GROUP
    made["spec"]["names"]["shortNames"], made["spec"]["names"]["categories"] = [], []
    for version in made["spec"]["versions"]:
        if not with_rules:
            drop(version["schema"]["openAPIV3Schema"], "x-kubernetes-validations")
    return made


def drop(node: Any, key: str) -> None:
    if isinstance(node, dict):
        node.pop(key, None)
        for child in node.values():
            drop(child, key)
    elif isinstance(node, list):
        for child in node:
            drop(child, key)


def install(server: ApiServer, body: Body) -> None:
    text = json.dumps(body)
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)
    wait_established(server.kubectl, CRD)


@pytest.fixture(scope="module")
def older(apiserver: ApiServer) -> Iterator[ApiServer]:
    install(apiserver, crd(with_rules=False))
    yield apiserver
    apiserver.kubectl("delete", "crd", CRD, "--wait=false")


class Object:
    """One object of the other group."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.all = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/resnetservices"

    def create(self, changes: Body, *, dry_run: bool = False, name: str = NAME) -> Answer:
        body = service(changes, name=name) | {"apiVersion": f"{GROUP}/v1alpha1"}
        return self.server.request("POST", self.all + ("?dryRun=All" if dry_run else ""), body)

    def patch(self, body: Body, *, subresource: str = "", name: str = NAME) -> Answer:
        path = f"{self.all}/{name}{subresource}"
        kind = "application/merge-patch+json"
        return self.server.request("PATCH", path, body, content_type=kind)


def test_what_can_be_done_with_an_object_that_is_older_than_a_rule(
    older: ApiServer, namespace: str
) -> None:
    there = Object(older, namespace)
    for number, (why, changes) in enumerate(OLD):
        made = there.create(changes, name=f"r{number}")
        assert made.status == 201, f"{why}: {made.message}"
    install(older, crd(with_rules=True))
    wait_for_rules(there)
    for number, (why, changes) in enumerate(OLD):
        name = f"r{number}"
        status = {"status": {"observedGeneration": 1, "phase": "Failed"}}
        told = there.patch(status, subresource="/status", name=name)
        assert told.status == 200, f"{why}: the status is written: {told.message}"
        marked = there.patch({"metadata": {"annotations": {"a": "b"}}}, name=name)
        assert marked.status == 200, f"{why}: it can be marked: {marked.message}"
        scaled = there.patch({"spec": {"serving": {"replicas": 2}}}, name=name)
        assert scaled.status == 200, f"{why}: it can be changed elsewhere: {scaled.message}"
        path, value = next(iter(changes.items()))
        if (changed := other(value)) != value:
            worse = there.patch(at(path, changed), name=name)
            assert worse.status == 422, f"{why}: not to another value that is refused"
        better = there.patch(at(path, None), name=name) if "chip" not in path else None
        assert better is None or better.status == 200, f"{why}: it can be put right"
        gone = older.request("DELETE", f"{there.all}/{name}")
        assert gone.status == 200, f"{why}: it can be deleted: {gone.message}"


def wait_for_rules(there: Object) -> None:
    _, changes = OLD[0]
    eventually(
        lambda: there.create(changes, dry_run=True, name="probe").status == 422,
        what="the rules to hold",
    )


def at(path: str, value: Any) -> Body:
    for name in reversed(path.split(".")):
        value = {name: value}
    return {"spec": value}


def other(value: Any) -> Any:
    """Return another value that is refused for the same reason."""
    if isinstance(value, str):
        return "Ascend310B"
    if isinstance(value, list) and "valueFrom" in value[0]:
        # The rule stands at the item, which has to be another one.
        return json.loads(json.dumps(value).replace('"key": "key"', '"key": "password"'))
    if isinstance(value, list):
        return [*value, {"name": "B", "value": "x"}]
    return value | next(
        (more for key, more in OTHER.items() if key in value), {"app.kubernetes.io/part-of": "x"}
    )
