"""Rules of the repository that no linter knows."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.apiserver import ROOT

OPERATOR = ROOT / "operator"
MODULES = sorted(OPERATOR.rglob("*.py"))
MAX_LINES = 300
# Longer, each for a reason; the number is a ceiling, not a target.
LONGER: dict[str, tuple[int, str]] = {}
# A folder is a room: a newcomer who reads the names of its modules knows where a change goes.
MAX_MODULES = 12
FULLER = {
    "resnet_runtime": (29, "mounted from one ConfigMap, whose keys are the names of files"),
    "resnet_jobs/driver": (15, "copied as one folder, and run by the Python of foreign images"),
}
UNIT = ROOT / "tests" / "unit"
PACKAGES = tuple(sorted(path.parent.name for path in OPERATOR.glob("*/__init__.py")))
# Prints are how a Job and a pod speak; the controller logs.
SPEAKS = ("resnet_jobs/", "resnet_runtime/")
# No clock, no environment, no randomness, no I/O in what decides: all is an argument.
PURE = tuple(
    f"resnet_operator/{name}"
    for name in ("api/", "plan/", "render/", "seen/", "resolve/", "record/", "names")
)
PURE += ("resnet_operator/batch/plan", "resnet_operator/batch/status")
PURE += ("resnet_operator/batch/progress", "resnet_operator/batch/trouble")
IMPURE = {"datetime.now", "time.time", "time.monotonic", "os.getenv", "uuid.uuid4"}


def name_of(path: Path) -> str:
    return path.relative_to(OPERATOR).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def calls(path: Path) -> list[tuple[int, str, ast.Call]]:
    """Return line, dotted name and node of each call of a module."""
    found = (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    return [(node.lineno, dotted(node.func), node) for node in found]


def dotted(node: ast.expr) -> str:
    """Return an expression as text; of dotted names without the printer of ast, which is slow."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name) if isinstance(inner, ast.Name | ast.Attribute):
            return f"{dotted(inner)}.{name}"
    return ast.unparse(node)


def test_the_source_root_does_not_shadow_the_standard_library() -> None:
    """`import operator` must stay the standard library's, with the repository on the path."""
    assert not (OPERATOR / "__init__.py").exists()
    code = "import operator; print(operator.itemgetter(0)('a'))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "a\n"


def test_layers_hold() -> None:
    """Who may import whom: the contracts are in pyproject.toml."""
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    told = subprocess.run(
        [sys.executable, "-c", code, "--config", "../pyproject.toml", "--no-cache"],
        cwd=OPERATOR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert " 0 broken" in told.stdout


def test_a_module_is_short_enough_to_read() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    limits = {name: LONGER.get(name, (MAX_LINES, ""))[0] for name in lengths}
    longer = {name: length for name, length in lengths.items() if length > limits[name]}
    assert longer == {}, "split each by what it does"


def test_exceptions_are_still_needed() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert [name for name in LONGER if lengths.get(name, 0) <= MAX_LINES] == []


def rooms(root: Path) -> list[Path]:
    """Return all folders with Python files below one, itself included."""
    folders = {path.parent for path in root.rglob("*.py")}
    return sorted(folders | {root})


def modules_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize(
    "room", [room for name in PACKAGES for room in rooms(OPERATOR / name)], ids=name_of
)
def test_a_room_has_few_enough_modules_to_know_them(room: Path) -> None:
    limit, _ = FULLER.get(name_of(room), (MAX_MODULES, ""))
    held = modules_in(room)
    assert len(held) <= limit, f"{name_of(room)} has {len(held)} modules: give some their own room"
    assert (room / "__init__.py").is_file(), "setuptools would leave it out of the wheel"


def test_fuller_rooms_are_still_full() -> None:
    full = [name for name in FULLER if len(modules_in(OPERATOR / name)) > MAX_MODULES]
    assert full == list(FULLER)


@pytest.mark.parametrize(
    "folder", [folder for name in PACKAGES for folder in rooms(UNIT / name)], ids=str
)
def test_tests_are_laid_out_as_the_packages_are(folder: Path) -> None:
    mirrored = OPERATOR / folder.relative_to(UNIT)
    assert mirrored.is_dir(), f"tests of no room: {folder.relative_to(ROOT)}"


def test_every_room_has_tests() -> None:
    """Of its own, or of rooms inside it."""
    bare = [
        name_of(room)
        for name in PACKAGES
        for room in rooms(OPERATOR / name)
        if modules_in(room) and not [*(UNIT / name_of(room)).rglob("test_*.py")]
    ]
    assert bare == [], "rooms without a test in the folder of their name"


def test_the_map_for_contributors_names_what_is_there() -> None:
    """Each path of the table "Where does a change go", from the root or from operator/."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("| change |") : text.index("## Rules")]
    named = [name for name in re.findall(r"`([^`]+)`", table) if " " not in name]
    assert len(named) > 30
    assert [n for n in named if not ((ROOT / n).exists() or (OPERATOR / n).exists())] == []


def test_the_map_of_devkit_names_all_of_it() -> None:
    told = subprocess.run(
        ["git", "ls-files", "devkit"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there = {name.split("/")[1] for name in told.stdout.split()} - {"README.md"}
    named = set(re.findall(r"`([^`/ ]+)`", (ROOT / "devkit" / "README.md").read_text()))
    assert there - named == set()


def test_mypy_reads_every_python_file() -> None:
    """A test that imports a name of yesterday is found without being run."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    told = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.split("/")[0] for name in told.stdout.split()} == set(read)


def test_a_module_says_why_it_exists() -> None:
    full = [path for path in MODULES if path.read_text().strip()]
    assert [name_of(path) for path in full if not ast.get_docstring(tree_of(path))] == []


def test_no_shell_and_no_evaluation() -> None:
    for module in MODULES:
        for line, name, node in calls(module):
            where = f"{name_of(module)}:{line}"
            assert name not in {"os.system", "os.popen", "eval", "exec"}, where
            for keyword in node.keywords:
                is_shell = keyword.arg == "shell" and ast.unparse(keyword.value) != "False"
                assert not is_shell, f"{where}: arguments travel as a list"


def test_the_controller_logs_and_does_not_print() -> None:
    silent = [path for path in MODULES if not name_of(path).startswith(SPEAKS)]
    said = [(path, line) for path in silent for line, name, _ in calls(path) if name == "print"]
    assert [f"{name_of(path)}:{line}" for path, line in said] == []


def test_deciding_is_pure() -> None:
    pure = [path for path in MODULES if name_of(path).startswith(PURE)]
    assert len(pure) > len(PURE)
    for module in pure:
        for line, called, _ in calls(module):
            where = f"{name_of(module)}:{line} calls {called}"
            assert called not in IMPURE, where
            assert not called.startswith(("random.", "os.environ", "asyncio.")), where
