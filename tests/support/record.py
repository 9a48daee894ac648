"""`--record-support`: what a session ran and saw, for docs/support.json.

A suite is recorded if all of it was selected and all of it passed; `stories` is the part of e2e
that tells the main job, for a Kubernetes on which nobody waits for all of it. What tests saw of
the cluster (`note`) is what the cluster itself answered, never what we meant to start. With
pytest-xdist the workers hand their notes to the session that counts.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from devkit import support
from tests.run import PARTS

TESTS = Path(__file__).resolve().parents[1]
SUITES = ("chart", "cluster", "component", "e2e")
STORIES = ("demo", "failures", "lifecycle", "om", "scaling", "sources", "store")
# Marks of what `make test` leaves out: files that have it are on demand only.
ON_DEMAND = re.findall(r"not (\w+)", PARTS["e2e"].options[-1])
NOTES: dict[str, set[str]] = {}


def note(**seen: str) -> None:
    """Remember something that a test saw, such as triton="2.51.0"."""
    for key, value in seen.items():
        NOTES.setdefault(key, set()).add(value)


def files_of(suite: str) -> set[str]:
    """Return the test files that a suite consists of, without what runs on demand only."""
    if suite == "stories":
        return {f"tests/e2e/test_{name}.py" for name in STORIES}
    there = (TESTS / suite).rglob("test_*.py")
    return {path.relative_to(TESTS.parent).as_posix() for path in there if not is_on_demand(path)}


def is_on_demand(path: Path) -> bool:
    text = path.read_text()
    return any(f"mark.{mark}" in text for mark in ON_DEMAND)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Recorder:
    """Counts outcomes by suite; writes the record when the session ends."""

    path: Path = support.RECORD
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By file and outcome."""
    deselected: set[str] = field(default_factory=set)
    """Files of which something was left out."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counted[file_of(report.nodeid), report.outcome] += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected |= {file_of(item.nodeid) for item in items}

    def pytest_testnodedown(self, node: Any) -> None:
        sent = getattr(node, "workeroutput", {})
        self.deselected |= set(sent.get("deselected", ()))
        for key, values in sent.get("notes", {}).items():
            NOTES.setdefault(key, set()).update(values)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        worker: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if worker is not None:
            worker["notes"] = {key: sorted(values) for key, values in NOTES.items()}
            worker["deselected"] = sorted(self.deselected)
            return
        entries = self.entries(NOTES)
        if entries:
            support.store(entries, self.path)

    def entries(self, notes: dict[str, set[str]]) -> list[support.Entry]:
        """Return an entry for each suite that passed as a whole, on the one Kubernetes it saw."""
        versions = notes.get("kubernetes", set())
        if len(versions) != 1:
            return []
        [version] = versions
        return [
            {
                "kubernetes": version,
                **support.machine(),
                "suite": suite,
                "passed": self.count(suite, "passed"),
                "skipped": self.count(suite, "skipped"),
                "commit": commit(),
                "seen": seen(notes) if suite in {"e2e", "stories"} else {},
            }
            for suite in self.whole()
            if not self.count(suite, "failed")
        ]

    def whole(self) -> list[str]:
        """Return the suites of which every file ran, and nothing was left out."""
        ran = {file for file, _ in self.counted} - self.deselected
        found = [suite for suite in (*SUITES, "stories") if files_of(suite) <= ran]
        return [suite for suite in found if suite != "stories" or "e2e" not in found]

    def count(self, suite: str, outcome: str) -> int:
        return sum(self.counted[file, outcome] for file in files_of(suite))


def seen(notes: dict[str, set[str]]) -> dict[str, list[str]]:
    return {key: sorted(values) for key, values in notes.items() if key != "kubernetes"}


def commit() -> str:
    command = ["git", "-C", str(TESTS), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, text=True, capture_output=True)
    return done.stdout.strip() or "unknown"
