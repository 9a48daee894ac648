"""Somebody with the built-in role `view` in one namespace, and what they then type."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apiserver import ApiServer

READER = "reader"
FORWARD = "pods/portforward"


@dataclass(frozen=True)
class Reader:
    """An account, and kubectl-resnet with its kubeconfig."""

    server: ApiServer
    namespace: str
    kubeconfig: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = self.server.environment() | {
            "KUBECONFIG": str(self.kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
        }
        return subprocess.run(
            [sys.executable, "-m", "resnet_cli", *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )

    def may_also(self, resource: str, verbs: str = "get,create") -> None:
        """Add rights on one thing to those of `view`."""
        create, name = ("-n", self.namespace, "create"), resource.replace("/", "-")
        self.server.kubectl(*create, "role", name, f"--resource={resource}", f"--verb={verbs}")
        account = f"--serviceaccount={self.namespace}:{READER}"
        self.server.kubectl(*create, "rolebinding", name, f"--role={name}", account)


def new_reader(server: ApiServer, namespace: str, folder: Path) -> Reader:
    """Bind a service account to `view` in the namespace, and log in as it."""
    create = ("-n", namespace, "create")
    server.kubectl(*create, "serviceaccount", READER)
    account = f"--serviceaccount={namespace}:{READER}"
    server.kubectl(*create, "rolebinding", READER, "--clusterrole=view", account)
    token = server.kubectl(*create, "token", READER).strip()
    config = yaml.safe_load(server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    path = folder / "reader.yaml"
    path.write_text(yaml.safe_dump(config))
    return Reader(server, namespace, path)
