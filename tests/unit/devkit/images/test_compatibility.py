"""Which bases fit together: a table of pairs, and facts read from files laid out as images are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit.images import bases, production
from devkit.images.compatibility import Base, Cann, Triton, misfits, newest_python
from devkit.images.targets import MAIN
from devkit.images.tools import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON = Base((3, 11), (2, 36), (3, 4, 30), "amd64")
SERVING = Base((3, 12), (2, 41), (3, 4, 33), "amd64")
TRITON = Triton((3, 12), (2, 38), (3, 4, 32), "amd64")
CANN = Cann("9.0.0", has_pyacl=True, pythons=(), glibc=(2, 34), glibcxx=(3, 4, 30), machine="amd64")
NEWER = "give a SERVING_BASE_IMAGE of a newer distribution"

PAIRS: list[tuple[dict[str, Any], list[str], str]] = [
    ({}, [], "the defaults of the Dockerfile"),
    ({"cann": None}, [], "no CANN: serving-cpu alone"),
    ({"python": None}, [], "only serving"),
    ({"triton": None, "serving": None, "cann": None}, [], "only operator and jobs"),
    ({"python": replace(PYTHON, python=(3, 13))}, [], "newer than what was tried"),
    (
        {"python": replace(PYTHON, python=(3, 10))},
        ["PYTHON_IMAGE has Python 3.10: give one with 3.11 or newer"],
        "Ubuntu 22.04's",
    ),
    ({"python": replace(PYTHON, has_pip=False)}, ["PYTHON_IMAGE has no pip"], "distroless"),
    (
        {"serving": replace(SERVING, python=(3, 11))},
        [("Triton's stub in TRITON_IMAGE is for Python 3.12, and SERVING_BASE_IMAGE has 3.11: "
         "give a SERVING_BASE_IMAGE with Python 3.12")],
        "the other default's Python",
    ),
    (
        {"serving": replace(SERVING, has_libpython=False)},
        ["SERVING_BASE_IMAGE has no libpython3.12.so"],
        "Debian's python3 without libpython3",
    ),
    ({"serving": replace(SERVING, has_pip=False)}, ["SERVING_BASE_IMAGE has no pip"], "slim"),
    (
        {"serving": replace(SERVING, glibc=(2, 36))},
        [f"TRITON_IMAGE needs glibc 2.38, and SERVING_BASE_IMAGE has 2.36: {NEWER}"],
        "Triton of Ubuntu 24.04 on Debian 12",
    ),
    (
        {"serving": replace(SERVING, glibcxx=(3, 4, 30))},
        ["TRITON_IMAGE needs libstdc++ (GLIBCXX) 3.4.32, and SERVING_BASE_IMAGE has 3.4.30"],
        "the same by its C++ library",
    ),
    (
        {"cann": replace(CANN, glibc=(2, 42))},
        [(f"CANN_IMAGE needs glibc 2.42, and SERVING_BASE_IMAGE has 2.41: {NEWER}, or a CANN_IMAGE "
         "made for an older one")],
        "a CANN image of a distribution newer than the base",
    ),
    ({"cann": replace(CANN, glibc=(2, 41))}, [], "just as new"),
    (
        {"cann": replace(CANN, release="8.2.RC1")},
        [("pyACL of CANN 8.2.RC1 knows Python up to 3.11, and Triton's stub in TRITON_IMAGE is for "
         "3.12: give a CANN_IMAGE of a newer CANN (8.5 or later), or a TRITON_IMAGE with a stub "
         "for Python 3.11 or older")],
        "CANN 8.2 with NVIDIA's 3.12",
    ),
    ({"cann": replace(CANN, release="8.5.1")}, [], "8.5 knows 3.12"),
    ({"cann": replace(CANN, release=None)}, [], "nobody says which release: the build finds out"),
    (
        {"cann": replace(CANN, pythons=((3, 10), (3, 11)))},
        [("pyACL in CANN_IMAGE is compiled for Python 3.10 and 3.11, and Triton's stub in "
         "TRITON_IMAGE is for 3.12: give a CANN_IMAGE for Python 3.12")],
        "modules with a Python in their names",
    ),
    ({"cann": replace(CANN, pythons=((3, 11), (3, 12)))}, [], "compiled for ours too"),
    (
        {"cann": replace(CANN, has_pyacl=False)},
        ["CANN_IMAGE has no pyACL below /usr/local/Ascend: give an image of CANN's toolkit"],
        "an image of the driver, or of something else",
    ),
    (
        {
            "triton": replace(TRITON, stub_python=(3, 14)),
            "serving": replace(SERVING, python=(3, 14)),
        },
        ["give a CANN_IMAGE of a newer CANN, or a TRITON_IMAGE with a stub for Python 3.12"],
        "a Python newer than 9.0 knows",
    ),
    (
        {"cann": replace(CANN, machine="arm64")},
        [("the base images are for different processors: PYTHON_IMAGE is for amd64, "
         "SERVING_BASE_IMAGE is for amd64, TRITON_IMAGE is for amd64, CANN_IMAGE is for arm64; "
         "give all for one")],
        "CANN for the other processor",
    ),
    ({"triton": replace(TRITON, stub_python=None)}, [], "a stub that names no libpython"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said", "reason"), PAIRS, ids=[pair[2] for pair in PAIRS])
def test_pairs(changes: dict[str, Any], said: list[str], reason: str) -> None:
    given = {"python": PYTHON, "serving": SERVING, "triton": TRITON, "cann": CANN}
    found = misfits(**{**given, **changes})
    assert len(found) == len(said), (found, reason)
    for sentence, expected in zip(found, said, strict=True):
        assert expected in sentence, reason
        assert "give" in sentence, "it says what to change"


RELEASES = [
    ("8.2.RC1", (3, 11)),
    ("8.3.RC2", (3, 11)),
    ("8.5.0", (3, 12)),
    ("8.6", (3, 12)),
    ("9.0.0", (3, 12)),
    ("10.1.0", (3, 12)),
    ("7.0.1.beta1", (3, 11)),
    ("6.3", None),
    (None, None),
    ("", None),
]


@pytest.mark.parametrize(("release", "python"), RELEASES)
def test_releases(release: str | None, python: tuple[int, ...] | None) -> None:
    assert newest_python(release) == python


def elf(text: str, *, machine: int = 62) -> bytes:
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + text.encode()


def lay_out(root: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for name, target in (links or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


def debian(root: Path) -> None:
    """Debian's layout: lib is a link, python3 a link, libraries in a folder of the processor."""
    lay_out(
        root,
        {
            "usr/bin/python3.11": b"",
            "usr/bin/pip3": b"",
            "usr/lib/x86_64-linux-gnu/libc.so.6": elf("GLIBC_2.2.5\0GLIBC_2.36\0GLIBC_2.9\0"),
            "usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30": elf("GLIBCXX_3.4\0GLIBCXX_3.4.30\0"),
            "usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0": elf(""),
        },
        {
            "usr/bin/python3": "python3.11",
            "lib": "usr/lib",
            "usr/lib/x86_64-linux-gnu/libstdc++.so.6": "libstdc++.so.6.0.30",
        },
    )


