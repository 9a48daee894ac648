"""What is known of the cluster: sightings come by watches and by our own writes, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import (
    NAMESPACE,
    UID,
    a_settings,
    a_spec,
    deterministic,
    labels_of_job,
    metadata,
    pod_body,
)

from resnet_operator import names
from resnet_operator.seen.others import Claim
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.store import Change, Store
from resnet_operator.watch.views import Views


def body(
    version: int, *, name: str = "data", phase: str = "Pending", uid: str = "uid-1"
) -> dict[str, Any]:
    meta = metadata(name, version=version, uid=uid)
    return {"kind": "PersistentVolumeClaim", "metadata": meta, "status": {"phase": phase}}


def claim(version: int, **facts: Any) -> Claim:
    return Claim.from_body(body(version, **facts))


@pytest.fixture
def store() -> Store[Claim]:
    return Store(Claim.from_body, lambda view: (("phase", NAMESPACE, view.phase),))


@dataclass(frozen=True)
class Sighting:
    """`first` is known; what does `second` teach, and which version is known then?"""

    reason: str
    first: tuple[int, str] | None
    second: tuple[int, str]
    teaches: bool
    known: int


SIGHTINGS = (
    Sighting("a new object", None, (5, "Pending"), True, 5),
    Sighting("it has changed", (5, "Pending"), (7, "Bound"), True, 7),
    Sighting("a change of what we do not keep", (5, "Bound"), (7, "Bound"), False, 7),
    Sighting("our own write comes back by the watch", (7, "Bound"), (7, "Bound"), False, 7),
    Sighting(
        "somebody else's change, from before our write", (7, "Bound"), (5, "Pending"), True, 7
    ),
    Sighting("versions are numbers: 10 is newer than 9", (9, "Pending"), (10, "Bound"), True, 10),
)


@pytest.mark.parametrize("case", SIGHTINGS, ids=lambda case: case.reason)
def test_put(case: Sighting, store: Store[Claim]) -> None:
    before = None
    if case.first:
        before = claim(case.first[0], phase=case.first[1])
        store.put(body(case.first[0], phase=case.first[1]))
    change = store.put(body(case.second[0], phase=case.second[1]))
    found = store.one(NAMESPACE, "data")
    assert found is not None
    assert found.meta.version == str(case.known), case.reason
    assert change == (Change(before, found) if case.teaches else None), case.reason


def test_a_deleted_object_is_gone(store: Store[Claim]) -> None:
    store.put(body(5))
    assert store.remove(body(6)) == Change(claim(5), None)
    assert store.one(NAMESPACE, "data") is None
    assert store.some(("phase", NAMESPACE, "Pending")) == ()
    assert store.remove(body(6)) is None, "and cannot be deleted again"


def test_the_deletion_of_a_former_object_does_not_hide_the_present_one(store: Store[Claim]) -> None:
    """We make a new one at once; the event of the old one's end may come after that."""
    store.put(body(9, uid="uid-new"))
    assert store.remove(body(8, uid="uid-old")) is None
    assert store.one(NAMESPACE, "data") is not None


def test_a_late_answer_does_not_bring_back_what_is_gone(store: Store[Claim]) -> None:
    """The news of the end can overtake the answer to our last write."""
    store.remove(body(8))
    assert store.put(body(7)) is None
    assert store.one(NAMESPACE, "data") is None


def test_an_index_follows_its_objects(store: Store[Claim]) -> None:
    pending, bound = ("phase", NAMESPACE, "Pending"), ("phase", NAMESPACE, "Bound")
    store.put(body(1, name="a"))
    store.put(body(2, name="b"))
    assert [view.meta.name for view in store.some(pending)] == ["a", "b"]
    store.put(body(3, name="a", phase="Bound"))
    assert [view.meta.name for view in store.some(pending)] == ["b"]
    assert [view.meta.name for view in store.some(bound)] == ["a"]
    assert {view.meta.name for view in store.all()} == {"a", "b"}


@dataclass(frozen=True)
class Listed:
    """Object a is known in version 3 and b in version 5; what is left after a list?"""

    reason: str
    shown: dict[str, int]  # the version of each object in the list
    version: int
    left: dict[str, int]
    namespace: str | None = None
    # What was the highest version known when the list was asked for.
    known: int = 5
    # Written by ourselves while the list was on its way.
    written: dict[str, int] = field(default_factory=dict)
    uid: str = "uid-1"


