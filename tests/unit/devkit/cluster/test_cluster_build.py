"""What the cluster runs is built once, and nobody waits for what he does not need."""

from __future__ import annotations

import fcntl
import io
from pathlib import Path

import pytest
from devkit.cluster import build
from devkit.cluster.build import BuildError, Part
from devkit.progress import Durations, Steps

NAMES = ("kubernetes", "tools", "pause", "plugin")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts that write down that they were built."""
    order: list[str] = []

    def part(name: str) -> Part:
        def make(folder: Path) -> None:
            order.append(name)
            (folder / "left").touch()

        return Part(name, name, tmp_path / "cluster" / f"{name}-1", make)

    monkeypatch.setattr(build, "parts", lambda: [part(name) for name in NAMES])
    return order


def steps(tmp_path: Path) -> Steps:
    return Steps(dict.fromkeys(NAMES, "x"), Durations(tmp_path / "durations"), io.StringIO())


def test_each_part_is_built_once(made: list[str], tmp_path: Path) -> None:
    bundle = build.build(steps(tmp_path))
    assert made == list(NAMES)
    assert (bundle / "kubelet").is_symlink()
    assert build.build(steps(tmp_path)) == bundle
    assert made == list(NAMES)


def test_what_an_interrupted_build_left_is_replaced(made: list[str], tmp_path: Path) -> None:
    build.build(steps(tmp_path))
    folder = tmp_path / "cluster/tools-1"
    (folder / "complete").unlink()
    (folder / "half").touch()
    build.build(steps(tmp_path))
    assert made == [*NAMES, "tools"]
    assert not (folder / "half").exists()


def test_who_has_everything_waits_for_nobody(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process builds another Kubernetes: its lock is held, and ours is another one."""
    flock = fcntl.flock  # waiting would be for ever: let it fail
    monkeypatch.setattr(fcntl, "flock", lambda file, how: flock(file, how | fcntl.LOCK_NB))
    bundle = build.build(steps(tmp_path))
    cache = tmp_path / "cluster"
    with (cache / ".lock").open("w") as old, (cache / ".kubernetes-2.lock").open("w") as other:
        fcntl.flock(old, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert build.build(steps(tmp_path)) == bundle


def test_a_failed_part_is_not_taken_for_built(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise BuildError("go ended with 1")

    broken = Part("kubernetes", "x", tmp_path / "cluster/kubernetes-1", fail)
    parts = build.parts()
    monkeypatch.setattr(build, "parts", lambda: [broken, *parts[1:]])
    with pytest.raises(BuildError):
        build.build(steps(tmp_path))
    assert not broken.is_there
    assert made == []
