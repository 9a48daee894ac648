"""What the operator and its users may do, and that the operator's pod is harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chart.conftest import Chart, Manifest, only
from tests.support import yamls
from tests.support.apiserver import ApiServer, eventually, fresh_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = "serving.resnet-operator.io/resnetservices"
# The whole of it. A verb more is a reason to say in the chart what it is for.
GRANTED = {
    "resnetservices": {"list", "watch"},
    "resnetservices/status": {"patch"},
    "resnetbatches": {"list", "watch"},
    "resnetbatches/status": {"patch"},
    "deployments": {"list", "watch", "create", "patch", "delete"},
    "replicasets": {"list"},
    "jobs": {"list", "watch", "create", "patch", "delete"},
    "secrets": {"create"},
    "configmaps": {"list", "watch", "create", "patch", "delete"},
    "services": {"list", "watch", "create", "patch", "delete"},
    "persistentvolumeclaims": {"list", "watch", "create"},
    "pods": {"list", "watch"},
    "pods/log": {"get"},
    "events": {"list", "create"},
    "networkpolicies": {"list", "watch", "create", "patch", "delete"},
    "ingresses": {"list", "watch", "create", "patch", "delete"},
    "poddisruptionbudgets": {"list", "watch", "create", "patch", "delete"},
    "horizontalpodautoscalers": {"list", "watch", "create", "patch", "delete"},
}
WITH_GATEWAY_API = GRANTED | {"httproutes": {"list", "watch", "create", "patch", "delete"}}
RBAC_KINDS = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"}


def granted(rules: list[Manifest]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


def may(server: ApiServer, user: str, verb: str, what: str, namespace: str) -> bool:
    """Ask the API server itself; `what` is group/resource or group/resource/subresource."""
    group, resource, subresource = f"{what}/".split("/")[:3]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:authenticated"],
            "resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace,
            },
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(server.request("POST", path, body=review).body["status"]["allowed"])


@pytest.fixture
def applied_rights(chart: Chart, namespace: str) -> Iterator[str]:
    """The clusterwide release's rights, really there; the namespace holds the account."""
    documents = [d for d in chart.render(namespace=namespace) if d["kind"] in RBAC_KINDS]
    text = yamls.write_all(documents)
    chart.server.kubectl("apply", "-f", "-", input=text)
    yield namespace
    chart.server.kubectl("delete", "--wait=false", "-f", "-", input=text)


def test_clusterwide_rights_are_exactly_these(chart: Chart) -> None:
    documents = chart.render()
    roles = [d for d in documents if d["kind"] == "ClusterRole"]
    [operators] = [d for d in roles if d["metadata"]["name"] == "resnet-operator"]
    assert granted(operators["rules"]) == GRANTED
    assert all("*" not in rule["apiGroups"] for rule in operators["rules"])
    assert all(is_of_the_lease(d) for d in documents if d["kind"] in {"Role", "RoleBinding"})


def test_routes_are_no_concern_unless_switched_on(chart: Chart) -> None:
    documents = chart.render({"gatewayAPI": True})
    roles = [d for d in documents if d["kind"] == "ClusterRole"]
    [operators] = [d for d in roles if d["metadata"]["name"] == "resnet-operator"]
    assert granted(operators["rules"]) == WITH_GATEWAY_API


def test_logs_are_no_concern_where_progress_is_not_read_from_them(chart: Chart) -> None:
    documents = chart.render({"progressFromLogs": False})
    roles = [d for d in documents if d["kind"] == "ClusterRole"]
    [operators] = [d for d in roles if d["metadata"]["name"] == "resnet-operator"]
    assert granted(operators["rules"]) == {k: v for k, v in GRANTED.items() if k != "pods/log"}
    (container,) = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    environment = {e["name"]: e.get("value") for e in container["env"]}
    assert environment["RESNET_PROGRESS_FROM_LOGS"] == "false"


def test_namespaced_rights_are_roles_in_these_namespaces_alone(chart: Chart) -> None:
    documents = chart.render({"watchNamespaces": ["a", "b"]}, namespace="system")
    found = [d for d in documents if not is_of_the_lease(d)]
    roles = [d for d in found if d["kind"] == "Role"]
    bindings = [d for d in found if d["kind"] == "RoleBinding"]
    assert [d["metadata"]["namespace"] for d in roles] == ["a", "b"]
    assert [d["metadata"]["namespace"] for d in bindings] == ["a", "b"]
    assert all(granted(role["rules"]) == GRANTED for role in roles)
    assert all(binding["subjects"][0]["namespace"] == "system" for binding in bindings)


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a", "b"]}], ids=["wide", "narrow"])
def test_the_lease_is_one_of_the_operators_own_namespace(values: Manifest, chart: Chart) -> None:
    documents = [d for d in chart.render(values, namespace="system") if is_of_the_lease(d)]
    role, binding = documents
    assert {d["metadata"]["namespace"] for d in documents} == {"system"}
    assert granted(role["rules"]) == {"leases": {"create", "get", "patch"}}
    named = {tuple(rule["verbs"]): rule.get("resourceNames") for rule in role["rules"]}
    assert named == {("create",): None, ("get", "patch"): ["resnet-operator"]}
    assert binding["subjects"][0]["namespace"] == "system"


