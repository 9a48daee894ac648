"""The support matrix says what ran: what is recorded, and what stands on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from devkit import support
from tests.support import record
from tests.support.record import Recorder

if TYPE_CHECKING:
    from pathlib import Path

ENTRY: dict[str, Any] = {
    "kubernetes": "v1.36.4",
    "architecture": "x86_64",
    "cgroups": "v2",
    "suite": "chart",
    "passed": 90,
    "skipped": 0,
    "commit": "abc1234",
    "seen": {},
}


def test_a_later_run_replaces_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "support.json"
    support.store([ENTRY, ENTRY | {"kubernetes": "v1.33.13"}], file)
    support.store([ENTRY | {"passed": 91}], file)
    assert [(e["kubernetes"], e["passed"]) for e in support.load(file)] == [
        ("v1.33.13", 90),
        ("v1.36.4", 91),
    ]


def test_page_has_a_row_for_each_kubernetes_newest_first() -> None:
    others = [ENTRY | {"suite": "component", "passed": 300}, ENTRY | {"kubernetes": "v1.9.1"}]
    assert support.ran([ENTRY, *others]) == [
        "| v1.36.4 | x86_64 | v2 | chart 90, component 300 | abc1234 |",
        "| v1.9.1 | x86_64 | v2 | chart 90 | abc1234 |",
    ]


def test_page_says_what_served() -> None:
    seen = {"triton": ["2.51.0"], "cann": ["ATC 8.2 (simulator)"], "chip": ["Ascend310P3", "CPU"]}
    assert support.served([ENTRY, ENTRY | {"suite": "e2e", "seen": seen}]) == [
        "| v1.36.4 | 2.51.0 | ATC 8.2 (simulator) | Ascend310P3, CPU |"
    ]


def test_page_shows_pairs_that_fit_and_that_do_not() -> None:
    verdicts = [row.split(" | ")[2] for row in support.fitting()]
    assert set(verdicts) == {"yes", "no"}


def test_committed_page_is_generated() -> None:
    assert support.PAGE.read_text(encoding="utf-8") == support.page(support.load())


CGROUPS = [
    (("cgroup.controllers",), "v2"),
    (("memory", "unified"), "v1, hybrid"),
    (("memory",), "v1"),
]


@pytest.mark.parametrize(("files", "version"), CGROUPS, ids=[case[1] for case in CGROUPS])
def test_version_of_cgroups(files: tuple[str, ...], version: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).mkdir()
    assert support.cgroups(tmp_path) == version


Outcome = Literal["passed", "failed", "skipped"]
Phase = Literal["setup", "call", "teardown"]


def report(nodeid: str, outcome: Outcome = "passed", when: Phase = "call") -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=nodeid, location=("", 0, ""), keywords={}, outcome=outcome, longrepr=None, when=when
    )


def chart_files() -> list[str]:
    return [f"tests/chart/{path.name}" for path in (record.TESTS / "chart").glob("test_*.py")]


def run(
    recorder: Recorder, files: list[str], outcome: Outcome = "passed", when: Phase = "call"
) -> None:
    for file in files:
        recorder.pytest_runtest_logreport(report(f"{file}::test", "passed", "setup"))
        recorder.pytest_runtest_logreport(report(f"{file}::test", outcome, when))


KUBERNETES = {"kubernetes": {"v1.36.4"}}


def test_a_whole_suite_that_passed_is_recorded() -> None:
    recorder = Recorder()
    run(recorder, [*chart_files(), "tests/unit/test_layout.py"])
    [entry] = recorder.entries(KUBERNETES)
    assert (entry["suite"], entry["passed"]) == ("chart", len(chart_files()))
    assert (entry["kubernetes"], entry["seen"]) == ("v1.36.4", {})


@pytest.mark.parametrize("suite", ["e2e", "stories"])
def test_what_is_seen_on_nodes_is_recorded(suite: str) -> None:
    recorder = Recorder()
    run(recorder, sorted(record.files_of(suite)))
    [entry] = recorder.entries(KUBERNETES | {"triton": {"2.51.0"}})
    assert entry["suite"] == suite, "all of e2e has the stories in it"
    assert entry["seen"] == {"triton": ["2.51.0"]}


def test_stories_are_there_and_what_runs_on_demand_is_not_of_e2e() -> None:
    assert record.files_of("stories") < record.files_of("e2e")
    for story in record.files_of("stories"):
        assert (record.TESTS.parent / story).exists()
    for story in ("upgrade", "analysis"):
        assert f"tests/e2e/test_{story}.py" not in record.files_of("e2e"), "make test deselects it"


class Left:
    """What pytest hands over of a test that was not selected."""

    def __init__(self, file: str) -> None:
        self.nodeid = f"{file}::test"


LEFT_OUT = [
    ("tests/e2e/test_gate.py", ["stories"], "another file's tests were not asked for"),
    ("tests/e2e/test_om.py", [], "one test of a story's file was left out"),
]


@pytest.mark.parametrize(("file", "recorded", "why"), LEFT_OUT, ids=[row[2] for row in LEFT_OUT])
def test_what_was_left_out_is_not_recorded(file: str, recorded: list[str], why: str) -> None:
    recorder = Recorder()
    recorder.pytest_deselected([Left(file)])  # type: ignore[list-item]
    run(recorder, sorted(record.files_of("e2e") - {"tests/e2e/test_gate.py"}))
    assert [entry["suite"] for entry in recorder.entries(KUBERNETES)] == recorded, why


def test_a_failure_is_no_support() -> None:
    for when in ("setup", "call", "teardown"):
        recorder = Recorder()
        run(recorder, chart_files())
        run(recorder, chart_files()[:1], "failed", when)
        assert recorder.entries(KUBERNETES) == [], when


def test_a_part_of_a_suite_is_not_recorded() -> None:
    recorder = Recorder()
    run(recorder, chart_files()[1:])
    assert recorder.entries(KUBERNETES) == []


def test_pytest_can_keep_it_among_its_plugins() -> None:
    assert len({Recorder(), Recorder()}) == 2


def test_two_clusters_in_one_session_are_not_mixed() -> None:
    recorder = Recorder()
    run(recorder, chart_files())
    assert recorder.entries({"kubernetes": {"v1.36.4", "v1.33.13"}}) == []
    assert recorder.entries({}) == [], "nobody asked the cluster"
