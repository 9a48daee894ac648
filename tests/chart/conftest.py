"""The chart suite: the chart rendered by a real helm, its output checked by a real API server."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from devkit.cluster.cluster import build
from tests.support import yamls
from tests.support.apiserver import ROOT, ApiServer

HERE = Path(__file__).parent
CHART = ROOT / "charts" / "resnet-operator"
Manifest = dict[str, Any]
# What helm has made of values and a namespace: it asks no server.
TEMPLATES: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)


@dataclass(frozen=True)
class Chart:
    """The chart of this repository; values are nested dicts, as in a values file."""

    server: ApiServer
    scratch: Path

    def values(self, values: Manifest) -> str:
        path = self.scratch / "values.yaml"
        path.write_text(json.dumps(values), encoding="utf-8")  # YAML, too
        return str(path)

    def template(self, values: Manifest | None = None, *, namespace: str = "default") -> str:
        key = json.dumps([values or {}, namespace])
        if key not in TEMPLATES:
            TEMPLATES[key] = self.server.helm(*self._template(values or {}, namespace))
        return TEMPLATES[key]

    def render(
        self, values: Manifest | None = None, *, namespace: str = "default"
    ) -> list[Manifest]:
        return yamls.read_all(self.template(values, namespace=namespace))

    def refusal(self, values: Manifest) -> str:
        """Return what helm says of values that it must refuse."""
        done = self.server.run("helm", *self._template(values, "default"))
        assert done.returncode != 0, "helm took the values"
        return done.stderr

    def _template(self, values: Manifest, namespace: str) -> list[str]:
        command = ["template", "resnet-operator", str(CHART), "--namespace", namespace]
        return [*command, "--values", self.values(values)]


@pytest.fixture
def chart(installed_crd: ApiServer, tmp_path: Path) -> Chart:
    return Chart(installed_crd, tmp_path)


@pytest.fixture(scope="session")
def helm() -> ApiServer:
    """Return helm without a server, for what the server need not see."""
    return ApiServer(kubeconfig=Path(os.devnull), bin_dir=build(), proxy_port=0, embedded=True)


@pytest.fixture
def rendered(helm: ApiServer, tmp_path: Path) -> Chart:
    return Chart(helm, tmp_path)


def crd_of(documents: list[Manifest], kind: str) -> Manifest:
    """Return the CustomResourceDefinition of a kind."""
    crds = [d for d in documents if d["kind"] == "CustomResourceDefinition"]
    (found,) = [crd for crd in crds if crd["spec"]["names"]["kind"] == kind]
    return found


def only(documents: list[Manifest], kind: str) -> Manifest:
    """Return the one document of a kind."""
    found = [document for document in documents if document["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]
