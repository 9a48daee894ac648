"""What lies between clients and pods: made when asked for, put back, and gone when not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAME, Body, a_settings, condition, resolved
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.actions import Apply
from resnet_operator.render.network import KINDS
from resnet_operator.seen.others import NetworkServiceObject
from resnet_operator.watch.concerns import WATCHED
from resnet_operator.watch.views import NETWORK_KINDS

ROUTE: Body = {"serving": {"httpRoute": {"parentRefs": [{"name": "public"}]}}}
WITH_GATEWAY = a_settings(gateway_api=True)


def test_every_kind_is_watched_and_kept() -> None:
    watched = {entry.kind: entry for entry in WATCHED}
    assert set(KINDS) == set(NETWORK_KINDS) <= set(watched)
    for kind, version in KINDS.items():
        assert watched[kind].path.rsplit("/", 1)[0] == f"apis/{version}"
    optional = {kind for kind in watched if watched[kind].is_optional}
    assert optional == {"HTTPRoute", "ResNetBatch", "ScaledObject"}


@dataclass(frozen=True)
class Option:
    reason: str
    kind: str
    spec: Body
    changed: Body
    without: Body
    # An edit by hand that is put back.
    edit: Body = field(default_factory=dict)


OPTIONS = (
    Option(
        "two replicas have a budget",
        "PodDisruptionBudget",
        {"serving": {"replicas": 2}},
        {},
        {"serving": {"replicas": 1}},
        {"spec": {"maxUnavailable": 0}},
    ),
    Option(
        "a network policy, even an empty one",
        "NetworkPolicy",
        {"serving": {"networkPolicy": {}}},
        {
            "serving": {
                "networkPolicy": {
                    "allowFrom": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
                }
            }
        },
        {"serving": {"networkPolicy": None}},
        {"spec": {"ingress": [{}]}},
    ),
    Option(
        "an ingress",
        "Ingress",
        {"serving": {"ingress": {"host": "a.example", "annotations": {"a": "b"}}}},
        {"serving": {"ingress": {"annotations": None}}},
        {"serving": {"ingress": None}},
        {"spec": {"rules": []}},
    ),
    Option(
        "an autoscaler",
        "HorizontalPodAutoscaler",
        {"serving": {"autoscaling": {"maxReplicas": 3}}},
        {"serving": {"autoscaling": {"maxReplicas": 4}}},
        {"serving": {"autoscaling": None}},
        {"spec": {"maxReplicas": 9}},
    ),
    Option(
        "a route",
        "HTTPRoute",
        ROUTE,
        {"serving": {"httpRoute": {"hostnames": ["a.example"]}}},
        {"serving": {"httpRoute": None}},
        {"spec": {"rules": []}},
    ),
)


@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: case.reason)
def test_life_of_a_child(case: Option) -> None:
    """Made, left alone, put back, made again, changed without a restart, deleted."""
    world = World(case.spec, settings=WITH_GATEWAY).serve()
    before, revision = world.body(case.kind), world.revision
    assert before["metadata"]["ownerReferences"][0]["controller"] is True
    assert world.reconcile() == []

    world.edit(case.kind, NAME, {"metadata": {"annotations": {"of": "others"}}})
    assert world.reconcile() == [], "an addition of others"
    world.edit(case.kind, NAME, case.edit)
    assert described(world.reconcile()) == [f"apply {case.kind} {NAME}"]
    assert world.body(case.kind)["spec"] == before["spec"]

    world.delete(case.kind, NAME)
    (action,) = world.reconcile()
    assert isinstance(action, Apply)
    assert not action.adopt, "somebody else may take the name meanwhile"

    if case.changed:
        world.change(case.changed)
        assert described(world.reconcile()) == [f"apply {case.kind} {NAME}"]
        assert world.reconcile() == []
    world.change(case.without)
    assert f"delete {case.kind} {NAME}" in described(world.reconcile())
    assert not world.has(case.kind, NAME)
    assert world.reconcile() == []
    assert world.revision == revision, "no pod is restarted"


@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: case.reason)
def test_a_child_of_somebody_else_stays(case: Option) -> None:
    """Another controller's object with our label is neither taken over nor deleted."""
    world = World(case.spec, settings=WITH_GATEWAY).serve()
    other = {"uid": "uid-of-the-former", "controller": True}
    world.edit(case.kind, NAME, {"metadata": {"ownerReferences": [other]}})
    (action,) = world.plan().actions
    assert isinstance(action, Apply)
    assert not action.adopt
    world.change(case.without)
    assert f"delete {case.kind} {NAME}" not in described(list(world.plan().actions))


def test_who_has_a_budget_of_his_own_gets_no_second_one() -> None:
    """Two budgets for one pod make every eviction of it fail."""
    world = World({"serving": {"replicas": 2}}).serve()
    world.change({"serving": {"podDisruptionBudget": "Disabled"}})
    assert described(world.reconcile()) == [f"delete PodDisruptionBudget {NAME}"]
    assert world.reconcile() == []


def test_an_object_without_options_has_the_service_alone() -> None:
    world = World().serve()
    assert not any(world.has(kind, NAME) for kind in KINDS)


