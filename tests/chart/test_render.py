"""What the chart makes of its values, and which values it refuses."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.chart.conftest import CHART, Chart, Manifest, crd_of, only
from tests.support import yamls
from tests.support.apiserver import BATCH_CRD_FILE, CRD_FILE, fresh_namespace, wait_established

from resnet_operator import __version__
from resnet_operator.settings.devices import DeviceSettings, Dialect, Driver
from resnet_operator.settings.operator import Settings, StoreType, by_longest_prefix
from resnet_operator.settings.pods import Maker

if TYPE_CHECKING:
    pass

EVERYTHING: Manifest = {
    "images": {
        "registry": "registry.example.com/team/",
        "tag": "dev",
        "operator": "other/operator:1",
        "converter": {"": "cann:all"},
        "pullSecrets": ["mirror"],
    },
    "store": {"type": "SharedClaim", "claimName": "artifacts", "storageClassName": "fast"},
    "runtimeClassName": "ascend",
    "gpuRuntimeClassName": "nvidia",
    "schedulerName": "volcano",
    "devices": {
        "dialect": "HAMi",
        "selectChip": True,
        "driver": "HostPath",
        "shareCount": 4,
        "chipMemory": {"Ascend310P3": "43Gi"},
    },
    "gatewayAPI": True,
    "serviceAccount": {"name": "keeper", "annotations": {"example.com/a": "b"}},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True, "annotations": {"folder": "ResNet"}},
    },
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}],
    "affinity": {"podAntiAffinity": {}},
    "podLabels": {"team": "vision"},
    "podAnnotations": {"example.com/a": "b"},
}
S3 = {"endpoint": "https://s3.example.com", "bucket": "artifacts", "secretName": "keys"}
MONITOR_CRDS = [
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": f"{kind.lower()}s"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
]


def environment(documents: list[Manifest]) -> dict[str, str]:
    [container] = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def settings_of(documents: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings as the operator reads them from the rendered environment."""
    for name in [name for name in os.environ if name.startswith("RESNET_")]:
        monkeypatch.delenv(name)
    for name, value in environment(documents).items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"watchNamespaces": ["a"]}])
def test_lint(chart: Chart, values: Manifest) -> None:
    chart.server.helm("lint", "--strict", str(CHART), "--values", chart.values(values))


def is_hook(document: Manifest) -> bool:
    """Helm applies hooks on their own, in the order of their weights."""
    return "helm.sh/hook" in document["metadata"].get("annotations", {})


def accepted_by_the_server(chart: Chart, documents: list[Manifest]) -> None:
    documents = [document for document in documents if not is_hook(document)]
    if not chart.server.embedded:
        documents = [d for d in documents if not d["apiVersion"].startswith("monitoring.")]
    chart.server.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        input=yamls.write_all(documents),
    )


def test_default_is_accepted_by_the_api_server(chart: Chart, namespace: str) -> None:
    accepted_by_the_server(chart, chart.render(namespace=namespace))


def test_namespaced_is_accepted_by_the_api_server(chart: Chart, namespace: str) -> None:
    with fresh_namespace(chart.server) as other:
        values = {"watchNamespaces": [namespace, other]}
        accepted_by_the_server(chart, chart.render(values, namespace=namespace))


def test_everything_on_is_accepted_by_the_api_server(chart: Chart, namespace: str) -> None:
    if chart.server.embedded:  # prometheus-operator's real CRDs are large; these take any object
        chart.server.kubectl("apply", "-f", "-", input=yamls.write_all(MONITOR_CRDS))
        for crd in MONITOR_CRDS:
            name = crd["metadata"]["name"]  # type: ignore[index]
            wait_established(chart.server.kubectl, str(name))
    accepted_by_the_server(chart, chart.render(EVERYTHING, namespace=namespace))


