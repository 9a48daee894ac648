"""Whatever the API server and `resolve` accept, the Job accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.cluster.manifests import service
from tests.cluster.orders import manifests, refusals_of_the_job, sighted
from tests.support.builders import deterministic

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

many = settings(
    deterministic,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STD = {"conversion.preprocessing.std": [0.229, 0.224, 0.225]}
ODD = {
    "conversion.preprocessing": {
        "pixelFormat": "YUV420SP",
        "source": {"height": 256, "width": 256},
        "crop": {"top": 3, "left": 0, "height": 224, "width": 224},
    }
}
# Accepted by 0.1.0, and refused when a pod had been scheduled.
LATE: list[tuple[str, dict[str, Any]]] = [
    ("deviations of 0..1 without a mean", STD),
    ("an odd crop of YUV420SP", ODD),
    *(
        (uri, {"model.uri": uri})
        for uri in (
            "pvc://models/.",
            "pvc://models/.../",
            "s3://bucket/./",
            "configmap://m/.",
            "https://h:port/a.onnx",
            "oci://r/-a:v1#a.onnx",
        )
    ),
]


@pytest.mark.parametrize(("reason", "changes"), LATE, ids=[reason for reason, _ in LATE])
def test_what_was_refused_in_a_pod_is_refused_at_apply(
    installed_crd: ApiServer, shared_namespace: str, reason: str, changes: dict[str, Any]
) -> None:
    answer = installed_crd.create(shared_namespace, service(changes), dry_run=True)
    assert answer.status == 422, reason
    assert sighted(service(changes)).invalid, "older objects have not met the API server's rule"


@pytest.mark.parametrize("path", ["calibration.batches", "benchmark.loops", "batchSizes"])
def test_bounds_are_those_of_the_job(
    installed_crd: ApiServer, shared_namespace: str, path: str
) -> None:
    at: dict[str, dict[str, Any]] = {
        "calibration.batches": {"conversion.quantization.calibration.batches": 1000},
        "benchmark.loops": {"validation.benchmark": {"loops": 10_000}},
        "batchSizes": {"conversion.batchSizes": list(range(1, 101))},
    }
    manifest = service(at[path])
    assert installed_crd.create(shared_namespace, manifest, dry_run=True).status == 201
    found = sighted(manifest)
    assert found.resolved is not None, found.invalid
    assert refusals_of_the_job(found.resolved) == []


@many
@given(manifests())
@example(service(STD))
@example(service(ODD))
def test_what_is_accepted_the_job_accepts(
    installed_crd: ApiServer,
    shared_namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    manifest: dict[str, Any],
) -> None:
    """Without the operator's look at the order: that is for objects older than a rule."""
    monkeypatch.setattr("resnet_operator.resolve.resolve.check_order", lambda _: None)
    answer = installed_crd.create(shared_namespace, manifest, dry_run=True)
    if answer.status != 201:
        return
    found = sighted(manifest)
    if found.resolved is not None:
        assert refusals_of_the_job(found.resolved) == []