def test_an_old_server_that_drops_a_field_is_not_written_to_for_ever() -> None:
    """Kubernetes 1.25 does not know unhealthyPodEvictionPolicy."""
    world = World({"serving": {"replicas": 2}}).serve()
    world.edit("PodDisruptionBudget", NAME, {"spec": {"unhealthyPodEvictionPolicy": None}})
    assert world.reconcile() == []


# A kind that the cluster lacks.


def test_without_the_gateway_api_the_pods_serve_and_the_status_says_what_lacks() -> None:
    world = World(ROUTE, settings=WITH_GATEWAY)
    world.seen["absent_kinds"] = frozenset({"HTTPRoute"})
    world.serve()
    assert not world.has("HTTPRoute", NAME)
    ready = condition(world.status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "KindMissing")
    assert "install the Gateway API" in ready["message"]
    for kind in ("Available", "ModelReady", "Scheduled"):
        assert condition(world.status, kind)["status"] == "True"
    assert world.reconcile() == []
    world.seen["absent_kinds"] = frozenset()
    assert described(world.reconcile()) == [f"apply HTTPRoute {NAME}"]
    assert condition(world.status, "Ready")["status"] == "True"


def a_parent(status: str, *, generation: int = 1, kind: str = "Accepted") -> Body:
    said = {
        "type": kind,
        "status": status,
        "reason": "NoMatchingListenerHostname",
        "message": "no listener has this host",
        "observedGeneration": generation,
    }
    return {"parents": [{"parentRef": {"name": "public"}, "conditions": [said]}]}


REFUSALS: tuple[tuple[str, Body, bool], ...] = (
    ("a Gateway refuses it", a_parent("False"), True),
    ("its Service is not found", a_parent("False", kind="ResolvedRefs"), True),
    ("it was accepted", a_parent("True"), False),
    ("that was said of an older one", a_parent("False", generation=0), False),
    ("a condition of the controller's own", a_parent("False", kind="Other"), False),
    ("nobody has looked yet", {}, False),
)


@pytest.mark.parametrize(("reason", "status", "refused"), REFUSALS)
def test_what_a_gateway_says_of_the_route(reason: str, status: Body, refused: bool) -> None:
    world = World(ROUTE, settings=WITH_GATEWAY).serve()
    body = world.body("HTTPRoute") | {"status": status}
    world.seen["network"] = {"HTTPRoute": NetworkServiceObject.from_body(body)}
    assert world.reconcile() == [], "words alone change nothing"
    ready = condition(world.status, "Ready")
    assert ready["reason"] == ("RouteRefused" if refused else "Ready"), reason
    assert condition(world.status, "ModelReady")["status"] == "True"
    if refused:
        assert "Gateway public: NoMatchingListenerHostname" in ready["message"]
        assert len(ready["message"]) <= 120
        assert world.status["phase"] == "Degraded"


def test_a_route_where_the_gateway_api_is_switched_off_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="set gatewayAPI in the operator's settings"):
        resolved(ROUTE)


# TLS and the ports.


@dataclass(frozen=True)
class Ports:
    reason: str
    serving: dict[str, Any]
    ports: list[str]


TLS = {"tls": {"secretName": "grpc"}}
PORTS = (
    Ports("both", {}, ["http", "grpc"]),
    Ports("what Triton cannot encrypt is not published", TLS, ["grpc"]),
    Ports("an Ingress needs it", TLS | {"ingress": {"host": "a.example"}}, ["http", "grpc"]),
    Ports("a route needs it", TLS | ROUTE["serving"], ["http", "grpc"]),
)


@pytest.mark.parametrize("case", PORTS, ids=lambda case: case.reason)
def test_ports_of_the_service(case: Ports) -> None:
    world = World({"serving": case.serving}, settings=WITH_GATEWAY).serve()
    found = [port["name"] for port in world.body("Service")["spec"]["ports"]]
    assert found == case.ports
    assert sorted(world.status["endpoints"]) == sorted(case.ports), "the status says the same"


def test_tls_is_another_revision_and_mounts_the_secret() -> None:
    world = World().serve()
    old = world.revision
    world.change({"serving": TLS})
    world.reconcile()
    assert world.revision != old
    pod = world.body("Deployment")["spec"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": "grpc"}} in pod["volumes"]
    args = pod["containers"][0]["args"]
    assert "--grpc-use-ssl=true" in args
    assert not any("mutual" in arg for arg in args)


# The pods.


def test_spreading_counts_the_pods_of_the_service() -> None:
    apart = {"maxSkew": 1, "topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule"}
    mine = {**apart, "labelSelector": {"matchLabels": {"app": "mine"}}, "topologyKey": "zone"}
    spread = {"topologySpreadConstraints": [apart, mine]}
    world = World({"serving": spread}).serve()
    found = world.body("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert found[0]["labelSelector"]["matchLabels"][names.INSTANCE] == NAME
    assert found[1] == mine


def test_a_service_without_further_options_keeps_its_digest() -> None:
    """An upgrade of the operator writes to no Service for the sake of a digest."""
    world = World({"serving": {"service": {"annotations": {"a": "b"}}}}).serve()
    digest = world.body("Service")["metadata"]["annotations"][names.TEMPLATE_DIGEST]
    assert digest == names.digest({"a": "b"}, 10)
