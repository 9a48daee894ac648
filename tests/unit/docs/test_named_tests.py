"""docs/chaos.md and docs/security.md name a test for each fault and each attack."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("chaos.md", "security.md")}
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NAMED = sorted({found for page in PAGES.values() for found in TEST.findall(page)})
ATTACK = re.compile(r"^\| (\d+) \|", re.MULTILINE)


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[f"{file}::{test}" for file, test in NAMED])
def test_the_test_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    assert not test or test in found


def test_every_fault_has_a_test() -> None:
    rows = [line for line in PAGES["chaos.md"].splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 15
    assert all(TEST.search(row) for row in rows)


def test_every_attack_has_a_test() -> None:
    page = PAGES["security.md"]
    assert ATTACK.findall(page) == [str(number) for number in range(1, 21)]
    rows = [line for line in page.splitlines() if ATTACK.match(line)]
    assert all(TEST.search(row) for row in rows)


def test_make_chaos_runs_the_files_without_nodes() -> None:
    recipe = (ROOT / "Makefile").read_text()
    for file, _ in TEST.findall(PAGES["chaos.md"]):
        if file.startswith("tests/component/"):
            name = Path(file).stem.removeprefix("test_")
            assert re.search(rf"CHAOS = .*\b{name}\b", recipe), f"{file} is not run"
