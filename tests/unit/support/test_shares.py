"""Files are shared out so that all end together, and every file runs once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import run
from tests.run import Part
from tests.shares import Weights, files_of, shares

SHARED_OUT = [
    ({"a": 5.0, "b": 3.0, "c": 2.0}, 2, [["a"], ["b", "c"]], "the heaviest goes alone"),
    ({"a": 1.0, "b": 1.0, "c": 1.0}, 2, [["a", "c"], ["b"]], "equals by name: each run the same"),
    ({"a": 1.0}, 4, [["a"]], "no process without a file"),
    ({}, 2, [], "nothing to share"),
    ({"a": 0.0, "b": 0.0}, 1, [["a", "b"]], "one process has all"),
]


@pytest.mark.parametrize(
    ("weights", "count", "expected", "why"), SHARED_OUT, ids=[row[3] for row in SHARED_OUT]
)
def test_shares(weights: dict[str, float], count: int, expected: list[list[str]], why: str) -> None:
    assert shares(weights, count) == expected, why


REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_x" time="1.5"/>
<testcase classname="tests.unit.test_a" name="test_y" time="0.5"/>
<testcase classname="tests.elsewhere.test_b" name="test_z" time="9"/>
</testsuite></testsuites>"""


def test_a_run_teaches_the_next_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "tests/unit").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"tests/unit/test_{name}.py").write_text("#" * 10_000)
    files = files_of(tmp_path, ["tests/unit"])
    assert files == ["tests/unit/test_a.py", "tests/unit/test_b.py"]
    weights = Weights(tmp_path / "cache" / "files.json")
    assert weights.of(tmp_path, files) == dict.fromkeys(files, 1.0), "by size at first"
    (tmp_path / "report.xml").write_text(REPORT)
    weights.learn(files, [tmp_path / "report.xml"])
    assert weights.of(tmp_path, files) == {files[0]: 2.0, files[1]: 1.0}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": "b"}', "null"])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_a.py").touch()
    (tmp_path / "files.json").write_text(text)
    assert Weights(tmp_path / "files.json").of(tmp_path, ["test_a.py"]) == {"test_a.py": 0.0}


@pytest.mark.thorough
def test_every_file_runs_once_and_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RECORD_SUPPORT", raising=False)
    bodies = {"good": "def test_it(): pass", "bad": "def test_it(): assert 'seen'", "other": ""}
    bodies["worse"] = "def test_it(): assert not 'a reason'"
    (tmp_path / "tests").mkdir()
    for name, body in bodies.items():
        (tmp_path / f"tests/test_{name}.py").write_text(body)
    alone = ("-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null")
    part = Part("a few", ("tests",), 4, shared_out=True, options=alone)
    folder = tmp_path / "reports"
    folder.mkdir()
    result = run.run("few", part, folder)
    assert result.status == 1
    assert result.counts == {"passed": 2, "failed": 1}
    assert [name.split(".")[-1] for name in result.failed] == ["test_worse::test_it"]
    assert "a reason" in capfd.readouterr().out
