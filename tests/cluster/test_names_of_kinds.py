"""The tests' own way to the API server finds a kind by each name that kubectl takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

OURS = "/apis/serving.resnet-operator.io/v1alpha1/namespaces/here"
NAMES = [
    ("pods", "/api/v1/namespaces/here/pods"),
    ("pod", "/api/v1/namespaces/here/pods"),
    ("po", "/api/v1/namespaces/here/pods"),
    ("service", "/api/v1/namespaces/here/services"),
    ("deployment", "/apis/apps/v1/namespaces/here/deployments"),
    ("hpa", "/apis/autoscaling/v2/namespaces/here/horizontalpodautoscalers"),
    ("events", "/api/v1/namespaces/here/events"),
    ("nodes", "/api/v1/nodes"),
    ("rns", f"{OURS}/resnetservices"),
    ("resnetservice", f"{OURS}/resnetservices"),
    ("resnetbatch", f"{OURS}/resnetbatches"),
]


@pytest.mark.parametrize(("word", "path"), NAMES, ids=[row[0] for row in NAMES])
def test_a_kind_is_found_by_its_names(installed_crd: ApiServer, word: str, path: str) -> None:
    assert installed_crd.named("here", word) == path


def test_what_the_server_has_not_is_told(installed_crd: ApiServer) -> None:
    with pytest.raises(AssertionError, match="the server has no unicorns"):
        installed_crd.named("here", "unicorns")


def test_a_manifest_is_found_by_version_and_kind(installed_crd: ApiServer) -> None:
    scaler = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {}}
    found = installed_crd.collection("here", scaler)
    assert found == "/apis/autoscaling/v1/namespaces/here/horizontalpodautoscalers"