def test_users_of_pods_can_be_left_to_the_cluster(
    rendered: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm takes a null out of the values; the operator must not put its default there."""
    values: Manifest = {"podSecurity": {"runAsUser": None, "fsGroup": None}}
    found = settings_of(rendered.render(values), monkeypatch).pod_security
    assert (found.run_as_user, found.run_as_group, found.fs_group) == (None, 1000, None)


def test_limits_and_the_opt_out_of_meshes_are_settable(
    rendered: Chart, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: Manifest = {
        "containerResources": {
            "fetch": {"limits": {"cpu": "1"}},
            "store": {"requests": {"cpu": 1}},
        },
        "helperPods": {"labels": {"mesh": "no", "sidecar.istio.io/inject": None}},
    }
    settings = settings_of(rendered.render(values), monkeypatch)
    assert settings.container_resources[Maker.FETCH].limits == {"cpu": "1"}
    assert settings.container_resources[Maker.STORE].requests == {"cpu": 1}
    assert settings.helper_pods.labels["mesh"] == "no"
    assert "sidecar.istio.io/inject" not in settings.helper_pods.labels
    refused: tuple[dict[str, Any], ...] = (
        {"containerResources": {"sidecar": {}}},
        {"podSecurity": {"runAsUser": 0}},
    )
    for wrong in refused:
        assert rendered.refusal(wrong)


def test_settings_are_the_defaults(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the chart says by default is what the operator takes by default."""
    settings = settings_of(chart.render(), monkeypatch)
    expected = Settings(
        jobs_image=f"resnet-jobs:{__version__}",
        fetch_image=f"resnet-fetch:{__version__}",
        serving_images={
            "AscendOM": f"resnet-serving:{__version__}",
            "ONNXRuntime": f"resnet-serving-cpu:{__version__}",
            "OneFlow": "docker.io/oneflowinc/oneflow-serving:0.0.1",
        },
    )
    different = {"converter_images", "store"}
    assert settings.model_dump(exclude=different) == expected.model_dump(exclude=different)
    assert settings.store.type is StoreType.SERVER
    assert settings.store.image.startswith("docker.io/nginxinc/nginx-unprivileged:")
    assert settings.store.size == expected.store.size


def test_every_setting_has_a_value_in_the_chart(chart: Chart) -> None:
    fields = {f"RESNET_{name.upper()}" for name in Settings.model_fields}
    assert environment(chart.render()).keys() == fields


def test_settings_of_a_bucket(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    store = {"type": "S3", "s3": S3 | {"caBundleConfigMap": "ca"}, "keepUnusedDays": 0.5}
    found = settings_of(chart.render({"store": store}), monkeypatch).store
    assert found.type is StoreType.S3
    assert found.keep_unused_days == 0.5
    assert found.s3 is not None
    assert (found.s3.bucket, found.s3.secret_name, found.s3.region) == ("artifacts", "keys", "")
    assert found.s3.ca_bundle_config_map == "ca"


def test_settings_of_tools_and_sources(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "HTTPS_PROXY": "http://proxy:3128",
        "AWS_REGION": "eu-west-1",
        "RESNET_PLAIN_HTTP_REGISTRIES": "registry.lab:5000",
    }
    values = {
        "images": {
            "registry": "registry.example.com/team",
            "tag": "dev",
            "amct": "amct",
            "export": f"other/export@sha256:{'0' * 64}",
        },
        "sourceEnvironment": said,
    }
    settings = settings_of(chart.render(values), monkeypatch)
    assert settings.amct_image == "registry.example.com/team/amct:dev"
    assert settings.export_image == f"other/export@sha256:{'0' * 64}", "taken as it is"
    assert settings.source_environment == said


def test_no_image_of_a_tool_is_no_image(chart: Chart) -> None:
    """Not <registry>/:<tag>: the operator says then which value is missing."""
    for tools in ({}, {"amct": "", "export": ""}, {"amct": None, "export": None}):
        values = {"images": {"registry": "registry.example.com/team", **tools}}
        found = environment(chart.render(values))
        assert (found["RESNET_AMCT_IMAGE"], found["RESNET_EXPORT_IMAGE"]) == ("", ""), tools


def test_settings_of_everything(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = chart.render(EVERYTHING | {"watchNamespaces": ["a", "b"]})
    settings = settings_of(documents, monkeypatch)
    assert settings.namespaces == ("a", "b")
    assert settings.jobs_image == "registry.example.com/team/resnet-jobs:dev"
    assert settings.serving_images["AscendOM"] == "registry.example.com/team/resnet-serving:dev"
    assert settings.image_pull_secrets == ("mirror",)
    assert settings.store.type is StoreType.SHARED_CLAIM
    assert settings.store.claim_name == "artifacts"
    assert settings.runtime_class_name == "ascend"
    assert settings.gpu_runtime_class_name == "nvidia"
    assert (settings.devices.dialect, settings.devices.driver) == (Dialect.HAMI, Driver.HOST_PATH)
    assert settings.devices.select_chip
    assert settings.gateway_api
    assert by_longest_prefix(settings.converter_images, "Ascend310B4") == "cann:all"
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "other/operator:1", "a tag of its own is kept"
    assert pod["tolerations"][0]["tolerationSeconds"] == 3600
    assert pod["serviceAccountName"] == "keeper"


CONVERTERS = [
    ("Ascend310P3", "-310p-", "310P has an image"),
    ("Ascend910B4-1", "-910b-", "A2 has an image"),
    ("Ascend910_9392", "-a3-", "A3 has an image"),
    ("Ascend310B4", None, "there is no public image for 310B"),
    ("Ascend310", None, "there is no public image for 310"),
    ("Ascend910B", None, "the first 910, in spite of its name, is no A2"),
]


@pytest.mark.parametrize(("chip", "part", "reason"), CONVERTERS, ids=[c[0] for c in CONVERTERS])
def test_converter_images(chart: Chart, chip: str, part: str | None, reason: str) -> None:
    images = json.loads(environment(chart.render())["RESNET_CONVERTER_IMAGES"])
    image = by_longest_prefix(images, chip)
    assert (image is None) if part is None else (image and part in image), reason


def test_chart_and_code_agree() -> None:
    values = yamls.read((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert DeviceSettings(**values["devices"]) == DeviceSettings()
    assert yamls.read((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_crd_is_rendered_as_it_is_in_the_repository(chart: Chart) -> None:
    text, documents = chart.template(), chart.render()
    for path, kind in ((CRD_FILE, "ResNetService"), (BATCH_CRD_FILE, "ResNetBatch")):
        assert path.read_text(encoding="utf-8").strip() in text
        crd = crd_of(documents, kind)
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    without = chart.render({"crds": {"install": False}})
    assert all(document["kind"] != "CustomResourceDefinition" for document in without)


PRIORITIES: list[tuple[Manifest, str]] = [
    ({}, "resnet-operator-batch"),
    ({"batch": {"priorityClass": {"name": "mine"}}}, "mine"),
    ({"batch": {"priorityClass": {"create": False, "name": "theirs"}}}, "theirs"),
    ({"batch": {"priorityClass": {"create": False}}}, ""),
    ({"watchNamespaces": ["a"]}, ""),
    ({"watchNamespaces": ["a"], "batch": {"priorityClass": {"name": "theirs"}}}, "theirs"),
]


@pytest.mark.parametrize(("values", "name"), PRIORITIES)
def test_batches_have_the_lowest_priority_and_preempt_nobody(
    values: Manifest, name: str, chart: Chart
) -> None:
    documents = chart.render(values)
    assert environment(documents)["RESNET_BATCH_PRIORITY_CLASS"] == name
    made = [d for d in documents if d["kind"] == "PriorityClass"]
    is_made = name in {"resnet-operator-batch", "mine"}
    assert [d["metadata"]["name"] for d in made] == ([name] if is_made else [])
    for priority in made:
        assert (priority["value"], priority["preemptionPolicy"]) == (-1000, "Never")
        assert priority["globalDefault"] is False


@pytest.mark.parametrize(("replicas", "strategy"), [(1, "Recreate"), (2, "RollingUpdate")])
def test_several_operators_are_replaced_one_by_one(
    replicas: int, strategy: str, chart: Chart
) -> None:
    """One alone goes first: version 0.1 knows no Lease."""
    documents = chart.render({"replicas": replicas})
    spec = only(documents, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (replicas, strategy)
    told = environment(documents)
    assert told["RESNET_LEASE_NAME"] == only(documents, "Deployment")["metadata"]["name"]
    assert told["RESNET_LEASE_NAMESPACE"] == only(documents, "Deployment")["metadata"]["namespace"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"replica": 2}, "'replica' not allowed", "an unknown value is a slip, not a wish"),
    ({"replicas": "2"}, "/replicas", "a number, not a string"),
    ({"images": {"converters": {}}}, "'converters' not allowed", "a slip within a part"),
    ({"watchNamespaces": "a"}, "/watchNamespaces", "a list, not a string"),
    ({"watchNamespaces": ["a_b"]}, "/watchNamespaces/0", "no namespace has this name"),
    ({"images": {"pullPolicy": "Sometimes"}}, "/images/pullPolicy", "no such policy"),
    ({"images": {"jobs": "https://r/jobs"}}, "/images/jobs", "an image is no URL"),
    ({"images": {"converter": {"310P": "x"}}}, "propertyName '310P'", "a chip begins with Ascend"),
    ({"chipResources": {"Ascend310P": "npu"}}, "/chipResources/Ascend310P", "it has a domain"),
    ({"devices": {"dialect": "Volcano"}}, "/devices/dialect", "no such dialect"),
    ({"devices": {"shareCount": 0}}, "/devices/shareCount", "each chip is offered once at least"),
    ({"devices": {"chipMemory": {"Ascend310P3": "43GB"}}}, "/devices/chipMemory", "no unit"),
    ({"devices": {"driver": "Host"}}, "/devices/driver", "no such way to a driver"),
    ({"devices": {"driverPath": "driver"}}, "/devices/driverPath", "a path begins with /"),
    ({"store": {"type": "Elsewhere"}}, "/store/type", "no such store"),
    ({"store": {"type": "S3"}}, "/store/s3", "a bucket has to be described"),
    ({"store": {"s3": S3 | {"endpoint": "s3.example.com"}}}, "endpoint", "a URL, not a host"),
    ({"store": {"s3": S3 | {"secretKey": "x"}}}, "secretKey", "no keys in the values"),
    ({"store": {"s3": {"endpoint": "https://a", "bucket": "abc"}}}, "secretName", "who may write?"),
    ({"store": {"s3": S3 | {"bucket": "ab"}}}, "/store/s3/bucket", "a bucket has three letters"),
    ({"store": {"s3": S3 | {"endpoint": "https://me:pw@a"}}}, "endpoint", "a login in the values"),
    ({"store": {"s3": S3 | {"endpoint": "https://a/b"}}}, "endpoint", "the bucket is not in it"),
    ({"images": {"amct": "https://r/amct"}}, "/images/amct", "an image of AMCT is no URL"),
    ({"images": {"export": "a b"}}, "/images/export", "an image has no spaces"),
    (
        {"sourceEnvironment": {"AWS_SECRET_ACCESS_KEY": "x"}},
        "propertyName 'AWS_SECRET_ACCESS_KEY'",
        "logins are in Secrets",
    ),
    ({"sourceEnvironment": {"LD_PRELOAD": "x"}}, "propertyName 'LD_PRELOAD'", "a fixed list"),
    (
        {"sourceEnvironment": {"RESNET_ALLOWED_ADDRESSES": "0.0.0.0/0"}},
        "propertyName 'RESNET_ALLOWED_ADDRESSES'",
        "loopback and metadata stay out of reach",
    ),
    ({"sourceEnvironment": {"NO_PROXY": ["a"]}}, "/sourceEnvironment/NO_PROXY", "one text"),
    ({"store": {"keepUnusedDays": 0}}, "/store/keepUnusedDays", "null keeps all, 0 means nothing"),
    ({"store": {"type": "SharedClaim"}}, "claimName", "a shared claim has a name"),
    ({"store": {"size": "20 GB"}}, "/store/size", "no quantity"),
    ({"workers": 0}, "/workers", "nobody would work"),
    ({"resyncSeconds": 0}, "/resyncSeconds", "this would be a busy loop"),
    ({"log": {"level": "trace"}}, "/log/level", "no such level"),
    ({"adoptNewDefaults": True}, "/adoptNewDefaults", "a word, not a switch"),
    (
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        "invalid propertyName",
        "the selector's own labels",
    ),
    ({"metrics": {"podMonitor": {"interval": "30"}}}, "/podMonitor/interval", "30 of what?"),
    ({"metrics": {"prometheusRule": {"errorBudget": 0}}}, "/errorBudget", "each error would alert"),
    ({"metrics": {"prometheusRule": {"errorBudget": 0.5}}}, "/errorBudget", "14.4 times it is all"),
    ({"metrics": {"prometheusRule": {"noChipFor": "15"}}}, "/noChipFor", "15 of what?"),
]


@pytest.mark.parametrize(("values", "message", "reason"), REFUSED, ids=[c[2] for c in REFUSED])
def test_values_are_refused(
    chart: Chart, values: dict[str, Any], message: str, reason: str
) -> None:
    said = chart.refusal(values)
    assert message in said, reason


def test_notes_say_what_to_do_next(chart: Chart) -> None:
    shown = chart.server.helm(
        "install",
        "try",
        str(CHART),
        "--dry-run=server",
        "--values",
        chart.values({"watchNamespaces": ["models"], "crds": {"install": False}}),
    )
    notes = shown.partition("NOTES:")[2]
    assert "rollout status deployment/try-resnet-operator" in notes
    assert "kubectl apply -n models -f -" in notes
    assert "images.registry is not set" in notes
    assert "crds.install is false" in notes
