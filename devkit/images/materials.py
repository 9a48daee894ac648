"""What the images need from outside and no Dockerfile can fetch on a machine without a registry.

Debian packages come through mmdebstrap, Python packages through pip, each as this machine is set
up to reach them; nothing of that set-up gets into an image. Called by build.py. Every function
makes a folder named after the hash of its recipe, once, and returns it.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.libraries import copy_libraries, copy_modules, libraries, members
from devkit.images.tools import digest, run, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SUITE = "bookworm"
PYTHON = "3.11"
PACKAGES = (
    "python3",
    "ca-certificates",
    "libpython3.11",  # Triton's Python stub links to it
    "libstdc++6",
    "media-types",  # otherwise python3 brings mailcap and, with it, perl
    "python3-pip-whl",
    "usr-is-merged",
)
UNWANTED = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/lintian/*",
    "/usr/lib/*/gconv/*",
)
WANTED = ("/usr/share/doc/*/copyright", "/usr/lib/*/gconv/gconv-modules*")
# usrmerge is chosen by apt before usr-is-merged can stand in for it; it alone needs all of perl.
PURGED = (
    "usrmerge",
    "libfile-find-rule-perl",
    "libnumber-compare-perl",
    "libtext-glob-perl",
    "perl",
    "perl-modules-5.36",
    "libperl5.36",
)
# What `import torch` and its ONNX exporter import.
TORCH_MODULES = ("torch", "numpy", "astunparse", "six.py", "typing_extensions.py")
TORCH_UNUSED = {"test", "test_*", "*StoreTest", "tutorial_*", "include", "libcaffe2_*"}
MODULES = "usr/lib/python3/dist-packages"
PIP = """#!/bin/sh
# pip without installing pip: Debian keeps the wheel for virtual environments.
for wheel in /usr/share/python-wheels/pip-*.whl; do exec python3 "$wheel/pip" "$@"; done
"""


@contextmanager
def made_once(cache: Path, name: str, what: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield (folder, work folder); the work folder is None when the folder is there already.

    Whoever comes while another one makes it waits, and finds it there.
    """
    folder = cache / "materials" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        if not folder.is_dir():
            lock = held.enter_context((folder.parent / f".{name}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            held.close()
            yield folder, None
            return
        say(f"  {what} ...")
        parent = folder.parent
        work = held.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".new-"))
        made = Path(work) / "made"
        made.mkdir()
        yield folder, made
        made.chmod(0o755)
        made.rename(folder)


# A name is the hash of a recipe and is known without making anything: keys are made of it.
def _rootfs_name() -> str:
    return "rootfs-" + digest(SUITE, *PACKAGES, "-", *UNWANTED, *WANTED, *PURGED, PIP, "1")


def _nginx_name() -> str:
    return "nginx-" + digest(_rootfs_name(), "2")


def _triton_name() -> str:
    return "triton-" + digest((HERE / "triton.lock").read_bytes(), PYTHON, "2")


def _torch_name() -> str:
    return "torch-" + digest(_rootfs_name(), *TORCH_MODULES, *sorted(TORCH_UNUSED), "1")


def rootfs(cache: Path) -> Path:
    """rootfs.tar of the base image, pip's wrapper, and the .deb files of nginx beside them."""
    mirror = os.environ.get("DEBIAN_MIRROR", "")
    with made_once(cache, _rootfs_name(), "a Debian root with mmdebstrap") as (out, new):
        if new:
            exclude = [f"--dpkgopt=path-exclude={path}" for path in UNWANTED]
            include = [f"--dpkgopt=path-include={path}" for path in WANTED]
            # The hook runs apt of this machine with the sources of the new root: the same suite.
            fetch = 'cd "$MATERIAL" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download'
            run(
                *("mmdebstrap", "--variant=essential", "--format=tar", "--skip=output/dev"),
                '--aptopt=APT::Install-Recommends "false"',
                '--aptopt=APT::Sandbox::User "root"',
                f"--include={','.join(PACKAGES)}",
                *exclude,
                *include,
                f'--customize-hook=chroot "$1" dpkg --purge {" ".join(PURGED)}',
                f"--customize-hook={fetch} nginx nginx-common",
                SUITE,
                new / "rootfs.tar",
                *([mirror] if mirror else []),
                env={**os.environ, "MATERIAL": str(new)},
            )
            (new / "pip").write_text(PIP)
            (new / "pip").chmod(0o755)
    return out


