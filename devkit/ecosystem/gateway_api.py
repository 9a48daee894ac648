"""The Gateway API's own CRD of HTTPRoutes, from its Go module: the kind with all of its rules.

Of an old version and of a new one; the module's sum is pinned, as go.sum pins those that are built.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from devkit.cluster.build import BuildError, Part, key
from devkit.progress import cache_root

MODULE = "sigs.k8s.io/gateway-api"
CRD = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
OLD, NEW = "v1.1.0", "v1.6.3"
SUMS = {
    OLD: "h1:DsLDXCi6jR+Xz8/xd0Z1PYl2Pn0TyaFMOPPZIj4inDM=",
    NEW: "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
}


def part() -> Part:
    folder = cache_root() / "cluster" / f"gateway-api-{key(json.dumps(SUMS))}"
    return Part("gateway-api", "the Gateway API's CRDs", folder, _make)


def _make(folder: Path) -> None:
    for version, wanted in SUMS.items():
        # Outside of any module, so that nothing is resolved.
        command = ["nice", "go", "mod", "download", "-json", f"{MODULE}@{version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"{MODULE} {version} cannot be fetched: {done.stdout}{done.stderr}")
        found = json.loads(done.stdout)
        if found["Sum"] != wanted:
            raise BuildError(f"{MODULE} {version} has the sum {found['Sum']}, not {wanted}")
        shutil.copyfile(Path(found["Dir"]) / CRD, folder / f"{version}.yaml")