LISTS = (
    Listed("all were listed", {"a": 3, "b": 5}, 9, {"a": 3, "b": 5}),
    Listed("one has changed", {"a": 7, "b": 5}, 9, {"a": 7, "b": 5}),
    Listed("one was deleted while nobody watched", {"a": 3}, 9, {"a": 3}),
    Listed("one is new", {"a": 3, "b": 5, "c": 6}, 9, {"a": 3, "b": 5, "c": 6}),
    Listed(
        "we made one after the list",
        {"a": 3, "b": 5},
        9,
        {"a": 3, "b": 5, "c": 11},
        written={"c": 11},
    ),
    Listed(
        "we changed one after the list", {"a": 3, "b": 5}, 9, {"a": 11, "b": 5}, written={"a": 11}
    ),
    Listed("the list was of another namespace", {}, 9, {"a": 3, "b": 5}, namespace="other"),
    Listed("the list was of this namespace", {}, 9, {}, namespace=NAMESPACE),
    Listed("a list that is newer, with an older object", {"a": 3, "b": 4}, 9, {"a": 3, "b": 4}),
    Listed("etcd was restored: an object as it was", {"a": 3, "b": 4}, 4, {"a": 3, "b": 4}),
    Listed("etcd was restored: an object is lost", {"a": 3}, 4, {"a": 3}),
    Listed("etcd was restored: an object is older than all", {"a": 1, "b": 2}, 2, {"a": 1, "b": 2}),
    Listed("etcd was restored to nothing", {}, 1, {}),
    Listed(
        "history went back behind a bookmark only", {"a": 3, "b": 5}, 6, {"a": 3, "b": 5}, known=8
    ),
    Listed(
        "history went back, and what we wrote meanwhile is shown by the watch",
        *({"a": 3}, 4, {"a": 3}),
        written={"c": 11},
    ),
    Listed("another cluster with the same names", {"a": 3, "b": 5}, 9, {"a": 3, "b": 5}, uid="new"),
)


@pytest.mark.parametrize("case", LISTS, ids=lambda case: case.reason)
def test_a_list_is_the_truth(case: Listed, store: Store[Claim]) -> None:
    store.put(body(3, name="a"))
    store.put(body(5, name="b"))
    store.highest = case.known
    before = {view.meta.name for view in store.all()}
    listing = store.listing(case.namespace)
    for name, version in case.written.items():
        store.put(body(version, name=name))
    store.begin(listing, str(case.version))
    for name, version in case.shown.items():
        listing.listed.add((NAMESPACE, name))
        store.show(listing, body(version, name=name, uid=case.uid))
    gone = store.sweep(listing)
    assert {v.meta.name: int(v.meta.version) for v in store.all()} == case.left, case.reason
    assert {view.meta.uid for view in store.all()} <= {case.uid}, case.reason
    told = {change.before.meta.name for change in gone if change.before}
    assert told == (before | case.written.keys()) - case.left.keys()
    assert all(change.after is None for change in gone)


def test_after_history_went_back_new_versions_count_again(store: Store[Claim]) -> None:
    """Else all that the new history brings would pass for older than what is known."""
    store.put(body(50, name="a", phase="Bound"))
    listing = store.listing()
    store.begin(listing, "20")
    listing.listed.add((NAMESPACE, "a"))
    change = store.show(listing, body(10, name="a"))
    assert change == Change(claim(50, name="a", phase="Bound"), claim(10, name="a"))
    assert store.highest == 20
    assert store.put(body(21, name="a", phase="Lost")) is not None
    second = store.listing()
    store.begin(second, "30")
    assert not second.went_back, "it went back once, not each time"


def test_what_was_deleted_comes_back_with_an_older_snapshot(store: Store[Claim]) -> None:
    store.put(body(5))
    store.remove(body(7))
    listing = store.listing()
    store.begin(listing, "6")
    store.show(listing, body(5))
    assert store.one(NAMESPACE, "data") is not None