def nginx(cache: Path) -> Path:
    """nginx/: the program and the table of media types, unpacked from Debian's packages."""
    base = rootfs(cache)
    with made_once(cache, _nginx_name(), "nginx from Debian's packages") as (out, new):
        if new:
            for package in sorted(base.glob("nginx*.deb")):
                run("dpkg-deb", "--extract", package, new / "deb")
            for path in ("usr/sbin/nginx", "etc/nginx/mime.types"):
                (new / "nginx" / path).parent.mkdir(parents=True, exist_ok=True)
                (new / "deb" / path).rename(new / "nginx" / path)
            shutil.rmtree(new / "deb")
    return out


def triton(cache: Path) -> Path:
    """tritonserver/{bin,lib,backends/python,caches} out of the wheel, with one stub."""
    with made_once(cache, _triton_name(), "Triton from the nvidia-pytriton wheel") as (out, new):
        if new:
            pip_download(HERE / "triton.lock", new / "wheel")
            (wheel,) = (new / "wheel").glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(new / "unpacked")
            _lay_out_triton(new / "unpacked", new / "tritonserver")
            shutil.rmtree(new / "wheel")
            shutil.rmtree(new / "unpacked")
    return out


def _lay_out_triton(wheel: Path, target: Path) -> None:
    server = wheel / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    stub.rename(server / "backends" / "python" / stub.name)
    shutil.rmtree(server / "python_backend_stubs")
    server.rename(target)
    libraries = target / "lib"
    (wheel / "nvidia_pytriton.libs").rename(libraries)
    for foreign in libraries.glob("libpython3*"):  # for the stubs that are left out
        foreign.unlink()
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.suffix != ".py" else 0o644)


def torch(cache: Path) -> Path:
    """torch/: Debian's PyTorch and the libraries that it loads and the base image lacks."""
    mirror = os.environ.get("DEBIAN_MIRROR", "")
    base = rootfs(cache)
    what = "PyTorch from Debian's packages (250 MB)"
    with made_once(cache, _torch_name(), what) as (out, new):
        if new:
            root = new / "root"
            run(
                *("mmdebstrap", "--variant=extract", "--format=directory", "--skip=output/dev"),
                '--aptopt=APT::Install-Recommends "false"',
                '--aptopt=APT::Sandbox::User "root"',
                "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
                "--include=python3-torch",
                *(SUITE, root),
                *([mirror] if mirror else []),
            )
            modules = new / "torch" / MODULES
            modules.mkdir(parents=True)
            copy_modules(root / MODULES, modules, TORCH_MODULES, without=TORCH_UNUSED)
            programs = [
                root / path.relative_to(new / "torch") for path in sorted(modules.rglob("*.so"))
            ]
            found = libraries(root, programs)
            there = members(base / "rootfs.tar")
            copy_libraries(found, root, new / "torch", there=there)
            shutil.rmtree(root)
    return out


def wheels(cache: Path, lock: Path, python: str = PYTHON) -> Path:
    """The folder of wheels; all of the lock file's are in it. Hashes are checked here and again
    by the pip in the build."""
    folder = cache / "wheels"
    mark = folder / f".{lock.stem}-{digest(lock.read_bytes(), python)}"
    if not mark.exists():
        say(f"  the Python packages of {lock.name} ...")
        pip_download(lock, folder, python)
        mark.touch()
    return folder


def pip_download(lock: Path, folder: Path, python: str = PYTHON) -> None:
    """Wheels for an image's Python, whatever Python runs here."""
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
        *("--abi", f"cp{python.replace('.', '')}", "--abi", "abi3", "--abi", "none"),
        *(part for name in platforms for part in ("--platform", name)),
        *("--dest", folder, "-r", lock),
    )


MATERIALS: dict[str, tuple[Callable[[], str], Callable[[Path], Path]]] = {
    "rootfs": (_rootfs_name, rootfs),
    "nginx": (_nginx_name, nginx),
    "torch": (_torch_name, torch),
    "triton": (_triton_name, triton),
}
"""Name -> (the name of its folder, what makes it)."""