def official_python(root: Path) -> None:
    """The images named python: their own below /usr/local, beside a distribution's."""
    debian(root)
    files = {"usr/local/bin/python3.12": b"", "usr/local/bin/pip": b""}
    lay_out(root, files | {"usr/local/lib/libpython3.12.so.1.0": elf("")})
    (root / "usr/local/bin/python3").symlink_to("/usr/local/bin/python3.12")


def open_euler(root: Path) -> None:
    lay_out(
        root,
        {
            "usr/bin/python3.9": b"",
            "usr/lib64/libc.so.6": elf("GLIBC_2.34\0", machine=183),
        },
        {"usr/bin/python3": "/etc/alternatives/python3", "lib64": "usr/lib64",
         "etc/alternatives/python3": "/usr/bin/python3.9"},
    )  # fmt: skip


LAYOUTS = [
    (debian, Base((3, 11), (2, 36), (3, 4, 30), "amd64")),
    (official_python, Base((3, 12), (2, 36), (3, 4, 30), "amd64")),
    (open_euler, Base((3, 9), (2, 34), None, "arm64", has_pip=False, has_libpython=False)),
    (lambda _root: None, Base(None, None, None, None, has_pip=False)),
]


@pytest.mark.parametrize(("layout", "facts"), LAYOUTS)
def test_facts_of_a_base(layout: Callable[[Path], None], facts: Base, tmp_path: Path) -> None:
    layout(tmp_path)
    assert bases.base(tmp_path) == facts


def test_facts_of_triton(tmp_path: Path) -> None:
    home = tmp_path / "opt/tritonserver"
    lay_out(
        home,
        {
            "backends/python/python_backend_stubs/3.12/stub": elf(
                "libpython3.12.so.1.0\0GLIBC_2.34"
            ),
            "bin/tritonserver": elf("GLIBC_2.38\0GLIBCXX_3.4.32\0"),
            "backends/tensorrtllm/libother.so": elf("GLIBC_2.99"),
        },
    )
    stub = home / "backends/python/triton_python_backend_stub"
    stub.symlink_to("/opt/tritonserver/backends/python/python_backend_stubs/3.12/stub")
    assert bases.triton(tmp_path) == TRITON
    assert bases.triton(tmp_path / "empty") == Triton(None, None, None, None)


TOOLKITS = [
    (
        "usr/local/Ascend/ascend-toolkit/8.2.RC1",
        "usr/local/Ascend/ascend-toolkit/latest",
        "8.2.RC1",
    ),
    ("usr/local/Ascend/cann-9.0.0", "usr/local/Ascend/cann", "9.0.0"),
]


