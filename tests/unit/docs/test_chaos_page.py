"""docs/chaos.md names a test for each fault, and `make chaos` runs them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "chaos.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[f"{file}::{test}" for file, test in NAMED])
def test_the_test_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    assert not test or test in found


def test_every_fault_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 15
    assert all("`tests/" in row for row in rows)


def test_make_chaos_runs_the_files_without_nodes() -> None:
    recipe = (ROOT / "Makefile").read_text()
    for file, _ in NAMED:
        if file.startswith("tests/component/"):
            name = Path(file).stem.removeprefix("test_")
            assert re.search(rf"CHAOS = .*\b{name}\b", recipe), f"{file} is not run"
