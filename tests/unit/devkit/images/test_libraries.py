"""Programs taken out of a root: what is copied, under which name, and what is left alone."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from devkit.images import libraries

if TYPE_CHECKING:
    from pathlib import Path

LIB = "usr/lib/x86_64-linux-gnu"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A merged root with a few libraries; /lib is a link, as the loader prints it."""
    root = tmp_path / "root"
    for name in ("libtorch.so.1.13", "libc.so.6", "blas/libblas.so.3.11"):
        (root / LIB / name).parent.mkdir(parents=True, exist_ok=True)
        (root / LIB / name).write_text(name)
    (root / LIB / "blas/libblas.so.3").symlink_to("libblas.so.3.11")
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib64").mkdir()
    (root / "usr/lib64/ld-linux-x86-64.so.2").write_text("")
    module = root / "usr/lib/python3/torch/_C.so"
    module.parent.mkdir(parents=True)
    module.write_text("program")
    module.with_name("libtorch.so").symlink_to(f"../../../../{LIB}/libtorch.so.1.13")
    return root


def loader(monkeypatch: pytest.MonkeyPatch, lines: str) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, lines, "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_what_the_loader_opens_is_copied(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        "\tlinux-vdso.so.1 (0x00007f40874b6000)\n"
        "\tlibblas.so.3 => /usr/lib/x86_64-linux-gnu/blas/libblas.so.3 (0x00007f40)\n"
        "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f41)\n"
    )
    commands = loader(monkeypatch, said)
    folder = root / "usr/lib/python3/torch"
    found = libraries.libraries(root, [folder / "_C.so", folder / "libtorch.so"])
    libraries.copy_libraries(found, root, tmp_path / "made", there={f"{LIB}/libc.so.6"})

    assert commands[0][:2] == ["chroot", str(root)]
    assert commands[0][-2:] == ["--list", "/usr/lib/python3/torch/_C.so"]
    made = {path.name: path.read_text() for path in (tmp_path / "made" / LIB).iterdir()}
    assert made == {
        "libblas.so.3": "blas/libblas.so.3.11",  # where the loader looks without alternatives
        "libtorch.so.1.13": "libtorch.so.1.13",  # a link's own target
    }, "libc is the base image's"


def test_a_library_that_no_package_brought(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader(monkeypatch, "\tlibgone.so.1 => not found\n")
    with pytest.raises(FileNotFoundError, match=r"/_C\.so needs libgone\.so\.1"):
        libraries.libraries(root, [root / "usr/lib/python3/torch/_C.so"])


def test_modules_come_without_tests(tmp_path: Path) -> None:
    for name in ("torch/a.py", "torch/a.pyi", "torch/bin/test_api", "torch/tests/b.py", "six.py"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("")
    target = tmp_path / "out"
    target.mkdir()
    libraries.copy_modules(tmp_path / "in", target, ("torch", "six.py"), without={"test_*"})
    files = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert files == ["six.py", "torch/a.py"]
