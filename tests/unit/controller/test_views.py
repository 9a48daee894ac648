"""Our own writes, until the watch shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.controller.builders import NAMESPACE, a_settings, a_spec, metadata

from resnet_operator import names
from resnet_operator.observed import Claim, ServiceObject
from resnet_operator.views import OVERLAY_SECONDS, Overlay, Views


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def claim_body(version: int, *, name: str = "data", phase: str = "Pending") -> dict[str, Any]:
    return {"metadata": metadata(name, version=version), "status": {"phase": phase}}


def claim(version: int, *, name: str = "data", phase: str = "Pending") -> Claim:
    return Claim.from_body(claim_body(version, name=name, phase=phase))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def overlay(clock: Clock) -> Overlay[Claim]:
    return Overlay(Claim.from_body, clock)


@dataclass(frozen=True)
class Newest:
    reason: str
    ours: int | None
    shown: int | None
    want: int | None


NEWEST = (
    Newest("nothing written: what the watch shows", None, 5, 5),
    Newest("nothing written, nothing shown", None, None, None),
    Newest("just created: the watch has not shown it yet", 7, None, 7),
    Newest("just changed: the watch shows the version before", 7, 5, 7),
    Newest("the watch has caught up", 7, 7, 7),
    Newest("somebody changed it after us", 7, 9, 9),
    Newest("versions are numbers: 10 is newer than 9", 10, 9, 10),
)


@pytest.mark.parametrize("case", NEWEST, ids=lambda case: case.reason)
def test_newest(case: Newest, overlay: Overlay[Claim]) -> None:
    if case.ours is not None:
        overlay.put(claim_body(case.ours))
    shown = claim(case.shown) if case.shown is not None else None
    found = overlay.newest(NAMESPACE, "data", shown)
    assert (found and found.meta.version) == (case.want and str(case.want)), case.reason


@dataclass(frozen=True)
class Echo:
    reason: str
    ours: int | None
    event: int
    is_echo: bool
    forgotten: bool


ECHOES = (
    Echo("an event of an object we did not write", None, 5, False, True),
    Echo("our own write comes back", 7, 7, True, True),
    Echo("an event from before our write", 7, 5, False, False),
    Echo("somebody wrote after us, and that event comes alone", 7, 9, False, True),
)


@pytest.mark.parametrize("case", ECHOES, ids=lambda case: case.reason)
def test_echoes_of_our_own_writes(case: Echo, overlay: Overlay[Claim]) -> None:
    if case.ours is not None:
        overlay.put(claim_body(case.ours))
    assert overlay.seen(NAMESPACE, "data", str(case.event)) is case.is_echo, case.reason
    assert (overlay.newest(NAMESPACE, "data", None) is None) is case.forgotten, case.reason


def test_an_echo_is_told_once(overlay: Overlay[Claim]) -> None:
    overlay.put(claim_body(7))
    assert overlay.seen(NAMESPACE, "data", "7")
    assert not overlay.seen(NAMESPACE, "data", "7"), "a relist shows it again: look at it"


def test_an_own_write_is_believed_for_a_while_only(overlay: Overlay[Claim], clock: Clock) -> None:
    """If the watch never shows it, it is gone: deleted before the watch saw it."""
    overlay.put(claim_body(7))
    clock.now += OVERLAY_SECONDS
    assert overlay.newest(NAMESPACE, "data", None) is not None
    clock.now += 0.1
    assert overlay.newest(NAMESPACE, "data", None) is None
    clock.now -= 1
    assert overlay.newest(NAMESPACE, "data", None) is None, "and it does not come back"


def test_a_deleted_object_is_dropped(overlay: Overlay[Claim]) -> None:
    overlay.put(claim_body(7))
    overlay.drop(NAMESPACE, "data")
    overlay.drop(NAMESPACE, "never written")
    assert overlay.newest(NAMESPACE, "data", None) is None


def test_a_second_write_replaces_the_first(overlay: Overlay[Claim]) -> None:
    overlay.put(claim_body(7))
    overlay.put(claim_body(8, phase="Bound"))
    assert not overlay.seen(NAMESPACE, "data", "7"), "the echo of the first says nothing new"
    found = overlay.newest(NAMESPACE, "data", claim(7))
    assert found is not None
    assert found.phase == "Bound"


def test_a_list_shows_own_writes_beside_what_is_there(overlay: Overlay[Claim]) -> None:
    overlay.put(claim_body(9, name="changed", phase="Bound"))
    overlay.put(claim_body(9, name="new"))
    overlay.put(claim_body(9, name="not asked for"))
    shown = [claim(3, name="old"), claim(3, name="changed")]
    found = {
        view.meta.name: view.phase
        for view in overlay.merged(shown, lambda view: view.meta.name != "not asked for")
    }
    assert found == {"old": "Pending", "changed": "Bound", "new": "Pending"}


def test_a_list_outlives_an_entry_that_runs_out(overlay: Overlay[Claim], clock: Clock) -> None:
    overlay.put(claim_body(9, name="changed"))
    overlay.put(claim_body(9, name="new"))
    clock.now += OVERLAY_SECONDS + 1
    found = list(overlay.merged([claim(3, name="changed")], lambda _: True))
    assert [(view.meta.name, view.meta.version) for view in found] == [("changed", "3")]


# Views: indexes and overlays together.


def service_of(body: Any) -> ServiceObject:
    return ServiceObject.from_body(body, settings=a_settings())


@pytest.fixture
def views() -> Views:
    views = Views(service_of)
    views.indexes = {kind: {} for kind in (*views.overlays, "Pod")}
    return views


def test_one_finds_by_name_and_prefers_our_write(views: Views) -> None:
    kind = "PersistentVolumeClaim"
    views.indexes[kind] = {("name", NAMESPACE, "data"): [claim(3)]}
    assert views.one(kind, NAMESPACE, "data").meta.version == "3"
    assert views.one(kind, NAMESPACE, "other") is None
    views.overlays[kind].put(claim_body(4))
    assert views.one(kind, NAMESPACE, "data").meta.version == "4"


def test_some_leaves_out_what_no_longer_fits(views: Views) -> None:
    """Our own write may have taken an object out of the list that the index still shows."""
    kind = "PersistentVolumeClaim"
    views.indexes[kind] = {("owner", NAMESPACE, "1"): [claim(3, phase="Bound")]}
    views.overlays[kind].put(claim_body(4, phase="Lost"))
    found = views.some(kind, ("owner", NAMESPACE, "1"), lambda view: view.phase == "Bound")
    assert found == ()


def test_pods_have_no_overlay(views: Views) -> None:
    views.indexes["Pod"] = {("instance", NAMESPACE, "a"): ["pod"]}
    assert views.pods("instance", NAMESPACE, "a") == ("pod",)
    assert views.some("Pod", ("instance", NAMESPACE, "a"), lambda _: False) == ("pod",)
    assert views.one("Pod", NAMESPACE, "a") is None


def test_all_objects_of_one_artifact(views: Views) -> None:
    bodies = [{"metadata": metadata(name), "spec": a_spec()} for name in ("a", "b")]
    views.indexes["ResNetService"] = {
        ("artifact", NAMESPACE, "key"): [service_of(body) for body in bodies],
        ("name", NAMESPACE, "a"): [service_of(bodies[0])],
    }
    assert views.keys_of_artifact(NAMESPACE, "key") == ((NAMESPACE, "a"), (NAMESPACE, "b"))
    assert views.keys_of_artifact(NAMESPACE, "other") == ()
    found = views.service(NAMESPACE, "a")
    assert found is not None
    assert found.meta.name == "a"
    assert found.meta.labels.get(names.ARTIFACT) is None
