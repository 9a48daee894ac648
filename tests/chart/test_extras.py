"""The chart's NetworkPolicy, PodDisruptionBudget, `helm test` and metadata."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.chart.conftest import CHART, Chart, Manifest, crd_of, only
from tests.support import yamls
from tests.support.apiserver import ROOT, ApiServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
API_SERVER = {
    "to": [{"ipBlock": {"cidr": "203.0.113.10/32"}}],
    "ports": [{"port": 6443, "protocol": "TCP"}],
}


def kinds(documents: list[Manifest]) -> set[str]:
    return {document["kind"] for document in documents}


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def operator_labels(documents: list[Manifest]) -> dict[str, str]:
    labels: dict[str, str] = only(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def test_both_are_off_unless_asked_for(chart: Chart) -> None:
    assert kinds(chart.render()).isdisjoint({"NetworkPolicy", "PodDisruptionBudget"})


# -- NetworkPolicy -----------------------------------------------------------------------------


def policy(chart: Chart, **values: Any) -> tuple[Manifest, list[Manifest]]:
    documents = chart.render({"networkPolicy": {"enabled": True, **values}})
    return only(documents, "NetworkPolicy")["spec"], documents


def test_only_helm_test_reads_metrics_by_default(chart: Chart) -> None:
    spec, documents = policy(chart)
    assert spec["policyTypes"] == ["Ingress"], "nothing is said about what goes out"
    assert matches(spec["podSelector"]["matchLabels"], operator_labels(documents))
    [rule] = spec["ingress"]
    [peer] = rule["from"]
    assert matches(peer["podSelector"]["matchLabels"], only(documents, "Pod")["metadata"]["labels"])
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_metrics_are_read_from_where_it_is_set(chart: Chart) -> None:
    spec, _ = policy(chart, metricsFrom=[MONITORING])
    assert [rule["from"] for rule in spec["ingress"][1:]] == [[MONITORING]]


def test_egress_is_limited_to_what_is_listed(chart: Chart) -> None:
    spec, _ = policy(chart, egress=[API_SERVER])
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [API_SERVER])


def test_policy_is_accepted_by_the_api_server(chart: Chart, namespace: str) -> None:
    values = {"enabled": True, "metricsFrom": [MONITORING], "egress": [API_SERVER]}
    documents = chart.render({"networkPolicy": values}, namespace=namespace)
    body = only(documents, "NetworkPolicy")
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    answer = chart.server.request("POST", f"{path}?fieldValidation=Strict", body=body)
    assert answer.status == 201, answer.message


def test_port_of_the_policy_is_one_of_the_pod(chart: Chart) -> None:
    spec, documents = policy(chart)
    [container] = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} <= ports


# -- PodDisruptionBudget -----------------------------------------------------------------------


def test_budget_covers_the_operator_alone(chart: Chart) -> None:
    documents = chart.render({"podDisruptionBudget": {"enabled": True}})
    spec = only(documents, "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    selector = spec["selector"]["matchLabels"]
    assert matches(selector, operator_labels(documents))
    assert not matches(selector, only(documents, "Pod")["metadata"]["labels"])


def test_budget_comes_with_the_second_replica(chart: Chart) -> None:
    for budget, wanted in (({}, True), ({"enabled": False}, False)):
        found = kinds(chart.render({"replicas": 2, "podDisruptionBudget": budget}))
        assert ("PodDisruptionBudget" in found) is wanted, budget
    assert "PodDisruptionBudget" not in kinds(chart.render({"replicas": 1}))


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"networkPolicy": True}, "/networkPolicy", "a map with a switch in it"),
    ({"networkPolicy": {"from": []}}, "'from' not allowed", "a slip for metricsFrom"),
    ({"networkPolicy": {"metricsFrom": [{}]}}, "metricsFrom/0", "an empty peer is everybody"),
    ({"networkPolicy": {"metricsFrom": ["monitoring"]}}, "metricsFrom/0", "a peer, not a name"),
    ({"networkPolicy": {"egress": [{}]}}, "egress/0", "an empty rule is everything"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable", "no drain would ever end"),
    ({"podDisruptionBudget": {"maxUnavailable": "1"}}, "maxUnavailable", "a number, not a string"),
    ({"podDisruptionBudget": {"minAvailable": 1}}, "'minAvailable' not allowed", "not both"),
]


@pytest.mark.parametrize(("values", "message", "reason"), REFUSED, ids=[c[2] for c in REFUSED])
def test_values_are_refused(
    chart: Chart, values: dict[str, Any], message: str, reason: str
) -> None:
    assert message in chart.refusal(values), reason


# -- helm test ---------------------------------------------------------------------------------


def test_test_is_a_hook_and_no_part_of_the_release(chart: Chart) -> None:
    documents = chart.render()
    names = {
        (d["kind"], d["metadata"]["name"])
        for d in documents
        if "helm.sh/hook" in d["metadata"].get("annotations", {})
    }
    account = ("ServiceAccount", "resnet-operator-test")
    assert names == {("Pod", "resnet-operator-test"), account}
    bound = [s["name"] for d in documents for s in d.get("subjects", ())]
    assert "resnet-operator-test" not in bound, "it needs no right"
    pod = only(documents, "Pod")
    [operator] = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert pod["spec"]["containers"][0]["image"] == operator["image"], "no other image to pull"
    service = only(documents, "Service")
    assert not matches(service["spec"]["selector"], pod["metadata"]["labels"])


def test_test_opts_out_of_meshes_as_all_pods_that_end(chart: Chart) -> None:
    helpers = {"labels": {"mesh": "no"}, "annotations": {"example.com/inject": "false"}}
    metadata = only(chart.render({"helperPods": helpers}), "Pod")["metadata"]
    assert helpers["labels"].items() <= metadata["labels"].items()
    assert helpers["annotations"].items() <= metadata["annotations"].items()
    assert metadata["annotations"]["helm.sh/hook"] == "test"


def test_test_is_admitted_where_pod_security_is_restricted(chart: Chart, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    chart.server.kubectl("label", "namespace", namespace, label)
    chart.server.kubectl("create", "serviceaccount", "resnet-operator-test", "-n", namespace)
    pod = only(chart.render({"images": {"pullSecrets": ["mirror"]}}, namespace=namespace), "Pod")
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    answer = chart.server.request("POST", path, body=pod)
    assert answer.status == 201, answer.message


class Readiness(BaseHTTPRequestHandler):
    """The operator's /readyz, ready or not by the path."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()
        self.wfile.write(b"ok" if self.path == "/readyz" else b"not synced")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def operator_port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Readiness) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def account(chart: Chart, namespace: str, tmp_path: Path) -> Path:
    """What the kubelet mounts for an account that nobody has given a right."""
    server = chart.server
    server.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = server.kubectl("create", "token", "nobody", "-n", namespace)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    (tmp_path / "ca.crt").write_bytes(
        base64.b64decode(cluster_of(server)["certificate-authority-data"])
    )
    return tmp_path


