#!/usr/bin/env python3
"""Builds what lives beside an operator, from Go modules, and prints the folder. For tests.

`metrics-server` is the real one; `adapter` stands for prometheus-adapter, which Go's module proxy
does not serve, and is made of the library that prometheus-adapter is made of; `judge` says what
kstatus and Argo CD's interpreter say of an object. They consist of Kubernetes' libraries: with the
versions of the cluster's go.mod nearly all of them are compiled already. The few versions that
their own go.mod would raise stay as they are.
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
from devkit.progress import cache_root, steps  # noqa: E402

METRICS_SERVER, VERSION = "sigs.k8s.io/metrics-server", "v0.8.0"
REQUIRED = (
    f"{METRICS_SERVER}@{VERSION}",
    "sigs.k8s.io/custom-metrics-apiserver@v1.36.0",
    "sigs.k8s.io/cli-utils@v0.37.2",
    "github.com/yuin/gopher-lua@v1.1.2",
    "github.com/grafana/regexp@v0.0.0-20240518133315-a468a5bfb3bc",
    "github.com/prometheus/prometheus@v0.304.2",
    "github.com/fatih/color@v1.16.0",
    "github.com/go-openapi/jsonreference@v0.21.0",
    "github.com/mattn/go-isatty@v0.0.20",
)
# As in Kubernetes' go.mod: what is compiled with another version is compiled again.
KEPT = (
    "github.com/fatih/color=github.com/fatih/color@v1.13.0",
    "github.com/go-openapi/jsonreference=github.com/go-openapi/jsonreference@v0.20.2",
    "github.com/mattn/go-isatty=github.com/mattn/go-isatty@v0.0.17",
)
SUMS = HERE / "more.sum"  # what the cluster's go.sum lacks
OWN = ("adapter", "judge")


def part() -> Part:
    libraries = (CLUSTER / "go.mod", CLUSTER / "go.sum")
    sources = (HERE / name / "main.go" for name in OWN)
    wanted = key(*libraries, *REQUIRED, *KEPT, SUMS, *sources)
    folder = cache_root() / "cluster" / f"ecosystem-{wanted}"
    return Part("ecosystem", f"metrics-server {VERSION} and its like", folder, _make)


def _make(folder: Path) -> None:
    module = folder / "module"
    for name in OWN:
        shutil.copytree(HERE / name, module / name)
    shutil.copy(CLUSTER / "go.mod", module)
    (module / "go.sum").write_text((CLUSTER / "go.sum").read_text() + SUMS.read_text())
    wanted = [f"-require={one}" for one in REQUIRED] + [f"-replace={one}" for one in KEPT]
    go("mod", "edit", *wanted, cwd=module)
    packages = (*(f"./{name}" for name in OWN), f"{METRICS_SERVER}/cmd/metrics-server")
    flags = ("-ldflags", "-s -w", "-o", f"{folder}/")
    go("build", *flags, *packages, cwd=module, GOFLAGS=MODULE_FLAGS)


def build() -> Path:
    """Build them if they are not there; return the folder that holds them."""
    wanted = part()
    with locked(wanted.folder):
        if not wanted.is_there:
            with steps({wanted.name: wanted.text}).step(wanted.name):
                wanted.build()
    return wanted.folder


def main() -> int:
    try:
        print(build())
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
