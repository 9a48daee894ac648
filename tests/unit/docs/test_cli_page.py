"""docs/cli.md shows what the program prints, names every command and every code."""

from __future__ import annotations

import re

import pytest
from tests.support.apiserver import ROOT

from resnet_cli.app import COMMANDS
from resnet_cli.exits import Exit

PATH = ROOT / "docs" / "cli.md"
PAGE = PATH.read_text()
SNAPSHOTS = ROOT / "tests" / "unit" / "resnet_cli" / "snapshots"
BLOCK = re.compile(r"<!-- snapshot: (\S+) -->\n```\n(.*?)```\n", re.DOTALL)


def with_snapshot(found: re.Match[str]) -> str:
    text = (SNAPSHOTS / f"{found[1]}.txt").read_text()
    return f"<!-- snapshot: {found[1]} -->\n```\n{text}```\n"


def test_the_output_is_that_of_the_program(request: pytest.FixtureRequest) -> None:
    """`--update-golden` writes the snapshots into the page; run it after those themselves."""
    if request.config.getoption("--update-golden"):
        PATH.write_text(BLOCK.sub(with_snapshot, PATH.read_text()))
    blocks = BLOCK.findall(PATH.read_text())
    assert blocks
    for name, shown in blocks:
        assert shown == (SNAPSHOTS / f"{name}.txt").read_text(), name


def test_every_command_is_named() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE.replace("\\|", "/"), re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`(\w+)", row)}
    assert named == {*COMMANDS, "rollout"}


def test_every_code_is_explained() -> None:
    for code in Exit:
        assert f"| {int(code)} | {code.meaning} |" in PAGE


def test_the_readme_shows_lines_of_it() -> None:
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"\$ kubectl resnet why digits\n(.*?)```", readme, re.DOTALL)
    real = (SNAPSHOTS / "why-no-free-chip.140.txt").read_text().splitlines()
    assert [line for line in shown.splitlines() if line != "..." and line not in real] == []
