"""kubectl-resnet against a real API server, with the rights of the built-in `view` role alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from tests.component.objects import artifact_of, batch, service
from tests.component.proxy import Call, Proxy
from tests.component.world import World
from tests.support.apiserver import ROOT
from tests.support.reader import READER, Reader, new_reader

from resnet_cli.app import app
from resnet_cli.exits import Exit
from resnet_operator import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.apiserver import ApiServer

NAME = "resnet50"


@dataclass(frozen=True)
class Cli:
    """The program, as somebody who may only look at one namespace."""

    reader: Reader

    def __call__(self, *arguments: str, code: int = Exit.DONE) -> str:
        done = self.reader.run(*arguments)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def cli(world: World, installed_crd: ApiServer, tmp_path: Path) -> Cli:
    """Give `view` what the chart adds to it, and somebody who has it."""
    chart = str(ROOT / "charts" / "resnet-operator")
    shown = ("--show-only", "templates/rbac-users.yaml")
    roles = installed_crd.helm("template", "component", chart, "--namespace", "component", *shown)
    installed_crd.kubectl("apply", "--server-side", "-f", "-", input=roles)
    return Cli(new_reader(installed_crd, world.namespace, tmp_path))


async def test_all_that_looks_works_with_view_alone(world: World, cli: Cli) -> None:
    manifest = service(NAME)
    await world.create(manifest)
    await world.start()
    job = await world.job(manifest)
    await world.condition(NAME, "Ready", "False")
    assert f"Job {job['metadata']['name']}" in cli("why", NAME, code=Exit.NOT_WELL)
    message = {"reason": "ConversionFailed", "message": "ATC E10016: no input", "ok": False}
    await world.fail_job(manifest, "convert", 70, message)
    await world.condition(NAME, "Ready", "False", "ConversionFailed")
    found = json.loads(cli("why", NAME, "-o", "json", code=Exit.NOT_WELL))
    assert (found["fault"]["kind"], found["fault"]["part"]) == ("Pod", "container convert")
    assert found["step"] == "convert"
    assert found["denied"] == []
    (row,) = json.loads(cli("get", "-o", "json"))
    assert (row["name"], row["phase"]) == (NAME, "Failed")
    assert cli("rollout", "history", NAME) == f"{NAME} has no revisions yet\n"
    assert "Failed" in cli("rollout", "status", NAME, code=Exit.NOT_WELL)


async def test_what_serves_is_well(world: World, cli: Cli) -> None:
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.start()
    await world.is_ready(NAME)
    text = cli("why", NAME)
    assert text.rstrip().endswith("→ Nothing.")
    assert artifact_of(manifest).origin in text
    (revision,) = json.loads(cli("rollout", "history", NAME, "-o", "json"))
    assert revision["is"] == "serving, desired"


async def test_a_batch_is_listed_and_explained(world: World, cli: Cli) -> None:
    """Its words are the operator's: that of a service that is missing, then of one that waits."""
    await world.start()
    await world.create(batch("archive", service=NAME))
    await world.becomes("ResNetBatch", "archive", lambda b: b["status"]["phase"], what="a look")
    found = json.loads(cli("why", "batch/archive", "-o", "json", code=Exit.NOT_WELL))
    assert (found["kind"], found["fault"]["kind"]) == ("ResNetBatch", "ResNetService")
    assert "create it" in found["do"]
    assert found["denied"] == []
    await world.known_artifact(service(NAME))
    await world.create(service(NAME))
    await world.has("Job", "rnb-archive")
    rows = json.loads(cli("get", "-o", "json"))
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("ResNetService", NAME),
        ("ResNetBatch", "archive"),
    ]
    assert "Job rnb-archive" in cli("why", "archive", code=Exit.NOT_WELL)
    cli("logs", "batch/archive", code=Exit.NOT_FOUND)


def sample(folder: Path) -> str:
    """Return a file with the object, as somebody has it before it is applied."""
    path = folder / "service.yaml"
    path.write_text(yaml.safe_dump(service(NAME)))
    return str(path)


