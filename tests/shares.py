"""Test files shared out among processes that each collect their own files alone.

pytest-xdist has every worker collect every file, and one process more that hears of each test: for
thousands of tests of a few milliseconds that is a third of the work.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# Of a file that never ran here: a test file of 10 kB takes about a second.
SECONDS_PER_BYTE = 1e-4


def shares(weights: Mapping[str, float], count: int) -> list[list[str]]:
    """Return the names in shares of about the same weight: the heaviest goes first, to the lightest
    share."""
    parts: list[list[str]] = [[] for _ in range(min(count, len(weights)))]
    loads = [0.0] * len(parts)
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        lightest = loads.index(min(loads))
        parts[lightest].append(name)
        loads[lightest] += weights[name]
    return parts


def files_of(root: Path, paths: Iterable[str]) -> list[str]:
    """Return the test files below some folders, by their paths in the repository."""
    found = {file for path in paths for file in (root / path).rglob("test_*.py")}
    return sorted(file.relative_to(root).as_posix() for file in found)


@dataclass(frozen=True)
class Weights:
    """How long each file took here, so that the next run shares them out better."""

    path: Path

    def of(self, root: Path, files: Sequence[str]) -> dict[str, float]:
        known = self._read()
        return {
            file: known.get(file, (root / file).stat().st_size * SECONDS_PER_BYTE) for file in files
        }

    def learn(self, files: Sequence[str], reports: Iterable[Path]) -> None:
        """Take the sums of JUnit's reports, whose classes are called as the modules are."""
        took: dict[str, float] = defaultdict(float)
        for report in reports:
            for case in ElementTree.parse(report).iter("testcase"):
                module = str(case.get("classname")).replace(".", "/") + ".py"
                took[module] += float(case.get("time") or 0)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({file: took[file] for file in files if file in took}))

    def _read(self) -> dict[str, float]:
        try:
            return {str(k): float(v) for k, v in json.loads(self.path.read_text()).items()}
        except (OSError, ValueError, AttributeError):  # never ran here, or half a file
            return {}
