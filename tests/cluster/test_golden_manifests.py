"""Every golden child is one that a real API server takes as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.golden.rendering import CASES, NAMESPACES
from tests.support import yamls

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apiserver import ApiServer

# The Gateway API is no part of Kubernetes.
FOREIGN = "httproute"


FOLDERS = sorted(path for root in (CASES, NAMESPACES) for path in root.glob("*/want"))


def manifests(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if not path.name.startswith(FOREIGN))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.parent.name)
def test_children(installed_crd: ApiServer, shared_namespace: str, folder: Path) -> None:
    """Fields that the server does not know are refused, and not dropped in silence."""
    bodies = [yamls.read(path.read_text()) for path in manifests(folder)]
    for body in bodies:
        body["metadata"]["namespace"] = shared_namespace
    installed_crd.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}),
    )
