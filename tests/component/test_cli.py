"""kubectl-resnet against a real API server, with the rights of the built-in `view` role alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.component.objects import artifact_of, service
from tests.component.world import World
from tests.support.apiserver import ROOT

from resnet_cli.exits import Exit
from resnet_operator import names

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

READER = "reader"
NAME = "resnet50"


@dataclass(frozen=True)
class Cli:
    """The program, as somebody who may only look at one namespace."""

    kubeconfig: Path

    def __call__(self, *arguments: str, code: int = Exit.DONE) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "resnet_cli", *arguments],
            env=os.environ
            | {"KUBECONFIG": str(self.kubeconfig), "PYTHONPATH": str(ROOT / "operator")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def cli(world: World, installed_crd: ApiServer, tmp_path: Path) -> Cli:
    """Bind a service account to `view`, with the chart's part of it, and log in as it."""
    server, namespace = installed_crd, world.namespace
    chart = str(ROOT / "charts" / "resnet-operator")
    shown = ("--show-only", "templates/rbac-users.yaml")
    roles = server.helm("template", "component", chart, "--namespace", "component", *shown)
    server.kubectl("apply", "--server-side", "-f", "-", input=roles)
    account = ("-n", namespace, "create")
    server.kubectl(*account, "serviceaccount", READER)
    binding = ("rolebinding", READER, "--clusterrole=view")
    server.kubectl(*account, *binding, f"--serviceaccount={namespace}:{READER}")
    token = server.kubectl(*account, "token", READER).strip()
    config = yaml.safe_load(server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    path = tmp_path / "reader.yaml"
    path.write_text(yaml.safe_dump(config))
    return Cli(path)


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
