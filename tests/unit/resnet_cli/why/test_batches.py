"""`why` and `logs` of a ResNetBatch: the object at fault, and what to do."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import BATCH, BATCH_POD, NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands.logs import Stage, logs
from resnet_cli.commands.why import why
from resnet_cli.exits import CliError, Exit
from resnet_cli.gather import gather
from resnet_cli.show import Output, Screen
from resnet_cli.why.verdict import judge
from resnet_operator.batch import AGAIN

TARGET = f"batch/{BATCH}"
JOB = f"rnb-{BATCH}"
FETCHED = c.container("fetch", c.ended(0))
TRITON = c.container("triton", c.running())
WORKS = [
    c.batch(
        "Running",
        "pictures are being classified",
        phase="Running",
        pictures={"done": 3000, "total": 10_000, "failed": 2},
        picturesPerSecond=51.2,
    ),
    c.batch_job(),
    c.batch_pod(FETCHED, TRITON, c.container("batch", c.running())),
]


@dataclass(frozen=True, kw_only=True)
class Case:
    reason: str
    objects: list[Body]
    fault: tuple[str, str, str]
    step: str
    do: str
    well: bool = False
    logs: dict[str, str] = field(default_factory=dict)


def failed(message: str, *, phase: str = "Failed", reason: str = "EvaluationFailed") -> Body:
    return c.batch(reason, f"{message}; {AGAIN}", phase=phase)


CASES = [
    Case(
        reason="it waits for its service",
        objects=[
            c.batch(
                "Pending",
                'waits until ResNetService "digits" runs what its spec asks for',
                phase="Pending",
            )
        ],
        fault=("ResNetService", "digits", ""),
        step="start",
        do="Look at the service: kubectl resnet why digits",
    ),
    Case(
        reason="there is no such service",
        objects=[
            c.batch(
                "Pending", 'there is no ResNetService "digits" here; create it', phase="Pending"
            )
        ],
        fault=("ResNetService", "digits", ""),
        step="start",
        do="create it",
    ),
    Case(
        reason="no chip is idle",
        objects=[
            c.batch(
                "WaitingForChip",
                f"waits for an idle chip ({c.DEVICE}); services go first",
                phase="Pending",
            ),
            c.batch_job(),
            c.batch_pod(
                node=None,
                phase="Pending",
                conditions=[
                    c.condition("PodScheduled", "False", "Unschedulable", "1 Insufficient")
                ],
            ),
            c.foreign_pod("digits-7f", namespace=NAMESPACE, of="digits"),
        ],
        fault=("Pod", BATCH_POD, ""),
        step="schedule",
        do=f"leave one idle. (1 {c.DEVICE} held by vision/digits)",
    ),
    Case(
        reason="it works",
        objects=WORKS,
        fault=("Job", JOB, ""),
        step="batch",
        do=f"Wait; kubectl resnet logs {TARGET} shows progress.",
    ),
    Case(
        reason="the log of the container that failed says more",
        objects=[
            failed("container batch ended with status 1"),
            c.batch_job(c.condition("Failed", "True", "BackoffLimitExceeded")),
            c.batch_pod(FETCHED, c.container("batch", c.ended(1)), phase="Failed"),
        ],
        fault=("Pod", BATCH_POD, "container batch"),
        step="batch",
        do=AGAIN,
        logs={f"{BATCH_POD}/batch": "ValueError: the disk is full"},
    ),
    Case(
        reason="the field that is wrong, and what it should be",
        objects=[
            failed(
                "spec.input: there is no picture; name a folder that has some", reason="InvalidSpec"
            ),
            c.batch_job(c.condition("Failed", "True", "PodFailurePolicy")),
            c.batch_pod(c.container("fetch", c.ended(64)), phase="Failed"),
        ],
        fault=("ResNetBatch", BATCH, "input"),
        step="spec",
        do=AGAIN,
    ),
    Case(
        reason="switched off by its own spec",
        objects=[
            c.batch("Suspended", "spec.suspend is true; set it to false", phase="Suspended"),
            c.batch_job(),
        ],
        fault=("ResNetBatch", BATCH, "suspend"),
        step="spec",
        do="set it to false",
    ),
    Case(
        reason="it is done",
        objects=[
            c.batch("Completed", "every picture is classified", phase="Succeeded", ready="True")
        ],
        fault=("ResNetBatch", BATCH, ""),
        step="batch",
        do="Read the parts that manifest.json",
        well=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_the_object_at_fault_is_named(case: Case) -> None:
    found = judge(gather(Recorded(case.objects, case.logs), NAMESPACE, TARGET, now=NOW))
    assert (found.fault.kind, found.fault.name, found.fault.part) == case.fault
    assert (found.step, found.well) == (case.step, case.well)
    assert case.do in found.fix
    assert found.log_line in {"", *case.logs.values()}
    assert bool(found.log_line) == bool(case.logs)


def test_the_tree_has_how_far_it_is_and_its_pods() -> None:
    out = io.StringIO()
    screen = Screen(file=out, width=140)
    code = why(
        Recorded(WORKS), screen, namespace=NAMESPACE, name=TARGET, now=NOW, output=Output.TEXT
    )
    assert code is Exit.NOT_WELL
    first, *rest = out.getvalue().splitlines()
    assert first.endswith(
        "ResNetBatch vision/archive: Running, 3000 of 10000 pictures, 2 of them without an "
        "answer, 51.2 a second"
    )
    text = "\n".join(rest)
    assert f"Job {JOB}: running" in text
    assert "container batch: running for 60s" in text
    assert "record" not in text, "a batch has none"


def test_a_pod_of_the_same_label_is_not_taken_for_its_own() -> None:
    """Labels make nobody's pod one of a batch."""
    foreign = c.batch_pod(c.container("batch", c.ended(1)))
    foreign["metadata"]["ownerReferences"][0]["uid"] = "uid-of-another"
    facts = gather(Recorded([*WORKS[:2], foreign]), NAMESPACE, TARGET, now=NOW)
    assert facts.pods == ()


LOGS = {f"{BATCH_POD}/{name}": f"log of {name}\n" for name in ("fetch", "batch", "triton")}


@pytest.mark.parametrize(
    ("stage", "container"),
    [
        (None, "batch"),
        (Stage.BATCH, "batch"),
        (Stage.FETCH, "fetch"),
        (Stage.SERVE, "triton"),
    ],
)
def test_the_log_of_a_stage(stage: Stage | None, container: str) -> None:
    assert printed(WORKS, stage) == f"log of {container}\n"


def test_what_has_failed_is_printed_first() -> None:
    pod = c.batch_pod(FETCHED, c.container("triton", c.ended(1)), c.container("batch", c.running()))
    assert printed([*WORKS[:2], pod], None) == "log of triton\n"


def test_a_batch_without_a_pod_has_no_log() -> None:
    with pytest.raises(CliError, match="there is no pod with any stage of archive") as caught:
        printed(WORKS[:1], None)
    assert f"kubectl resnet why {TARGET}" in str(caught.value)


def printed(objects: list[Body], stage: Stage | None) -> str:
    out = io.StringIO()
    logs(
        Recorded(objects, LOGS),
        Screen(file=out),
        namespace=NAMESPACE,
        name=TARGET,
        stage=stage,
        follow=False,
        previous=False,
        tail=None,
        now=NOW,
    )
    return out.getvalue()
