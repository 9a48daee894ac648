"""A release from install to uninstall: the CRD is upgraded with it and outlives it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.chart.conftest import CHART, Chart
from tests.support import yamls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CRD = "resnetservices.serving.resnet-operator.io"
SAMPLE = """
apiVersion: serving.resnet-operator.io/v1alpha1
kind: ResNetService
metadata: {name: resnet50}
spec: {model: {uri: "pvc://models/resnet50.onnx"}, accelerator: {chip: CPU}}
"""


@pytest.fixture
def crd_of_a_kind(chart: Chart) -> Iterator[Chart]:
    """Put the committed CRD back, whatever a release has made of it."""
    shown = chart.server.kubectl("get", "crd", CRD, "-o", "jsonpath={.metadata.annotations}")
    if not chart.server.embedded and "meta.helm.sh/release-name" in shown:
        pytest.skip("the CRD of this cluster belongs to a helm release that is not ours")
    yield chart
    chart.server.install_crd()


def newer_chart(directory: Path) -> Path:
    """Copy the chart with a CRD that says one thing more."""
    copy = directory / "resnet-operator"
    shutil.copytree(CHART, copy)
    path = copy / "files/crds/resnetservices.yaml"
    crd = yamls.read(path.read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["novelty"] = {
        "type": "string",
        "maxLength": 8,
        "description": "New in the next version.",
    }
    path.write_text(yamls.write_all([crd]), encoding="utf-8")
    return copy


def test_crd_is_upgraded_and_kept(crd_of_a_kind: Chart, namespace: str, tmp_path: Path) -> None:
    server = crd_of_a_kind.server

    def helm(*arguments: str) -> str:
        return server.helm(*arguments, "--namespace", namespace)

    def explained() -> str:
        return server.kubectl("get", "crd", CRD, "-o", "yaml")

    # The CRD is there already, made by kubectl: a release takes it over when it is told to.
    helm("install", "rns", str(CHART), "--take-ownership")
    server.kubectl("apply", "-n", namespace, "-f", "-", input=SAMPLE)
    assert "novelty" not in explained()

    helm("upgrade", "rns", str(newer_chart(tmp_path)))
    assert "New in the next version." in explained()

    assert "kept due to the resource policy" in helm("uninstall", "rns")
    left = server.kubectl(
        "get", "deployments,services,serviceaccounts", "-n", namespace, "-o", "name"
    )
    assert "resnet-operator" not in left
    assert "resnet50" in server.kubectl("get", "rns", "-n", namespace, "-o", "name")

    # The same release again finds its CRD, and puts the version of this chart in place.
    helm("install", "rns", str(CHART))
    assert "novelty" not in explained()
    helm("uninstall", "rns")
