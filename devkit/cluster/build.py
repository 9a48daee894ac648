#!/usr/bin/env python3
"""Builds what the embedded cluster runs and prints the directory that holds it. Run by build.sh.

Kubernetes, CoreDNS and helm come from one Go module: four fifths of the packages that CoreDNS and
helm are made of are in Kubernetes too, and are compiled once. The pause image comes from pause.c,
the Python of the device plugin from a requirements file. Each part has a directory in the cache
named after the hash of its inputs, so a second call builds nothing and two checkouts do not disturb
each other.
Standard library only: it runs before any virtual environment exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":  # called by path, from anywhere
    sys.path.insert(0, str(HERE.parents[1]))

from devkit.cluster import module  # noqa: E402
from devkit.progress import Steps, cache_root, steps  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COMMITTED = "v1.36.4"  # as in go.mod
# Another one for `make test-kubernetes`; scripts and tests hand it down without a word.
KUBERNETES = os.environ.get("KT_KUBERNETES") or COMMITTED
HELM = "v3.21.4"  # as in go.mod
PAUSE_IMAGE = "localhost/resnet-devkit/pause:1"
PLUGIN = HERE.parent / "deviceplugin"
COMPONENTS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kubelet", "kube-proxy", "kubectl"),
)


class BuildError(Exception):
    """A part cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Part:
    """Something that is built once. `make` fills a new folder, which then gets its name."""

    name: str
    text: str
    folder: Path
    make: Callable[[Path], None]

    @property
    def is_there(self) -> bool:
        return (self.folder / "complete").exists()

    def build(self) -> None:
        """Replace what an interrupted build left; `make` may use the folder's final path."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.make(self.folder)
        (self.folder / "complete").touch()


def key(*inputs: Path | str) -> str:
    """16 hex digits over files and texts; the border between two of them counts."""
    total = hashlib.sha256()
    for part in inputs:
        data = part.encode() if isinstance(part, str) else part.read_bytes()
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:16]


def kubernetes_flags(version: str = KUBERNETES) -> str:
    """The kubelet, helm and every client read the version; else it is v0.0.0-master."""
    minor = version.split(".")[1]
    values = {
        "gitVersion": version,
        "gitMajor": "1",
        "gitMinor": minor,
        "gitCommit": "module",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    where = "k8s.io/component-base/version"
    return " ".join(["-s -w", *(f"-X {where}.{name}={value}" for name, value in values.items())])


def helm_flags() -> str:
    """Without these, `helm template` takes itself for one of Kubernetes 1.20."""
    where = "helm.sh/helm/v3/pkg/chartutil"
    return (
        f"-s -w -X helm.sh/helm/v3/internal/version.version={HELM}"
        f" -X {where}.k8sVersionMajor=1 -X {where}.k8sVersionMinor={COMMITTED.split('.')[1]}"
    )


def run(*command: str | Path, cwd: Path = HERE, **environment: str) -> None:
    """Run a tool whose words are progress: all of them go to stderr."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, cwd=cwd, env=os.environ | environment, stdout=sys.stderr)
    if done.returncode:
        raise BuildError(f"{arguments[0]} ended with {done.returncode}; see its messages above")


def go(*arguments: str | Path, cwd: Path = HERE, **environment: str) -> None:
    """GOTOOLCHAIN=local: a build never fetches another Go behind the user's back.

    GOGC: a compiler ends before its garbage matters; collecting it takes a quarter of its time.
    """
    if not shutil.which("go"):
        raise BuildError("Go 1.26 or later is needed to build Kubernetes; put it on the PATH")
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOGC": "400"} | environment
    run("nice", "go", *arguments, cwd=cwd, **environment)


MODULE_FLAGS = "-mod=readonly -trimpath -buildvcs=false"


def _kubernetes(folder: Path) -> None:
    source, package = HERE, "./kall"
    if KUBERNETES != COMMITTED:
        source, package = folder / "module", "."
        module.write(KUBERNETES, source=HERE / "kall", folder=source, go=go)
    flags = ("-ldflags", kubernetes_flags(), "-o", folder / "kall", package)
    go("build", *flags, cwd=source, GOFLAGS=MODULE_FLAGS)


