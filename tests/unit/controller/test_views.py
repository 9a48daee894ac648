"""What the stores keep of all they are shown: by the watches, by lists and by our own writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.controller.builders import NAMESPACE, a_settings, a_spec, metadata

from resnet_operator import names
from resnet_operator.observed import Claim, ServiceObject
from resnet_operator.views import Change, Store, Views


def claim_body(
    version: int, *, name: str = "data", phase: str = "Pending", **meta: Any
) -> dict[str, Any]:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, version=version) | meta,
        "status": {"phase": phase},
    }


def by_phase(view: Claim) -> tuple[tuple[str, str, str], ...]:
    return (("phase", view.meta.namespace, view.phase),)


@pytest.fixture
def store() -> Store[Claim]:
    return Store(Claim.from_body, by_phase)


@dataclass(frozen=True)
class Sighting:
    reason: str
    known: dict[str, Any] | None
    shown: dict[str, Any]
    tells: bool
    kept_version: str


SIGHTINGS = (
    Sighting("a new object", None, claim_body(5), True, "5"),
    Sighting("somebody changed it", claim_body(5), claim_body(7, phase="Bound"), True, "7"),
    Sighting("the echo of our own write", claim_body(7), claim_body(7), False, "7"),
    Sighting("an event from before our write", claim_body(7), claim_body(5), False, "7"),
    Sighting(
        "versions are numbers: 10 is newer than 9",
        claim_body(9),
        claim_body(10, phase="Bound"),
        True,
        "10",
    ),
    Sighting(
        "a change of what we do not look at tells nothing, but is the newer version",
        claim_body(5),
        claim_body(6, annotations={"note": "by a person"}),
        False,
        "6",
    ),
)


@pytest.mark.parametrize("case", SIGHTINGS, ids=lambda case: case.reason)
def test_put(case: Sighting, store: Store[Claim]) -> None:
    if case.known:
        store.put(case.known)
    change = store.put(case.shown)
    assert (change is not None) is case.tells, case.reason
    kept = store.one(NAMESPACE, "data")
    assert kept is not None
    assert kept.meta.version == case.kept_version, case.reason


def test_a_change_has_both_sides(store: Store[Claim]) -> None:
    first = store.put(claim_body(1))
    second = store.put(claim_body(2, phase="Bound"))
    assert first == Change(None, store_view(1))
    assert second == Change(store_view(1), store_view(2, phase="Bound"))
    assert store.remove(claim_body(3)) == Change(store_view(2, phase="Bound"), None)


def store_view(version: int, **facts: Any) -> Claim:
    return Claim.from_body(claim_body(version, **facts))


def test_a_deletion_of_something_unknown_tells_nothing(store: Store[Claim]) -> None:
    assert store.remove(claim_body(3)) is None


def test_a_late_deletion_spares_the_next_one_of_that_name(store: Store[Claim]) -> None:
    """We made it anew before the watch told that the old one was deleted."""
    store.put(claim_body(9, uid="new"))
    assert store.remove(claim_body(8, uid="old")) is None
    assert store.one(NAMESPACE, "data") is not None


def test_an_object_moves_in_the_index(store: Store[Claim]) -> None:
    store.put(claim_body(1))
    store.put(claim_body(1, name="other"))
    store.put(claim_body(2, phase="Bound"))
    bound = store.some(("phase", NAMESPACE, "Bound"))
    assert [view.meta.name for view in bound] == ["data"]
    assert [v.meta.name for v in store.some(("phase", NAMESPACE, "Pending"))] == ["other"]
    store.remove(claim_body(3, phase="Bound"))
    assert store.some(("phase", NAMESPACE, "Bound")) == ()


@dataclass(frozen=True)
class Sweep:
    reason: str
    version: int
    listed: tuple[str, ...]
    namespace: str | None
    is_gone: bool


SWEEPS = (
    Sweep("the list shows it", 5, ("data",), None, False),
    Sweep("deleted while nobody watched", 5, (), None, True),
    Sweep("made by us after the list was taken", 11, (), None, False),
    Sweep("in a namespace that this list is not about", 5, (), "elsewhere", False),
    Sweep("in the namespace that this list is about", 5, (), NAMESPACE, True),
)


@pytest.mark.parametrize("case", SWEEPS, ids=lambda case: case.reason)
def test_sweep(case: Sweep, store: Store[Claim]) -> None:
    store.put(claim_body(case.version))
    listed = {(NAMESPACE, name) for name in case.listed}
    gone = store.sweep(namespace=case.namespace, listed=listed, version="10")
    assert bool(gone) is case.is_gone, case.reason
    assert (store.one(NAMESPACE, "data") is None) is case.is_gone, case.reason


# Views: the stores of all kinds.


@pytest.fixture
def views() -> Views:
    return Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))


def test_our_own_write_is_remembered_by_its_kind(views: Views) -> None:
    views.remember(claim_body(4))
    views.remember({"kind": "Event", "metadata": metadata("resnet50.1")})
    assert views.claims.one(NAMESPACE, "data") is not None


def config_map(name: str, component: str, **facts: Any) -> dict[str, Any]:
    labels = names.labels(component, **facts.pop("labels", {}))
    return {"kind": "ConfigMap", "metadata": metadata(name, labels=labels) | facts, "data": {}}


def test_config_maps_are_found_by_what_they_are(views: Views) -> None:
    labels = {names.INSTANCE: "resnet50", names.RUNTIME: "abc"}
    views.remember(config_map("resnet50-1", names.REVISION_COMPONENT, labels=labels))
    views.remember(
        config_map("rns-runtime-abc", names.RUNTIME_COMPONENT, labels={names.RUNTIME: "abc"})
    )
    owners = [{"uid": "one"}, {"uid": "two"}]
    views.remember(config_map("rns-key", names.RECORD, ownerReferences=owners))
    found = {
        kind: [view.meta.name for view in views.config_maps.some((kind, NAMESPACE, value))]
        for kind, value in (
            ("revision", "resnet50"),
            ("uses-runtime", "abc"),
            ("runtime", ""),
            ("owner", "one"),
            ("owner", "two"),
        )
    }
    assert found == {
        "revision": ["resnet50-1"],
        "uses-runtime": ["resnet50-1"],
        "runtime": ["rns-runtime-abc"],
        "owner": ["rns-key"],
    }


def test_all_users_of_one_artifact(views: Views) -> None:
    model = {"model": {"uri": "https://models.example/a.onnx", "sha256": "ab" * 32}}
    for name in ("a", "b"):
        body = {"kind": "ResNetService", "metadata": metadata(name), "spec": a_spec(model)}
        views.remember(body)
    a = views.services.one(NAMESPACE, "a")
    assert a is not None
    assert a.resolved is not None
    key = a.resolved.source_key
    assert views.users_of_artifact(NAMESPACE, key) == ((NAMESPACE, "a"), (NAMESPACE, "b"))
    assert views.users_of_artifact(NAMESPACE, "other") == ()
