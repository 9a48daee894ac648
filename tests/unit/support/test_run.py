"""`make test` runs every part whatever fails, and ends in the sum of all."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests import run
from tests.run import PARTS, Part
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EVERY_END = """
import pytest
def test_one(): ...
def test_two(): ...
def test_bad(): assert 0
def test_skipped(): pytest.skip('no tool')
@pytest.fixture
def it(): raise OSError
def test_error(it): ...
"""
UNREADABLE = "import nothing_of_this_name\n"


def command(code: str) -> Part:
    return Part("a command", command=(sys.executable, "-S", "-c", code))


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Parts that are files of the test, and the cache in its folder."""
    made: dict[str, Part] = {}
    monkeypatch.setattr(run, "PARTS", made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RESNET_TEST_STRICT", raising=False)
    for name, text in (("mixed", EVERY_END), ("unreadable", UNREADABLE)):
        path = tmp_path / name / f"test_{name}.py"
        path.parent.mkdir()
        path.write_text(text)
        alone = ("-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null")
        made[name] = Part(f"the {name} ones", (*alone, str(path)))
    made["command"] = command("raise SystemExit(3)")
    return made


@pytest.mark.thorough
def test_all_parts_run_and_the_last_line_is_their_sum(
    parts: dict[str, Part], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.main([]) == 1
    shown = capfd.readouterr().out
    for number, part in enumerate(parts.values(), start=1):
        assert f"[{number}/3] {part.text} ..." in shown
    last = shown.splitlines()[-1]
    assert re.fullmatch(r"=+ 1 failed, 2 passed, 1 skipped, 3 errors in [\d.]+s =+", last), shown
    failed = [line for line in shown.splitlines() if line.startswith("FAILED ")]
    ends = [line.rsplit("::")[-1] for line in failed[-4:-1]]
    assert ends == ["test_bad", "test_error", "test_unreadable"]
    assert failed[-1] == "FAILED a command: ended with status 3"


def test_what_is_beside_is_not_waited_for(
    parts: dict[str, Part], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends only when the part after it has begun, and counts as the others do."""
    parts.clear()
    sign = str(tmp_path / "sign")
    opened = f"with open({sign!r}) as sign: sign.read()"
    parts["waits"] = replace(command(opened), beside=True)
    parts["releases"] = command(f"open({sign!r}, 'w').close()")
    os.mkfifo(sign)  # to open it takes somebody at either end
    assert run.main([]) == 0
    parts["waits"] = replace(command("raise SystemExit(4)"), text="a bad one", beside=True)
    parts["releases"] = command("")
    assert run.main([]) == 1
    assert "FAILED a bad one: ended with status 4" in capfd.readouterr().out


def test_what_went_well_is_announced_with_its_duration_next_time(
    parts: dict[str, Part], capfd: pytest.CaptureFixture[str]
) -> None:
    parts["good"] = command("")
    assert run.main(["good"]) == 0
    assert "[1/1] a command ...\n" in capfd.readouterr().out
    assert run.main(["good"]) == 0
    again = capfd.readouterr().out
    assert re.search(r"\[1/1\] a command \(took .* here before\) \.\.\.", again)


def test_what_is_quick_is_a_part_of_what_is_tested() -> None:
    """Nothing runs in `make unit` alone, and `make test` leaves out nothing that is marked."""
    assert set(PARTS["quick"].paths) <= set(PARTS["unit"].paths)
    assert PARTS["quick"].options[-2:] == ("-m", "not thorough")
    usual = [part for part in PARTS.values() if not part.on_demand]
    assert PARTS["unit"] in usual
    assert "thorough" not in str(usual)


def test_a_part_that_is_not_there(
    parts: dict[str, Part], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["goood"]) == 2
    assert "there are mixed, unreadable" in capsys.readouterr().out


def test_every_suite_is_in_some_part() -> None:
    """But the one that measures, which is `make bench`."""
    folders = [path for path in (ROOT / "tests").iterdir() if any(path.glob("**/test_*.py"))]
    covered = {path for part in PARTS.values() for path in part.paths}
    assert covered == {f"tests/{folder.name}" for folder in folders}
