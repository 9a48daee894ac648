"""Installs that time cannot break: a lock gives the same packages on the day newer ones are out."""

from __future__ import annotations

import ensurepip
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from devkit.images import materials
from requirements.lock import LOCKS
from tests.support.apiserver import ROOT
from tests.unit.docs.install_lines import Line, install_lines, lock_files, repository_files
from tests.unit.wheels import later_day, pins

pytestmark = pytest.mark.thorough  # installs every lock

LINES = [line for path in repository_files() for line in install_lines(path)]
INSTALLS = sorted(
    {(name, line.options) for line in LINES for name in line.locks},
)


@pytest.fixture(scope="module")
def oldest_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oldest of the pips that Python and the distribution keep for new environments.

    On Debian 12, which README names, that is pip 23; the image `base` has the same one.
    """
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    wheels = [*bundled.glob("pip-*.whl"), *Path("/usr/share/python-wheels").glob("pip-*.whl")]
    oldest = min(wheels, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)[:2]])
    folder = tmp_path_factory.mktemp("pip")
    with zipfile.ZipFile(oldest) as archive:
        archive.extractall(folder)
    return folder / "pip"


def install(
    pip: Path, options: tuple[str, ...], lock: Path, target: Path
) -> subprocess.CompletedProcess[str]:
    command = (*("install", "--no-index", "--find-links", lock.parent), "--quiet", "--no-compile")
    where = ("--no-cache-dir", "--disable-pip-version-check", "--target", target)
    return subprocess.run(
        [sys.executable, pip, *command, *where, *options, "-r", lock],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
    )


def installed(target: Path) -> dict[str, str]:
    return {found.metadata["Name"]: found.version for found in distributions(path=[str(target)])}


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.where} {'+'.join(line.locks)}")
def test_a_line_that_installs_a_lock_resolves_nothing(line: Line) -> None:
    assert {"--no-deps", "--require-hashes"} <= set(line.options), line


def test_every_lock_is_installed_by_some_line() -> None:
    """Triton's wheel is only downloaded: the next test but one."""
    assert lock_files() - {name for name, _ in INSTALLS} == {"devkit/images/triton.lock"}


@pytest.mark.parametrize(("name", "options"), INSTALLS, ids=str)
def test_a_lock_installs_on_the_day_newer_versions_are_out(
    oldest_pip: Path, name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = install(oldest_pip, options, later_day(ROOT / name, tmp_path), tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "target") == pins(ROOT / name)


def test_that_day_breaks_a_line_that_resolves(oldest_pip: Path, tmp_path: Path) -> None:
    """The index above is one at which the mistake shows: pip asks for a pin of the newer one."""
    lock = tmp_path / "two.lock"
    lock.write_text("left==1.0\nright==1.0\n")
    index = tmp_path / "index"
    index.mkdir()
    target = tmp_path / "target"
    done = install(oldest_pip, ("--require-hashes",), later_day(lock, index), target)
    assert done.returncode != 0
    assert "In --require-hashes mode" in done.stderr


@pytest.mark.parametrize("name", ["requirements/jobs.lock", "devkit/images/triton.lock"])
def test_images_download_a_lock_on_that_day(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    materials.pip_download(later_day(ROOT / name, index), tmp_path / "wheels")
    downloaded = {path.name.split("-")[1] for path in (tmp_path / "wheels").glob("*.whl")}
    assert downloaded == set(pins(ROOT / name).values())


def test_locks_are_those_that_make_lock_writes() -> None:
    assert {f"{name}.lock" for name in LOCKS} == {
        path.name for path in (ROOT / "requirements").glob("*.lock")
    }
