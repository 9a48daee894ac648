"""What Prometheus is shown of objects: bounded, complete, and gone with the object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.builders import (
    NAMESPACE,
    a_settings,
    a_spec,
    merged,
    metadata,
)
from tests.unit.resnet_operator.plan.status.test_conditions import (
    TABLE,
    Row,
    name_of,
    status_of,
)

from resnet_operator import names
from resnet_operator.api.status import as_status
from resnet_operator.measured.counting import (
    OF_CONVERSIONS,
    OF_FETCHES,
    ChipTime,
    Ledger,
    begin_at_zero,
)
from resnet_operator.measured.exposition import text_of
from resnet_operator.measured.families import MOST_SERIES, Families
from resnet_operator.measured.objects import MEASURES, Counted, samples_of
from resnet_operator.plan.actions import Apply, Create
from resnet_operator.plan.status.conditions import CONDITIONS
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.telemetry import metrics
from resnet_operator.watch.views import Views

SHA = "0" * 64
READY = {
    "phase": "Ready",
    "readyReplicas": 2,
    "chip": "Ascend310P3",
    "runtime": "AscendOM",
    "revisions": {"serving": "a-1", "desired": "a-2"},
    "artifact": {"sizeBytes": 51_200_000, "origin": "Converted", "record": "rns-1"},
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
}


def an_object(name: str = "a", uid: str = "", **status: Any) -> ServiceObject:
    body = {"metadata": metadata(name), "spec": a_spec({"serving": {"replicas": 2}})}
    if uid:
        body["metadata"]["uid"] = uid
    return replace(ServiceObject.from_body(body, settings=a_settings()), status=status)


@dataclass(frozen=True)
class Shown:
    reason: str
    status: dict[str, Any]
    lines: tuple[str, ...]
    hidden: tuple[str, ...] = ()


SHOWN_CASES = (
    Shown(
        "an object that nobody has looked at yet is there, and pending",
        {},
        (
            'reason_info{namespace="models",name="a",reason="Pending",phase="Pending"} 1',
            'replicas_wanted{namespace="models",name="a"} 2',
            'replicas_ready{namespace="models",name="a"} 0',
            'rollbacks_total{namespace="models",name="a"} 0',
        ),
        ("artifact_bytes{", "revision_info{", "gate_value{"),
    ),
    Shown(
        "what serves has all of it",
        READY,
        (
            'condition{namespace="models",name="a",type="Ready",status="True"} 1',
            'replicas_ready{namespace="models",name="a"} 2',
            'artifact_bytes{namespace="models",name="a",origin="Converted"} 51200000',
            'serving="a-1",desired="a-2",chip="Ascend310P3",runtime="AscendOM"} 1',
        ),
    ),
    Shown(
        "numbers of a gate are words in a status",
        {"validation": {"top1": "0.765", "cosineSimilarity": "0.9991", "imagesPerSecond": 812}},
        (
            'gate_value{namespace="models",name="a",measure="top1"} 0.765',
            'measure="cosine_similarity"} 0.9991',
            'measure="images_per_second"} 812',
        ),
        ('measure="samples"',),
    ),
    Shown(
        "a condition of others is theirs to show",
        {"conditions": [{"type": "example.com/Checked", "status": "True"}]},
        (),
        ("example.com",),
    ),
    Shown(
        "words that somebody wrote into a status cannot break out of a label",
        {"phase": 'x"} 1\ny{a="\\', "artifact": {"sizeBytes": "many", "origin": 7}},
        (r'phase="x\"} 1\ny{a=\"\\"} 1',),
        ("artifact_bytes{",),
    ),
    Shown("a status may hold nulls", {"conditions": None, "artifact": None, "revisions": None}, ()),
)


@pytest.mark.parametrize("case", SHOWN_CASES, ids=lambda case: case.reason)
def test_shown(case: Shown) -> None:
    text = text_of([(an_object(**case.status), Counted())])
    for line in case.lines:
        assert line in text
    for part in case.hidden:
        assert part not in text
    assert list(text_string_to_metric_families(text)), "Prometheus' own parser reads it"


def test_an_object_has_a_bounded_number_of_series() -> None:
    """All that can be said of an object at once; Stalled and Reconciling exclude each other."""
    conditions = [{"type": kind, "status": "True"} for kind in CONDITIONS if kind != "Reconciling"]
    everything: dict[str, Any] = READY | {
        "conditions": conditions,
        "validation": dict.fromkeys(
            ("top1", "top1Reference", "top1Agreement", "cosineSimilarity", "imagesPerSecond"), "1"
        )
        | {"throughput": {"1": 1}},
    }
    samples = list(samples_of(an_object(**everything), Counted(1, 1)))
    assert len(samples) == MOST_SERIES
    for family in Families:
        found = [sample for sample in samples if sample.family is family]
        assert len(found) == family.value.most, family
        assert all(len(sample.labels) == len(family.value.labels) - 2 for sample in found)


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_no_state_of_an_object_has_more_series(row: Row) -> None:
    """As the operator writes its status in each state, and with a gate's numbers beside it."""
    status = status_of(row.state())
    measured = dict.fromkeys(MEASURES, "1")
    found = list(samples_of(an_object(**as_status(status), validation=measured), Counted()))
    assert len(found) <= MOST_SERIES
    assert len({(one.family, one.labels) for one in found}) == len(found), "each is there once"


