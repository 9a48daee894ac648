"""`--record-support`: what a session ran and saw, for docs/support.json.

A suite is recorded if all of it was selected and all of it passed. What tests saw of the cluster
(`note`) is what the cluster itself answered, never what we meant to start. With pytest-xdist the
workers hand their notes to the session that counts.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from devkit import support

TESTS = Path(__file__).resolve().parents[1]
SUITES = ("chart", "cluster", "component", "e2e")
NOTES: dict[str, set[str]] = {}


def note(**seen: str) -> None:
    """Remember something that a test saw, such as triton="2.51.0"."""
    for key, value in seen.items():
        NOTES.setdefault(key, set()).add(value)


def suite_of(nodeid: str) -> str | None:
    parts = Path(nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 and parts[0] == "tests" and parts[1] in SUITES else None


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Recorder:
    """Counts outcomes by suite; writes the record when the session ends."""

    path: Path = support.RECORD
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    files: dict[str, set[str]] = field(default_factory=dict)
    deselected: set[str] = field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        suite = suite_of(report.nodeid)
        if suite is None:
            return
        self.files.setdefault(suite, set()).add(report.nodeid.partition("::")[0])
        if report.when == "call" or report.outcome != "passed":
            self.counted[suite, report.outcome] += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected |= {suite for item in items if (suite := suite_of(item.nodeid))}

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
                "passed": self.counted[suite, "passed"],
                "skipped": self.counted[suite, "skipped"],
                "commit": commit(),
                "seen": seen(notes) if suite == "e2e" else {},
            }
            for suite in sorted(self.files)
            if self.is_whole(suite) and not self.counted[suite, "failed"]
        ]

    def is_whole(self, suite: str) -> bool:
        there = {str(path.relative_to(TESTS.parent)) for path in (TESTS / suite).glob("test_*.py")}
        return suite not in self.deselected and self.files[suite] == there


def seen(notes: dict[str, set[str]]) -> dict[str, list[str]]:
    return {key: sorted(values) for key, values in notes.items() if key != "kubernetes"}


def commit() -> str:
    command = ["git", "-C", str(TESTS), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, text=True, capture_output=True)
    return done.stdout.strip() or "unknown"
