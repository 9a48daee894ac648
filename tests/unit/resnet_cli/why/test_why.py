"""`why` names the object at fault, the step, and what to do: each cause of docs/causes.md."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import CAUSES, TRITON_WAITS, UNSCHEDULED, Cause
from tests.unit.resnet_cli.recorded import NAME, NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands.rollout import history_of
from resnet_cli.commands.why import why
from resnet_cli.exits import CliError, Exit
from resnet_cli.gather import gather
from resnet_cli.show import Output, Screen
from resnet_cli.why.rules import RULES
from resnet_cli.why.verdict import UNDER_WAY, Verdict, judge
from resnet_operator import names
from resnet_operator.api.reasons import Reason

MOST_REQUESTS = 13


def verdict_of(cluster: Recorded) -> Verdict:
    return judge(gather(cluster, NAMESPACE, NAME, now=NOW))


def answer(cluster: Recorded) -> tuple[Exit, str]:
    out = io.StringIO()
    screen = Screen(file=out, width=140)
    code = why(cluster, screen, namespace=NAMESPACE, name=NAME, now=NOW, output=Output.TEXT)
    return code, out.getvalue()


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_the_object_at_fault_is_named(cause: Cause) -> None:
    found = verdict_of(Recorded(cause.objects, cause.logs))
    fault = (found.fault.kind, found.fault.name, found.fault.part)
    assert fault == cause.fault, cause.because
    assert found.step == cause.step
    assert cause.says in found.fix
    assert found.log_line == cause.log_line or not cause.log_line


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_the_last_line_says_what_to_do(cause: Cause) -> None:
    code, text = answer(Recorded(cause.objects, cause.logs))
    assert code is Exit.NOT_WELL
    last = text.split("→")[-1]
    assert last.strip()
    assert "None" not in text


def test_every_reason_of_a_fault_has_a_rule() -> None:
    """A new reason comes with a place to look at."""
    good = {"Ready", "Validated", "Suspended", "ScaledToZero", "Converted", "Reused"}
    told_in_notices = {"RevisionReplaced"}
    known = {reason for rule in RULES for reason in rule.reasons}
    assert {reason.value for reason in Reason} - good - set(UNDER_WAY) - told_in_notices <= known


def test_every_row_of_the_page_is_tried() -> None:
    """The reasons of docs/causes.md are those of the table here."""
    page = (ROOT / "docs" / "causes.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([A-Z]\w+) \|", page, re.MULTILINE)
    assert rows
    assert set(rows) <= {cause.objects[0]["status"]["conditions"][0]["reason"] for cause in CAUSES}


# What is not a fault.


def test_ready_is_well() -> None:
    cluster = Recorded([c.service("Ready", "serving revision fe12", phase="Ready", ready="True")])
    code, text = answer(cluster)
    assert code is Exit.DONE
    assert text.rstrip().endswith("→ Nothing.")


def test_a_conversion_under_way_is_no_fault() -> None:
    cluster = Recorded(
        [
            c.service("Converting", "ATC is converting for Ascend310P3", phase="Converting"),
            c.record(),
            c.job(),
            c.job_pod(
                c.container("fetch", c.ended(0)),
                c.container("prepare", c.ended(0)),
                c.container("convert", c.running(90)),
            ),
        ]
    )
    found = verdict_of(cluster)
    assert found.under_way
    assert (found.fault.kind, found.fault.name, found.step) == ("Job", c.JOB, "convert")
    assert "Wait" in found.fix


def test_an_object_that_no_operator_has_seen() -> None:
    body = c.service("Ready", "", ready="True")
    del body["status"]
    found = verdict_of(Recorded([body]))
    assert (found.fault.kind, found.step, found.well) == ("Operator", "operator", False)
    assert "watchNamespaces" in found.fix


def test_a_status_of_an_older_generation_is_not_believed() -> None:
    body = c.service("Ready", "serving", ready="True", status={"observedGeneration": 1})
    found = verdict_of(Recorded([body]))
    assert not found.well
    assert found.cause == "the operator has not looked at generation 2 yet"


# What is tried, and who holds the chips.


@pytest.mark.parametrize(
    ("next_try", "says"),
    [(c.at(seconds=-240), "; next try in 4m"), (c.at(seconds=5), "; next try now")],
)
def test_the_next_try_is_told(next_try: str, says: str) -> None:
    failure = {
        "attempt": 2,
        "reason": "DownloadFailed",
        "message": "reset",
        "permanent": False,
        "time": c.at(minutes=1),
    }
    cluster = Recorded(
        [
            c.service(
                "DownloadFailed",
                "the server broke off",
                phase="Fetching",
                status={"artifact": {"nextAttemptTime": next_try}},
            ),
            c.record(**{"failure.json": json.dumps(failure)}),
        ]
    )
    found = verdict_of(cluster)
    assert found.tries is not None
    assert (found.tries.attempts, found.tries.allowed) == (2, 3)
    assert found.fix.endswith(says)


def chips(**rights: Any) -> Recorded:
    return Recorded(
        [
            c.service("Unschedulable", "0/1 nodes have 1 free huawei.com/Ascend310P; free a chip"),
            c.deployment(),
            c.serving_pod(TRITON_WAITS, node=None, conditions=UNSCHEDULED),
            c.foreign_pod("big", namespace=NAMESPACE, count=2, of="mnist"),
            c.foreign_pod("other", namespace="robots"),
            c.foreign_pod("small", namespace=NAMESPACE, node=""),
        ],
        **rights,
    )


def test_chips_are_told_by_who_requests_them() -> None:
    found = gather(chips(), NAMESPACE, NAME, now=NOW)
    assert found.holders is not None
    assert [(one.namespace, one.pod, one.service, one.count) for one in found.holders] == [
        ("vision", "big", "mnist", 2),
        ("robots", "other", "", 1),
    ]


def test_a_batch_that_holds_the_chip_is_told_by_its_pod() -> None:
    """Its pod has labels of ours, and is none of the service whose artifact it runs."""
    pod = c.foreign_pod("rnb-archive-0-x7k2p", namespace=NAMESPACE)
    pod["metadata"]["labels"] = names.labels(
        names.BATCH_COMPONENT, **{names.BATCH: "archive", names.SERVICE: NAME}
    )
    cluster = chips()
    cluster.objects = [one for one in cluster.objects if one["metadata"]["name"] != "big"]
    cluster.objects.append(pod)
    found = gather(cluster, NAMESPACE, NAME, now=NOW)
    assert ("rnb-archive-0-x7k2p", "") in [(one.pod, one.service) for one in found.holders or ()]
    assert pod not in found.pods
    _, text = answer(cluster)
    assert "held by robots/other, vision/rnb-archive-0-x7k2p" in text


def test_without_rights_on_other_namespaces_the_own_is_told() -> None:
    cluster = chips(forbidden=frozenset({"Pod of all namespaces", "Node"}))
    _, text = answer(cluster)
    assert "2 huawei.com/Ascend310P held by vision/mnist" in text
    assert "not readable with these rights: Pod of all namespaces, Node" in text


def full(code: Any) -> Recorded:
    """A service whose chip is full, on a node and beside pods of another one."""
    said = {"reason": "OutOfMemory", "message": "the chip is full; put fewer on it", "code": code}
    waits = c.container("triton", c.waiting("CrashLoopBackOff"), last=c.ended(1, said))
    return Recorded(
        [
            c.service("OutOfMemory", "the chip is full: 9 MiB needed, 1 of 9 MiB free; put fewer"),
            c.deployment(),
            c.serving_pod(waits, phase="Running"),
            c.foreign_pod("cats-1", namespace=NAMESPACE, of="cats"),
            c.foreign_pod("stranger", namespace="robots"),
            c.foreign_pod("far", namespace="robots", node="npu-2"),
        ]
    )


def test_who_shares_a_full_chip_is_told_with_the_users_rights() -> None:
    found = gather(full("ChipFull"), NAMESPACE, NAME, now=NOW)
    assert [one.pod for one in found.holders or ()] == ["stranger", "cats-1"]
    _, text = answer(full("ChipFull"))
    assert "2 huawei.com/Ascend310P held by robots/stranger, vision/cats" in text
    assert "npu-2" not in text, "what another node has is no cause"


@pytest.mark.parametrize("code", [None, "507033", 207001, ["ChipFull"], {}])
def test_nobody_is_told_of_another_failure(code: Any) -> None:
    assert gather(full(code), NAMESPACE, NAME, now=NOW).holders is None


def waiting_for(allocatable: Body) -> Recorded:
    node = {"kind": "Node", "metadata": {"name": "npu-1"}, "status": {"allocatable": allocatable}}
    return Recorded(
        [
            c.service("Unschedulable", "0/1 nodes have 1 free huawei.com/Ascend310P; free a chip"),
            c.deployment(),
            c.serving_pod(TRITON_WAITS, node=None, conditions=UNSCHEDULED),
            node,
        ]
    )


NO_DEVICE = "→ add a node whose device plugin offers huawei.com/Ascend310P, or change"


@pytest.mark.parametrize(
    ("reason", "allocatable", "says"),
    [
        ("nodes have another kind", {"huawei.com/Ascend910": "8", "cpu": "4"}, NO_DEVICE),
        ("nodes have none at all", {"cpu": "4"}, NO_DEVICE),
        ("all chips of the kind are sick", {"huawei.com/Ascend310P": "0"}, NO_DEVICE),
        ("there are some, and others hold them", {"huawei.com/Ascend310P": "4"}, "→ free a chip"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_chip_that_no_node_has_cannot_become_free(
    reason: str, allocatable: Body, says: str
) -> None:
    _, text = answer(waiting_for(allocatable))
    assert says in text, reason
    other = "nodes offer huawei.com/Ascend910" in text
    assert other is ("huawei.com/Ascend910" in allocatable)
    assert ("chips: no node offers huawei.com/Ascend310P" in text) is (says == NO_DEVICE)


HOST = "models.example: the host name cannot be resolved; check the address, and that pods of this "


@pytest.mark.parametrize(
    ("reason", "line", "whole", "does"),
    [
        (
            "the line was cut within what to do",
            f"{HOST}namespace may reach…",
            f"{HOST}namespace may reach that host (cannot download)\n[Errno -2] not known",
            "→ check the address, and that pods of this namespace may reach that host (cannot",
        ),
        (
            "the line was cut before what to do",
            "models.example: the host name cannot be resolved…",
            f"{HOST}namespace may reach that host",
            "→ check the address, and that pods of this namespace may reach that host\n",
        ),
        (
            "another condition has something else to say",
            "the host name cannot be resolved; check the address…",
            "the store is full; enlarge its volume",
            "→ check the address…",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_what_to_do_is_never_half_a_sentence(reason: str, line: str, whole: str, does: str) -> None:
    _, text = answer(Recorded([c.service("DownloadFailed", line, whole=whole), c.record()]))
    assert does in text + "\n", reason


def test_many_pods_that_say_the_same_are_told_once() -> None:
    pods = [
        c.serving_pod(TRITON_WAITS, node=None, conditions=UNSCHEDULED, name=f"{c.POD}-{number}")
        for number in range(39)
    ]
    runs = c.serving_pod(c.container("triton", c.running()), phase="Running", name="one-runs")
    said = c.service("Unschedulable", "0/1 nodes have 500m cpu free; add nodes")
    _, text = answer(Recorded([said, c.deployment(ready=1, replicas=40), *pods, runs]))
    assert text.count("Unschedulable: 0/1 nodes are available") == 1
    assert "38 other Pods like it: " in text
    assert f"{c.POD}-13 and 33 more" in " ".join(text.split())
    assert "Pod one-runs: Running on Node npu-1" in text


def test_two_pods_that_say_the_same_are_told_each() -> None:
    names = [f"{c.POD}-{number}" for number in range(2)]
    pods = [
        c.serving_pod(TRITON_WAITS, node=None, conditions=UNSCHEDULED, name=name) for name in names
    ]
    said = c.service("Unschedulable", "0/1 nodes have 500m cpu free; add nodes")
    _, text = answer(Recorded([said, c.deployment(replicas=2), *pods]))
    assert all(f"Pod {name}: Pending" in text for name in names)


def test_a_log_that_says_the_reason_again_is_not_told_twice() -> None:
    message = f"{HOST}namespace may reach that host"
    log = f"Downloading\nDownloadFailed: {message}\n"
    failed = c.job_pod(c.container("fetch", c.ended(80, log)), phase="Failed")
    said = c.service("DownloadFailed", message)
    cluster = Recorded([said, c.record(), c.job(), failed], {f"{c.JOB_POD}/fetch": log})
    _, text = answer(cluster)
    assert "its log:" not in text


def test_the_log_of_an_earlier_attempt_is_not_the_pods() -> None:
    failed = c.job_pod(c.container("fetch", c.ended(80, "Error: reset by peer")), phase="Failed")
    waits = c.job_pod(conditions=list(UNSCHEDULED))
    waits["metadata"] |= {"name": f"{c.JOB}-later", "creationTimestamp": c.at(minutes=1)}
    del waits["spec"]["nodeName"]
    said = c.service("Unschedulable", "0/1 nodes have 500m cpu free; add nodes", phase="Fetching")
    cluster = Recorded([said, c.record(), c.job(), failed, waits])
    assert verdict_of(cluster).fault.name == f"{c.JOB}-later"
    _, text = answer(cluster)
    assert "its log:" not in text
    assert "reset by peer" in text, "the tree has it"


@pytest.mark.parametrize(
    ("reason", "message", "does"),
    [
        ("it needs its noun", 'Secret "hub" does not exist; create it', 'Secret "hub" does not'),
        ("a sentence of its own", "a claim is missing; create a claim", "→ create a claim"),
        ("it within a word", "units are wrong; write items", "→ write items"),
    ],
    ids=lambda value: value[:20],
)
def test_what_to_do_says_what_it_is(reason: str, message: str, does: str) -> None:
    _, text = answer(Recorded([c.service("ContainerConfigError", message), c.record()]))
    assert does in "→ " + text.rpartition("→ ")[2], reason


@pytest.mark.parametrize(("ready", "told"), [("True", False), ("False", True)])
def test_probes_that_failed_while_a_pod_started_are_past(ready: str, told: bool) -> None:
    """Every pod that starts fails some; of one that is not ready they may be the cause."""
    probe = c.event("Pod", c.POD, "Unhealthy", "Startup probe failed: connection refused")
    runs = c.serving_pod(
        c.container("triton", c.running()),
        phase="Running",
        conditions=(c.condition("Ready", ready, ""),),
    )
    said = c.service("Loading", "Triton is loading the model")
    _, text = answer(Recorded([said, c.deployment(), runs, probe]))
    assert ("Startup probe failed" in text) is told


def test_the_lines_of_a_message_stay_lines() -> None:
    said = c.service("Unschedulable", "0/1 nodes; add nodes", whole="0/1 nodes; add nodes\nin full")
    _, text = answer(Recorded([said]))
    assert "add nodes in full" not in text
    assert "in full" in text


# What it costs, and what it does without.


def test_the_number_of_requests_does_not_grow_with_the_namespace() -> None:
    crowd = []
    for number in range(500):
        other = c.service("Ready", "serving", ready="True")
        other["metadata"] = c.meta(f"other-{number}", generation=1)
        crowd.append(other)
    for cause in CAUSES:
        cluster = Recorded([*cause.objects, *crowd], cause.logs)
        verdict_of(cluster)
        assert len(cluster.asked) <= MOST_REQUESTS, cluster.asked
        assert not any("resnetservices?" in asked for asked in cluster.asked)


@pytest.mark.parametrize("kind", ["Pod", "Job", "ConfigMap", "Event", "Deployment"])
def test_what_may_not_be_read_is_left_out_and_named(kind: str) -> None:
    told = []
    for cause in CAUSES:
        _, text = answer(Recorded(cause.objects, cause.logs, frozenset({kind})))
        assert "→" in text
        told.append(f"not readable with these rights: {kind}" in text)
    assert any(told)


def test_an_object_that_is_not_there() -> None:
    with pytest.raises(CliError) as caught:
        verdict_of(Recorded([]))
    assert caught.value.exit_code is Exit.NOT_FOUND
    assert str(caught.value) == 'resnetservices "digits" not found'


def test_json_has_the_same_answer() -> None:
    cause = next(one for one in CAUSES if one.name == "no-free-chip")
    out = io.StringIO()
    why(
        Recorded(cause.objects),
        Screen(file=out),
        namespace=NAMESPACE,
        name=NAME,
        now=NOW,
        output=Output.JSON,
    )
    found = json.loads(out.getvalue())
    assert found["fault"] == {"kind": "Pod", "name": c.POD, "part": ""}
    assert found["do"].startswith("free a chip")
    assert found["holders"][0]["pod"] == "yolo-7f"
    assert found["tree"]["children"]


def at_work(*states: Body, log: str = "", component: str = "") -> Recorded:
    body = c.service("Fetching", "the model is being fetched", phase="Fetching")
    pod = c.job_pod(*states)
    if component:
        pod["metadata"]["labels"]["app.kubernetes.io/component"] = component
    logs = {f"{c.JOB_POD}/{one['name']}": log for one in states}
    return Recorded([body, c.record(), c.job(), pod], logs)


def test_how_far_it_is_is_read_from_the_log_of_what_runs() -> None:
    log = "fetching it\ndownloaded 120 of 243 MiB (49 %), 11.4 MiB/s\n"
    _, text = answer(at_work(c.container("fetch", c.running()), log=log))
    assert "container fetch: running for 60s, downloaded 120 of 243 MiB (49 %)" in text
    assert "waits for: Job" in text


def test_a_compiler_without_a_percentage_has_its_newest_line() -> None:
    done = c.container("fetch", c.ended(0))
    log = "ATC start\nstill running after 60 s; its last line: ATC start\n"
    _, text = answer(at_work(done, c.container("convert", c.running()), log=log))
    assert "container convert: running for 60s" in text
    assert "log: still running after 60 s" in text
    assert "ATC start\n" not in text.replace("last line: ATC start\n", ""), "no older lines"


def test_a_result_in_a_log_does_not_fill_the_screen() -> None:
    log = "result.json: " + "x" * 100_000
    _, text = answer(at_work(c.container("fetch", c.running()), log=log))
    assert len(text) < 3000


def test_what_failed_before_matters_more_than_what_runs() -> None:
    cause = next(one for one in CAUSES if one.name == "model-load")
    found = verdict_of(Recorded(cause.objects, cause.logs))
    assert found.log_line == cause.log_line


# What containers and others wrote, of any shape.

DEEP = "[" * 5000 + "]" * 5000
ODD = [
    "",
    "null",
    "[]",
    "{",
    "\x00\x1b[2J",
    '{"message": ' + DEEP + "}",
    '{"message": NaN}',
    '{"message": {"a": 1}, "reason": [1]}',
    '{"message": 1' + "0" * 5000 + "}",
    '{"attempt": "x", "reason": 7, "message": null, "permanent": "yes", "time": 5}',
    '{"attempt": 1e999}',
    '{"sha256": ["ab"]}',
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_a_message_or_record_of_any_shape_is_no_traceback(text: str) -> None:
    failed = c.job_pod(c.container("fetch", c.ended(66, text)), phase="Failed")
    said = c.service("DownloadFailed", "the server broke off", phase="Failed", stalled=True)
    record = c.record(**{"failure.json": text, "artifact.json": text})
    code, shown = answer(Recorded([said, record, c.job(), failed]))
    assert code is Exit.NOT_WELL
    assert "→" in shown
    assert "\x1b" not in shown
    labels = names.labels(names.REVISION_COMPONENT, **{names.INSTANCE: NAME})
    owners = [{"kind": "ResNetService", "name": NAME, "uid": c.UID, "controller": True}]
    about = c.meta(c.REVISION, labels=labels, ownerReferences=owners)
    revision = {"kind": "ConfigMap", "metadata": about, "data": {"artifact.json": text}}
    (row,) = history_of(said, [revision], NOW)
    assert row["artifact"] == ""


STRANGE_PODS = [
    ("nothing controls it", {"ownerReferences": []}),
    ("another Job of our name controls it", {"ownerReferences": [
        {"kind": "Job", "name": c.JOB, "uid": "uid-x", "controller": True}]}),
    ("the Job owns it and does not control it", {"ownerReferences": [
        {"kind": "Job", "name": c.JOB, "uid": f"uid-{c.JOB}"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "meta"), STRANGE_PODS, ids=[row[0] for row in STRANGE_PODS])
def test_a_pod_with_our_labels_has_no_say(reason: str, meta: Body) -> None:
    failed = c.job_pod(c.container("fetch", c.ended(66, "I am at fault")), phase="Failed")
    failed["metadata"] |= meta
    said = c.service("Fetching", "the model is being fetched", phase="Fetching")
    _, shown = answer(Recorded([said, c.record(), c.job(), failed]))
    assert "I am at fault" not in shown, reason


def test_a_job_that_another_record_controls_has_no_say() -> None:
    failed = c.job_pod(c.container("fetch", c.ended(66, "I am at fault")), phase="Failed")
    job = c.job()
    job["metadata"]["ownerReferences"][0]["uid"] = "uid-x"
    said = c.service("Fetching", "the model is being fetched", phase="Fetching")
    _, shown = answer(Recorded([said, c.record(), job, failed]))
    assert "I am at fault" not in shown
