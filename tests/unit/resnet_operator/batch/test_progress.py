"""How far a batch is: what pods say, in which order it comes, and what is never taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import NOW, a_pod, a_settings, ended, metadata, running, waiting

from resnet_contract.batch.progress import Classified
from resnet_operator import names
from resnet_operator.batch.plan import plan_batch
from resnet_operator.batch.progress import INDEX, merged, preempted, speed, told_by_pods
from resnet_operator.batch.seen import BatchSeen
from resnet_operator.plan.times import to_text
from resnet_operator.seen.batch import BatchObject
from resnet_operator.seen.workload import JobObject, Pod

SPEC: dict[str, Any] = {
    "service": {"name": "resnet50"},
    "input": {"uri": "pvc://photos/2026"},
    "output": {"uri": "pvc://results/2026"},
}


def a_batch(status: Any = None, **spec: Any) -> BatchObject:
    body = {"metadata": metadata("archive"), "spec": {**SPEC, **spec}, "status": status or {}}
    return BatchObject.from_body(body)


def a_job(*, suspend: bool = False, **conditions: str) -> JobObject:
    return JobObject.from_body(
        {
            "metadata": metadata("rnb-archive"),
            "spec": {"suspend": suspend},
            "status": {
                "conditions": [
                    {"type": kind, "status": "True", "reason": reason}
                    for kind, reason in conditions.items()
                ]
            },
        }
    )


def said(done: Any, total: Any, **more: Any) -> dict[str, Any]:
    return {"ok": False, "pictures": done, "total": total, "failed": 0} | more


def a_share(index: int, message: Any, *, name: str = "p", **facts: Any) -> Pod:
    labels = {INDEX: str(index), names.BATCH: "archive"}
    containers = [ended("batch", 143, said=message)]
    return a_pod(name=name, labels=labels, containers=containers, phase="Failed", **facts)


def test_last_words_are_summed_over_the_pods() -> None:
    told = told_by_pods([a_share(0, said(10, 40)), a_share(1, said(5, 30, failed=2))], {})
    found = merged({}, told, 2)
    assert found["pictures"] == {"total": 70, "done": 15, "failed": 2}


def test_the_total_is_told_when_every_pod_has_told_its_own() -> None:
    found = merged({}, told_by_pods([a_share(1, said(5, 30))], {}), 2)
    assert found["pictures"] == {"done": 5, "failed": 0}


LIES = [
    pytest.param(said(50, 40), id="more than all"),
    pytest.param(said(-1, 40), id="less than none"),
    pytest.param(said(True, 40), id="no number"),
    pytest.param(said(10, 40, failed=11), id="more failures than pictures"),
    pytest.param(said(10**15, 10**16), id="beyond every disk"),
    pytest.param("not JSON", id="no message"),
    pytest.param({"ok": False, "reason": "InvalidSpec"}, id="another message"),
]


@pytest.mark.parametrize("message", LIES)
def test_what_cannot_be_is_not_believed(message: Any) -> None:
    assert told_by_pods([a_share(0, message)], {}) == {}


def test_a_pod_of_an_index_that_is_not_the_batchs_counts_for_nothing() -> None:
    assert merged({}, told_by_pods([a_share(7, said(1, 2))], {}), 2) == {}


def test_what_was_told_once_is_not_taken_back() -> None:
    before = merged({}, told_by_pods([a_share(0, said(30, 40))], {}), 1)
    assert merged(before, told_by_pods([a_share(0, said(10, 40))], {}), 1) == before
    assert merged(before, {}, 1) == before


def test_a_running_pod_is_believed_by_its_log() -> None:
    pod = a_pod(containers=[running("batch")], phase="Running", labels={INDEX: "0"})
    told = told_by_pods([pod], {pod.meta.uid: Classified(20, 40, 4.0)})
    assert merged({}, told, 1)["pictures"] == {"total": 40, "done": 20, "failed": 0}
    found = speed({"total": 40, "done": 20}, told, running=True, now=NOW)
    assert found["picturesPerSecond"] == 4.0
    assert found["estimatedCompletionTime"] >= to_text(NOW + timedelta(seconds=5))


def way(name: str, uid: str = "", *, reason: str = "PreemptionByScheduler", **facts: Any) -> Pod:
    pod = a_pod(name=name, labels={INDEX: "0"}, disruption=reason, **{"phase": "Failed"} | facts)
    return replace(pod, meta=replace(pod.meta, uid=uid or f"uid-{name}"))


def counted(*names: str) -> dict[str, Any]:
    pods = [{"name": name, "uid": f"uid-{name}"} for name in names]
    return {"preemptions": len(pods), "preempted": pods}


LOOKS = [
    ("one", [[way("a")]], 1),
    ("the same one, look after look", [[way("a")], [way("a")], [way("a")]], 1),
    ("two between two looks", [[], [way("a"), way("b")]], 2),
    ("one after the other, who is gone first", [[way("a")], [], [way("b")]], 2),
    ("who is gone is not taken back", [[way("a"), way("b")], []], 2),
    ("the same name again is another pod", [[way("a", "1")], [way("a", "2")]], 2),
    ("killed by its node", [[way("a", reason="TerminationByKubelet")]], 1),
    ("under way to its end", [[way("a", phase="Running", deleting=True)]], 1),
    ("first under way, then ended", [[way("a", phase="Running", deleting=True)], [way("a")]], 1),
    ("only chosen: it may live on", [[way("a", phase="Running")]], 0),
    ("chosen, and ended later", [[way("a", phase="Running")], [way("a")]], 1),
    ("failed by itself", [[way("a", reason="")]], 0),
    ("suspended: deleted, not disrupted", [[way("a", reason="", deleting=True)]], 0),
    ("as many as shares, twice", [[way(f"{n}") for n in range(32)]] * 3, 32),
    ("all that is remembered, look after look", [[way(f"{n}") for n in range(100)]] * 3, 100),
    (
        "hundreds, one after another",
        [[way(f"{n}"), way(f"{n + 1}")] for n in range(300)],
        301,
    ),
    ("more there than is remembered: at least", [[way(f"{n}") for n in range(130)]] * 3, 100),
    (
        "who stays is remembered, whoever comes and goes",
        [[way("stays"), way(f"{n}")] for n in range(250)],
        251,
    ),
    (
        "room again: those who found none are counted",
        [[way(f"{n:03}") for n in range(130)], [way(f"{n:03}") for n in range(50, 130)]],
        130,
    ),
]


@pytest.mark.parametrize(("reason", "looks", "count"), LOOKS, ids=[look[0] for look in LOOKS])
def test_each_pod_that_gave_way_is_counted_once(
    reason: str, looks: list[list[Pod]], count: int
) -> None:
    """Each look begins with what the last one said, as after a restart of the operator."""
    status: dict[str, Any] = {}
    for pods in looks:
        status = preempted(status, pods)
        assert len(status.get("preempted", [])) <= 100
    assert status.get("preemptions", 0) == count, reason


def test_the_last_of_them_are_named() -> None:
    first = preempted({}, [way("b"), way("a")])
    assert first == counted("a", "b")
    assert preempted(first, [way("b"), way("c")]) == counted("a", "b", "c")


def plan(seen: BatchSeen) -> Any:
    return plan_batch(seen, settings=a_settings(), now=NOW)


NO_CHIP = "0/3 nodes are available: 3 Insufficient huawei.com/Ascend310P."
STATES = [
    pytest.param([], "Pending", "Pending", "the pod is starting", id="no pod yet"),
    pytest.param(
        [a_pod(unschedulable=NO_CHIP)], "Pending", "WaitingForChip", "services go first", id="chip"
    ),
    pytest.param(
        [a_pod(unschedulable='persistentvolumeclaim "results" not found')],
        "Pending",
        "VolumeMountFailed",
        '"results" does not exist here',
        id="no claim",
    ),
    pytest.param(
        [a_pod(containers=[waiting("batch", "ImagePullBackOff")])],
        "Pending",
        "ImagePullFailed",
        "cannot be pulled",
        id="image",
    ),
    pytest.param(
        [a_pod(containers=[running("batch")], phase="Running")],
        "Running",
        "Running",
        "pictures are being classified",
        id="at work",
    ),
]


@pytest.mark.parametrize(("pods", "phase", "reason", "words"), STATES)
def test_the_status_says_what_the_pods_do(
    pods: list[Pod], phase: str, reason: str, words: str
) -> None:
    status = plan(BatchSeen(batch=a_batch(), job=a_job(), pods=tuple(pods))).status
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert (status["phase"], ready["reason"]) == (phase, reason)
    assert words in ready["message"]


def test_what_has_ended_stays_as_it_was_told() -> None:
    done = plan(BatchSeen(batch=a_batch(), job=a_job(Complete="x"))).status
    assert (done["phase"], done["completionTime"]) == ("Succeeded", to_text(NOW))
    again = plan(BatchSeen(batch=a_batch(done)))
    assert (again.status, again.actions) == (done, ())


def test_a_job_that_fails_without_a_word_says_what_to_do() -> None:
    status = plan(BatchSeen(batch=a_batch(), job=a_job(Failed="BackoffLimitExceeded"))).status
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert "BackoffLimitExceeded" in ready["message"]
    assert "goes on with the parts that are missing" in ready["message"]


def test_a_message_moves_no_terminal() -> None:
    """A container writes it, and whoever looks at the batch prints it."""
    said = {"ok": False, "reason": "InvalidSpec", "message": "no\x1b[2J picture\u202e; add one"}
    pod = a_pod(containers=[ended("batch", 64, said=said)], phase="Failed")
    status = plan(
        BatchSeen(batch=a_batch(), job=a_job(Failed="PodFailurePolicy"), pods=(pod,))
    ).status
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert "picture" in ready["message"]
    assert ready["message"].isprintable()


@pytest.mark.parametrize(
    ("wanted", "there", "changed"),
    [(True, False, True), (False, True, False), (True, True, None), (False, False, None)],
)
def test_the_job_is_suspended_as_the_spec_says(
    wanted: bool, there: bool, changed: bool | None
) -> None:
    found = plan(BatchSeen(batch=a_batch(suspend=wanted), job=a_job(suspend=there)))
    suspended = [action.body["spec"]["suspend"] for action in found.actions]
    assert suspended == ([] if changed is None else [changed])


def test_a_suspended_batch_makes_no_job() -> None:
    found = plan(BatchSeen(batch=a_batch(suspend=True)))
    assert (found.actions, found.status["phase"]) == ((), "Suspended")
