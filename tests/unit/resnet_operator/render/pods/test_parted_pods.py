"""Who sees which files in our pods, and how much of the node's disk they may take.

Held for every golden case: a new container or volume has to fit in here.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.golden.rendering import CASE_NAMES, Case

OURS = {"fetch", "prepare", "publish", "evaluate", "artifact"}
FOREIGN = {"export", "quantize", "convert", "triton", "store"}
# What a foreign container may write, of the volumes that another container mounts too.
HANDED_ON = {
    ("export", "/scratch/in"),
    ("export", "/scratch/export"),
    ("quantize", "/scratch/quant"),
    ("convert", "/scratch/work"),
    ("convert", "/scratch/out"),
    ("triton", "/eval"),
}
Body = dict[str, Any]


def pods(name: str) -> list[tuple[str, Body]]:
    found = []
    for kind, child in Case.read(name).children().items():
        template = child.get("spec", {}).get("template")
        if template:
            found.append((kind, template["spec"]))
    return found


def containers(pod: Body) -> list[Body]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", CASE_NAMES)
def test_nobody_writes_what_another_container_takes_for_its_own(name: str) -> None:
    for kind, pod in pods(name):
        users: dict[str, set[str]] = {}
        for container in containers(pod):
            assert container["name"] in OURS | FOREIGN
            for mount in container["volumeMounts"]:
                users.setdefault(mount["name"], set()).add(container["name"])
        for container in containers(pod):
            if container["name"] in OURS:
                continue
            for mount in container["volumeMounts"]:
                shared = users[mount["name"]] != {container["name"]}
                place = (container["name"], mount["mountPath"])
                is_claim = mount["name"] == "op-cache"
                assert mount.get("readOnly") or not shared or is_claim or place in HANDED_ON, (
                    f"{kind}: {place}"
                )


@pytest.mark.parametrize("name", CASE_NAMES)
def test_home_and_tmp_are_not_shared_with_foreign_containers(name: str) -> None:
    for kind, pod in pods(name):
        tmp: dict[str, set[str]] = {}
        for container in containers(pod):
            home = [e["value"] for e in container.get("env", []) if e["name"] == "HOME"]
            assert all(value.startswith("/tmp/") for value in home), kind
            for mount in container["volumeMounts"]:
                if mount["mountPath"] == "/tmp":
                    tmp.setdefault(mount["name"], set()).add(container["name"])
        for names in tmp.values():
            assert len(names) == 1 or names <= OURS, f"{kind}: {names} share a /tmp"


@pytest.mark.parametrize("name", CASE_NAMES)
def test_every_volume_and_container_has_a_limit(name: str) -> None:
    for kind, pod in pods(name):
        for volume in pod["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"].get("sizeLimit"), f"{kind}: {volume['name']}"
        for container in containers(pod):
            for which in ("requests", "limits"):
                where = f"{kind}: {container['name']} {which}"
                assert "ephemeral-storage" in container["resources"][which], where
