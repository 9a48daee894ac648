"""Every golden child is one that a real API server takes as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.golden.rendering import CASE_NAMES, CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apiserver import ApiServer

# The Gateway API is no part of Kubernetes.
FOREIGN = {"httproute.yaml"}


def manifests(case: str) -> list[Path]:
    return sorted(p for p in (CASES / case / "want").glob("*.yaml") if p.name not in FOREIGN)


@pytest.mark.parametrize("case", CASE_NAMES)
def test_children(installed_crd: ApiServer, shared_namespace: str, case: str) -> None:
    """Fields that the server does not know are refused, and not dropped in silence."""
    bodies = [yaml.safe_load(path.read_text()) for path in manifests(case)]
    for body in bodies:
        body["metadata"]["namespace"] = shared_namespace
    installed_crd.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}),
    )
