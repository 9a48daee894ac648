"""The contract is there for all: it needs nothing, and each of its words stands once."""

from __future__ import annotations

import ast
import functools
import sys
from enum import EnumMeta, StrEnum
from pathlib import Path

import pytest
from tests.support.apiserver import ROOT

from resnet_contract import reasons, words
from resnet_operator.api.reasons import Reason

OPERATOR = ROOT / "operator"
MODULES = sorted((OPERATOR / "resnet_contract").rglob("*.py"))
OTHERS = sorted(
    path
    for path in OPERATOR.rglob("*.py")
    if path.is_relative_to(OPERATOR)
    and path.relative_to(OPERATOR).parts[0] in {"resnet_operator", "resnet_jobs"}
    # Foreign images run it, without this package.
    and "driver" not in path.relative_to(OPERATOR).parts
)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_it_imports_the_standard_library_alone(module: Path) -> None:
    """Each image has it: also those without pydantic."""
    assert imported(module) <= sys.stdlib_module_names | {"resnet_contract"}


def vocabularies() -> list[tuple[str, set[str]]]:
    """Every closed list of words with three or more of them."""
    found = [(name, value) for name, value in vars(words).items() if not name.startswith("_")]
    lists = [
        (name, {str(word) for word in value})
        for name, value in found
        if isinstance(value, tuple | EnumMeta) and value is not StrEnum
    ]
    return [(name, kept) for name, kept in lists if len(kept) > 2 and not _numbers(kept)]


def _numbers(kept: set[str]) -> bool:
    return all(word.isdecimal() for word in kept)


@functools.cache
def text_of(path: Path) -> str:
    return path.read_text()


def has(path: Path, kept: set[str]) -> bool:
    return all(word in text_of(path) for word in kept) and kept in literals(path)


@functools.cache
def literals(path: Path) -> list[set[str]]:
    """All displays of strings in a module: lists, tuples, sets and the members of classes."""
    found = []
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            items = list(node.elts)
        elif isinstance(node, ast.ClassDef):
            items = [item.value for item in node.body if isinstance(item, ast.Assign)]
        else:
            continue
        texts = {item.value for item in items if isinstance(item, ast.Constant)}
        found.append({text for text in texts if isinstance(text, str)})
    return found


@pytest.mark.parametrize(("name", "kept"), vocabularies(), ids=[name for name, _ in vocabularies()])
def test_no_list_of_words_is_written_twice(name: str, kept: set[str]) -> None:
    again = [path.relative_to(OPERATOR).as_posix() for path in OTHERS if has(path, kept)]
    assert again == [], f"import {name} from resnet_contract.words"


def test_every_reason_of_a_job_has_its_exit_status() -> None:
    assert set(reasons.EXIT_CODES) == set(reasons.Reason)
    codes = [*reasons.EXIT_CODES.values(), reasons.EXIT_NOT_FINITE, reasons.EXIT_UNEXPECTED]
    assert len(set(codes)) == len(codes)
    assert {reason.value for reason in reasons.Reason} <= {reason.value for reason in Reason}


@pytest.mark.parametrize(
    "reason",
    [
        reasons.Reason.INVALID_SPEC,
        reasons.Reason.ACCESS_DENIED,
        reasons.Reason.UNSUPPORTED_MODEL,
        reasons.Reason.QUANTIZATION_FAILED,
    ],
)
def test_what_only_a_person_can_change_is_not_tried_again(reason: reasons.Reason) -> None:
    assert reasons.EXIT_CODES[reason] in reasons.PERMANENT_EXIT_CODES


@pytest.mark.parametrize(
    "reason",
    [reasons.Reason.DOWNLOAD_FAILED, reasons.Reason.STORE_FULL, reasons.Reason.RESULT_LOST],
)
def test_what_passes_is_tried_again(reason: reasons.Reason) -> None:
    assert reasons.EXIT_CODES[reason] not in reasons.PERMANENT_EXIT_CODES
