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
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.storage import volumes
from devkit.storage.kube_client import ApiError, KubeClient, Object

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("devkit-storage")

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
RETRY_SECONDS = 2.0


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
        existing = self._client.list(VOLUMES)
        names = {volume["metadata"]["name"] for volume in existing}
        for claim in self._client.list(CLAIMS):
            if (
                volumes.wants_volume(claim, node=self._node)
                and volumes.volume_name(claim) not in names
            ):
                done &= self._try(self._provision, claim)
        for volume in existing:
            if volumes.is_abandoned(volume):
                done &= self._try(self._remove, volume)
        return done

    def _try(self, step: Callable[[Object], None], target: Object) -> bool:
        name = target["metadata"]["name"]
        try:
            step(target)
        except volumes.CannotProvisionError as error:
            self._refuse(target, str(error))
        except (ApiError, OSError) as error:
            log.warning("%s: will try again: %s", name, error)
            return False
        return True

    def _provision(self, claim: Object) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if spec.get("volumeMode", "Filesystem") != "Filesystem":
            raise volumes.CannotProvisionError("only volumeMode Filesystem is to be had here")
        storage_class = self._client.request("GET", f"{CLASSES}/{spec['storageClassName']}")
        size = volumes.tmpfs_size(claim, storage_class)
        path = self._disk.make(volumes.volume_name(claim), tmpfs_bytes=size)
        volume = volumes.make_volume(claim, storage_class=storage_class, node=self._node, path=path)
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
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = volumes.failure_event(claim, message=message, now=now)
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
