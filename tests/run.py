"""`make test`: the parts, all of them whatever fails, and one sum at the end.

    python -m tests.run            every part but those on demand
    python -m tests.run unit       those named

RECORD_SUPPORT=1 in the environment writes what passed into the support matrix.
Each part is a run of pytest of its own, with as many workers as it stands. It says which one of
how many it is and how long it took here before; the last line is pytest's, over all parts. They
run one after the other, but one that only computes runs beside those that also wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.progress import Durations, announcement, cache_root, spoken
from tests.shares import Weights, files_of, shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1
BY_FILE = ("--dist", "loadfile", "--no-loadscope-reorder")
# Less than the stories' share, but enough that nothing in it comes to a stop.
POLITELY = ("nice", "-n", "5")
# A folder for each of thousands of tests: to name the next one pytest reads the names of all.
FEW_FOLDERS = ("-o", "tmp_path_retention_policy=failed")
NOTHING_CHOSEN = 5  # pytest's status when the marks leave nothing of a share
# Stories mostly wait, so there are more of them than cores; what they share is in
# tests/support/shared.py.
BY_STORY = ("--dist", "loadgroup", "--no-loadscope-reorder")


@dataclass(frozen=True)
class Part:
    """One run of pytest, or of another command when there are no `paths`."""

    text: str
    paths: tuple[str, ...] = ()
    workers: int = 0
    options: tuple[str, ...] = ()
    # Each worker is a pytest of its own with some of the files, as tests/shares.py says.
    shared_out: bool = False
    command: tuple[str, ...] = ()
    on_demand: bool = False
    # Takes what the parts after it leave of the processors, and says all when it is done.
    beside: bool = False

    def argv(self, report: Path, files: Sequence[str] = ()) -> list[str]:
        if self.command:
            return list(self.command)
        workers = ["-n", str(self.workers)] if self.workers and not files else []
        quiet = ["-q", "--no-header", "--junitxml", str(report)]
        if os.environ.get("RECORD_SUPPORT"):
            quiet.append("--record-support")
        return [
            *(POLITELY if self.beside else ()),
            sys.executable,
            "-m",
            "pytest",
            *quiet,
            *workers,
            *self.options,
            *(files or self.paths),
        ]


PARTS: dict[str, Part] = {
    "check": Part("format, lint, types, layers", command=("make", "--no-print-directory", "check")),
    "unit": Part(
        "unit and golden tests, and publishers' own networks",
        ("tests/unit", "tests/golden", "tests/originals"),
        max(2, CORES),
        FEW_FOLDERS,
        shared_out=True,
        beside=True,
    ),
    "quick": Part(
        "quick unit and golden tests; make test has the thorough, Triton and clusters, too",
        ("tests/unit", "tests/golden"),
        max(2, CORES),
        (*FEW_FOLDERS, "-m", "not thorough"),
        shared_out=True,
        on_demand=True,
    ),
    "runtime": Part("the runtimes on a real Triton", ("tests/triton",), 2, BY_FILE),
    "cluster": Part(
        "chart, cluster and component tests on real API servers",
        ("tests/chart", "tests/cluster", "tests/component"),
        # Two leave a quarter of two cores at rest once the unit tests are done.
        max(3, CORES),
        BY_FILE,
    ),
    "e2e": Part(
        "stories on a whole cluster",
        ("tests/e2e",),
        4,
        (*BY_STORY, "-m", "not own_cluster and not minutes"),
    ),
    "minutes": Part(
        "stories that watch for minutes, on a whole cluster",
        ("tests/e2e",),
        0,
        ("-m", "minutes"),
        on_demand=True,
    ),
    # Each boots a cluster, and builds an installation: side by side they would starve each other.
    "installs": Part(
        "installations on clusters of their own",
        ("tests/e2e",),
        0,
        ("-m", "own_cluster"),
        on_demand=True,
    ),
    "stories": Part(
        "the main stories on a whole cluster",
        ("tests/e2e",),
        3,
        (*BY_STORY, "-m", "main"),
        on_demand=True,
    ),
}


@dataclass
class Result:
    """What a part came to. `counts` has pytest's own words as keys."""

    status: int
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def run(name: str, part: Part, folder: Path) -> Result:
    begun = time.monotonic()
    start = start_shared_out if part.shared_out else start_whole
    status, reports = start(name, part, folder)
    result = Result(status, time.monotonic() - begun)
    for report in reports:
        read(report, result)
    if status and not result.failed:
        result.counts["errors"] += 1
        result.failed.append(f"{part.text}: ended with status {status}")
    return result


