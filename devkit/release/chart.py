"""The chart as a package, as one manifest, and the images that it names."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from devkit.release.tars import repack_tgz

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "resnet-operator"
NAMESPACE = "resnet-system"
NAMESPACE_MANIFEST = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


class ChartError(Exception):
    """helm refused; the message is what it said."""


@dataclass(frozen=True)
class Chart:
    """A packaged chart, read by one helm."""

    helm: Path
    package: Path

    def manifest(self, values: Sequence[str] = ()) -> str:
        """Return what `helm install` would apply, for `kubectl apply`, without the tests."""
        options = [part for value in values for part in ("--set", value)]
        where = ("--namespace", NAMESPACE)
        command = ("template", NAME, str(self.package), *where, "--skip-tests", *options)
        return f"{NAMESPACE_MANIFEST}{_run(self.helm, *command)}"

    def images(self, values: Sequence[str] = ()) -> list[str]:
        """Return every image that the chart may have pulled, each once."""
        documents = yaml.safe_load_all(self.manifest(values))
        return sorted({image for document in documents for image in images_in(document)})


def package(helm: Path, source: Path, out: Path, *, version: str, epoch: int) -> Chart:
    """Package the chart with a version; helm's own file has the hour in it."""
    with tempfile.TemporaryDirectory() as work:
        versions = ("--version", version, "--app-version", version)
        _run(helm, "package", str(source), *versions, "--destination", work)
        [made] = Path(work).glob("*.tgz")
        target = out / made.name
        repack_tgz(made, target, epoch)
    return Chart(helm, target)


def images_in(value: object, *, key: str = "") -> list[str]:
    """Return each image in rendered manifests, those within the operator's settings included."""
    if isinstance(value, dict):
        if str(value.get("name", "")).startswith("RESNET_"):
            return _of_setting(value)
        return [image for name, part in value.items() for image in images_in(part, key=name)]
    if isinstance(value, list):
        return [image for part in value for image in images_in(part)]
    return [value] if key == "image" and isinstance(value, str) else []


def _of_setting(variable: dict[str, Any]) -> list[str]:
    name, value = str(variable["name"]), str(variable.get("value", ""))
    if name.endswith("_IMAGES"):
        return list(json.loads(value).values())
    if name == "RESNET_STORE":
        return [json.loads(value)["image"]]
    return [value] if name.endswith("_IMAGE") and value else []


def find_helm() -> Path:
    """Return the machine's helm, else the one that the embedded cluster brings."""
    found = shutil.which("helm")
    if found:
        return Path(found)
    script = Path(__file__).parents[1] / "cluster" / "build.sh"
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.splitlines()[-1]) / "helm"


def _run(helm: Path, *arguments: str) -> str:
    done = subprocess.run([str(helm), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChartError(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
