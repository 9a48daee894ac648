"""A test that needs what is missing: a skip with a reason, and a failure where all is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.thorough  # runs pytest within pytest

SAMPLES = {
    "program": (
        "def test_it():\n    need_program('no-such-program', 'a-package')\n",
        "no-such-program is missing: apt-get install a-package",
    ),
    "torch": (
        "@pytest.mark.usefixtures('no_torch')\ndef test_it():\n    need_torch()\n",
        "PyTorch is missing: run devkit/torch.sh",
    ),
    "mark": ("@pytest.mark.skip(reason='by a mark')\ndef test_it(): ...\n", "by a mark"),
    "fixture": (
        "@pytest.fixture\ndef tool():\n    pytest.skip('by a fixture')\ndef test_it(tool): ...\n",
        "by a fixture",
    ),
    "module": (
        "def test_it(): ...\npytest.skip('as a whole', allow_module_level=True)\n",
        "as a whole",
    ),
}
EXPECTED = "@pytest.mark.xfail(strict=True)\ndef test_it(): assert 0\n"
HEAD = """
import pytest
from tests.support import needs
from tests.support.needs import need_program, need_torch

@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setattr(needs, "SYSTEM_PYTHON", "/nonexistent/python3")
    needs._without_torch.cache_clear()

"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run every sample, and a test that is expected to fail."""
    for name, (text, _) in SAMPLES.items():
        (folder / f"test_{name}.py").write_text(HEAD + text)
    (folder / "test_expected.py").write_text(HEAD + EXPECTED)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RESNET_TEST_")}
    plugins = ("-p", "tests.support.needs", "-p", "no:cacheprovider", "-p", "no:xdist")
    options = ("-ra", "--continue-on-collection-errors", "-c", os.devnull, "--rootdir", folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, folder],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("foreign", ["", "/a/kubeconfig"], ids=["a laptop", "a foreign cluster"])
def test_a_skip_is_told_in_the_summary(foreign: str, tmp_path: Path) -> None:
    """On a foreign cluster even where all tools are installed: it may not do all things."""
    strict = {"RESNET_TEST_KUBECONFIG": foreign, "RESNET_TEST_STRICT": "1"} if foreign else {}
    done = run(tmp_path, **strict)
    assert done.returncode == 0, done.stdout
    for name, (_, reason) in SAMPLES.items():
        assert re.search(rf"SKIPPED \[1\] .*{re.escape(reason)}", done.stdout), name
    assert f"{len(SAMPLES)} skipped, 1 xfailed" in done.stdout.splitlines()[-1]


def test_where_all_is_installed_a_skip_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, RESNET_TEST_STRICT="1")
    assert done.returncode == 1, done.stdout
    for name, (_, reason) in SAMPLES.items():
        assert re.search(rf"(FAILED|ERROR) test_{name}\.py", done.stdout), name
        assert reason in done.stdout
    assert done.stdout.count("RESNET_TEST_STRICT: a skip is a failure") >= len(SAMPLES)
    assert "skipped" not in done.stdout.splitlines()[-1]
    assert "1 xfailed" in done.stdout.splitlines()[-1]


def test_a_clone_without_history_is_no_missing_tool(tmp_path: Path) -> None:
    text = "from tests.support.needs import need_history\n"
    text += "def test_it():\n    need_history(None, 'v0.1.0')\n"
    (tmp_path / "test_history.py").write_text(HEAD + text)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RESNET_TEST_")}
    plugins = ("-p", "tests.support.needs", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-ra", "-c", os.devnull, tmp_path],
        cwd=tmp_path,
        env=clean | {"PYTHONPATH": str(ROOT), "RESNET_TEST_STRICT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "git fetch --unshallow --tags" in done.stdout
