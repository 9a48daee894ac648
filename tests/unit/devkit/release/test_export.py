"""A release is made from a commit and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from devkit.release.__main__ import export
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.thorough  # exports the repository


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    target = tmp_path / "clone"
    command = ["git", "clone", "--quiet", "--shared", "--no-local", str(ROOT), str(target)]
    subprocess.run(command, check=True)
    return target


@pytest.mark.parametrize("change", ["changed", "new"])
def test_changes_that_are_not_committed_are_refused(clone: Path, change: str) -> None:
    (clone / ("README.md" if change == "changed" else "new.py")).write_text("x")
    command = [sys.executable, "-m", "devkit.release", "--version", "0.2.0"]
    environment = os.environ | {"PYTHONPATH": str(clone)}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "commit or stash" in done.stderr
    assert not (clone / "dist").exists()


def test_the_export_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        tmp_path.joinpath("tree").mkdir()
        export("HEAD", tmp_path / "tree")
    finally:
        os.umask(before)
    executable = tmp_path / "tree" / "devkit" / "venv.sh"
    assert oct(executable.stat().st_mode & 0o022) == "0o0"
    assert executable.stat().st_mode & 0o100
    assert not (tmp_path / "tree" / ".git").exists()
