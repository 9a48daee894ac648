"""All commands, each with a world in which it prints something: for the snapshots."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.apiserver import ROOT
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import CAUSES, FETCHED
from tests.unit.resnet_cli.recorded import NAME, NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands import bench, predict, rollout, top
from resnet_cli.commands.bundle import bundle
from resnet_cli.commands.check import check
from resnet_cli.commands.convert import convert
from resnet_cli.commands.get import get_objects
from resnet_cli.commands.logs import logs
from resnet_cli.commands.render import render, render_diff
from resnet_cli.commands.report import report
from resnet_cli.commands.why import why
from resnet_cli.show import Output, Screen
from resnet_contract.progress import MIB
from resnet_operator import names

Command = Callable[[Screen], object]
SAMPLE = ROOT / "samples" / "digits-npu.yaml"
MODEL = ROOT / "samples" / "digits" / "digits-resnet.onnx"
OLD = f"{NAME}-aa00bb11cc"
REVISIONS = {"revisions": {"serving": c.REVISION, "desired": c.REVISION, "previous": OLD}}
# Lines that are kept whole, so that they can be copied.
WHOLE = {"convert", "render", "logs"}


def why_of(cause: str) -> Command:
    found = next(one for one in CAUSES if one.name == cause)
    cluster = Recorded(found.objects, found.logs)
    return lambda screen: why(
        cluster, screen, namespace=NAMESPACE, name=NAME, now=NOW, output=Output.TEXT
    )


def several() -> Recorded:
    """One object of each phase that people see most."""
    revisions = {"revisions": {"serving": c.REVISION}, "artifact": {"origin": "Reused"}}
    found = [
        c.service(
            "Ready", "serving revision fe12dc34ba", phase="Ready", ready="True", status=revisions
        ),
        c.service(
            "Fetching",
            "the model is being fetched",
            phase="Fetching",
            status={
                "progress": {
                    "stage": "fetch",
                    "startTime": c.at(seconds=75),
                    "percent": 12,
                    "bytes": 120 * MIB,
                    "totalBytes": 243 * MIB,
                },
                "artifact": {"job": c.JOB},
            },
        ),
        c.service(
            "Unschedulable",
            "0/1 nodes have 1 free huawei.com/Ascend310P; free a chip, replace an unhealthy one or "
            "add a node",
            status={"artifact": {"origin": "Converted"}},
        ),
        c.service(
            "InvalidSpec", "remove conversion.insertOps; an OM is served as it is", phase="Failed"
        ),
    ]
    for name, body in zip(
        ("digits", "resnet50-imagenet-int8", "flowers", "broken"), found, strict=True
    ):
        body["metadata"]["name"] = name
    return Recorded([*found, batch()])


def batch() -> Body:
    return c.batch(
        "Running",
        "pictures are being classified",
        phase="Running",
        pictures={"done": 31_000, "total": 120_000, "failed": 0},
        picturesPerSecond=212.4,
        estimatedCompletionTime=c.at(minutes=-7),
    )


def fetching() -> Recorded:
    """A download under way: two containers of the Job are still to come."""
    said = {"progress": {"stage": "fetch", "startTime": c.at(seconds=75), "percent": 12}}
    body = c.service(
        "Fetching",
        "the model is being fetched",
        phase="Fetching",
        status={**said, "artifact": {"job": c.JOB}},
    )
    pod = c.job_pod(c.container("fetch", c.running(75)), c.container("prepare", c.waiting()))
    log = "fetching https://models.example\ndownloaded 120 of 243 MiB (49 %), 11.4 MiB/s\n"
    return Recorded([body, c.record(), c.job(), pod], {f"{c.JOB_POD}/fetch": log})


def get_of(namespace: str | None) -> Command:
    return lambda screen: get_objects(
        several(),
        screen,
        namespace=namespace,
        name="",
        clock=lambda: NOW,
        output=Output.TEXT,
        watch=False,
    )


def serving(status: Body | None = None) -> Recorded:
    """A service that is Ready, with two revisions and a log."""

    def revision(name: str, age: float) -> Body:
        labels = names.labels(names.REVISION_COMPONENT, **{names.INSTANCE: NAME})
        data = {"artifact.json": f'{{"sha256": "{"ab" * 32}"}}'}
        owners = [{"kind": "ResNetService", "name": NAME, "uid": c.UID, "controller": True}]
        about = c.meta(name, labels=labels, age=age, ownerReferences=owners)
        return {"kind": "ConfigMap", "metadata": about, "data": data}

    ready = c.service(
        "Ready",
        "serving revision fe12dc34ba",
        phase="Ready",
        ready="True",
        status={**REVISIONS, **(status or {})},
    )
    pod = c.serving_pod(FETCHED, c.container("triton", c.running()), phase="Running")
    text = "I1130 12:00:00.000000 7 model.cc:1] digits is ready\n"
    objects = [ready, revision(c.REVISION, 5), revision(OLD, 90), c.deployment(ready=1), pod]
    return Recorded(objects, {f"{c.POD}/triton": text})


def measurement(batch: int, concurrency: int, speed: float, *times: float, queue: float) -> Body:
    split = {"queueMicroseconds": queue, "computeInputMicroseconds": 61.0}
    split |= {"computeInferMicroseconds": 1204.5, "computeOutputMicroseconds": 30.2}
    return {
        "batch": batch,
        "concurrency": concurrency,
        "imagesPerSecond": speed,
        "requests": round(3 * speed / batch),
        "failed": 0,
        **{f"p{of}Milliseconds": time for of, time in zip((50, 90, 99), times, strict=True)},
        "server": split | {"averageBatch": min(concurrency, 4) * batch},
    }


MEASURED: Body = {
    "name": NAME,
    "namespace": NAMESPACE,
    "model": NAME,
    "protocol": "http",
    "pod": c.POD,
    "url": None,
    "points": [
        measurement(1, 1, 402.7, 2.41, 2.77, 3.9, queue=38.0),
        measurement(1, 4, 1180.3, 3.3, 3.9, 5.2, queue=310.0),
        measurement(8, 4, 5120.8, 6.1, 6.8, 8.4, queue=904.6),
    ],
    "skipped": 0,
}


def line(name: str, ready: str, chips: int, **more: Any) -> Body:
    empty = dict.fromkeys(
        ("requests", "requestsPerSecond", "errors", "meanMilliseconds", "meanQueueMilliseconds")
    )
    counted = {"podsAsked": 0, "pods": int(ready[-1]), "imagesPerSecond": None}
    about = {"namespace": NAMESPACE, "name": name, "ready": ready, "chips": chips}
    return {**about, **counted, **empty, **more}


BUSY: Body = {
    "services": [
        line(
            "digits",
            "2/2",
            2,
            podsAsked=2,
            requests=1284011,
            requestsPerSecond=212.5,
            errors=14,
            meanMilliseconds=3.42,
            meanQueueMilliseconds=0.61,
        ),
        line("flowers", "0/1", 0),
    ],
    "chips": [
        {"namespace": "robots", "chip": c.DEVICE, "held": 4, "byServices": 0, "pods": 2},
        {"namespace": NAMESPACE, "chip": c.DEVICE, "held": 2, "byServices": 2, "pods": 2},
    ],
    "silent": [],
    "denied": [],
}
LABELLED: list[Body] = [
    {
        "picture": f"pictures/{digit}.png",
        "milliseconds": 4.2 + digit,
        "labels": [
            {"label": "seven", "score": 9.5, "class": 7},
            {"label": "one", "score": 2.25, "class": 1},
        ],
    }
    for digit in (7, 1)
]


def checked(screen: Screen, model: Path | None = MODEL) -> object:
    options: dict[str, Any] = {"settings": None, "namespace": NAMESPACE, "server": None}
    text = str(model) if model else None
    return check(screen, file=str(SAMPLE), model=text, output=Output.TEXT, **options)


def printed(screen: Screen, run: Callable[[Screen, Path], object]) -> object:
    """Run what writes files, with FOLDER for a folder that is another one each time."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        code = run(Screen(file=out, width=screen.width), Path(folder))
        screen.console.file.write(out.getvalue().replace(folder, "FOLDER"))
    return code