def _tools(folder: Path) -> None:
    """From the same module, so that what they share with Kubernetes is compiled once."""
    flags = ("-ldflags", helm_flags(), "-o", f"{folder}/")
    go("build", *flags, "./dns", "helm.sh/helm/v3/cmd/helm", GOFLAGS=MODULE_FLAGS)


def _pause(folder: Path) -> None:
    run("gcc", "-Os", "-static", "-s", "-o", folder / "pause", HERE / "pause" / "pause.c")
    command = (sys.executable, HERE / "pack_image.py", PAUSE_IMAGE, folder / "pause.tar")
    run(*command, json.dumps(["/pause"]), f"/pause={folder / 'pause'}")


def _plugin(folder: Path) -> None:
    run(PLUGIN / "venv.sh", folder)


def parts() -> list[Part]:
    """Everything that a cluster runs, as it would be built from this checkout."""
    cache = (cache_root() / "cluster").resolve()  # links into it outlive a link to it
    libraries = (HERE / "go.mod", HERE / "go.sum")
    made_of = libraries if KUBERNETES == COMMITTED else (HERE / "module.py",)
    kall = key(*made_of, HERE / "kall" / "main.go", kubernetes_flags())
    tools = key(*libraries, HERE / "dns" / "main.go", helm_flags())
    pause = key(HERE / "pause" / "pause.c", HERE / "pack_image.py", PAUSE_IMAGE)
    plugin = key(PLUGIN / "requirements.txt", PLUGIN / "venv.sh", sys.version)
    return [
        Part(
            "kubernetes",
            f"Kubernetes {KUBERNETES} from Go modules (minutes, once)",
            cache / f"kubernetes-{kall}",
            _kubernetes,
        ),
        Part("tools", f"CoreDNS and helm {HELM}", cache / f"tools-{tools}", _tools),
        Part("pause", "the pause image", cache / f"pause-{pause}", _pause),
        Part(
            "plugin",
            "the device plugin's Python libraries",
            cache / f"venv-{plugin}",
            _plugin,
        ),
    ]


def missing() -> list[Part]:
    return [part for part in parts() if not part.is_there]


def build(progress: Steps | None = None) -> Path:
    """Build what is missing; return the directory of kubectl, helm and the rest.

    Who needs a part that another process builds waits for that part alone: another Kubernetes takes
    minutes, and is nothing to those who have theirs.
    """
    all_parts = parts()
    cache = all_parts[0].folder.parent
    to_do = [part for part in all_parts if not part.is_there]
    told = progress or steps({part.name: part.text for part in to_do})
    for part in to_do:
        with locked(part.folder):
            if not part.is_there:
                with told.step(part.name):
                    part.build()
    bundle = cache / f"bundle-{key(*(str(part.folder) for part in all_parts))}"
    with locked(bundle):
        _link_all(bundle, {part.name: part.folder for part in all_parts})
    return bundle


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _link_all(bundle: Path, made: dict[str, Path]) -> None:
    """One directory of links into the parts: what is on the PATH of scripts and people."""
    if (bundle / "complete").exists():
        return
    bundle.mkdir(exist_ok=True)
    links = dict.fromkeys(COMPONENTS, made["kubernetes"] / "kall")
    links |= {
        "coredns": made["tools"] / "dns",
        "helm": made["tools"] / "helm",
        "pause.tar": made["pause"] / "pause.tar",
    }
    for name, target in links.items():
        _link(bundle / name, target)
    # A wrapper, not a link: Python finds its virtual environment by the path it was called by.
    python = bundle / "python"
    python.write_text(f'#!/bin/sh\nexec {made["plugin"]}/bin/python "$@"\n')
    python.chmod(0o755)
    (bundle / "complete").touch()
    if KUBERNETES == COMMITTED:
        _link(bundle.parent / "bin", bundle)  # for people: a path that does not change


def _link(name: Path, target: Path) -> None:
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def main(arguments: Sequence[str]) -> int:
    if arguments:
        print("usage: build.sh", file=sys.stderr)
        return 2
    try:
        print(build())
    except (BuildError, module.VersionError) as error:
        print(f"build.sh: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