# Somebody may have changed the object just before we wrote it: the answer shows that to nobody, and
# the watch that would have told it has been cut.
# how each version was seen ("answer" to a write of ours, "watch", "list"), what the last one
# teaches, why
SEEN: tuple[tuple[tuple[tuple[str, int], ...], bool, str], ...] = (
    ((("watch", 5), ("list", 5)), False, "a watch has shown it, and all before it"),
    ((("watch", 5), ("answer", 7), ("list", 7)), True, "version 6 may be somebody else's"),
    ((("answer", 7), ("list", 7)), True, "made by us, and changed before the watch was there"),
    ((("watch", 5), ("answer", 7), ("watch", 7), ("list", 7)), False, "its echo has come"),
    ((("watch", 5), ("answer", 7), ("watch", 9), ("list", 9)), False, "a later one has come"),
    ((("watch", 5), ("answer", 7), ("list", 7), ("list", 7)), False, "it was told by the first"),
    ((("watch", 5), ("answer", 5), ("list", 5)), False, "a write that changed nothing"),
    ((("answer", 7), ("answer", 7), ("list", 7)), True, "twice the same answer is no echo"),
    ((("watch", 5), ("answer", 7), ("answer", 9), ("list", 9)), True, "two writes of ours"),
)


@pytest.mark.parametrize(("sightings", "teaches", "why"), SEEN, ids=[row[2] for row in SEEN])
def test_what_only_an_answer_has_shown_is_looked_at_after_a_list(
    sightings: tuple[tuple[str, int], ...], teaches: bool, why: str, store: Store[Claim]
) -> None:
    change = None
    for how, version in sightings:
        if how == "list":
            listing = store.listing()
            store.begin(listing, "20")
            change = store.show(listing, body(version))
        else:
            change = store.put(body(version), is_answer=how == "answer")
    known = store.one(NAMESPACE, "data")
    assert change == (Change(known, known) if teaches else None), why


def test_a_list_that_shows_what_is_known_reads_nothing_again() -> None:
    """A list after each broken connection must not cost what a start costs."""
    read: list[str] = []

    def project(found: Any) -> Claim:
        read.append(found["metadata"]["name"])
        return Claim.from_body(found)

    store: Store[Claim] = Store(project)
    for version in (9, 12):
        listing = store.listing()
        store.begin(listing, str(version))
        assert (store.show(listing, body(5)) is None) is (version == 12)
    assert read == ["data"]


# Whatever happens in a store, its index holds what its objects say, or it is as it was before.

keys = st.lists(st.tuples(st.sampled_from("kl"), st.just(NAMESPACE), st.sampled_from("xy")))
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "list"]),
        st.sampled_from("abc"),
        keys,
        st.sampled_from(["", "", "", "project", "index"]),
    ),
    max_size=12,
)


@pytest.mark.thorough
@deterministic
@given(steps)
def test_a_store_is_whole_whatever_fails(found: list[tuple[str, str, list[Any], str]]) -> None:
    """Keys may come twice: an object may name one claim as its model's and as its dataset's."""
    stated: dict[tuple[str, int], list[Any]] = {}
    failing: set[str] = set()

    def project(one: Any) -> Claim:
        if "project" in failing:
            raise ValueError("odd")
        return Claim.from_body(one)

    def index(view: Claim) -> list[Any]:
        if "index" in failing:
            raise KeyError("odd")
        return stated[view.meta.name, int(view.meta.version)]

    store: Store[Claim] = Store(project, index)
    for version, (verb, name, index_keys, failure) in enumerate(found, start=1):
        stated[name, version] = index_keys
        before = contents(store)
        failing = {failure}
        try:
            if verb == "list":
                listing = store.listing()
                store.begin(listing, str(version))
                store.show(listing, body(version, name=name))
            else:
                getattr(store, verb)(body(version, name=name))
        except (ValueError, KeyError):
            assert contents(store) == before, "a failure leaves the store as it was"
        failing = set()
        expected: dict[Any, set[str]] = {}
        for view in store.all():
            for key in stated[view.meta.name, int(view.meta.version)]:
                expected.setdefault(key, set()).add(view.meta.name)
        assert contents(store)[1] == expected


def contents(store: Store[Claim]) -> tuple[dict[str, str], dict[Any, set[str]]]:
    objects = {view.meta.name: view.meta.version for view in store.all()}
    index = {key: {name for _, name in entry} for key, entry in store._index.items()}
    return objects, index


sightings = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["Pending", "Bound"])), max_size=8
)