def converted(screen: Screen) -> object:
    return printed(
        screen,
        lambda to, folder: convert(
            to,
            file=str(SAMPLE),
            model=str(MODEL),
            out=folder,
            image=None,
            settings=None,
            find_engine=lambda _: None,
        ),
    )


def heads(screen: Screen, text: str, marks: tuple[str, ...]) -> None:
    """Which children there are; their content is that of tests/golden."""
    screen.raw("".join(f"{line}\n" for line in text.splitlines() if line.startswith(marks)))


def compared(screen: Screen) -> object:
    out = io.StringIO()
    code = render_diff(serving(), Screen(file=out), file=str(SAMPLE), settings=None)
    heads(screen, out.getvalue(), ("--- ", "+++ "))
    return code


def rendered(screen: Screen) -> object:
    out = io.StringIO()
    options: dict[str, Any] = {"labels": None, "settings": None, "namespace": NAMESPACE}
    code = render(
        Screen(file=out), file=str(SAMPLE), model=str(MODEL), output=Output.TEXT, **options
    )
    heads(screen, out.getvalue(), ("---", "kind:", "#"))
    return code


def gated() -> Recorded:
    measured = {"result": "Passed", "samples": 10000, "top1": "0.79", "throughput": {"8": 1900}}
    return serving({"validation": measured})