def test_families_are_named_as_prometheus_wants_them() -> None:
    for family in (found.value for found in Families):
        assert family.name.endswith("_total") == (family.type == "counter"), family.name
        assert family.help.endswith("."), family.name
        assert family.labels[:2] == ("namespace", "name")


class Books:
    """A ledger beside views."""

    def __init__(self) -> None:
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
        self.ledger = Ledger()

    def put(self, name: str, **meta: Any) -> ServiceObject:
        body = {"kind": "ResNetService", "metadata": metadata(name) | meta, "spec": a_spec()}
        self.views.services.put(body)
        service = self.views.services.one(NAMESPACE, name)
        assert service is not None
        return service

    def text(self) -> str:
        return text_of(self.ledger.all(self.views))


def test_an_object_that_goes_takes_its_series_along() -> None:
    books = Books()
    first, other = books.put("a"), books.put("b")
    for service in (first, other):
        books.ledger.said(service, {"revisions": {"failed": {"name": "x-1", "time": "t"}}})
    assert 'rollbacks_total{namespace="models",name="a"} 1' in books.text()
    gone = metadata("a") | {"resourceVersion": "9"}
    books.views.services.remove({"metadata": gone})
    assert 'name="a"' not in books.text()
    assert 'rollbacks_total{namespace="models",name="b"} 1' in books.text()
    books.put("a", uid="another", resourceVersion="10")
    assert 'rollbacks_total{namespace="models",name="a"} 0' in books.text(), "another object"


@dataclass(frozen=True)
class Move:
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]
    rollbacks: int


FAILED = {"revisions": {"failed": {"name": "a-1", "time": "2026-01-01T00:00:00Z"}}}
AGAIN = {"revisions": {"failed": {"name": "a-1", "time": "2026-01-02T00:00:00Z"}}}
MOVES = (
    Move("nothing failed", {}, READY, 0),
    Move("a revision failed", READY, FAILED, 1),
    Move("the status only repeats it", FAILED, FAILED, 0),
    Move("the same revision failed once more, after a retry", FAILED, AGAIN, 1),
    Move("another spec", FAILED, READY, 0),
)


@pytest.mark.parametrize("case", MOVES, ids=lambda case: case.reason)
def test_rollbacks(case: Move) -> None:
    ledger, service = Ledger(), an_object(**case.before)
    ledger.said(service, case.after)
    assert ledger.of(service).rollbacks == case.rollbacks


ARTIFACT = {
    "content_key": "k", "sha256": SHA, "size_bytes": 50, "file": "model.om", "chip": "c",
    "compiler": "ATC", "origin": "Converted", "duration_seconds": 41.5, "command": [],
    "model_sha256": SHA, "model_size_bytes": 100, "opset": 13, "inputs": [], "outputs": [],
}  # fmt: skip
FAILURE = {"attempt": 1, "reason": "AccessDenied", "message": "m", "permanent": True, "time": ""}


@dataclass(frozen=True)
class Ended:
    reason: str
    data: dict[str, Any]
    grows: dict[str, float] = field(default_factory=dict)


def success(**changes: Any) -> dict[str, Any]:
    return {"artifact.json": json.dumps(ARTIFACT | changes)}


def failure(**changes: Any) -> dict[str, Any]:
    return {"failure.json": json.dumps(FAILURE | changes)}


ENDED = (
    Ended("converted", success(), {
        "conversions success Converted": 1, "fetches success Fetched": 1, "conversion seconds": 1,
        "fetched bytes": 100, "artifact bytes": 50,
    }),
    Ended("the store had it", success(origin="Reused"), {
        "conversions success Reused": 1, "fetches success Fetched": 1, "fetched bytes": 100,
        "hits store": 1,
    }),
    Ended("copied: no compiler ran", success(origin="Copied", duration_seconds=0), {
        "conversions success Copied": 1, "fetches success Fetched": 1, "fetched bytes": 100,
        "artifact bytes": 50,
    }),
    Ended("the download was refused", failure(), {
        "conversions failure AccessDenied": 1, "fetches failure AccessDenied": 1,
    }),
    Ended("the compiler refused", failure(reason="ConversionFailed"), {
        "conversions failure ConversionFailed": 1,
    }),
    Ended("a record that only begins", {}),
    Ended("a revision", {"config.pbtxt": "name: 'a'"}),
)  # fmt: skip


def counts() -> dict[str, float]:
    """All counters that a Job moves, by a short name."""
    found: dict[str, float] = {}
    for what, metric in (
        ("conversions", metrics.CONVERSIONS),
        ("fetches", metrics.FETCHES),
        ("hits", metrics.CACHE_HITS),
        ("fetched bytes", metrics.FETCHED_BYTES),
        ("artifact bytes", metrics.ARTIFACT_BYTES),
        ("conversion seconds", metrics.CONVERSION_SECONDS),
    ):
        for family in metric.collect():
            for sample in family.samples:
                if sample.name.endswith(("_total", "_count")):
                    found[" ".join((what, *sample.labels.values()))] = sample.value
    return found


