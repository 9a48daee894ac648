"""tests/README.md: each kind of what people met elsewhere has tests, and they are there."""

from __future__ import annotations

import ast
import re

import pytest
from tests.support.apiserver import ROOT

PAGE = ROOT / "tests/README.md"
ROW = re.compile(r"^\| (\d+) \| .* \| (.*) \|$", re.MULTILINE)
WANTED = [*range(1, 13), *range(24, 35)]
ROWS = {int(number): tests for number, tests in ROW.findall(PAGE.read_text())}


def test_every_row_has_its_line() -> None:
    assert list(ROWS) == WANTED


@pytest.mark.parametrize("number", WANTED)
def test_the_tests_are_there(number: int) -> None:
    file, found = "", 0
    for name in re.findall(r"`([^`]*::[^`]*)`", ROWS[number]):
        place, _, function = name.partition("::")
        file = place or file
        tree = ast.parse((ROOT / file).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in names, name
        found += 1
    assert found, "a row without a test"