@pytest.mark.thorough  # walks at random
@deterministic
@given(sightings, st.randoms(use_true_random=False))
def test_the_order_of_sightings_does_not_matter(facts: list[tuple[str, str]], random: Any) -> None:
    """The watch and our writes show the same versions, one late and the other out of turn."""
    bodies = [body(v, name=name, phase=phase) for v, (name, phase) in enumerate(facts, start=1)]
    late = list(bodies)
    random.shuffle(late)
    stores: list[Store[Claim]] = []
    for order in (bodies, late):
        found = Store(Claim.from_body, lambda view: (("phase", NAMESPACE, view.phase),))
        for one in order:
            found.put(one)
        stores.append(found)
    by_order, shuffled = stores
    assert sorted(v.meta.version for v in by_order.all()) == sorted(
        v.meta.version for v in shuffled.all()
    )
    for phase in ("Pending", "Bound"):
        key = ("phase", NAMESPACE, phase)
        assert {v.meta.name for v in by_order.some(key)} == {
            v.meta.name for v in shuffled.some(key)
        }


# The indexes of each kind.


def service_of(found: Any) -> ServiceObject:
    return ServiceObject.from_body(found, settings=a_settings())


@pytest.fixture
def views() -> Views:
    return Views(service_of)


def config_map(name: str, component: str, **facts: Any) -> dict[str, Any]:
    labels = names.labels(component, **facts.pop("labels", {}))
    return {"kind": "ConfigMap", "metadata": metadata(name, labels=labels, **facts), "data": {}}


def test_services_are_found_by_artifact_claim_and_uid(views: Views) -> None:
    for name in ("a", "b"):
        spec = a_spec({"model": {"sha256": "0" * 64}})
        views.remember(
            {"kind": "ResNetService", "metadata": metadata(name, uid=f"uid-{name}"), "spec": spec}
        )
    (one, _) = views.services.some(("claim", NAMESPACE, "models"))
    assert one.resolved is not None
    assert views.users_of_artifact(NAMESPACE, one.resolved.source_key) == (
        (NAMESPACE, "a"),
        (NAMESPACE, "b"),
    )
    assert views.users_of_artifact(NAMESPACE, "other") == ()
    assert views.services.some(("uid", NAMESPACE, "uid-b"))[0].meta.name == "b"


def test_one_claim_may_be_named_twice(views: Views) -> None:
    """As the model's and as the calibration set's; each later sighting takes the keys away."""
    calibration = {"uri": "pvc://models/pictures.tar", "format": "Images", "batches": 5}
    quantization = {"image": "amct:1", "calibration": calibration}
    spec = a_spec({"conversion": {"quantization": quantization}})
    for version in (5, 6, 7):
        meta = metadata("a", version=version, labels={"seen": str(version)})
        views.services.put({"kind": "ResNetService", "metadata": meta, "spec": spec})
    (found,) = views.services.some(("claim", NAMESPACE, "models"))
    assert found.meta.version == "7"


def test_a_refused_service_is_found_by_name_and_uid(views: Views) -> None:
    """Its children's events must reach it, to tell whether it is available."""
    broken = {"kind": "ResNetService", "metadata": metadata("a", uid=UID), "spec": {}}
    views.remember(broken)
    found = views.services.one(NAMESPACE, "a")
    assert found is not None
    assert found.invalid
    assert views.services.some(("uid", NAMESPACE, UID)) == (found,)


def test_config_maps_are_found_by_what_they_are_for(views: Views) -> None:
    revision = {names.INSTANCE: "resnet50", names.RUNTIME: "abc"}
    record = config_map("rns-1", names.RECORD)
    record["metadata"]["ownerReferences"] = [{"uid": "1"}, {"uid": "2"}]
    for found in (
        config_map("resnet50-1", names.REVISION_COMPONENT, labels=revision),
        config_map("rns-runtime-abc", names.RUNTIME_COMPONENT, labels={names.RUNTIME: "abc"}),
        record,
        config_map("resnet-store", names.STORE),
    ):
        views.remember(found)
    expected = {
        ("revision", NAMESPACE, "resnet50"): "resnet50-1",
        ("uses-runtime", NAMESPACE, "abc"): "resnet50-1",
        ("runtime", NAMESPACE, ""): "rns-runtime-abc",
        ("owner", NAMESPACE, "1"): "rns-1",
        ("owner", NAMESPACE, "2"): "rns-1",
    }
    for key, name in expected.items():
        assert [view.meta.name for view in views.config_maps.some(key)] == [name]
    assert views.config_maps.one(NAMESPACE, "resnet-store") is not None


