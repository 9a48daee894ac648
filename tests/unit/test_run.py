"""`make test` runs every part whatever fails, and ends in the sum of all."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from tests import run
from tests.apiserver import ROOT
from tests.run import PARTS, Part

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "def test_one(): ...\ndef test_two(): ...\n"
BAD = "import pytest\ndef test_bad(): assert 0\ndef test_skipped(): pytest.skip('no tool')\n"
BROKEN = "import pytest\n@pytest.fixture\ndef it(): raise OSError\ndef test_error(it): ...\n"
UNREADABLE = "import nothing_of_this_name\n"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Parts that are files of the test, and the cache in its folder."""
    made: dict[str, Part] = {}
    monkeypatch.setattr(run, "PARTS", made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RESNET_TEST_STRICT", raising=False)
    files = {"good": GOOD, "bad": BAD, "broken": BROKEN, "unreadable": UNREADABLE}
    for name, text in files.items():
        path = tmp_path / name / f"test_{name}.py"
        path.parent.mkdir()
        path.write_text(text)
        alone = ("-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null")
        made[name] = Part(f"the {name} ones", (*alone, str(path)))
    made["command"] = Part("a command", command=(sys.executable, "-c", "raise SystemExit(3)"))
    return made


def test_all_parts_run_and_the_last_line_is_their_sum(
    parts: dict[str, Part], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.main([]) == 1
    shown = capfd.readouterr().out
    for number, part in enumerate(parts.values(), start=1):
        assert f"[{number}/5] {part.text} ..." in shown
    last = shown.splitlines()[-1]
    assert re.fullmatch(r"=+ 1 failed, 2 passed, 1 skipped, 3 errors in [\d.]+s =+", last), shown
    failed = [line for line in shown.splitlines() if line.startswith("FAILED ")]
    assert [line.rsplit("::")[-1] for line in failed[-4:-1]] == [
        "test_bad",
        "test_error",
        "test_unreadable",
    ]
    assert failed[-1] == "FAILED a command: ended with status 3"


def test_what_went_well_says_so_and_is_announced_next_time(
    parts: dict[str, Part], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["good"]) == 0
    shown = capfd.readouterr().out
    assert "[1/1] the good ones ..." in shown
    assert re.fullmatch(r"=+ 2 passed in [\d.]+s =+", shown.splitlines()[-1])
    assert run.main(["good"]) == 0
    assert re.search(
        r"\[1/1\] the good ones \(took .* here before\) \.\.\.", capfd.readouterr().out
    )


def test_a_part_that_is_not_there(
    parts: dict[str, Part], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["goood"]) == 2
    assert "there are good, bad" in capsys.readouterr().out


def test_every_suite_is_in_some_part() -> None:
    """But the one that measures, which is `make bench`."""
    suites = {
        f"tests/{path.name}"
        for path in (ROOT / "tests").iterdir()
        if any(path.glob("**/test_*.py"))
    }
    assert {path for part in PARTS.values() for path in part.paths} == suites