async def test_each_command_with_view_alone(world: World, cli: Cli, tmp_path: Path) -> None:
    """What looks does its work; what needs one right more names it; what changes may not."""
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.start()
    await world.is_ready(NAME)
    file, html = sample(tmp_path), str(tmp_path / "report.html")
    picture = str(ROOT / "samples" / "digits" / "pictures" / "seven.png")
    forward = "pods/portforward is not allowed"
    to_convert = ("-f", str(SAMPLES / "digits-npu.yaml"), "--model", str(MODEL))
    table: list[tuple[tuple[str, ...], Exit, str]] = [
        (("get",), Exit.DONE, NAME),
        (("get", NAME, "-o", "yaml"), Exit.DONE, "phase: Ready"),
        (("why", NAME), Exit.DONE, "Nothing."),
        (("logs", NAME, "--stage", "serve"), Exit.DONE, "container triton"),
        (("convert", *to_convert, "--out", str(tmp_path / "om")), Exit.MISSING_HERE, "atc"),
        (("rollout", "status", NAME, "-o", "json"), Exit.DONE, '"ready": true'),
        (("rollout", "history", NAME), Exit.DONE, "serving"),
        (("render", "-f", file, "--diff"), Exit.NOT_WELL, "cluster/Job"),
        (("check", "-f", file), Exit.DONE, "is accepted"),
        (("check", "-f", file, "--server"), Exit.FORBIDDEN, "forbidden"),
        (("report", NAME, "--file", html), Exit.NOT_FOUND, "nothing was measured"),
        (("bundle", "--file", str(tmp_path / "b.tgz")), Exit.DONE, "read it before"),
        (("top",), Exit.DONE, forward),
        (("predict", NAME, picture), Exit.FORBIDDEN, forward),
        (("bench", NAME), Exit.FORBIDDEN, forward),
        (("rollout", "pin", NAME, "--off"), Exit.FORBIDDEN, "forbidden"),
        (("rollout", "undo", NAME), Exit.NOT_FOUND, "no revision that served before"),
        (("rollout", "retry", NAME), Exit.FORBIDDEN, "forbidden"),
        (("suspend", NAME), Exit.FORBIDDEN, "forbidden"),
        (("resume", NAME), Exit.FORBIDDEN, "forbidden"),
    ]
    for arguments, code, says in table:
        assert says in cli(*arguments, code=code), arguments
    named = {words[: 2 if words[0] in GROUPS else 1] for words, _, _ in table}
    assert named == set(leaves()), "a command more is a row more"


def leaves() -> Iterator[tuple[str, ...]]:
    """Every command that the program has, as it is typed."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [((*words, name), one) for name, one in below.items()]
        if not below:
            yield words


GROUPS = {"rollout"}
SAMPLES = ROOT / "samples"
MODEL = SAMPLES / "digits" / "digits-resnet.onnx"
OBJECTS = 500


async def test_why_asks_as_much_of_five_hundred_objects_as_of_one(
    world: World, cli: Cli, tmp_path: Path
) -> None:
    """Counted by a proxy before a real API server; the seconds are printed, and no claim."""
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    operator = await world.start()
    await world.is_ready(NAME)
    await operator.idle()
    await operator.stop()
    counter = Proxy(world.proxy.upstream, account=f"{world.namespace}:{READER}")
    async with counter.running():
        kubeconfig = counter.kubeconfig(tmp_path)
        alone = await asked_by_why(world, counter, kubeconfig)
        for number in range(1, OBJECTS):
            await world.create(service(f"other-{number}"))
            await world.create({"apiVersion": "v1", "kind": "ConfigMap"} | labelled(number))
        crowded = await asked_by_why(world, counter, kubeconfig)
    assert [str(call) for call in crowded] == [str(call) for call in alone]
    assert len(alone) <= MOST_REQUESTS
    assert not [call for call in crowded if call.resource == "resnetservices" and not call.name]


MOST_REQUESTS = 13


def labelled(number: int) -> dict[str, Any]:
    """A record of another object, as there are many."""
    labels = names.labels(names.RECORD, **{names.ARTIFACT: f"{number:016x}"})
    return {"metadata": {"name": f"rns-{number:016x}", "labels": labels}}


async def asked_by_why(world: World, counter: Proxy, kubeconfig: Path) -> list[Call]:
    """Return what `why` asks of the API server, as a program of its own."""
    mark, began = len(counter.calls), time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "resnet_cli", "why", NAME, "-n", world.namespace),
        env=os.environ
        | {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    seconds = time.monotonic() - began
    assert process.returncode == Exit.DONE, said.decode()
    calls = counter.since(mark)
    there = len((await world.api.request("GET", world.path("ResNetService")))["items"])
    print(f"why, of {there} objects: {len(calls)} requests, {seconds:.2f} s with Python's start")
    return calls


async def test_what_view_may_not_do_is_said_with_a_code(world: World, cli: Cli) -> None:
    await world.create(service(NAME))
    for command in (("suspend", NAME), ("rollout", "retry", NAME), ("get", "-A")):
        assert "forbidden" in cli(*command, code=Exit.FORBIDDEN)
    assert "not found" in cli("why", "nobody", code=Exit.NOT_FOUND)


async def test_an_object_that_no_operator_looks_at(world: World, cli: Cli) -> None:
    body: dict[str, Any] = service(NAME)
    await world.create(body)
    text = cli("why", NAME, code=Exit.NOT_WELL)
    assert NAME in text


async def test_pods_of_a_service_are_found_by_its_name(world: World) -> None:
    manifest = service(NAME)
    await world.create(manifest)
    await world.start()
    job = await world.job(manifest)
    pod = await world.pod_of_job(job)
    for made in (job, pod):
        assert made["metadata"]["labels"][names.SERVICE] == NAME
    await world.becomes(
        "ResNetService",
        NAME,
        lambda body: body["status"]["artifact"]["job"] == job["metadata"]["name"],
        what="the status to name the Job",
    )
