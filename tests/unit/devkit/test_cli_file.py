"""`make cli`: one file that runs, unpacks itself once, and is the same for the same content."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from devkit.cli.__main__ import COMPLETES, LEFT_OUT, build
from tests.support.apiserver import ROOT

from resnet_cli.exits import Exit

pytestmark = pytest.mark.thorough  # builds the command line tool


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file without libraries: those of this Python are used."""
    output = tmp_path_factory.mktemp("program") / "kubectl-resnet"
    build(tmp_path_factory.mktemp("empty"), output)
    return output


def run(program: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "KUBECONFIG"}}
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        env=environment | {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)},
        capture_output=True,
        text=True,
    )


def test_it_runs_and_unpacks_itself_once(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "--help")
    assert done.returncode == Exit.DONE, done.stderr
    assert "predict" in done.stdout
    (home,) = (tmp_path / "kubectl-resnet").iterdir()
    mark = home / "mark"
    mark.touch()
    sample = ROOT / "samples" / "digits-npu.yaml"
    done = run(program, tmp_path, "check", "-f", str(sample))
    assert done.returncode == Exit.DONE, done.stderr
    assert mark.exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The file with the libraries of its lock, and its cache; neither is left: they are large."""
    folder = tmp_path_factory.mktemp("whole")
    libraries = folder / "libraries"
    for name in re.findall(
        r"^([\w.-]+)==", (ROOT / "requirements/cli.lock").read_text(), re.MULTILINE
    ):
        bring(metadata.distribution(name), libraries)
    build(libraries, folder / "kubectl-resnet", method=zipfile.ZIP_STORED)
    yield folder / "kubectl-resnet", folder / "cache"
    shutil.rmtree(folder)


def bring(library: metadata.Distribution, to: Path) -> None:
    """Copy what a library has installed, as `pip --target` would have laid it out."""
    for file in library.files or ():
        source, target = Path(str(file.locate())), to / file
        if {"..", *LEFT_OUT} & set(file.parts) or not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


SAMPLES = ROOT / "samples"
MODEL = SAMPLES / "digits" / "digits-resnet.onnx"
BARE = [
    ("the client of Kubernetes", ("get",), Exit.UNREACHABLE, "kubeconfig cannot be used"),
    (
        "native libraries and templates: a model is inspected, children are rendered",
        ("render", "-f", str(SAMPLES / "digits-npu.yaml"), "--model", str(MODEL)),
        Exit.DONE,
        "kind: Deployment",
    ),
]


def test_a_python_with_nothing_installed_runs_it(whole: tuple[Path, Path]) -> None:
    """Isolated and without site-packages: what is imported comes out of the file."""
    program, cache = whole
    python = str(Path(sys.executable).resolve())
    nothing = subprocess.run([python, "-I", "-S", "-c", "import typer"], capture_output=True)
    assert nothing.returncode, "this Python is not bare"
    for reason, arguments, code, says in BARE:
        done = subprocess.run(
            [python, "-I", "-S", str(program), *arguments],
            env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(cache), "HOME": str(cache)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{reason}: {done.stderr}"
        assert says in done.stdout + done.stderr, reason


def test_no_cluster_is_a_code(program: Path, tmp_path: Path) -> None:
    assert run(program, tmp_path, "get").returncode == Exit.UNREACHABLE


def test_the_same_content_is_the_same_file(program: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    empty = tmp_path / "empty"
    empty.mkdir()
    build(empty, again)
    assert again.read_bytes() == program.read_bytes()


def test_the_manifest_of_krew_names_the_program() -> None:
    manifest = yaml.safe_load((ROOT / "devkit" / "cli" / "resnet.yaml").read_text())
    assert manifest["metadata"]["name"] == "resnet"
    assert {one["bin"] for one in manifest["spec"]["platforms"]} == {"kubectl-resnet"}


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (["ro"], {"rollout"}),
        (["rollout", ""], {"status", "history", "undo", "pin", "retry"}),
        (["why", "digits", "--kube"], {"--kubeconfig"}),
        (["nothing of ours", ""], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_kubectl_completes(words: list[str], offers: set[str], tmp_path: Path) -> None:
    """As kubectl runs it: candidates, then a line with what the shell may do besides."""
    program = tmp_path / "kubectl-resnet"
    program.write_text(f"#!{sys.executable}\nfrom resnet_cli.app import main\nmain()\n")
    program.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "devkit" / "cli" / COMPLETES), *words],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *candidates, directive = done.stdout.split()
    assert directive == ":4"
    assert set(candidates) >= offers if offers else not candidates
