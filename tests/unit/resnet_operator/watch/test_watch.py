"""Whom a change concerns, and how soon a broken stream is opened again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, a_settings, a_spec, metadata

from resnet_operator import names
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch import evident
from resnet_operator.watch.broken import Pause
from resnet_operator.watch.concerns import WATCHED
from resnet_operator.watch.store import Change
from resnet_operator.watch.stream import LIMITS
from resnet_operator.watch.views import Views
from resnet_operator.watch.watch import Watches
from resnet_operator.work.queue import WorkQueue

MODEL = {"model": {"uri": "https://models.example/a.onnx", "sha256": "ab" * 32}}


@pytest.fixture
def views() -> Views:
    """Two services share an artifact, a third has its own and a claim."""
    views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
    for name, spec in (("a", MODEL), ("b", MODEL), ("c", None)):
        body = {"kind": "ResNetService", "metadata": metadata(name), "spec": a_spec(spec)}
        views.remember(body)
    labels = names.labels(names.REVISION_COMPONENT, **{names.INSTANCE: "c", names.RUNTIME: "old"})
    views.remember({"kind": "ConfigMap", "metadata": metadata("c-1", labels=labels)})
    return views


def key_of(views: Views) -> str:
    view = views.services.one(NAMESPACE, "a")
    assert view is not None
    assert view.resolved is not None
    return view.resolved.source_key


@dataclass(frozen=True)
class Concern:
    reason: str
    kind: str
    concerns: set[str]
    component: str = ""
    name: str = "x"
    labels: dict[str, str] = field(default_factory=dict)
    before: dict[str, Any] | None = field(default_factory=dict)
    after: dict[str, Any] | None = field(default_factory=dict)


ARTIFACT = {names.ARTIFACT: "KEY"}
INSTANCE = {names.INSTANCE: "b"}
# What happens to the store's children, and whether everybody of the namespace is told.
ALL = {"a", "b", "c"}
STORE_CHANGES: tuple[tuple[str, str, set[str], Any, Any], ...] = (
    ("the spec was changed", "Deployment", ALL, {}, {"metadata": {"generation": 2}}),
    (
        "the cluster wrote an annotation",
        "Deployment",
        set(),
        {},
        {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}},
    ),
    ("another selector", "Service", ALL, {"spec": {}}, {"spec": {"selector": {"app": "evil"}}}),
    ("open to all", "NetworkPolicy", ALL, {"spec": {}}, {"spec": {"ingress": [{}]}}),
    ("a load balancer's status", "Service", set(), {}, {"status": {"loadBalancer": {}}}),
    ("another configuration", "ConfigMap", ALL, {"data": {"a": "1"}}, {"data": {"a": "2"}}),
    ("the same configuration", "ConfigMap", set(), {"data": {"a": "1"}}, {"data": {"a": "1"}}),
)
CONCERNS = (
    Concern("a service concerns itself", "ResNetService", {"c"}, name="c"),
    Concern("a Deployment, by its label", "Deployment", {"b"}, names.SERVING, labels=INSTANCE),
    Concern("a pod of the conversion: all who wait", "Pod", {"a", "b"}, labels=ARTIFACT),
    Concern("the Job as well", "Job", {"a", "b"}, names.CONVERSION, "rns-KEY-1", ARTIFACT),
    Concern("a claim that a model lies on", "PersistentVolumeClaim", {"c"}, name="models"),
    Concern("any other claim", "PersistentVolumeClaim", set()),
    Concern(
        "the result in the record: all who wait for it",
        "ConfigMap",
        {"a", "b"},
        names.RECORD,
        labels=ARTIFACT,
        after={"data": {"artifact.json": "{}"}},
    ),
    Concern(
        "a new owner of the record is nobody else's concern",
        "ConfigMap",
        {"b"},
        names.RECORD,
        labels=ARTIFACT,
        after={"ownerReferences": [{"uid": "uid-b"}]},
    ),
    Concern(
        "the record is gone: everybody's",
        "ConfigMap",
        {"a", "b"},
        names.RECORD,
        "x",
        ARTIFACT,
        after=None,
    ),
    Concern(
        "the runtime is gone: whose revisions name it",
        "ConfigMap",
        {"c"},
        names.RUNTIME_COMPONENT,
        labels={names.RUNTIME: "old"},
        after=None,
    ),
    Concern("the store comes up", "Deployment", set(), names.STORE, names.STORE_NAME),
    Concern(
        "the store is gone: everybody's of the namespace",
        "Deployment",
        {"a", "b", "c"},
        names.STORE,
        names.STORE_NAME,
        after=None,
    ),
    *(
        Concern(reason, kind, concerns, names.STORE, names.STORE_NAME, before=before, after=after)
        for reason, kind, concerns, before, after in STORE_CHANGES
    ),
)


@pytest.mark.parametrize("case", CONCERNS, ids=lambda case: case.reason)
def test_concerns(case: Concern, views: Views) -> None:
    labels = names.labels(case.component)
    labels |= {k: v.replace("KEY", key_of(views)) for k, v in case.labels.items()}
    meta = metadata(case.name.replace("KEY", key_of(views)), labels=labels)
    rest = {
        "kind": case.kind,
        "spec": a_spec() if case.kind == "ResNetService" else {"template": {"metadata": {}}},
    }
    store = Views(lambda body: ServiceObject.from_body(body, settings=a_settings())).stores[
        case.kind
    ]
    views_of = [
        None if facts is None else _view(store, rest | facts, meta, facts, version)
        for version, facts in ((1, case.before), (2, case.after))
    ]
    watched = next(watched for watched in WATCHED if watched.kind == case.kind)
    keys = set(watched.keys(Change(*views_of), views))
    assert keys == {(NAMESPACE, name) for name in case.concerns}, case.reason


def _view(store: Any, body: dict[str, Any], meta: Any, facts: Any, version: int) -> Any:
    owners = facts.get("ownerReferences", [])
    shown = meta | {"resourceVersion": str(version), "ownerReferences": owners}
    shown |= facts.get("metadata", {})
    store.put(body | {"metadata": shown})
    return store.one(meta["namespace"], meta["name"])


def test_nothing_is_decided_before_everything_is_listed(views: Views) -> None:
    """The resync may come first, when a kind cannot be listed for long."""
    queue = WorkQueue()
    watches = Watches(views=views, queue=queue)
    watches.add_all()
    assert queue.is_idle()
    watches.synced = True
    watches.add_all()
    assert not queue.is_idle()


@pytest.mark.parametrize(("synced", "is_leading"), [(False, True), (True, False), (False, False)])
def test_who_takes_charge_looks_at_news_first(
    synced: bool, is_leading: bool, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever comes last, the last list or the Lease."""
    monkeypatch.setattr(evident, "is_evident", lambda view, _: view.meta.name != "b")
    queue, batches = WorkQueue(), WorkQueue()
    views.batches.put({"metadata": metadata("batch"), "spec": {"service": {"name": "a"}}})
    watches = Watches(views=views, queue=queue, batches=batches, is_leading=is_leading)
    watches.synced = synced
    watches.begin()
    assert queue.is_idle()
    watches.synced = watches.is_leading = True
    watches.begin()
    assert list(queue._waiting) == [(NAMESPACE, "b")]
    assert list(batches._waiting) == [(NAMESPACE, "batch")]
    assert watches.background.left == 2


def test_a_stream_that_breaks_again_and_again_is_opened_ever_more_seldom() -> None:
    pause, longest = Pause(), LIMITS.max_pause_seconds
    pauses = [pause.after(0.01) for _ in range(20)]
    assert pauses[0] < 0.3
    assert longest <= pauses[-1] <= longest * 1.25
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses[:8]))
    assert pause.after(LIMITS.short_seconds + 1) < 0.3, "all is forgotten once it lasted"
    assert pause.after(0.01) < 0.6


def test_no_blindness_outlasts_its_cause_by_a_minute() -> None:
    """Whatever has passed, it is noticed and a list is made within this time."""
    longest = max(LIMITS.silence_seconds, LIMITS.watch_seconds, LIMITS.max_pause_seconds * 1.25)
    assert longest + 10 < LIMITS.blind_seconds
    assert LIMITS.watch_seconds < LIMITS.silence_seconds, "a quiet watch is no dead one"
    assert LIMITS.absent_seconds < LIMITS.blind_seconds
