"""A pod is the Deployment's when its ReplicaSet is: labels are anybody's.

Pods that another one made with our labels, and what becomes of the words that they say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, metadata, pod_body, running, waiting

from resnet_operator import names
from resnet_operator.errors import Rejected
from resnet_operator.observe_pods import is_quiet, serving_pods
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.workload import Pod
from resnet_operator.watch.views import Views

Body = dict[str, Any]
SERVICE = Meta.from_body({"metadata": metadata("digits")})
DEPLOYMENT, OURS, THEIRS = "uid-deployment", "uid-replica-set", "uid-of-another-replica-set"
EVIL: dict[str, Any] = {"phase": "Failed", "message": "pay us", "reason": "Evil"}


@dataclass
class Cluster:
    """ReplicaSets by name, and what was asked."""

    sets: dict[str, Body] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    may_read: bool = True

    async def list_one(
        self, api_version: str, kind: str, namespace: str, *, field_selector: str
    ) -> list[Body]:
        assert (api_version, kind, namespace) == ("apps/v1", "ReplicaSet", NAMESPACE)
        name = field_selector.removeprefix("metadata.name=")
        self.asked.append(name)
        if not self.may_read:
            raise Rejected(403, "may not list")
        return [self.sets[name]] if name in self.sets else []

    def add(self, name: str, uid: str, *, of: str | None, kind: str = "Deployment") -> None:
        owners = [{"kind": kind, "uid": of, "controller": True}] if of else []
        self.sets[name] = {"metadata": {"name": name, "uid": uid, "ownerReferences": owners}}


def a_pod(
    name: str = "p", *, owner: Body | None = None, template_hash: str = "5d4f9c", **facts: Any
) -> Body:
    labels = {names.INSTANCE: "digits", names.TEMPLATE_HASH: template_hash}
    body = pod_body(name, labels=labels, **({"containers": [running("triton")]} | facts))
    reference = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"digits-{template_hash}",
        "uid": OURS,
        "controller": True,
    } | (owner or {})
    body["metadata"]["ownerReferences"] = [reference]
    return body


async def seen(
    cluster: Cluster, *pods: Body, views: Views | None = None, uid: str | None = DEPLOYMENT
) -> list[str]:
    views = views or Views(lambda body: body)  # type: ignore[arg-type, return-value]
    for body in pods:
        views.remember({"kind": "Pod", **body})
    found = await serving_pods(SERVICE, uid, views, cluster)  # type: ignore[arg-type]
    return [pod.meta.name for pod in found]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.add("digits-5d4f9c", OURS, of=DEPLOYMENT)
    return made


STRANGERS: list[tuple[str, Body]] = [
    ("nobody controls it", {"owner": {"controller": False}}),
    ("a Job controls it", {"owner": {"apiVersion": "batch/v1", "kind": "Job"}}),
    ("a kind of the same name", {"owner": {"apiVersion": "evil/v1"}}),
    ("a ReplicaSet of another Deployment", {"owner": {"name": "digit-5d4f9c"}}),
    ("a Deployment whose name only begins alike", {"owner": {"name": "digits-x-5d4f9c"}}),
    ("the same, with a hash that hides it", {"template_hash": "x-5d4f9c"}),
    ("no hash", {"template_hash": ""}),
]


@pytest.mark.parametrize(("why", "facts"), STRANGERS, ids=[row[0] for row in STRANGERS])
@pytest.mark.parametrize("words", [{}, EVIL], ids=["quiet", "telling"])
async def test_a_pod_of_others_is_not_seen(
    cluster: Cluster, why: str, facts: Body, words: Body
) -> None:
    assert await seen(cluster, a_pod("fake", **facts, **words), a_pod("ours")) == ["ours"], why
    assert cluster.asked == []


LIES: list[tuple[str, Body]] = [
    ("a UID that nobody has", {"uid": "uid-made-up"}),
    ("the UID of another ReplicaSet", {"uid": THEIRS}),
]


@pytest.mark.parametrize(("why", "owner"), LIES, ids=[row[0] for row in LIES])
async def test_a_pod_that_names_our_replica_set_and_is_not_its_says_nothing(
    cluster: Cluster, why: str, owner: Body
) -> None:
    cluster.add("others", THEIRS, of="uid-of-another-deployment")
    fake = a_pod("fake", owner=owner, **EVIL)
    assert await seen(cluster, fake, a_pod("ours")) == ["ours"], why
    assert cluster.asked == ["digits-5d4f9c"]


@pytest.mark.parametrize("of", [None, "uid-of-another-deployment"])
async def test_a_replica_set_of_our_name_that_is_not_the_deployments(
    cluster: Cluster, of: str | None
) -> None:
    """With rights on ReplicaSets, and a name that the Deployment might give."""
    cluster.add("digits-abc", THEIRS, of=of)
    owner = {"name": "digits-abc", "uid": THEIRS}
    fake = a_pod("fake", owner=owner, template_hash="abc", **EVIL)
    assert await seen(cluster, fake, a_pod("ours")) == ["ours"]


async def test_our_own_pods_are_seen_whatever_they_say(cluster: Cluster) -> None:
    views = Views(lambda body: body)  # type: ignore[arg-type, return-value]
    pods = [a_pod("one", **EVIL), a_pod("two", containers=[waiting("triton", "CrashLoopBackOff")])]
    assert await seen(cluster, *pods, a_pod("three"), views=views) == ["one", "two", "three"]
    assert cluster.asked == ["digits-5d4f9c"], "read once"
    await seen(cluster, views=views)
    assert len(cluster.asked) == 1


async def test_pods_that_start_well_cost_no_read(cluster: Cluster) -> None:
    pods = [
        a_pod("new", containers=[]),
        a_pod("made", containers=[waiting("triton", "PodInitializing")]),
        a_pod("ready", phase="Running", ready=True),
    ]
    assert await seen(cluster, *pods) == ["new", "made", "ready"]
    assert cluster.asked == []


async def test_a_replica_set_that_a_new_deployment_adopts_is_read_again(cluster: Cluster) -> None:
    views = Views(lambda body: body)  # type: ignore[arg-type, return-value]
    await seen(cluster, a_pod("one", **EVIL), views=views)
    cluster.add("digits-5d4f9c", OURS, of="uid-new")
    assert await seen(cluster, views=views, uid="uid-new") == ["one"]


async def test_where_reading_is_not_allowed_the_name_decides(cluster: Cluster) -> None:
    """The rights of 0.1.0, where somebody keeps Roles of their own."""
    cluster.may_read = False
    stranger = a_pod("fake", owner={"controller": False}, **EVIL)
    assert await seen(cluster, a_pod("one", **EVIL), stranger) == ["one"]


async def test_while_there_is_no_deployment_the_name_decides(cluster: Cluster) -> None:
    assert await seen(cluster, a_pod("one", **EVIL), uid=None) == ["one"]


@pytest.mark.parametrize(
    "facts",
    [
        {"phase": "Failed"},
        {"reason": "Evicted"},
        {"message": "words"},
        {"unschedulable": "0/2 nodes"},
        {"disruption": "DeletionByTaintManager"},
        {"containers": [waiting("triton", "ImagePullBackOff")]},
    ],
)
def test_what_is_told_of_a_pod_is_not_quiet(facts: Body) -> None:
    assert not is_quiet(Pod.from_body(a_pod(**facts)))
