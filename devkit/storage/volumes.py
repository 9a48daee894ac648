"""What the provisioner decides and writes: pure functions over claims and volumes.

Why: which claim wants a volume, and what the volume looks like, can be read and tested without a
cluster. Called by `provisioner.py` alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from devkit.storage.kube_client import Object

PROVISIONER = "devkit.resnet-operator.io/local"
TMPFS_ANNOTATION = "devkit.resnet-operator.io/tmpfs"
TMPFS_PARAMETER = "tmpfs"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
# Both are written by Kubernetes: who shall make the volume, and where the pod will run.
WANTED_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class CannotProvisionError(Exception):
    """The claim asks for something that this provisioner does not have."""


def parse_size(text: str) -> int:
    """`1Mi` gives 1048576. Raises CannotProvisionError for anything that is no size."""
    match = re.fullmatch(r"(\d+)(|k|M|G|Ki|Mi|Gi)", text)
    if not match or int(match[1]) == 0:
        raise CannotProvisionError(f"{text!r} is not a size of a tmpfs; write 1Mi, for example")
    return int(match[1]) * UNITS[match[2]]


def volume_name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def wants_volume(claim: Object, *, node: str) -> bool:
    """True for an unbound claim that Kubernetes has handed to us, for this node."""
    annotations = claim["metadata"].get("annotations", {})
    return (
        annotations.get(WANTED_PROVISIONER) == PROVISIONER
        and annotations.get(SELECTED_NODE, node) == node
        and not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in claim["metadata"]
    )


def is_abandoned(volume: Object) -> bool:
    """True for a volume of ours whose claim is gone and whose data nobody wants to keep."""
    return (
        volume["metadata"].get("annotations", {}).get(PROVISIONED_BY) == PROVISIONER
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        and volume.get("status", {}).get("phase") in ("Released", "Failed")
        and "deletionTimestamp" not in volume["metadata"]
    )


def tmpfs_size(claim: Object, storage_class: Object) -> int | None:
    annotations = claim["metadata"].get("annotations", {})
    parameters = storage_class.get("parameters") or {}
    text = annotations.get(TMPFS_ANNOTATION, parameters.get(TMPFS_PARAMETER))
    return None if text is None else parse_size(text)


def make_volume(claim: Object, *, storage_class: Object, node: str, path: Path) -> Object:
    """The PersistentVolume for a claim: exactly the access modes and the size it asks for."""
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "local": {"path": str(path)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "kubernetes.io/hostname",
                                    "operator": "In",
                                    "values": [node],
                                }
                            ]
                        }
                    ]
                }
            },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def failure_event(claim: Object, *, message: str, now: str) -> Object:
    """What `kubectl describe pvc` shows; the reason is the one that every provisioner uses."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": "Warning",
        "reason": "ProvisioningFailed",
        "message": message,
        "source": {"component": PROVISIONER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
