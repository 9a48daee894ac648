"""The image `fetch` has few libraries: what its commands can ever import is among them."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = ROOT / "operator" / "resnet_jobs"
ROOTS = {
    "fetch": {"commands.fetch"},
    "publish": {"commands.publish", "store.base", "store.sweep"},
    "download and verify": {"commands.download"},
}


def imports(name: str, *, lazy: bool = True) -> Iterator[str]:
    """Return what a module imports, inside functions too, but not for types alone."""
    path = JOBS.joinpath(*name.split(".")).with_suffix(".py")
    if not path.exists():
        path = JOBS.joinpath(*name.split("."), "__init__.py")
    todo: list[ast.AST] = list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # The scripts for foreign images import each other by ".".
            near = ["resnet_jobs", *name.split(".")[: -node.level]] if node.level else []
            module = ".".join([*near, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif lazy or not isinstance(node, ast.FunctionDef):
            todo += ast.iter_child_nodes(node)


def ours(name: str) -> str | None:
    """Return the module of resnet_jobs that a name means, if it is one."""
    inside = name.removeprefix("resnet_jobs.")
    path = JOBS.joinpath(*inside.split("."))
    found = path.with_suffix(".py").exists() or (path / "__init__.py").exists()
    return inside if name.startswith("resnet_jobs.") and found else None


def reached(roots: set[str]) -> set[str]:
    """Return libraries that any code behind these modules imports."""
    start = {inside for name in imports("__main__", lazy=False) if (inside := ours(name))}
    todo, seen, libraries = list(roots | start), set[str](), set[str]()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in imports(module):
            if inside := ours(name):
                todo.append(inside)
            elif not name.startswith(("resnet_jobs", "resnet_contract")):
                libraries.add(name.split(".")[0])
    return libraries - set(sys.stdlib_module_names) - {"__future__"}


def locked(name: str) -> set[str]:
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    return set(re.findall(r"^(\S+)==", lock, re.MULTILINE))


def pins(name: str) -> set[str]:
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    return set(re.findall(r"^\S+==\S+", lock, re.MULTILINE))


@pytest.mark.parametrize("command", ROOTS)
def test_a_command_needs_only_what_the_image_has(command: str) -> None:
    assert reached(ROOTS[command]) <= locked("fetch")


def test_the_look_sees_libraries_where_there_are_some() -> None:
    """`prepare` imports onnx, all of it inside functions."""
    assert {"onnx", "onnxruntime", "numpy"} <= reached({"commands.prepare"})


def test_both_images_have_the_same_versions() -> None:
    assert pins("fetch") < pins("jobs")
    assert not locked("fetch") & {"onnx", "onnxruntime", "numpy", "tritonclient", "pillow"}
