"""Takes Triton's core and its Python backend out of an image, with the libraries they load.

NVIDIA's image has every backend, their frameworks and the CUDA toolkit. What serves here is the
server, the Python backend and the response cache. Two steps of the Dockerfile run this:

    triton_files.py take OUT     in TRITON_IMAGE: OUT/tritonserver, and OUT/libraries for the rest
    triton_files.py settle OUT   in the slim base: keeps of those libraries what the base lacks,
                                 and fails in a sentence when something does not fit

Standard library only, and any Python from 3.8 on: it runs in other people's images.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path("/opt/tritonserver")
# Of /opt/tritonserver: all else is other backends, examples and development files.
PARTS = ("bin", "backends/python", "caches", "LICENSE", "TRITON_VERSION")
PROGRAM = "bin/tritonserver"
STUB = "backends/python/triton_python_backend_stub"
# Never from another image: one C library, and the Python that belongs to its standard library.
ALWAYS_OF_THE_BASE = re.compile(
    r"(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|util|resolv|nsl|anl|python3[.0-9]*))\.so.*"
)
FOUND = re.compile(r"^\s*(\S+) => (/\S+) \(", re.MULTILINE)
LOST = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
OTHER_VERSION = re.compile(r"(\S+): version `(\S+)' not found")


def programs(home):
    """Return all of Triton that the loader will be asked for."""
    found = [home / PROGRAM, home / STUB]
    for folder in ("backends/python", "caches"):
        found += sorted((home / folder).rglob("*.so"))
    found += sorted((home / "lib").glob("libtriton*.so"))
    return [path for path in found if path.exists()]


def ldd(path, home=HOME):
    """Return what the loader says of a program that the server loads: from its own folder first."""
    told = subprocess.run(
        ["ldd", str(path)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "LD_LIBRARY_PATH": str(home / "lib")},
    )
    return told.stdout.decode()


def closure(outputs):
    """Return (name -> path of each library, names that are nowhere) of ldd's outputs."""
    text = "\n".join(outputs)
    return dict(FOUND.findall(text)), set(LOST.findall(text))


def misfits(outputs, libraries):
    """Return sentences about what a base lacks: none when all of it loads."""
    said = []
    _, lost = closure(outputs)
    for name in sorted(lost):
        python = re.match(r"libpython(3\.\d+)", name)
        if python:
            said.append(
                f"the base image has no {name}, which Triton's Python stub loads: give a "
                f"SERVING_BASE_IMAGE with Python {python[1]}"
            )
        elif name not in libraries:
            said.append(f"neither TRITON_IMAGE nor SERVING_BASE_IMAGE has {name}")
    versions = sorted({found for output in outputs for found in OTHER_VERSION.findall(output)})
    for file, version in versions:
        said.append(
            f"{Path(file).name} of the base image is too old, Triton needs {version}: give a "
            "SERVING_BASE_IMAGE of a newer distribution"
        )
    return said


def copy(source, target):
    """Copy a file or folder as it is, links within Triton's own folder as links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(str(source), str(target), symlinks=True, ignore=ignore)
    else:
        shutil.copy2(str(source), str(target))


def take(out, home=HOME):
    """Copy Triton's parts and the closure of their libraries."""
    if not (home / PROGRAM).exists() or not (home / STUB).exists():
        raise SystemExit(
            f"TRITON_IMAGE has no {home / PROGRAM} or no {home / STUB}: give an image of Triton "
            "with its Python backend"
        )
    own = [path.relative_to(home) for path in sorted((home / "lib").glob("libtriton*.so"))]
    for part in (*PARTS, *own):
        if (home / part).exists():
            copy(home / part, out / "tritonserver" / part)
    found, lost = closure([ldd(path) for path in programs(home)])
    if lost:
        raise SystemExit("TRITON_IMAGE lacks " + ", ".join(sorted(lost)))
    for name, path in found.items():
        if ALWAYS_OF_THE_BASE.match(name):
            continue
        real = Path(os.path.realpath(path))
        is_own = str(real).startswith(f"{home}/") or str(path).startswith(f"{home}/")
        copy(real, out / ("tritonserver/lib" if is_own else "libraries") / name)
    (out / "libraries").mkdir(exist_ok=True)


def settle(out, home=HOME, run=subprocess.check_call):
    """Move to `home`; keep of the other image's libraries those that this one lacks."""
    shutil.rmtree(str(home), ignore_errors=True)
    shutil.move(str(out / "tritonserver"), str(home))
    (home / "lib").mkdir(exist_ok=True)
    Path("/etc/ld.so.conf.d/tritonserver.conf").write_text(f"{home / 'lib'}\n")
    libraries = {path.name: path for path in (out / "libraries").iterdir()}
    while True:
        run(["ldconfig"])
        outputs = [ldd(path) for path in programs(home)]
        missing = closure(outputs)[1] & set(libraries)
        if not missing:
            break
        for name in missing:
            shutil.move(str(libraries.pop(name)), str(home / "lib" / name))
    said = misfits(outputs, libraries)
    if said:
        raise SystemExit("\n".join(said))


if __name__ == "__main__":
    {"take": take, "settle": settle}[sys.argv[1]](Path(sys.argv[2]))
