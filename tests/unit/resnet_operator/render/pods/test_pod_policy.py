"""What a cluster asks of every pod: users, limits for quotas, no sidecars where they never end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import Body, a_meta, a_settings, an_artifact, merged, resolved

from resnet_operator import names
from resnet_operator.render.conversion import job
from resnet_operator.render.serving import pod_template
from resnet_operator.render.store import store_children, store_digest
from resnet_operator.render.validation import validation_job
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.settings.operator import Settings
from resnet_operator.settings.pods import NO_SIDECAR, Maker

SPEC: Body = {
    "conversion": {
        "quantization": {"calibration": {"uri": "pvc://data/calibration.tar", "format": "Images"}}
    },
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    },
    "model": {
        "uri": "pvc://models/resnet50.pth",
        "format": "PyTorch",
        "pytorch": {"architecture": "resnet50"},
    },
}


SCRIPT = {
    "model": {
        "uri": "pvc://m/r.torchscript",
        "format": "TorchScript",
        "pytorch": None,
        "inputs": [{"name": "x", "dataType": "FP32", "dims": [3, 8, 8]}],
    }
}


def of_script(settings: Settings) -> Resolved:
    return resolved(merged(SPEC, SCRIPT), settings=settings)


def pods(settings: Settings, spec: Body | None = None) -> dict[str, Body]:
    """Return every pod template that the operator makes, by what it is for."""
    asked = resolved(merged(SPEC, spec or {}), settings=settings)
    artifact, record = an_artifact(), a_meta("record", labels={names.ARTIFACT: asked.source_key})
    serving = pod_template(
        service=a_meta(),
        resolved=asked,
        artifact=artifact,
        revision="resnet50-0123456789",
        classes=None,
        settings=settings,
    )
    about: dict[str, Any] = {"resolved": asked, "record": record, "attempt": 1}
    gate = validation_job(
        **about,
        artifact=artifact,
        validation="ab" * 32,
        template=names.canonical_json(serving),
        settings=settings,
    )
    return {
        "conversion": job(service=a_meta(), **about, settings=settings)["spec"]["template"],
        "script": job(
            service=a_meta(), **about | {"resolved": of_script(settings)}, settings=settings
        )["spec"]["template"],
        "gate": gate["spec"]["template"],
        "serving": serving,
        "store": store_children("models", settings)[-1]["spec"]["template"],
    }


def containers(found: dict[str, Body]) -> dict[tuple[str, str], Body]:
    return {
        (kind, container["name"]): container
        for kind, pod in found.items()
        for group in ("initContainers", "containers")
        for container in pod["spec"].get(group, [])
    }


def complete() -> Settings:
    return a_settings(amct_image="amct:1", export_image="export:1")


def test_every_container_has_a_name_by_which_it_can_be_limited() -> None:
    assert {name for _, name in containers(pods(complete()))} == set(Maker)


def test_the_chart_gives_every_container_the_limits_that_a_quota_counts() -> None:
    """A ResourceQuota with limits.cpu refuses a pod one of whose containers has none."""
    limits = {name: {"limits": {"cpu": "2", "memory": "6Gi"}} for name in Maker}
    settings = complete().model_copy(
        update={"container_resources": a_settings(container_resources=limits).container_resources}
    )
    for where, container in containers(pods(settings)).items():
        found = container["resources"]["limits"]
        assert found["cpu"] == "2", where
        assert int(found["memory"].removesuffix("Gi")) >= 6, where


@dataclass(frozen=True)
class Case:
    reason: str
    where: tuple[str, str]
    requests: Body
    limits: Body
    chart: Body = field(default_factory=dict)
    spec: Body = field(default_factory=dict)


def of(name: str, **resources: Any) -> Body:
    return {"containerResources": {name: resources}}


CASES = (
    Case(
        "nothing said: the container's own",
        ("conversion", "fetch"),
        {"cpu": "100m", "memory": "256Mi"},
        {"memory": "1Gi"},
    ),
    Case(
        "the chart adds a limit and keeps the others",
        ("conversion", "fetch"),
        {"cpu": "100m", "memory": "256Mi"},
        {"cpu": "1", "memory": "1Gi"},
        chart={"fetch": {"limits": {"cpu": "1"}}},
    ),
    Case(
        "the object wins over the chart, resource by resource",
        ("conversion", "fetch"),
        {"cpu": "50m", "memory": "256Mi"},
        {"cpu": "1", "memory": "2Gi"},
        chart={"fetch": {"limits": {"cpu": "1", "memory": "512Mi"}}},
        spec=of("fetch", requests={"cpu": "50m"}, limits={"memory": "2Gi"}),
    ),
    Case(
        "a limit below a default request lowers it: the API server would refuse both",
        ("gate", "evaluate"),
        {"cpu": "200m", "memory": "1Gi"},
        {"cpu": "200m", "memory": "4Gi"},
        spec=of("evaluate", limits={"cpu": "200m"}),
    ),
    Case(
        "a request above a default limit raises it",
        ("conversion", "prepare"),
        {"cpu": "100m", "memory": "8Gi"},
        {"memory": "8Gi"},
        spec=of("prepare", requests={"memory": "8Gi"}),
    ),
    Case(
        "the gate's own fetch is the same container",
        ("gate", "fetch"),
        {"cpu": "20m", "memory": "256Mi"},
        {"memory": "1Gi"},
        spec=of("fetch", requests={"cpu": "20m"}),
    ),
    Case(
        "the init container of serving pods",
        ("serving", "artifact"),
        {"cpu": "50m", "memory": "64Mi"},
        {"cpu": "1", "memory": "256Mi"},
        spec=of("artifact", limits={"cpu": "1"}),
    ),
    Case(
        "Triton's chart default gives way to the object's",
        ("serving", "triton"),
        {"cpu": "250m", "memory": "1Gi"},
        {"cpu": "3"},
        chart={"triton": {"requests": {"cpu": "250m"}, "limits": {"cpu": "8"}}},
        spec={"serving": {"resources": {"limits": {"cpu": "3"}}}},
    ),
    Case(
        "and stands where the object limits something else",
        ("serving", "triton"),
        {"cpu": "500m", "memory": "1Gi"},
        {"cpu": "8"},
        chart={"triton": {"limits": {"cpu": "8"}}},
        spec={"serving": {"resources": {"limits": {"memory": "8Gi"}}}},
    ),
    Case(
        "the compiler's",
        ("conversion", "convert"),
        {"cpu": "500m", "memory": "2Gi"},
        {"cpu": "4"},
        chart={"convert": {"limits": {"cpu": "4"}}},
    ),
    Case(
        "the store's",
        ("store", "store"),
        {"cpu": "50m", "memory": "64Mi"},
        {"cpu": "500m"},
        chart={"store": {"limits": {"cpu": "500m"}}},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_resources(case: Case) -> None:
    settings = a_settings(
        amct_image="amct:1", export_image="export:1", container_resources=case.chart
    )
    found = containers(pods(settings, case.spec))[case.where]["resources"]
    assert case.requests.items() <= found["requests"].items()
    assert case.limits.items() <= found["limits"].items()


SECURITY = ("runAsUser", "runAsGroup", "fsGroup")


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({}, {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}),
        ({"runAsUser": None, "runAsGroup": None, "fsGroup": None}, {}),
        ({"runAsUser": None, "fsGroup": 2000}, {"runAsGroup": 1000, "fsGroup": 2000}),
        (
            {"runAsUser": 1_000_680_000},
            {"runAsUser": 1_000_680_000, "runAsGroup": 1000, "fsGroup": 1000},
        ),
    ],
)
def test_users_are_settable_or_the_namespaces(given: Body, want: Body) -> None:
    settings = a_settings(amct_image="amct:1", export_image="export:1", pod_security=given)
    for kind, pod in pods(settings).items():
        context = pod["spec"]["securityContext"]
        assert {key: context[key] for key in SECURITY if key in context} == want, kind
        assert context["runAsNonRoot"] is True, kind
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, kind


def test_who_ends_or_is_asked_by_those_who_have_none_has_no_sidecar() -> None:
    found = pods(complete())
    for kind in ("conversion", "gate", "store"):
        meta = found[kind]["metadata"]
        assert meta["labels"]["sidecar.istio.io/inject"] == "false", kind
        assert NO_SIDECAR.items() <= meta["annotations"].items(), kind
    serving = found["serving"]["metadata"]
    assert "sidecar.istio.io/inject" not in serving["labels"], "it may well be in a mesh"


def test_a_serving_pod_in_the_mesh_does_not_bring_its_candidate_there() -> None:
    mesh = {"sidecar.istio.io/inject": "true"}
    spec = {"serving": {"podLabels": mesh, "podAnnotations": {"linkerd.io/inject": "enabled"}}}
    found = pods(complete(), spec)
    assert found["serving"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    gate = found["gate"]["metadata"]
    assert gate["labels"]["sidecar.istio.io/inject"] == "false"
    assert gate["annotations"]["linkerd.io/inject"] == "disabled"


def test_the_opt_out_is_settable() -> None:
    own = {"labels": {"mesh": "no"}, "annotations": {}}
    found = pods(a_settings(amct_image="a:1", export_image="e:1", helper_pods=own))
    for kind in ("conversion", "gate", "store"):
        assert found[kind]["metadata"]["labels"]["mesh"] == "no"
        assert "linkerd.io/inject" not in (found[kind]["metadata"].get("annotations") or {})


def test_labels_of_ours_are_not_settable() -> None:
    with pytest.raises(ValueError, match=r"helperPods\.labels may not have"):
        a_settings(helper_pods={"labels": {names.COMPONENT: "x"}})


@pytest.mark.parametrize(
    "changes",
    [
        {"pod_security": {"runAsUser": 5}},
        {"helper_pods": {"labels": {}}},
        {"container_resources": {"store": {"limits": {"cpu": "1"}}}},
    ],
)
def test_the_store_is_made_again_when_its_pod_changes(changes: Body) -> None:
    assert store_digest(a_settings()) != store_digest(a_settings(**changes))


def test_other_limits_of_the_init_container_are_another_revision() -> None:
    def name(spec: Body) -> str:
        return declared_digest(
            resolved=resolved(spec), artifact_sha256="a", labels=None, settings=a_settings()
        )

    limits = {"limits": {"cpu": "1"}}
    assert name({}) == name(of("fetch", **limits)), "Jobs alone"
    assert name({}) != name(of("artifact", **limits))
