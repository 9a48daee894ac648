"""The command line itself: options as kubectl has them, and codes that scripts may count on."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import Recorded
from typer.testing import CliRunner

from resnet_cli import app, session
from resnet_cli.exits import Exit
from resnet_cli.lines.change import rollout
from resnet_cli.paths import KINDS

READY = c.service("Ready", "serving revision fe12dc34ba", phase="Ready", ready="True")
RUNNER = CliRunner()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded([READY])

    def connect(*, namespace: str | None, **_: object) -> Recorded:
        found.namespace = namespace or c.NAMESPACE
        return found

    monkeypatch.setattr(session, "connect", connect)
    monkeypatch.setattr(session, "now", lambda: c.NOW)
    return found


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get"], Exit.DONE),
        (["get", "-A"], Exit.DONE),
        (["get", "digits", "-n", "vision"], Exit.DONE),
        (["why", "digits"], Exit.DONE),
        (["why", "digits", "-n", "elsewhere"], Exit.NOT_FOUND),
        (["get", "digits", "-A"], Exit.USAGE),
        (["logs", "digits", "--stage", "nothing"], Exit.USAGE),
        (["logs", "digits"], Exit.NOT_FOUND),
        (["nothing"], Exit.USAGE),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.name,
)
def test_codes(
    cluster: Recorded, arguments: list[str], code: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl-resnet", *arguments])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert (caught.value.code or 0) == code


@pytest.mark.parametrize("command", [["get"], ["why", "digits"]], ids=lambda words: words[0])
def test_json_and_yaml_say_the_same(cluster: Recorded, command: list[str]) -> None:
    as_json = RUNNER.invoke(app.app, [*command, "-o", "json"])
    as_yaml = RUNNER.invoke(app.app, [*command, "-o", "yaml"])
    assert json.loads(as_json.stdout) == yaml.safe_load(as_yaml.stdout)


def all_lines() -> dict[str, Callable[..., None]]:
    found = dict(app.COMMANDS)
    for one in rollout.registered_commands:
        assert one.callback is not None
        found[f"rollout {one.name}"] = one.callback
    return found


@pytest.mark.parametrize("name", all_lines())
def test_every_command_takes_kubectls_options_and_prints_data(name: str) -> None:
    options = inspect.signature(all_lines()[name]).parameters
    assert "output" in options
    if name != "convert":
        assert {"namespace", "context", "kubeconfig"} <= set(options)
    shown = RUNNER.invoke(app.app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "--output" in shown.output
    assert "-o" in shown.output


CHANGES = [
    (["suspend", "digits"], {"suspend": True}),
    (["resume", "digits"], {"suspend": False}),
    (["rollout", "pin", "digits", "--off"], {"pinRevision": None}),
    (["rollout", "retry", "digits"], {"retry": "2026-11-30T12:00:00Z"}),
    (["rollout", "status", "digits"], {"phase": "Ready", "ready": True, "settled": True}),
]


@pytest.mark.parametrize(("words", "has"), CHANGES, ids=lambda value: str(value)[:40])
def test_what_was_done_is_data_too(
    cluster: Recorded, words: list[str], has: dict[str, object]
) -> None:
    as_json = RUNNER.invoke(app.app, [*words, "-o", "json"])
    as_yaml = RUNNER.invoke(app.app, [*words, "-o", "yaml"])
    found = json.loads(as_json.stdout)
    assert found == yaml.safe_load(as_yaml.stdout)
    assert found.items() >= {"name": "digits", "namespace": c.NAMESPACE, **has}.items()


def test_a_log_is_data_unless_it_is_followed(cluster: Recorded) -> None:
    pod = c.serving_pod(c.container("triton", c.running()), phase="Running")
    cluster.objects += [c.deployment(), c.replica_set(c.deployment()), pod]
    cluster.logs = {f"{c.POD}/triton": "one\ntwo\n"}
    found = json.loads(RUNNER.invoke(app.app, ["logs", "digits", "-o", "json"]).stdout)
    assert (found["pod"], found["container"], found["lines"]) == (c.POD, "triton", ["one", "two"])
    refused = RUNNER.invoke(app.app, ["logs", "digits", "-f", "-o", "json"])
    assert refused.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (["ro"], {"rollout"}),
        (["rollout", ""], {"status", "history", "undo", "pin", "retry"}),
        (["why", "digits", "--kube"], {"--kubeconfig"}),
        (["get", "-o", "j"], {"json"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_shells_complete(words: list[str], offers: set[str]) -> None:
    environment = {
        "_KUBECTL_RESNET_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["kubectl-resnet", *words]),
        "COMP_CWORD": str(len(words)),
    }
    told = RUNNER.invoke(app.app, [], env=environment, prog_name="kubectl-resnet")
    assert set(told.output.split()) >= offers, told.output


def test_no_cluster_is_a_sentence_and_a_code(tmp_path: Path) -> None:
    """As a program of its own, with a kubeconfig whose server is not there."""
    config = tmp_path / "config"
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "a", "user": {}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            }
        )
    )
    for environment, says in (
        ({"KUBECONFIG": str(config)}, "does not answer"),
        ({"KUBECONFIG": str(tmp_path / "none")}, "kubeconfig cannot be used"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "resnet_cli", "get"],
            env=os.environ | environment | {"PYTHONPATH": str(ROOT / "operator")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == Exit.UNREACHABLE, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_no_command_asks_for_secrets() -> None:
    sources = (ROOT / "operator" / "resnet_cli").rglob("*.py")
    assert not [path for path in sources if re.search(r"[\"/]secrets\"", path.read_text())]
    assert "Secret" not in KINDS
