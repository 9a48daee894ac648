"""Who we are for the API server: host, certificates and token, as the files say at one moment.

Files are renewed while we run: the kubelet rotates a pod's token each hour, a cluster gets another
certificate authority, somebody writes a new kubeconfig. `is_stale` tells that from their stat.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import incluster_config
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from resnet_operator.errors import LoginFailed

# What tells one content of a file from another, or None where there is no file.
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class Login:
    """All that a request needs beside its path; two are equal if the server sees no difference."""

    host: str
    authorization: str = field(default="", repr=False)
    # What `tls` was made of: another content asks for other connections.
    material: tuple[bytes, ...] = field(default=(), repr=False)
    tls: ssl.SSLContext | None = field(default=None, compare=False, repr=False)
    # Certificate authority, our certificate and its key.
    files: tuple[str | None, str | None, str | None] = (None, None, None)
    verifies: bool = True
    server_name: str = ""
    proxy: str = ""
    stamps: tuple[tuple[str, Stamp], ...] = field(default=(), compare=False)

    @property
    def is_stale(self) -> bool:
        """Tell whether a file that this was read from has changed since."""
        return any(_stamp(path) != stamp for path, stamp in self.stamps)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.authorization} if self.authorization else {}

    @property
    def extras(self) -> dict[str, Any]:
        """Return what each request of the session has to be told."""
        named = {"server_hostname": self.server_name, "proxy": self.proxy}
        return {key: value for key, value in named.items() if value}

    def uses_connections_of(self, other: Login) -> bool:
        """Tell whether open connections may be used on: only the token is another one."""
        token_apart = replace(self, authorization=other.authorization)
        return token_apart == other


async def read_login() -> Login:
    """Read the pod's service account, or KUBECONFIG where it is set; raises LoginFailed."""
    configuration = Configuration()
    try:
        # Stamps come before contents: what changes in between is read again.
        stamps = [(path, _stamp(path)) for path in _main_files()]
        await _load(configuration)
        value = (await configuration.auth_settings()).get("BearerToken", {}).get("value")
        files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        stamps += [(path, _stamp(path)) for path in files if path]
        return Login(
            host=configuration.host,
            authorization=(value or "").strip(),
            material=tuple(_material(files)),
            files=files,
            verifies=configuration.verify_ssl,
            tls=RESTClientObject(configuration).ssl_context,
            server_name=configuration.tls_server_name or "",
            proxy=configuration.proxy or "",
            stamps=tuple(stamps),
        )
    except Exception as error:
        # The library raises whatever a broken file makes it raise; all of it ends here.
        raise LoginFailed(f"the credentials cannot be read: {error}") from error


def _main_files() -> list[str]:
    # The library would read the variable when it is imported.
    if path := os.environ.get("KUBECONFIG"):
        return path.split(os.pathsep)
    if _is_in_cluster():
        return [incluster_config.SERVICE_TOKEN_FILENAME]
    return [str(Path(KUBE_CONFIG_DEFAULT_LOCATION).expanduser())]


def _is_in_cluster() -> bool:
    return bool(os.environ.get(incluster_config.SERVICE_HOST_ENV_NAME))


async def _load(configuration: Configuration) -> None:
    if _is_in_cluster() and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
    else:
        path = os.pathsep.join(_main_files())
        await config.load_kube_config(path, client_configuration=configuration)


def _material(files: Iterable[str | None]) -> Iterable[bytes]:
    return (Path(path).read_bytes() if path else b"" for path in files)


def _stamp(path: str) -> Stamp:
    try:
        # Follows the links by which the kubelet exchanges files. For each request: no Path is made.
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
