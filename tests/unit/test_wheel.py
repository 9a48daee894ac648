"""`pip install .`: a wheel with all that runs, which needs nothing of the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.support.apiserver import ROOT

pytestmark = pytest.mark.thorough  # builds and installs a wheel

SOURCES = ("operator", "templates", "pyproject.toml", "setup.py", "README.md")
TEMPLATES = "resnet_operator/templates"
RENDER = """
import sys
from pathlib import Path
installed = Path(sys.argv[1])
sys.path.insert(0, str(installed))
from resnet_operator.render import engine
import resnet_jobs, resnet_runtime
for path in (engine.TEMPLATES, engine.RUNTIME_FILES, engine.DRIVER_FILES):
    assert path.is_relative_to(installed) and list(path.iterdir()), path
environment = engine._environment()
for name in environment.list_templates(extensions=["j2"]):
    environment.get_template(name)
import resnet_operator.resolve.config_overrides
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, made from a copy: setuptools leaves a folder behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / "source" / name)
    without = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *without, "-w", folder, "./source"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_has_every_module_and_template(wheel: Path) -> None:
    sources = [path for path in (ROOT / "operator").rglob("*") if path.suffix in {".py", ".json"}]
    wanted = {path.relative_to(ROOT / "operator").as_posix() for path in sources}
    wanted |= {f"{TEMPLATES}/{path.name}" for path in (ROOT / "templates").iterdir()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_what_is_installed_reads_nothing_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    done = subprocess.run(
        [sys.executable, "-I", "-c", RENDER, installed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
