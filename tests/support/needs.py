"""What a test needs of the machine: skipped and said where it is missing, a failure in `make test`.

`make test` installs every tool and sets RESNET_TEST_STRICT=1: then a skip is a test that nobody
ran, and fails. Only what a foreign cluster (RESNET_TEST_KUBECONFIG) cannot do may be left out, and
what needs an earlier release in a clone without history.
A plugin of pytest that tests/conftest.py registers.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from devkit.ecosystem import build as ecosystem
from devkit.ecosystem import gateway_api
from devkit.progress import cache_root

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

NO_HISTORY = "not in the history of this clone: "
SYSTEM_PYTHON = "/usr/bin/python3"  # where Debian's python3-torch lies


def need_program(name: str, package: str) -> None:
    """Skip the test when a program is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing: apt-get install {package}, or run `make test`")


def need_torch() -> None:
    """Skip the test when the system's Python has no PyTorch."""
    if why := _without_torch():
        pytest.skip(f"PyTorch is missing: run devkit/torch.sh ({why})")


def need_originals() -> Path:
    """Return the Python with the publishers' own libraries; skip where it is not installed."""
    python = cache_root() / "originals-venv" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"timm and others are missing: run devkit/originals.sh {python.parents[1]}")
    return python


def need_gateway_api(version: str) -> Path:
    """Return the Gateway API's own CRD of HTTPRoutes; skip where it is not."""
    part = gateway_api.part()
    if not part.is_there:
        pytest.skip("the Gateway API is missing: run devkit/ecosystem/build.py, or `make test`")
    return part.folder / f"{version}.yaml"


def need_ecosystem() -> Path:
    """Return the folder with the programs that live beside an operator; skip where it is not."""
    part = ecosystem.part()
    if not part.is_there:
        pytest.skip("kstatus and others are missing: run devkit/ecosystem/build.py, or `make test`")
    return part.folder


@functools.cache
def _without_torch() -> str:
    command = [SYSTEM_PYTHON, "-c", "import torch"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return f"there is no {SYSTEM_PYTHON}"
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def need_history(found: str | None, what: str) -> str:
    """Return a commit; skip where a clone does not reach so far back, which is no missing tool."""
    if found is None:
        pytest.skip(f"{NO_HISTORY}{what}: git fetch --unshallow --tags")
    return found


def is_strict() -> bool:
    """Tell whether a skip is a failure in this run."""
    strict = os.environ.get("RESNET_TEST_STRICT", "") not in {"", "0"}
    return strict and not os.environ.get("RESNET_TEST_KUBECONFIG")


def _not_skipped(report: Any) -> Any:
    if is_strict() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if NO_HISTORY in str(reason):
            return report
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}\n{reason}\nRESNET_TEST_STRICT: a skip is a failure"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _not_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _not_skipped((yield))