def cluster_of(server: ApiServer) -> dict[str, str]:
    shown = server.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json")
    cluster: dict[str, str] = json.loads(shown)["clusters"][0]["cluster"]
    if "certificate-authority-data" not in cluster:
        pytest.skip("this cluster's kubeconfig names no CA")
    return cluster


def run_test(
    chart: Chart, account: Path, ready: str, *options: str, kinds: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the very arguments of the rendered pod, but for the address of the operator."""
    [container] = only(chart.render(), "Pod")["spec"]["containers"]
    script = container["args"][0].replace("/v1alpha1", kinds or "/v1alpha1")
    address = urlsplit(cluster_of(chart.server)["server"])
    environment = os.environ | {
        "KUBERNETES_SERVICE_HOST": str(address.hostname),
        "KUBERNETES_SERVICE_PORT": str(address.port or 443),
    }
    command = [sys.executable, *container["command"][1:], script, ready, *options]
    return subprocess.run(
        [*command, "--account", str(account)], text=True, capture_output=True, env=environment
    )


def test_test_passes_without_any_right(chart: Chart, account: Path, operator_port: int) -> None:
    done = run_test(chart, account, f"http://127.0.0.1:{operator_port}/readyz")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the CRD is served" in done.stdout
    assert "the operator is ready" in done.stdout


def test_test_fails_when_the_operator_is_not_ready(
    chart: Chart, account: Path, operator_port: int
) -> None:
    done = run_test(chart, account, f"http://127.0.0.1:{operator_port}/not", "--wait=0")
    assert done.returncode == 1
    assert "answered 503" in done.stderr
    assert "not synced" in done.stderr


def test_test_fails_when_nobody_answers(chart: Chart, account: Path, operator_port: int) -> None:
    done = run_test(chart, account, "http://127.0.0.1:1/readyz", "--wait=0")
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)


def test_test_fails_when_the_version_is_not_served(
    chart: Chart, account: Path, operator_port: int
) -> None:
    ready = f"http://127.0.0.1:{operator_port}/readyz"
    done = run_test(chart, account, ready, "--wait=0", kinds="/v9")
    assert (done.returncode, "answered 404" in done.stderr) == (1, True)


# -- metadata ----------------------------------------------------------------------------------


def test_metadata_is_complete_and_true(chart: Chart) -> None:
    about = yamls.read((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert {"name", "description", "type", "version", "appVersion", "kubeVersion"} <= about.keys()
    assert about["keywords"] == sorted(about["keywords"])
    documents = chart.render()
    entries = yamls.read(about["annotations"]["artifacthub.io/crds"])
    assert [entry["kind"] for entry in entries] == ["ResNetService", "ResNetBatch"]
    for listed in entries:
        crd = crd_of(documents, listed["kind"])
        assert listed["name"] == crd["metadata"]["name"]
        assert listed["version"] in [v["name"] for v in crd["spec"]["versions"] if v["served"]]


def test_example_of_the_metadata_is_accepted(chart: Chart, namespace: str) -> None:
    about = yamls.read((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    for example in yamls.read(about["annotations"]["artifacthub.io/crdsExamples"]):
        answer = chart.server.create(namespace, example, dry_run=True)
        assert answer.status == 201, answer.message


# -- alerts ------------------------------------------------------------------------------------

SITE = {"runbooks": "https://docs.example.com/runbooks/", "runbookExtension": "html"}


@pytest.mark.parametrize("where", [{}, SITE], ids=["in the repository", "on the site"])
def test_every_alert_leads_to_a_page(chart: Chart, where: dict[str, str]) -> None:
    """mkdocs.yml has a page of its name for each file of docs/, as .html."""
    assert "use_directory_urls: false" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    rules = {"enabled": True, **where}
    found = only(chart.render({"metrics": {"prometheusRule": rules}}), "PrometheusRule")
    urls = [
        rule["annotations"]["runbook_url"]
        for group in found["spec"]["groups"]
        for rule in group["rules"]
    ]
    begin = where.get("runbooks", "docs/runbooks/")
    assert urls
    for url in urls:
        name, _, end = url.removeprefix(begin).rpartition(".")
        assert url.startswith(begin)
        assert end == where.get("runbookExtension", "md")
        assert (ROOT / "docs" / "runbooks" / f"{name}.md").is_file()
