"""`logs` finds the pod and the container of a stage, whose Job has a name that nobody knows."""

from __future__ import annotations

import io

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import FETCHED, UNSCHEDULED
from tests.unit.resnet_cli.recorded import NAME, NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands.logs import Stage, logs
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Screen

CONVERTING = [
    c.service("Converting", "ATC is converting", phase="Converting"),
    c.record(),
    c.job(),
    c.job_pod(
        c.container("fetch", c.ended(0)),
        c.container("prepare", c.ended(0)),
        c.container("convert", c.running()),
    ),
]
SERVING = [
    c.service("Ready", "serving", phase="Ready", ready="True"),
    c.record(),
    c.job(),
    c.job_pod(
        *(c.container(name, c.ended(0)) for name in ("fetch", "prepare", "convert")),
        main=c.container("publish", c.ended(0)),
        phase="Succeeded",
    ),
    c.deployment(ready=1),
    c.serving_pod(FETCHED, c.container("triton", c.running()), phase="Running"),
]
FAILED = [
    c.service("DownloadFailed", "broke off", phase="Failed"),
    c.record(),
    c.job(),
    c.job_pod(c.container("fetch", c.ended(80)), phase="Failed"),
]
LOGS = {
    f"{pod}/{name}": f"log of {name}\n"
    for pod, names in {
        c.JOB_POD: ("fetch", "prepare", "convert", "publish"),
        c.POD: ("artifact", "triton"),
    }.items()
    for name in names
}


def printed(objects: list[Body], stage: Stage | None, **more: object) -> str:
    out = io.StringIO()
    options = {"follow": False, "previous": False, "tail": None, **more}
    code = logs(
        Recorded(objects, LOGS),
        Screen(file=out),
        namespace=NAMESPACE,
        name=NAME,
        stage=stage,
        now=NOW,
        **options,  # type: ignore[arg-type]
    )
    assert code is Exit.DONE
    return out.getvalue()


@pytest.mark.parametrize(
    ("objects", "stage", "container", "because"),
    [
        (CONVERTING, None, "convert", "the one that runs"),
        (CONVERTING, Stage.FETCH, "fetch", "one that is done"),
        (SERVING, None, "triton", "what serves, though the Job is still there"),
        (SERVING, Stage.CONVERT, "convert", "the Job's, as long as it is there"),
        (SERVING, Stage.PUBLISH, "publish", "the Job's main container"),
        (FAILED, None, "fetch", "the one that failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_stage_is_found(
    objects: list[Body], stage: Stage | None, container: str, because: str
) -> None:
    assert printed(objects, stage) == f"log of {container}\n", because


def test_it_follows() -> None:
    assert printed(CONVERTING, None, follow=True) == "log of convert\n"


@pytest.mark.parametrize(
    ("objects", "stage", "says"),
    [
        (CONVERTING, Stage.PUBLISH, "stage publish of digits has not begun"),
        (CONVERTING, Stage.GATE, "there is no pod with stage gate of digits"),
        ([SERVING[0]], None, "there is no pod with any stage of digits"),
        (
            [SERVING[0], c.deployment(), c.serving_pod(node=None, conditions=UNSCHEDULED)],
            None,
            "any stage of digits has not begun",
        ),
    ],
)
def test_what_is_not_there_is_told(objects: list[Body], stage: Stage | None, says: str) -> None:
    with pytest.raises(CliError, match=says) as caught:
        printed(objects, stage)
    assert caught.value.exit_code is Exit.NOT_FOUND


def test_a_line_on_standard_error_says_whose_log_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    printed(CONVERTING, None)
    assert capsys.readouterr().err == f"# pod {c.JOB_POD}, container convert\n"