def grown(before: dict[str, float]) -> dict[str, float]:
    return {key: value - before.get(key, 0) for key, value in counts().items()
            if value != before.get(key, 0)}  # fmt: skip


def record(data: dict[str, Any], name: str = "rns-1") -> Apply:
    meta = {"name": name, "namespace": NAMESPACE, "labels": names.labels(names.RECORD)}
    return Apply(body={"kind": "ConfigMap", "metadata": meta, "data": data})


@pytest.mark.parametrize("case", ENDED, ids=lambda case: case.reason)
def test_what_a_job_ends_with_is_counted_once(case: Ended) -> None:
    """Objects that share a record may both write it."""
    ledger, before = Ledger(), counts()
    for name in ("a", "b"):
        ledger.executed((record(case.data),), Observed(service=an_object(name)))
    assert grown(before) == case.grows


def test_a_record_of_another_object_is_a_hit() -> None:
    ledger, before = Ledger(), counts()
    first, second = an_object("a"), an_object("b")
    ledger.executed((record(success()),), Observed(service=first))
    ledger.said(first, READY)
    assert "hits record" not in grown(before), "it was made for this one"
    ledger.said(second, READY)
    assert grown(before)["hits record"] == 1
    ledger.said(replace(second, status=READY), READY)
    assert grown(before)["hits record"] == 1


def test_attempts_after_the_first_are_retries() -> None:
    ledger, service = Ledger(), an_object()
    jobs = [
        Create(body={"kind": "Job", "metadata": {"name": name}})
        for name in ("rns-0a-1", "rns-0a-2", "rns-0a-v0b-3", "a-copy")
    ]
    ledger.executed(jobs, Observed(service=service))
    assert ledger.of(service).retries == 2


def test_chip_time_goes_with_its_namespace() -> None:
    books, chips = Books(), ChipTime(every=5)
    books.put("a")
    meta = metadata("a-1", labels=names.labels("serving", **{names.INSTANCE: "a"}))
    pod = {"metadata": meta, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}
    books.views.pods.put(merged(pod, {}))

    def seconds() -> dict[tuple[str, ...], float]:
        (family,) = metrics.CHIP_SECONDS.collect()
        return {tuple(s.labels.values()): s.value for s in family.samples
                if s.name.endswith("_total")}  # fmt: skip

    begun = seconds().get((NAMESPACE, "Ascend310P3"), 0.0)
    chips.pass_by(4, books.views)
    assert seconds().get((NAMESPACE, "Ascend310P3"), 0.0) == begun, "not every second"
    chips.pass_by(4, books.views)
    assert seconds()[NAMESPACE, "Ascend310P3"] == begun + 8
    books.views.services.remove({"metadata": metadata("a") | {"resourceVersion": "9"}})
    chips.pass_by(8, books.views)
    assert (NAMESPACE, "Ascend310P3") not in seconds()


def test_the_first_of_a_kind_is_an_increase() -> None:
    """Prometheus sees no growth of a series that begins at 1."""
    begin_at_zero()
    shown = {
        (family.name, *sample.labels.values())
        for metric in (metrics.CONVERSIONS, metrics.FETCHES, metrics.CACHE_HITS)
        for family in metric.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    assert ("resnet_conversions", "success", "Converted") in shown
    assert ("resnet_cache_hits", "store") in shown
    for reason in OF_FETCHES:
        assert ("resnet_fetches", "failure", reason) in shown
    for reason in OF_FETCHES | OF_CONVERSIONS:
        assert ("resnet_conversions", "failure", reason) in shown


USUAL = ("ArtifactReady", "Available", "ChipsHealthy", "ModelReady", "Ready", "Scheduled",
         "Validated")  # fmt: skip
MEASURED = {"top1": "0.7651", "top1Agreement": "0.99", "cosineSimilarity": "0.9991"}
SCRAPES = (
    ("with a gate", USUAL, MEASURED, 17),
    (
        "with all that an object can show",
        (*USUAL, "Reconciling", "Contested"),
        MEASURED | {"imagesPerSecond": "512.7"},
        MOST_SERIES,
    ),
)


@pytest.mark.thorough
@pytest.mark.parametrize(("reason", "kinds", "gate", "each"), SCRAPES, ids=[s[0] for s in SCRAPES])
def test_a_thousand_objects_fit_into_one_scrape(
    reason: str, kinds: tuple[str, ...], gate: dict[str, str], each: int
) -> None:
    """Under 2 MB."""
    conditions = [{"type": kind, "status": "True", "reason": "Ready"} for kind in kinds]
    status: dict[str, Any] = READY | {"conditions": conditions, "validation": gate}
    objects = [(an_object(f"object-{n:04}", **status), Counted()) for n in range(1000)]
    text = text_of(objects)
    series = [line for line in text.splitlines() if not line.startswith("#")]
    print(f"\n1,000 objects {reason}: {len(text):,} bytes, {len(series):,} series")
    assert len(series) == 1000 * each
    assert len(text.encode()) < 2_000_000
