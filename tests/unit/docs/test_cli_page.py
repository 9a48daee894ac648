"""docs/cli.md shows what the program prints, names every command and every code."""

from __future__ import annotations

import re

from tests.support.apiserver import ROOT

from resnet_cli.app import COMMANDS
from resnet_cli.exits import Exit

PAGE = (ROOT / "docs" / "cli.md").read_text()
SNAPSHOTS = ROOT / "tests" / "unit" / "resnet_cli" / "snapshots"
BLOCK = re.compile(r"<!-- snapshot: (\S+) -->\n```\n(.*?)```\n", re.DOTALL)


def test_the_output_is_that_of_the_program() -> None:
    """After `--update-golden`, copy the snapshot into the page."""
    blocks = BLOCK.findall(PAGE)
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
