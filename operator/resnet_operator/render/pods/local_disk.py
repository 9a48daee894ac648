"""The node's disk in our pods: which folders a foreign container sees, and how much may be written.

A Job's containers hand files on through one volume. Ours see all of it; one with a foreign image
sees the folders that it needs, read-only where it only reads, so that what it is made to do can
change neither what comes before it nor another container's code (docs/decisions/070).
"""

from __future__ import annotations

from typing import Any

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.settings.operator import Settings

SCRATCH = "/scratch"
TMP_SIZE = "4Gi"
# Logs, which count against a container's limit too.
LOG_BYTES = 2**30
MEBIBYTE = 2**20
# Folders of the scratch volume by container: (name, read-only).
FOREIGN_FOLDERS: dict[str, tuple[tuple[str, bool], ...]] = {
    "export": (("driver", True), ("in", False), ("export", False)),
    "quantize": (
        ("driver", True),
        ("in", True),
        ("conf", True),
        ("calib", True),
        ("quant", False),
    ),
    "convert": (
        ("driver", True),
        ("in", True),
        ("conf", True),
        ("quant", True),
        ("work", False),
        ("out", False),
    ),
}
Parts = tuple[dict[str, Any], ...]


def foreign_mounts() -> dict[str, Parts]:
    """Return what each container with a foreign image sees of the scratch volume."""
    return {
        container: tuple(
            {"name": "scratch", "mountPath": f"{SCRATCH}/{name}", "subPath": name}
            | ({"readOnly": True} if read_only else {})
            for name, read_only in folders
        )
        for container, folders in FOREIGN_FOLDERS.items()
    }


def scratch_volumes(settings: Settings, *, foreign: tuple[str, ...]) -> Parts:
    """Return the volume that a Job works on, and a /tmp for ours and for each foreign container."""
    limits = {"scratch": settings.scratch_size, "jobs-tmp": TMP_SIZE}
    limits |= {f"{name}-tmp": TMP_SIZE for name in foreign}
    return tuple(empty_volume(name, limit) for name, limit in limits.items())


def empty_volume(name: str, limit: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": limit}}


def scratch_bytes(settings: Settings) -> int:
    """Return the limit of ephemeral storage of a Job's containers: they share its volumes."""
    return _bytes(settings.scratch_size) + 4 * _bytes(TMP_SIZE) + LOG_BYTES


def artifact_bytes(size: int) -> int:
    """Return the room for an artifact and for what it may be unpacked to, in whole MiB."""
    return (3 * size // MEBIBYTE + 64) * MEBIBYTE


def serving_bytes(size: int) -> int:
    """Return the limit of ephemeral storage of a serving pod's containers."""
    return artifact_bytes(size) + _bytes(TMP_SIZE) + LOG_BYTES


def _bytes(quantity: str) -> int:
    found = parse_quantity(quantity)
    if found is None:
        raise AssertionError(f"{quantity} is not a quantity; the settings check it")
    return int(found)