@pytest.mark.parametrize(("folder", "link", "release"), TOOLKITS)
def test_facts_of_cann(folder: str, link: str, release: str, tmp_path: Path) -> None:
    lay_out(
        tmp_path / folder,
        {
            "python/site-packages/acl.so": elf("GLIBC_2.17"),
            "lib64/libascendcl.so": elf("GLIBC_2.34\0GLIBCXX_3.4.30\0"),
        },
    )
    (tmp_path / link).symlink_to("/" + folder)
    assert bases.cann(tmp_path) == replace(CANN, release=release)
    (tmp_path / folder / "compiler").mkdir()
    (tmp_path / folder / "compiler/version.info").write_text("path=x\nVersion=8.5.1\n")
    assert bases.cann(tmp_path).release == "8.5.1"
    (tmp_path / folder / "python/site-packages/acl.so").unlink()
    assert not bases.cann(tmp_path).has_pyacl


def test_an_image_without_cann(tmp_path: Path) -> None:
    assert not bases.cann(tmp_path).has_pyacl


@pytest.mark.parametrize("target", ["../../../../etc/passwd", "/etc/passwd", "loop"])
def test_links_stay_in_the_image(target: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(target)
    assert bases.find(tmp_path, "loop") is None


class Engine:
    """Images as folders."""

    def __init__(self, roots: dict[str, Path]) -> None:
        self.roots = roots

    def mounted(self, reference: str) -> Any:
        from contextlib import nullcontext

        return nullcontext(self.roots[reference])


def test_a_misfit_is_said_before_anything_is_built(tmp_path: Path) -> None:
    debian(tmp_path / "base")
    lay_out(
        tmp_path / "triton/opt/tritonserver",
        {"backends/python/triton_python_backend_stub": elf("libpython3.12.so.1.0")},
    )
    engine: Any = Engine({"b": tmp_path / "base", "t": tmp_path / "triton"})
    with pytest.raises(BuildError, match="SERVING_BASE_IMAGE has 3"):
        production.checked({"SERVING_BASE_IMAGE": "b", "TRITON_IMAGE": "t"}, engine)
    assert production.checked({"PYTHON_IMAGE": "b"}, engine) == {"PYTHON_IMAGE": "3.11"}


BASES = [
    (["operator"], {"PYTHON_IMAGE"}),
    (["jobs", "fetch", "export"], {"PYTHON_IMAGE"}),
    (["serving-cpu"], {"TRITON_IMAGE", "SERVING_BASE_IMAGE"}),
    (["serving"], {"TRITON_IMAGE", "SERVING_BASE_IMAGE", "CANN_IMAGE"}),
]


@pytest.mark.parametrize(("names", "arguments"), BASES)
def test_only_the_bases_that_are_needed_are_fetched(names: list[str], arguments: set[str]) -> None:
    assert production.base_references(names, {}).keys() == arguments
    own = {name: f"mirror.example/{name.lower()}" for name in arguments}
    assert production.base_references(names, own) == own


def test_no_simulator_is_among_the_targets() -> None:
    """What a release has is made from the one Dockerfile, and no stand-in is a base of it."""
    for image in production.TARGETS.values():
        assert image.dockerfile == MAIN
        assert image.material is None
    assert not {"cann", "amct", "store", "triton"} & production.TARGETS.keys()
    assert production.TARGETS["export"].repository == "resnet-export"


REFUSED = [
    ([], "REGISTRY is not set"),
    (["--registry", "r", "--only", "operater"], "no such image: operater"),
    (["--registry", "r", "--version", "a b"], "must be an image tag"),
    (["--registry", "r", "--version", "a/b:c"], "must be an image tag"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_a_wrong_call_says_what_to_do(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("REGISTRY", "VERSION", "IMAGES"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit):
        production.main(arguments)
    assert said in capsys.readouterr().err


SAID = [
    ("unauthorized: authentication required", "log in by `buildah login r.example:5000`"),
    ("denied: requested access to the resource is denied", "log in by `buildah login"),
    ("http: server gave HTTP response to HTTPS client", "it has no TLS: give PLAIN_HTTP=1"),
    ("x509: certificate signed by unknown authority", "certs.d/r.example:5000/ca.crt"),
    ("reading manifest 9: manifest unknown", "look at the name and the tag"),
    ("dial tcp: lookup r.example: no such host", "this machine does not reach r.example:5000"),
    ("no space left on device", ""),
]


@pytest.mark.parametrize(("said", "what"), SAID)
def test_a_registry_that_refuses_leads_to_what_to_do(said: str, what: str) -> None:
    found = production.advice(f"Error: {said}", "r.example:5000/team/image:1")
    assert what in found if what else not found


class Refusing:
    """Has no image to give."""

    def pin(self, *_: object, **__: object) -> str:
        raise BuildError("Error: manifest unknown")


def test_a_base_that_is_not_there_is_named() -> None:
    engine: Any = Refusing()
    with pytest.raises(
        BuildError, match="CANN_IMAGE is r/cann:9, which cannot be fetched; look at"
    ):
        production.pulled({"CANN_IMAGE": "r/cann:9"}, engine)
