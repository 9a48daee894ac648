"""`make cli`: one file that runs, unpacks itself once, and is the same for the same content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from devkit.cli.__main__ import build
from tests.support.apiserver import ROOT

from resnet_cli.exits import Exit


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file without libraries: those of this Python are used."""
    output = tmp_path_factory.mktemp("program") / "kubectl-resnet"
    build(tmp_path_factory.mktemp("empty"), output)
    return output


def run(program: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "KUBECONFIG"}}
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        env=environment | {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)},
        capture_output=True,
        text=True,
    )


def test_it_runs_and_unpacks_itself_once(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "--help")
    assert done.returncode == Exit.DONE, done.stderr
    assert "predict" in done.stdout
    (home,) = (tmp_path / "kubectl-resnet").iterdir()
    mark = home / "mark"
    mark.touch()
    sample = ROOT / "samples" / "digits-npu.yaml"
    done = run(program, tmp_path, "check", "-f", str(sample))
    assert done.returncode == Exit.DONE, done.stderr
    assert mark.exists()


def test_no_cluster_is_a_code(program: Path, tmp_path: Path) -> None:
    assert run(program, tmp_path, "get").returncode == Exit.UNREACHABLE


def test_the_same_content_is_the_same_file(program: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    empty = tmp_path / "empty"
    empty.mkdir()
    build(empty, again)
    assert again.read_bytes() == program.read_bytes()


def test_the_manifest_of_krew_names_the_program() -> None:
    manifest = yaml.safe_load((ROOT / "devkit" / "cli" / "resnet.yaml").read_text())
    assert manifest["metadata"]["name"] == "resnet"
    assert {one["bin"] for one in manifest["spec"]["platforms"]} == {"kubectl-resnet"}