def test_pods_and_jobs_are_found_by_artifact_or_instance(views: Views) -> None:
    job = {"kind": "Job", "metadata": metadata("rns-k-1", labels=labels_of_job("k")), "spec": {}}
    views.remember(job)
    views.remember({"kind": "Pod", **pod_body("a", labels=labels_of_job("k"))})
    views.remember({"kind": "Pod", **pod_body("b", labels={names.INSTANCE: "resnet50"})})
    assert [view.attempt for view in views.jobs.some(("artifact", NAMESPACE, "k"))] == [1]
    assert [v.meta.name for v in views.pods.some(("artifact", NAMESPACE, "k"))] == ["a"]
    assert [v.meta.name for v in views.pods.some(("instance", NAMESPACE, "resnet50"))] == ["b"]


def test_answers_of_other_kinds_are_not_kept(views: Views) -> None:
    views.remember({"kind": "Lease", "metadata": metadata("resnet-store")})
    views.remember({"kind": "Event", "metadata": metadata("resnet50.1")})
    assert not any(store.all() for store in views.stores.values())


def test_a_job_that_somebody_copied_is_no_attempt(views: Views) -> None:
    """It has our label and another kind of name; it must not stop the watch."""
    copy = {
        "kind": "Job",
        "metadata": metadata("rns-k-copy", labels=labels_of_job("k")),
        "spec": {},
    }
    views.remember(copy)
    assert [view.attempt for view in views.jobs.some(("artifact", NAMESPACE, "k"))] == [0]


def test_news_of_an_object_wait_while_we_write_it(views: Views) -> None:
    """They may overtake our answer, and would look like somebody else's change."""
    seen: list[str] = []
    shown = body(7)
    with views.writing(shown):
        views.when_written(shown["kind"], (NAMESPACE, "data"), lambda: seen.append("ours"))
        views.when_written(shown["kind"], (NAMESPACE, "other"), lambda: seen.append("other"))
        assert seen == ["other"]
        views.remember(shown)
    assert seen == ["other", "ours"]
    views.when_written(shown["kind"], (NAMESPACE, "data"), lambda: seen.append("later"))
    assert seen == ["other", "ours", "later"]


def test_two_who_write_one_object_do_not_hold_each_other(views: Views) -> None:
    seen: list[str] = []
    with views.writing(body(7)):
        with views.writing(body(7)):
            pass
        views.when_written("PersistentVolumeClaim", (NAMESPACE, "data"), lambda: seen.append("x"))
        assert seen == []
    assert seen == ["x"]


def test_a_write_that_fails_lets_go(views: Views) -> None:
    seen: list[str] = []
    writing = views.writing(body(7))
    writing.__enter__()
    views.when_written("PersistentVolumeClaim", (NAMESPACE, "data"), lambda: seen.append("x"))
    error = OSError("gone")
    assert not writing.__exit__(OSError, error, None)
    assert seen == ["x"]


def test_a_spec_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its statuses are many; only another generation is another spec, and a list trusts nothing."""
    read: list[int] = []

    def project(found: Any) -> ServiceObject:
        read.append(found["metadata"]["generation"])
        return service_of(found)

    views = Views(project, ServiceObject.again)

    def shown(version: int, generation: int, **status: Any) -> dict[str, Any]:
        meta = metadata("a", version=version, uid="u") | {"generation": generation}
        return {"kind": "ResNetService", "metadata": meta, "spec": a_spec(), "status": status}

    for version in (5, 6, 7):
        views.services.put(shown(version, 1, phase=str(version)))
    found = views.services.one(NAMESPACE, "a")
    assert found is not None
    assert (found.status, found.meta.version) == ({"phase": "7"}, "7")
    assert read == [1]
    views.services.put(shown(8, 2))
    assert read == [1, 2]
    listing = views.services.listing()
    views.services.begin(listing, "4")
    views.services.show(listing, shown(3, 2))
    assert read == [1, 2, 2], "history went back: the same number may be of another spec"
