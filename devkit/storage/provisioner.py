#!/usr/bin/env python3
"""Makes a volume for each claim of the devkit's storage class, on the embedded cluster.

Why: on a usual cluster a claim binds without a person making a volume, so it must here, too.
`devkit/cluster` runs this as a process in the cluster's sandbox, where its mounts are seen by the
kubelet. It works by level: at each change it lists claims and volumes and makes both agree.

A volume is a directory of the node, writable for everyone, removed when its claim is deleted.
The size asked for is NOT enforced. A volume that really gets full (for tests) is a tmpfs: by the
annotation `devkit.resnet-operator.io/tmpfs: "1Mi"` on the claim, or the parameter `tmpfs` of a
storage class with this provisioner.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kube_client import ApiError, KubeClient, Object

log = logging.getLogger("devkit-storage")

PROVISIONER = "devkit.resnet-operator.io/local"
TMPFS_ANNOTATION = "devkit.resnet-operator.io/tmpfs"
TMPFS_PARAMETER = "tmpfs"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
# Both are written by Kubernetes: who shall make the volume, and where the pod will run.
WANTED_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
RETRY_SECONDS = 2.0

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class CannotProvision(Exception):
    """The claim asks for something that this provisioner does not have."""


@dataclass(frozen=True)
class Disk:
    """The directory that holds the volumes' directories, and the mounts in it."""

    root: Path

    def make(self, name: str, *, tmpfs_bytes: int | None) -> Path:
        """Mode 0777 whatever the umask: pods run as any user."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        if tmpfs_bytes is not None and not os.path.ismount(path):
            options = f"size={tmpfs_bytes},mode=0777"
            self._run("mount", "-t", "tmpfs", "-o", options, "devkit", str(path))
        path.chmod(0o777)
        return path

    def remove(self, name: str) -> None:
        path = self.root / name
        if os.path.ismount(path):
            self._run("umount", str(path))
        if path.exists():
            shutil.rmtree(path)

    @staticmethod
    def _run(*command: str) -> None:
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise OSError(f"{' '.join(command)}: {result.stderr.strip()}")


def parse_size(text: str) -> int:
    """`1Mi` gives 1048576. Raises CannotProvision for anything that is no size."""
    match = re.fullmatch(r"(\d+)(|k|M|G|Ki|Mi|Gi)", text)
    if not match or int(match[1]) == 0:
        raise CannotProvision(f"{text!r} is not a size of a tmpfs; write 1Mi, for example")
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
                                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
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


def failure_event(claim: Object, message: str) -> Object:
    """What `kubectl describe pvc` shows; the reason is the one that every provisioner uses."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
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


class Provisioner:
    """Makes claims and volumes agree. `refused` holds claims that were told so already."""

    def __init__(self, *, client: KubeClient, disk: Disk, node: str) -> None:
        self._client = client
        self._disk = disk
        self._node = node
        self._refused: set[str] = set()

    def reconcile(self) -> bool:
        """One pass; False when something should be tried again soon."""
        done = True
        volumes = self._client.list(VOLUMES)
        names = {volume["metadata"]["name"] for volume in volumes}
        for claim in self._client.list(CLAIMS):
            if wants_volume(claim, node=self._node) and volume_name(claim) not in names:
                done &= self._try(self._provision, claim)
        for volume in volumes:
            if is_abandoned(volume):
                done &= self._try(self._remove, volume)
        return done

    def _try(self, step: Callable[[Object], None], target: Object) -> bool:
        name = target["metadata"]["name"]
        try:
            step(target)
        except CannotProvision as error:
            self._refuse(target, str(error))
        except (ApiError, OSError) as error:
            log.warning("%s: will try again: %s", name, error)
            return False
        return True

    def _provision(self, claim: Object) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if spec.get("volumeMode", "Filesystem") != "Filesystem":
            raise CannotProvision("only volumeMode Filesystem is to be had here")
        storage_class = self._client.request("GET", f"{CLASSES}/{spec['storageClassName']}")
        size = tmpfs_size(claim, storage_class)
        path = self._disk.make(volume_name(claim), tmpfs_bytes=size)
        volume = make_volume(claim, storage_class=storage_class, node=self._node, path=path)
        try:
            self._client.request("POST", VOLUMES, body=volume)
        except ApiError as error:
            if error.status != 409:  # 409: it was made a moment ago
                raise
        log.info("made %s for %s/%s", path, metadata["namespace"], metadata["name"])

    def _remove(self, volume: Object) -> None:
        name = volume["metadata"]["name"]
        self._disk.remove(name)
        try:
            self._client.request("DELETE", f"{VOLUMES}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
        log.info("removed %s", name)

    def _refuse(self, claim: Object, message: str) -> None:
        uid = claim["metadata"]["uid"]
        if uid in self._refused:
            return
        self._refused.add(uid)
        namespace = claim["metadata"]["namespace"]
        log.warning("%s/%s: %s", namespace, claim["metadata"]["name"], message)
        event = failure_event(claim, message)
        self._client.request("POST", f"/api/v1/namespaces/{namespace}/events", body=event)


def watch_forever(client: KubeClient, *, path: str, changed: threading.Event) -> None:
    while True:
        try:
            for _event in client.watch(path):
                changed.set()
        except (ApiError, OSError, ValueError) as error:
            log.warning("watch of %s ended: %s", path, error)
            time.sleep(RETRY_SECONDS)
        changed.set()


def main() -> None:
    parser = argparse.ArgumentParser(description="Volumes for the devkit's storage class.")
    parser.add_argument("--server", required=True, help="https://address:port of the API server")
    parser.add_argument("--pki", type=Path, required=True, help="has ca.crt, admin.crt, admin.key")
    parser.add_argument("--node", required=True, help="name of the node this runs on")
    parser.add_argument("--directory", type=Path, required=True, help="where volumes are made")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    client = KubeClient(
        server=arguments.server,
        ca=arguments.pki / "ca.crt",
        certificate=arguments.pki / "admin.crt",
        key=arguments.pki / "admin.key",
    )
    provisioner = Provisioner(client=client, disk=Disk(arguments.directory), node=arguments.node)
    changed = threading.Event()
    for path in (CLAIMS, VOLUMES):
        threading.Thread(
            target=watch_forever,
            args=(client,),
            kwargs={"path": path, "changed": changed},
            daemon=True,
        ).start()
    while True:
        changed.clear()
        try:
            done = provisioner.reconcile()
        except (ApiError, OSError) as error:
            log.warning("will try again: %s", error)
            done = False
        changed.wait(None if done else RETRY_SECONDS)


if __name__ == "__main__":
    main()
