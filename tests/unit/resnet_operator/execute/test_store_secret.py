"""The Secret of the store: made once, never read, never named by a user, and made again if lost."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

import pytest
from tests.support.builders import a_settings, resolved
from tests.unit.resnet_operator.world import NAMESPACE, World

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict, InvalidSpec
from resnet_operator.execute.store_secret import make_secret
from resnet_operator.plan.actions import Delete, MakeSecret
from resnet_operator.render.conversion import job_spec
from resnet_operator.render.store_secret import RANDOM_BYTES, htpasswd, store_secret
from resnet_operator.watch.views import Views

RANDOM = bytes(range(RANDOM_BYTES))


def decoded(secret: dict[str, Any]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}


def test_key_and_password_have_nothing_in_common() -> None:
    data = decoded(store_secret("models", RANDOM))
    assert data["key"] == RANDOM[:32]
    assert data["password"] == RANDOM[32:64].hex().encode()
    user, _, line = data["htpasswd"].decode().strip().partition(":")
    checked = base64.b64decode(line.removeprefix("{SSHA}"))
    digest, salt = checked[:20], checked[20:]
    assert user == "resnet"
    assert digest == hashlib.sha1(data["password"] + salt).digest()
    assert htpasswd("x", salt=b"s" * 16) != htpasswd("x", salt=b"t" * 16)


def test_a_secret_of_too_little_chance_is_not_made() -> None:
    with pytest.raises(AssertionError):
        store_secret("models", RANDOM[1:])


class FakeKube(Kube):
    def __init__(self, *, conflict: bool = False) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.conflict = conflict

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        if self.conflict:
            raise Conflict(409, "already exists")
        return body


def views() -> Views:
    def fail(_: Any) -> Any:
        raise AssertionError

    return Views(fail)


@pytest.mark.parametrize("conflict", [False, True], ids=["new", "there already"])
def test_it_is_asked_for_once(conflict: bool) -> None:
    kube, known = FakeKube(conflict=conflict), views()
    for _ in range(3):
        asyncio.run(make_secret(MakeSecret(namespace="models"), kube=kube, views=known))
    assert len(kube.bodies) == 1
    asyncio.run(make_secret(MakeSecret(namespace="models", again=True), kube=kube, views=known))
    asyncio.run(make_secret(MakeSecret(namespace="other"), kube=kube, views=known))
    assert [body["metadata"]["namespace"] for body in kube.bodies] == ["models", "models", "other"]
    keys = {body["data"]["key"] for body in kube.bodies}
    assert len(keys) == 3, "nobody can know it beforehand"


def test_it_is_made_before_what_mounts_it() -> None:
    """The Job and the store's own pod; later plans ask no more."""
    world = World()
    while (plan := world.plan()).again:
        for action in plan.actions:
            world.execute(action)
    kinds = [
        "Secret" if isinstance(action, MakeSecret) else action.body["kind"]
        for action in plan.actions
        if not isinstance(action, Delete)
    ]
    assert "Job" in kinds
    assert kinds.index("Secret") < kinds.index("Deployment") < kinds.index("Job")
    settled = World().serve()
    assert settled.plan().actions == ()


def test_it_is_made_again_where_a_pod_waits_for_it() -> None:
    world = World()
    world.reconcile()
    world.job_pod(phase="Pending")
    missing = 'MountVolume.SetUp failed for volume "store-key" : secret "resnet-store" not found'
    asked = [MakeSecret(namespace=NAMESPACE, again=True)]
    assert list(world.plan(warnings=(missing,)).actions) == asked
    for other in ("", missing.replace("resnet-store", "mine"), "secret not found"):
        assert world.plan(warnings=(other,)).actions == ()


# No field of a ResNetService may name it.

FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("model.credentialsSecretRef", {"model": {"credentialsSecretRef": {"name": "NAME"}}}),
    ("serving.tls.secretName", {"serving": {"tls": {"secretName": "NAME"}}}),
    (
        "serving.env",
        {
            "serving": {
                "env": [
                    {"name": "A", "value": "x"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "NAME", "key": "key"}}},
                ]
            }
        },
    ),
]
BUCKET = {
    "type": "S3",
    "s3": {"endpoint": "https://s3.example", "bucket": "artifacts", "secretName": "bucket-keys"},
}


def named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: named(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item, name) for item in value]
    return name if value == "NAME" else value


@pytest.mark.parametrize("name", [names.STORE_NAME, "bucket-keys"])
@pytest.mark.parametrize(("field", "spec"), FIELDS, ids=[row[0] for row in FIELDS])
def test_no_object_reads_the_stores_secrets_through_its_pods(
    field: str, spec: dict[str, Any], name: str
) -> None:
    settings = a_settings(store=BUCKET)
    with pytest.raises(InvalidSpec, match="artifact store") as caught:
        resolved(named(spec, name), settings=settings)
    assert field.removesuffix(".secretName") in caught.value.message
    resolved(named(spec, "mine"), settings=settings)


# What an object brings itself is a part of the content key.


@pytest.mark.parametrize(
    ("reason", "conversion", "want"),
    [
        ("the cluster's own images", {}, None),
        ("a converter", {"image": "evil:1"}, {"convert": "evil:1"}),
        (
            "a quantizer",
            {"quantization": {"image": "evil:2", "calibration": {"uri": "pvc://data/c.tar"}}},
            {"quantize": "evil:2"},
        ),
        (
            "a cache that others may write",
            {"opCompilerCache": {"persistentVolumeClaim": "cache"}},
            {"opCache": "cache"},
        ),
    ],
)
def test_own_means_are_told_to_the_job(reason: str, conversion: dict[str, Any], want: Any) -> None:
    settings = a_settings(amct_image="registry.example/amct:1")
    order = job_spec(
        namespace="models",
        resolved=resolved({"conversion": conversion}, settings=settings),
        settings=settings,
    )
    assert order.get("ownMeans") == want, reason
