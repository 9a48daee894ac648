"""A ScaledObject of ours is one that KEDA's own CustomResourceDefinition takes as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import a_settings
from tests.support.servers import programs
from tests.unit.resnet_operator.render.test_autoscaler import CASES, KEDA, Case, children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.apiserver import ApiServer

NAME = "scaledobjects.keda.sh"


@pytest.fixture(scope="module")
def keda(installed_crd: ApiServer) -> Iterator[ApiServer]:
    if not installed_crd.embedded:
        pytest.skip("another cluster's KEDA is not ours to replace")
    path = str(programs() / "keda.sh_scaledobjects.yaml")
    installed_crd.kubectl("apply", "--server-side", "-f", path)
    installed_crd.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")
    try:
        yield installed_crd
    finally:
        installed_crd.kubectl("delete", "crd", NAME)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_keda_takes_a_scaled_object(keda: ApiServer, shared_namespace: str, case: Case) -> None:
    options = {"maxReplicas": 4, "minReplicas": 2, **case.options}
    settings = a_settings(autoscaling=KEDA)
    (body,) = children(options, settings, serving=case.serving).values()
    body["metadata"]["namespace"] = shared_namespace
    keda.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        input=json.dumps(body),
    )
