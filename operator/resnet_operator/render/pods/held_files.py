"""Holds a pod to the files that it was rendered with, whatever its ConfigMaps say when it starts.

Triton's container mounts no ConfigMap: the init container copies their files into a volume of the
pod and compares them with one digest, which stands in the pod template. Who may write ConfigMaps
can keep a pod from starting, and decides nothing that runs. Called by `serving`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from resnet_operator.render.pods.local_disk import empty_volume

VOLUME, GIVEN, HELD = "files", "/given", "/files"
SIZE = "64Mi"
INIT = "artifact"
Pod = dict[str, Any]
# Data of ConfigMaps by their names.
Contents = Mapping[str, Mapping[str, str]]


def hold(template: Pod, contents: Contents) -> Pod:
    """Return the pod template with its ConfigMaps' files held to `contents`."""
    spec = template["spec"]
    ours = [volume for volume in spec["volumes"] if _is_ours(volume, contents)]
    names, files = {volume["name"] for volume in ours}, dict(_files(ours, contents))
    folders = sorted(_inside(spec, names) - set(files))
    return {
        **template,
        "spec": {
            **spec,
            "initContainers": [
                _checked(one, sorted(names), files_digest(files), folders)
                if one["name"] == INIT
                else one
                for one in spec["initContainers"]
            ],
            "containers": [_held(one, names) for one in spec["containers"]],
            "volumes": [*spec["volumes"], empty_volume(VOLUME, SIZE)],
        },
    }


def files_digest(files: Mapping[str, str]) -> str:
    """Return the digest of all files: of the lines `sha256sum <files in order of name>` prints."""
    lines = "".join(f"{_sha256(files[path])}  {path}\n" for path in sorted(files))
    return _sha256(lines)


def _files(volumes: Sequence[Pod], contents: Contents) -> Iterator[tuple[str, str]]:
    """Give path and text of each file. A key that is not there keeps the pod from starting."""
    for volume in volumes:
        for source in _sources(volume):
            data = contents[source["name"]]
            for item in source["items"]:
                if item["key"] in data:
                    yield f"{volume['name']}/{item['path']}", data[item["key"]]


def _is_ours(volume: Pod, contents: Contents) -> bool:
    """Tell whether we make what is in a volume; the CA of a bucket is the cluster's own."""
    names = {source["name"] for source in _sources(volume)}
    return bool(names) and names <= set(contents)


def _sources(volume: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the ConfigMaps of a volume, as the volume names them."""
    if "configMap" in volume:
        yield volume["configMap"]
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield source["configMap"]


# Each entry holds its text: those that all pods have, and some of one pod.
@functools.lru_cache(maxsize=64)
def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(container: Pod, names: list[str], digest: str, folders: list[str]) -> Pod:
    """Return the init container, told to copy and to compare before it does anything else."""
    more = ["--files-from", GIVEN, "--files-to", HELD, "--files-sha256", digest]
    for folder in folders:
        more += ["--folder", folder]
    given = [{"name": name, "mountPath": f"{GIVEN}/{name}", "readOnly": True} for name in names]
    mounts = [*container["volumeMounts"], *given, {"name": VOLUME, "mountPath": HELD}]
    return {**container, "command": [*container["command"], *more], "volumeMounts": mounts}


def _held(container: Pod, names: set[str]) -> Pod:
    mounts = [
        {**mount, "name": VOLUME, "subPath": mount["name"]} if mount["name"] in names else mount
        for mount in container["volumeMounts"]
    ]
    return {**container, "volumeMounts": mounts}


def _inside(spec: Pod, names: set[str]) -> set[str]:
    """Return on what other volumes are mounted: the files' volume is read-only."""
    mounts = [mount for one in spec["containers"] for mount in one["volumeMounts"]]
    held = [
        (m["name"], f"{_path(m['mountPath']).rstrip('/')}/") for m in mounts if m["name"] in names
    ]
    inner = [_path(m["mountPath"]) for m in mounts if m["name"] not in names]
    return {
        f"{name}/{path.removeprefix(root)}"
        for name, root in held
        for path in inner
        if path.startswith(root)
    }


@functools.lru_cache(maxsize=256)
def _path(text: str) -> str:
    """Return a path in its one form, without doubled or trailing slashes."""
    return str(PurePosixPath(text))