def is_of_the_lease(document: Manifest) -> bool:
    return str(document["metadata"]["name"]).endswith("-lease")


def test_namespaced_has_no_cluster_scoped_object_but_the_crd(chart: Chart) -> None:
    listing = chart.server.kubectl("api-resources", "--namespaced=false", "--no-headers")
    cluster_scoped = {line.split()[-1] for line in listing.splitlines()}
    kinds = {d["kind"] for d in chart.render({"watchNamespaces": ["a"]})}
    assert kinds & cluster_scoped == {"CustomResourceDefinition"}
    without = {"watchNamespaces": ["a"], "crds": {"install": False}}
    assert not {d["kind"] for d in chart.render(without)} & cluster_scoped


def test_rights_can_be_left_to_somebody_else(chart: Chart) -> None:
    kinds = {d["kind"] for d in chart.render({"rbac": {"create": False}})}
    assert kinds.isdisjoint(RBAC_KINDS - {"ServiceAccount"})


ASKED = [
    ("patch", f"{SERVICES}/status", True, "it writes the status"),
    ("patch", SERVICES, False, "it never writes the spec"),
    ("create", "batch/jobs", True, "it makes Jobs"),
    ("get", "/secrets", False, "it reads no secret"),
    ("list", "/secrets", False, "it lists no secret"),
    ("create", "/pods", False, "Deployments and Jobs make the pods"),
    ("get", "/pods/log", True, "its Jobs say there how far they are"),
    ("create", "/pods/exec", False, "it enters no pod"),
    ("list", "/nodes", False, "the scheduler knows the nodes"),
    ("delete", "/persistentvolumeclaims", False, "the store is never deleted"),
    ("create", "coordination.k8s.io/leases", True, "it makes the Lease of its own"),
    ("list", "coordination.k8s.io/leases", False, "other leases are other people's"),
    ("patch", "coordination.k8s.io/leases", False, "but for the one of its name"),
]


def test_the_server_grants_what_the_operator_needs_and_no_more(
    chart: Chart, applied_rights: str
) -> None:
    user = f"system:serviceaccount:{applied_rights}:resnet-operator"
    server = chart.server
    eventually(lambda: may(server, user, "list", "/pods", applied_rights), what="the role")
    for verb, what, allowed, reason in ASKED:
        assert may(server, user, verb, what, applied_rights) is allowed, reason


def test_namespaced_rights_end_at_the_namespace(chart: Chart, namespace: str) -> None:
    server = chart.server
    with fresh_namespace(server) as other:
        documents = chart.render({"watchNamespaces": [namespace]}, namespace=namespace)
        rights = [d for d in documents if d["kind"] in RBAC_KINDS]
        server.kubectl("apply", "-f", "-", input=yamls.write_all(rights))
        user = f"system:serviceaccount:{namespace}:resnet-operator"
        eventually(lambda: may(server, user, "list", "/pods", namespace), what="the role")
        assert not may(server, user, "list", "/pods", other)
        assert not may(server, user, "list", "/pods", "")


def test_users_with_edit_may_serve_and_users_with_view_may_look(
    chart: Chart, applied_rights: str
) -> None:
    server, namespace = chart.server, applied_rights
    for role in ("edit", "view"):
        server.kubectl(
            "create",
            "rolebinding",
            role,
            "-n",
            namespace,
            f"--clusterrole={role}",
            f"--user={role}",
        )
    eventually(lambda: may(server, "edit", "create", SERVICES, namespace), what="edit to aggregate")
    eventually(lambda: may(server, "view", "list", SERVICES, namespace), what="view to aggregate")
    assert not may(server, "view", "create", SERVICES, namespace)
    assert not may(server, "view", "list", SERVICES, "default")


def operator_pod(chart: Chart, namespace: str) -> Manifest:
    template = only(chart.render(namespace=namespace), "Deployment")["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", **template} | {
        "metadata": template["metadata"] | {"name": "operator"}
    }


def test_operator_is_admitted_where_pod_security_is_restricted(
    chart: Chart, namespace: str
) -> None:
    server = chart.server
    label = "pod-security.kubernetes.io/enforce=restricted"
    server.kubectl("label", "namespace", namespace, label)
    server.kubectl("create", "serviceaccount", "resnet-operator", "-n", namespace)
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    pod = operator_pod(chart, namespace)
    answer = server.request("POST", path, body=pod)
    assert answer.status == 201, answer.message
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    refused = server.request("POST", path, body=pod)
    assert refused.status == 403, "the namespace really enforces"
