"""Which logs are read, how often, and that nothing that is read or fails does any harm."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, a_settings, copied, ended, pod_body, running
from tests.unit.resnet_operator.world import World

from resnet_contract.progress import MIB, Moved
from resnet_operator import names
from resnet_operator.errors import Gone, KubeError, Rejected, Transient
from resnet_operator.progress import reader as module
from resnet_operator.progress.reader import LIMIT_BYTES, MOST_AT_ONCE, ProgressReader
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views

BEGAN = "2026-05-04T12:00:09Z"
HALF = "downloaded 120 of 240 MiB (50 %), 11.4 MiB/s\n"
POD = "the-pod"
Body = dict[str, Any]


def begun(name: str) -> Body:
    return running(name) | {"state": {"running": {"startedAt": BEGAN}}}


@dataclass
class Case:
    """A cluster with one conversion under way, and a reader whose clock a test moves."""

    log: str | KubeError = HALF
    now: float = 1000.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = World()
        world.reconcile()
        self.key = world.key
        self.job = world.body("Job", world.newest_job())
        self.record = world.body("ConfigMap", world.record)
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))
        self.views.jobs.put(self.job)
        self.views.config_maps.put(self.record)
        self.put(begun("fetch"))
        self.reader = ProgressReader(
            kube=self,  # type: ignore[arg-type]
            views=self.views,
            tell=lambda *about: self.told.append(about),
            monotonic=lambda: self.now,
        )

    def put(self, *init: Body, name: str = POD, **facts: Any) -> None:
        facts = {"controller": self.job["metadata"]["uid"]} | facts
        labels = self.job["spec"]["template"]["metadata"]["labels"]
        body = pod_body(name, init=list(init), labels=labels, **facts)
        versions = [int(pod.meta.version or 0) for pod in self.views.pods.all()]
        body["metadata"] |= {"resourceVersion": str(max(versions, default=0) + 1), "uid": name}
        self.views.pods.put(body)

    async def read_log(
        self, namespace: str, pod: str, *, container: str, tail_lines: int, limit_bytes: int
    ) -> str:
        assert (namespace, limit_bytes) == (NAMESPACE, LIMIT_BYTES)
        assert tail_lines <= 20
        self.asked.append((pod, container))
        if isinstance(self.log, KubeError):
            raise self.log
        return self.log

    def look(self, *, after: float = 0.0) -> None:
        self.now += after
        asyncio.run(self.reader.look())


def test_a_download_is_told_and_only_when_it_moves() -> None:
    case = Case()
    case.look()
    case.look(after=9)
    assert case.asked == [], "what is over by then needs no bytes"
    case.look(after=1)
    assert case.asked == [(POD, "fetch")]
    expected = Moved("downloaded", 120 * MIB, 240 * MIB, 50)
    assert case.views.moved == {(POD, "fetch", BEGAN): expected}
    assert case.told == [(NAMESPACE, case.key)]
    for _ in range(30):
        case.look(after=1)
    assert len(case.asked) == 4, "every ten seconds"
    assert len(case.told) == 1, "the same again is no news"


def test_the_end_of_a_container_is_the_end_of_its_bytes() -> None:
    case = Case()
    case.look()
    case.look(after=10)
    case.put(ended("fetch"), begun("prepare"))
    case.look(after=100)
    case.look(after=100)
    assert case.views.moved == {}
    assert len(case.asked) == 1, "prepare has none to tell"


def other_job(case: Case, **changes: Any) -> None:
    body = copied(case.job)
    body["metadata"] |= changes.pop("metadata", {})
    case.views.jobs.put(body | {"status": changes.pop("status", {})})


def newer(case: Case, **meta: Any) -> Body:
    version = str(int(case.job["metadata"].get("resourceVersion") or 0) + 1000)
    return {**case.job["metadata"], "resourceVersion": version, **meta}


SILENT = [
    ("the container of a compiler, whose image may be anybody's",
     lambda case: case.put(ended("fetch"), ended("prepare"), begun("convert"))),
    ("nothing runs", lambda case: case.put(ended("fetch"))),
    ("a pod of others with our labels", lambda case: case.put(begun("fetch"), controller="x")),
    ("it goes", lambda case: case.put(begun("fetch"), deleting=True)),
    ("the Job is done", lambda case: other_job(
        case, metadata=newer(case),
        status={"conditions": [{"type": "Complete", "status": "True"}]})),
    ("the Job is somebody's copy", lambda case: other_job(
        case, metadata=newer(case, ownerReferences=[]))),
    ("the Job goes", lambda case: other_job(
        case, metadata=newer(case, deletionTimestamp="2026-05-04T12:00:09Z"))),
    ("the Job is the gate's", lambda case: other_job(case, metadata=newer(
        case, labels={**case.job["metadata"]["labels"], names.COMPONENT: names.VALIDATION}))),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "change"), SILENT, ids=[row[0] for row in SILENT])
def test_whose_log_is_not_read(reason: str, change: Any) -> None:
    case = Case()
    change(case)
    case.look()
    case.look(after=1000)
    assert case.asked == [], reason


@pytest.mark.parametrize(
    ("reason", "error", "pause"),
    [
        ("a node that does not answer", Transient(0, "timeout"), module.FAILED_SECONDS),
        ("a container that has just ended", Gone(404, "not found"), module.FAILED_SECONDS),
        ("no right to read logs", Rejected(403, "forbidden"), module.REFUSED_SECONDS),
        ("a kubelet that says no", Rejected(400, "waiting to start"), module.FAILED_SECONDS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fails_is_left_alone_for_a_while(reason: str, error: KubeError, pause: float) -> None:
    case = Case(log=error)
    case.look()
    case.look(after=10)
    case.look(after=pause - 1)
    assert len(case.asked) == 1, reason
    assert (case.views.moved, case.told) == ({}, [])
    case.log = HALF
    case.look(after=1)
    assert len(case.told) == 1, "and told when it works again"


@pytest.mark.parametrize(
    "log",
    ["", "\x00\xff", "{}", "downloaded", "downloaded 99999999999999999999 MiB", "٣ MiB" * 1000,
     "downloaded ١٢ MiB"],
)  # fmt: skip
def test_a_log_that_tells_nothing_is_no_news(log: str) -> None:
    case = Case(log=log)
    case.look()
    case.look(after=10)
    assert len(case.asked) == 1
    assert (case.views.moved, case.told) == ({}, [])


def test_many_at_once_take_turns() -> None:
    case = Case()
    for number in range(3 * MOST_AT_ONCE):
        case.put(begun("fetch"), name=f"pod-{number}")
    case.put(begun("fetch"), deleting=True)
    case.look()
    for turn in range(1, 4):
        case.look(after=10 if turn == 1 else 1)
        assert len(case.asked) == turn * MOST_AT_ONCE
    assert len(set(case.asked)) == 3 * MOST_AT_ONCE, "each once, before any comes twice"


async def test_it_goes_on_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    looks: list[int] = []

    async def broken() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    monkeypatch.setattr(case.reader, "look", broken)
    monkeypatch.setattr(module, "TICK_SECONDS", 0.0)
    with pytest.raises(asyncio.CancelledError):
        await case.reader.run()
    assert len(looks) == 3