def start_whole(name: str, part: Part, folder: Path) -> tuple[int, list[Path]]:
    report = folder / f"{name}.xml"
    status = subprocess.run(part.argv(report), cwd=ROOT).returncode
    return status, [report] if report.exists() else []


def start_shared_out(name: str, part: Part, folder: Path) -> tuple[int, list[Path]]:
    """Run several pytests at once; what each has said comes when it is done."""
    files = files_of(ROOT, part.paths)
    weights = Weights(cache_root() / "durations" / f"files-{name}.json")
    running = []
    for number, share in enumerate(shares(weights.of(ROOT, files), part.workers)):
        report, said = folder / f"{name}-{number}.xml", folder / f"{name}-{number}.txt"
        with said.open("w") as out:
            command = part.argv(report, share)
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        running.append((process, report, said))
    worst = 0
    for process, _, said in running:
        status = process.wait()
        worst = worst or (status if status != NOTHING_CHOSEN else 0)
        print(said.read_text(), end="", flush=True)
    reports = [report for _, report, _ in running if report.exists()]
    if not worst:
        weights.learn(files, reports)
    return worst, reports


def read(report: Path, result: Result) -> None:
    """Count what JUnit's format tells of each test."""
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        word = {"failure": "failed", "error": "errors", "skipped": "skipped"}
        for kind in sorted(kinds):
            result.counts[word[kind]] += 1
        if not kinds:
            result.counts["passed"] += 1
        if kinds - {"skipped"}:
            result.failed.append(f"{case.get('classname')}::{case.get('name')}")


def last_line(counts: Mapping[str, int], seconds: float) -> str:
    """Return the sum as pytest writes it."""
    words = [
        f"{counts[word]} {word}"
        for word in ("failed", "passed", "skipped", "errors")
        if counts.get(word)
    ]
    text = f" {', '.join(words) or 'no tests ran'} in {seconds:.2f}s "
    return text.center(80, "=")


def summary(results: Mapping[str, Result], seconds: float) -> list[str]:
    lines = [f"{'part':10}{'passed':>8}{'failed':>8}{'skipped':>9}  took"]
    for name, result in results.items():
        counts = result.counts
        bad = counts["failed"] + counts["errors"]
        took = spoken(result.seconds)
        lines.append(f"{name:10}{counts['passed']:8}{bad:8}{counts['skipped']:9}  {took}")
    lines += [f"FAILED {name}" for result in results.values() for name in result.failed]
    total: Counter[str] = sum((result.counts for result in results.values()), Counter())
    return [*lines, last_line(total, seconds)]


def main(names: Sequence[str]) -> int:
    if unknown := [name for name in names if name not in PARTS]:
        print(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    usual = [name for name, part in PARTS.items() if not part.on_demand]
    chosen = {name: PARTS[name] for name in names or usual}
    durations = Durations(cache_root() / "durations")
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="resnet-run-") as folder,
        ThreadPoolExecutor(len(chosen)) as beside,
    ):
        running: dict[str, Future[Result]] = {}
        for number, (name, part) in enumerate(chosen.items(), start=1):
            before = durations.get(f"test-{name}")
            print(announcement(number, len(chosen), part.text, before), flush=True)
            running[name] = beside.submit(run, name, part, Path(folder))
            if not part.beside:
                wait([running[name]])
        results = {name: one.result() for name, one in running.items()}
    for name, result in results.items():
        if not result.status:
            durations.put(f"test-{name}", result.seconds)
    print("\n".join(summary(results, time.monotonic() - begun)))
    return int(any(result.status for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
