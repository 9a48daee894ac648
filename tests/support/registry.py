"""A container registry on this machine that an embedded cluster pulls from: TLS and a login.

Its certificate authority is known to the cluster's containerd as an administrator makes it known,
by a file hosts.toml.
"""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.servers import PASSWORD, USER, htpasswd, make_certificate, registry_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devkit.cluster.cluster import Cluster


@dataclass(frozen=True)
class ClusterRegistry:
    """`name` is host and port, as in a reference; `authority` the PEM file to trust it by."""

    name: str
    authority: Path
    user: str = USER
    password: str = PASSWORD

    @property
    def docker_config(self) -> str:
        """Return what `docker login` writes."""
        auth = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return json.dumps({"auths": {self.name: {"auth": auth}}})

    def pull_secret(self, name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": self.docker_config},
        }


@contextlib.contextmanager
def cluster_registry(folder: Path, cluster: Cluster) -> Iterator[ClusterRegistry]:
    """Run a registry at the address under which the cluster sees this machine."""
    host = cluster.host_ip
    certificate = make_certificate(folder / "pki", names=[f"IP:{host}"])
    users = htpasswd(folder / "users")
    with registry_server(
        folder / "server", host=host, authentication=users, certificate=certificate
    ) as server:
        trust(cluster, server.name, f"https://{server.name}", authority=certificate.authority)
        yield ClusterRegistry(server.name, certificate.authority)


def trust(cluster: Cluster, name: str, server: str, *, authority: Path | None = None) -> None:
    """What an administrator does on each node: where a registry is, and who vouches for it.

    containerd reads the file at each pull.
    """
    folder = cluster.state_dir / "certs.d" / name
    folder.mkdir(parents=True)
    lines = [f'server = "{server}"', f'[host."{server}"]', '  capabilities = ["pull", "resolve"]']
    lines += [f'  ca = "{authority}"'] if authority else []
    (folder / "hosts.toml").write_text("\n".join(lines) + "\n")