def shown(answer: Body, show: Callable[..., None], **more: Any) -> Command:
    return lambda screen: show(screen, answer, **more)


COMMANDS: dict[str, Command] = {
    "get": get_of(NAMESPACE),
    "get-all": get_of(None),
    "why-no-free-chip": why_of("no-free-chip"),
    "why-conversion-failed": why_of("conversion-failed"),
    "why-crash-loop": why_of("crash-loop"),
    "why-quota": why_of("quota"),
    "why-fetching": lambda screen: why(
        fetching(), screen, namespace=NAMESPACE, name=NAME, now=NOW, output=Output.TEXT
    ),
    "logs": lambda screen: logs(
        serving(),
        screen,
        namespace=NAMESPACE,
        name=NAME,
        stage=None,
        follow=False,
        previous=False,
        tail=None,
        now=NOW,
    ),
    "predict": lambda screen: screen.table(predict.table_of(LABELLED)),
    "bench": shown(MEASURED, bench.show, output=Output.TEXT),
    "top": shown(BUSY, top.show, all_namespaces=False),
    "top-all": shown(BUSY, top.show, all_namespaces=True),
    "render": rendered,
    "render-diff": compared,
    "check": checked,
    "convert": converted,
    "report": lambda screen: printed(
        screen, lambda to, folder: report(gated(), to, name=NAME, file=folder / "report.html")
    ),
    "bundle": lambda screen: printed(
        screen,
        lambda to, folder: bundle(serving(), to, name="", file=folder / "bundle.tar.gz", now=NOW),
    ),
    "suspend": lambda screen: rollout.set_suspended(serving(), screen, name=NAME, suspended=True),
    "resume": lambda screen: rollout.set_suspended(serving(), screen, name=NAME, suspended=False),
    "rollout-status": lambda screen: rollout.rollout_status(
        serving(), screen, name=NAME, wait=False
    ),
    "rollout-history": lambda screen: rollout.rollout_history(
        serving(), screen, name=NAME, now=NOW, output=Output.TEXT
    ),
    "rollout-undo": lambda screen: rollout.rollout_undo(serving(), screen, name=NAME),
    "rollout-pin": lambda screen: rollout.rollout_pin(
        serving(), screen, name=NAME, revision="aa00bb11cc"
    ),
    "rollout-retry": lambda screen: rollout.rollout_retry(serving(), screen, name=NAME, now=NOW),
}
