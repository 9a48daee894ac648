"""Commands of the pages about images, run with stand-ins that write down how they are called."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from devkit.images.production import EXPORT, TARGETS, base_references
from devkit.images.targets import MAIN
from tests.support.apiserver import ROOT
from tests.support.pages import blocks

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILE = (ROOT / MAIN).read_text()
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
[ "$(basename "$0")" != buildah ] || cat > /dev/null
"""


def calls(script: str, folder: Path) -> list[str]:
    """Run a block; return how docker, kind, helm and so on were called."""
    folder.mkdir(exist_ok=True)
    for name in ("docker", "kind", "helm", "kubectl", "make", "buildah"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    login = {"USERNAME": "somebody", "PASSWORD": "a secret"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, env=environment | login, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines()


def loop_of_kind() -> str:
    return next(text for text in blocks(ROOT / "docs/quickstart.md", "sh") if "kind load" in text)


def test_kind_gets_the_images_that_the_chart_asks_for(tmp_path: Path) -> None:
    called = calls(loop_of_kind(), tmp_path)
    built = {}
    for line in called:
        if found := re.match(r"docker build --target (\S+) .* --tag (\S+) \.$", line):
            built[found[1]] = found[2]
    assert {"operator", "jobs", "fetch", "serving-cpu"} <= built.keys()
    assert built == {name: f"localhost/{TARGETS[name].repository}:0.2.0" for name in built}
    loaded = [line.split()[-1] for line in called if line.startswith("kind load docker-image ")]
    assert loaded == [*built.values()]
    assert "images.registry=localhost --set images.tag=0.2.0" in called[-1]


def test_the_readme_asks_the_chart_for_what_it_pushes(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().split("## On your cluster")[1]
    called = calls(re.findall(r"```\n(.*?)```", section, re.DOTALL)[0], tmp_path)
    [pushed] = [line for line in called if line.startswith("make ")]
    registry, version = re.findall(r"REGISTRY=(\S+) VERSION=(\S+)", pushed)[0]
    [installed] = [line for line in called if line.startswith("helm ")]
    assert f"--set images.registry={registry} --set images.tag={version}" in installed
    host = registry.partition("/")[0]
    secrets = [line for line in called if "secret docker-registry" in line]
    spaces = [re.findall(r"--namespace (\S+)", line)[0] for line in secrets]
    assert spaces == ["resnet-system", "default"], "the operator's and the objects' namespace"
    assert all(f"--docker-server={host} " in line for line in secrets)
    assert called[0] == f"buildah login --username somebody --password-stdin {host}"


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_in_the_dockerfile_and_on_the_page(name: str) -> None:
    assert re.search(rf"^FROM \S+ AS {name}$", DOCKERFILE, re.MULTILINE)
    page = (ROOT / "docs/images.md").read_text()
    assert f"| `{name}` | `{TARGETS[name].repository}` |" in page


def test_every_setting_is_on_the_page() -> None:
    page = (ROOT / "docs/images.md").read_text()
    settings = {
        *base_references(list(TARGETS), {}),
        *EXPORT.passed,
        "REGISTRY",
        "VERSION",
        "IMAGES",
    }
    assert not [name for name in settings if f"`{name}`" not in page]


def test_docker_on_the_page_builds_a_target(tmp_path: Path) -> None:
    [block] = [text for text in blocks(ROOT / "docs/images.md", "sh") if "docker build" in text]
    [line] = calls(block, tmp_path)
    assert re.findall(r"--target (\S+)", line)[0] in TARGETS
