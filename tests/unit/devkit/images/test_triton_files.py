"""What is taken out of Triton's image, and what is said of a base that does not fit."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.apiserver import ROOT


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("triton_files", ROOT / "docker/triton_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


triton_files = load()
WHOLE = """\tlinux-vdso.so.1 (0x00007ffd)
\tlibtritonserver.so => /opt/tritonserver/bin/../lib/libtritonserver.so (0x00007f)
\tlibb64.so.0d => /lib/x86_64-linux-gnu/libb64.so.0d (0x00007f)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
"""
OLD = "tritonserver: /lib/libc.so.6: version `GLIBC_2.38' not found (required by tritonserver)\n"

NEWER = "give a SERVING_BASE_IMAGE of a newer distribution"
NO_PYTHON = "the base image has no libpython3.12.so.1.0, which Triton's Python stub loads"
SAYINGS = [
    (WHOLE, {}, [], "everything is there"),
    ("\tlibb64.so.0d => not found\n", {"libb64.so.0d": 1}, [], "Triton's image has it"),
    (
        "\tlibb64.so.0d => not found\n",
        {},
        ["neither TRITON_IMAGE nor SERVING_BASE_IMAGE has libb64.so.0d"],
        "nobody has it",
    ),
    (
        "\tlibpython3.12.so.1.0 => not found\n",
        {"libpython3.12.so.1.0": 1},
        [f"{NO_PYTHON}: give a SERVING_BASE_IMAGE with Python 3.12"],
        "libpython is never taken along: it looks for its standard library",
    ),
    (
        OLD + OLD,
        {},
        [f"libc.so.6 of the base image is too old, Triton needs GLIBC_2.38: {NEWER}"],
        "an old C library, said once",
    ),
    (
        OLD.replace("libc.so.6", "libstdc++.so.6").replace("GLIBC_2.38", "GLIBCXX_3.4.32"),
        {},
        [f"libstdc++.so.6 of the base image is too old, Triton needs GLIBCXX_3.4.32: {NEWER}"],
        "an old C++ library",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("output", "there", "said", "reason"), SAYINGS)
def test_what_does_not_fit_is_said(
    output: str, there: dict[str, int], said: list[str], reason: str
) -> None:
    assert triton_files.misfits([output], there) == said, reason


OF_THE_BASE = [
    ("libc.so.6", True, "one C library"),
    ("ld-linux-x86-64.so.2", True, "and its loader"),
    ("ld-linux-aarch64.so.1", True, "on every architecture"),
    ("libm.so.6", True, "part of it"),
    ("libpthread.so.0", True, "part of it once"),
    ("libpython3.12.so.1.0", True, "belongs to its standard library"),
    ("libcrypto.so.3", False, "begins as libc does"),
    ("libmpi.so.40", False, "begins as libm does"),
    ("libdcgm.so.4", False, "begins as libd does"),
    ("libstdc++.so.6", False, "taken where the base has none"),
    ("libpythonic.so.3", False, "no libpython"),
]


@pytest.mark.parametrize(("name", "of_the_base", "reason"), OF_THE_BASE)
def test_the_c_library_and_python_are_the_bases(name: str, of_the_base: bool, reason: str) -> None:
    assert bool(triton_files.ALWAYS_OF_THE_BASE.match(name)) == of_the_base, reason


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Triton's folder as in NVIDIA's image, and a loader that finds two libraries beside it."""
    home, system = tmp_path / "tritonserver", tmp_path / "usr/lib"
    for name in (
        *("bin/tritonserver", "lib/libtritonserver.so", "lib/cmake/Triton.cmake"),
        *("backends/python/triton_python_backend_stub", "backends/python/libtriton_python.so"),
        *("backends/python/__pycache__/utils.pyc", "backends/tensorrtllm/huge.so"),
        *("caches/local/libtritoncache_local.so", "include/triton.h", "LICENSE"),
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    system.mkdir(parents=True)
    (system / "libb64.so.0d.1").write_text("b64")
    (system / "libb64.so.0d").symlink_to("libb64.so.0d.1")
    (system / "libc.so.6").write_text("libc")
    told = WHOLE.replace("/opt/tritonserver/bin/..", str(home))
    told = told.replace("/lib/x86_64-linux-gnu", str(system))
    monkeypatch.setattr(triton_files, "ldd", lambda *_: told)
    return home


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_the_core_and_the_python_backend_are_taken(image: Path, tmp_path: Path) -> None:
    triton_files.take(tmp_path / "out", home=image)
    assert files(tmp_path / "out") == {
        "tritonserver/bin/tritonserver",
        "tritonserver/lib/libtritonserver.so",
        "tritonserver/backends/python/triton_python_backend_stub",
        "tritonserver/backends/python/libtriton_python.so",
        "tritonserver/caches/local/libtritoncache_local.so",
        "tritonserver/LICENSE",
        "libraries/libb64.so.0d",
    }
    assert (tmp_path / "out/libraries/libb64.so.0d").read_text() == "b64", "the file, no link"


@pytest.mark.parametrize("gone", ["bin/tritonserver", "backends/python/triton_python_backend_stub"])
def test_an_image_without_triton_is_told(image: Path, tmp_path: Path, gone: str) -> None:
    (image / gone).unlink()
    with pytest.raises(SystemExit, match="give an image of Triton with its Python backend"):
        triton_files.take(tmp_path / "out", home=image)


def test_a_base_gets_what_it_lacks(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two libraries were taken along; the base lacks one, and that one needs no other."""
    out, home = tmp_path / "out", tmp_path / "base/tritonserver"
    triton_files.take(out, home=image)
    (out / "libraries/libother.so.1").write_text("other")
    monkeypatch.setattr(triton_files, "ldd", lambda *_: ldd(home))
    configuration: list[str] = []
    monkeypatch.setattr(Path, "write_text", lambda _path, text: configuration.append(text))
    triton_files.settle(out, home=home, run=lambda _command: None)
    assert "lib/libb64.so.0d" in files(home)
    assert "lib/libother.so.1" not in files(home)
    assert configuration == [f"{home}/lib\n"]


def ldd(home: Path) -> str:
    there = (home / "lib/libb64.so.0d").exists()
    return f"\tlibb64.so.0d => {home / 'lib/libb64.so.0d' if there else 'not found'} (0x0)\n"
