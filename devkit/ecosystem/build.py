#!/usr/bin/env python3
"""Builds what lives beside an operator, from Go modules, and prints the folder. For tests.

`metrics-server` is the real one; `adapter` stands for prometheus-adapter, which Go's module proxy
does not serve, and is made of the library that prometheus-adapter is made of; `judge` says what
kstatus and Argo CD's interpreter say of an object. They consist of Kubernetes' libraries: with the
versions of the cluster's go.mod nearly all of them are compiled already. The few versions that
their own go.mod would raise stay as they are: more.mod has both.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":  # called by path, from anywhere
    sys.path.insert(0, str(HERE.parents[1]))

from devkit.cluster.build import HERE as CLUSTER  # noqa: E402
from devkit.cluster.build import MODULE_FLAGS, BuildError, Part, go, key, locked  # noqa: E402
from devkit.ecosystem import gateway_api  # noqa: E402
from devkit.progress import cache_root, steps  # noqa: E402

METRICS_SERVER, VERSION = "sigs.k8s.io/metrics-server", "v0.9.0"
MORE = HERE / "more.mod"  # what the cluster's go.mod lacks
SUMS = HERE / "more.sum"  # what the cluster's go.sum lacks
OWN = ("adapter", "judge")


def part() -> Part:
    libraries = (CLUSTER / "go.mod", CLUSTER / "go.sum")
    sources = (HERE / name / "main.go" for name in OWN)
    wanted = key(*libraries, MORE, SUMS, *sources)
    folder = cache_root() / "cluster" / f"ecosystem-{wanted}"
    return Part("ecosystem", f"metrics-server {VERSION} and its like", folder, _make)


def _make(folder: Path) -> None:
    module = folder / "module"
    for name in OWN:
        shutil.copytree(HERE / name, module / name)
    shutil.copy(CLUSTER / "go.mod", module)
    (module / "go.sum").write_text((CLUSTER / "go.sum").read_text() + SUMS.read_text())
    lines = [line.split() for line in MORE.read_text().splitlines() if not line.startswith("#")]
    wanted = [f"-{directive}={module_at}" for directive, module_at in lines]
    go("mod", "edit", *wanted, cwd=module)
    packages = (*(f"./{name}" for name in OWN), f"{METRICS_SERVER}/cmd/metrics-server")
    flags = ("-ldflags", "-s -w", "-o", f"{folder}/")
    go("build", *flags, *packages, cwd=module, GOFLAGS=MODULE_FLAGS)


def build(wanted: Part | None = None) -> Path:
    """Build them if they are not there; return the folder that holds them."""
    wanted = wanted or part()
    with locked(wanted.folder):
        if not wanted.is_there:
            with steps({wanted.name: wanted.text}).step(wanted.name):
                wanted.build()
    return wanted.folder


def main() -> int:
    try:
        build(gateway_api.part())
        print(build())
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
