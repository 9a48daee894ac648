"""What the installed CRD does beside validation: columns, subresources, defaults, status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.bounds import nodes
from tests.cluster.manifests import SMALLEST, root_schema, service
from tests.support.apiserver import RESOURCE_PATH

if TYPE_CHECKING:
    from tests.support.apiserver import Answer, ApiServer

CRD = "resnetservices.serving.resnet-operator.io"
READY_STATUS = {
    "observedGeneration": 1,
    "phase": "Ready",
    "phaseStartTime": "2020-01-01T00:00:00Z",
    "ready": "2/2",
    "batch": "1,2,4,8",
    "runtime": "AscendOM",
    "replicas": 2,
    "selector": "app.kubernetes.io/instance=resnet50",
    "artifact": {"record": "rns-0123456789abcdef"},
    "endpoints": {"http": "http://resnet50.models.svc:8000"},
    "conditions": [
        {"type": "Ready", "status": "True", "message": "serving revision 7f3a9c"},
        {"type": "Available", "status": "True", "message": "2 pods"},
    ],
}


def create(server: ApiServer, namespace: str, changes: dict[str, Any] | None = None) -> str:
    """Create the smallest service; return its path."""
    answer = server.create(namespace, service(changes))
    assert answer.status == 201, answer.message
    return RESOURCE_PATH.format(namespace=namespace) + "/resnet50"


def apply_status(server: ApiServer, path: str, status: dict[str, Any]) -> Answer:
    """Write the status as the operator does: by server-side apply."""
    body = {key: value for key, value in service().items() if key != "spec"} | {"status": status}
    return server.request(
        "PATCH",
        f"{path}/status?fieldManager=resnet-operator&force=true",
        body=body,
        content_type="application/apply-patch+yaml",
    )


def test_crd_is_established_and_structural(installed_crd: ApiServer) -> None:
    crd = json.loads(installed_crd.kubectl("get", "crd", CRD, "-o", "json"))
    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_crd_of_the_repository_needs_no_change(installed_crd: ApiServer) -> None:
    """A second apply changes nothing: the server fills in nothing that the file says otherwise."""
    before = installed_crd.kubectl("get", "crd", CRD, "-o", "jsonpath={.metadata.generation}")
    installed_crd.install_crd()
    after = installed_crd.kubectl("get", "crd", CRD, "-o", "jsonpath={.metadata.generation}")
    assert before == after


def test_only_the_three_defaults_are_stored(installed_crd: ApiServer, namespace: str) -> None:
    stored = installed_crd.request("GET", create(installed_crd, namespace)).body
    assert stored["spec"] == SMALLEST | {"serving": {"replicas": 1}}
    assert stored["status"] == {"observedGeneration": -1}


def test_null_is_as_good_as_absent(installed_crd: ApiServer, namespace: str) -> None:
    """Helm and Kustomize leave nulls behind."""
    path = create(installed_crd, namespace, {"serving": None, "conversion": None})
    spec = installed_crd.request("GET", path).body["spec"]
    assert spec == SMALLEST | {"serving": {"replicas": 1}}


def test_spec_writers_cannot_write_the_status(installed_crd: ApiServer, namespace: str) -> None:
    answer = installed_crd.create(namespace, service() | {"status": {"phase": "Ready"}})
    assert answer.body["status"] == {"observedGeneration": -1}


def test_columns(installed_crd: ApiServer, namespace: str) -> None:
    assert apply_status(installed_crd, create(installed_crd, namespace), READY_STATUS).status == 200
    header, row = installed_crd.kubectl("get", "rns", "-n", namespace).splitlines()
    assert " ".join(header.split()) == "NAME PHASE CHIP BATCH READY SINCE MESSAGE AGE"
    cells = row.split()
    assert cells[:5] == ["resnet50", "Ready", "Ascend310P3", "1,2,4,8", "2/2"]
    assert "y" in cells[5], "a date column prints the years since 2020"
    assert " ".join(cells[6:-1]) == "serving revision 7f3a9c"


def test_wide_columns(installed_crd: ApiServer, namespace: str) -> None:
    apply_status(installed_crd, create(installed_crd, namespace), READY_STATUS)
    header, row = installed_crd.kubectl("get", "rns", "-n", namespace, "-o", "wide").splitlines()
    assert header.split()[-4:] == ["AVAILABLE", "ARTIFACT", "RUNTIME", "ENDPOINT"]
    assert row.split()[-4:] == [
        "True",
        "rns-0123456789abcdef",
        "AscendOM",
        "http://resnet50.models.svc:8000",
    ]


@pytest.mark.parametrize("name", ["rns", "resnetservice", "resnetservices", "all"])
def test_found_by_short_name_and_category(
    installed_crd: ApiServer, namespace: str, name: str
) -> None:
    create(installed_crd, namespace)
    assert "resnet50" in installed_crd.kubectl("get", name, "-n", namespace, "-o", "name")


def test_scale_before_the_operator_has_seen_the_object(
    installed_crd: ApiServer, namespace: str
) -> None:
    """Without the default of replicas the scale subresource answers 500."""
    path = create(installed_crd, namespace)
    scale = installed_crd.request("GET", f"{path}/scale")
    assert (scale.status, scale.body["spec"]) == (200, {"replicas": 1})


def test_scale_writes_the_spec_and_reads_the_status(
    installed_crd: ApiServer, namespace: str
) -> None:
    path = create(installed_crd, namespace)
    apply_status(installed_crd, path, READY_STATUS)
    installed_crd.kubectl("scale", "rns/resnet50", "-n", namespace, "--replicas=3")
    assert installed_crd.request("GET", path).body["spec"]["serving"]["replicas"] == 3
    assert installed_crd.request("GET", f"{path}/scale").body["status"] == {
        "replicas": 2,
        "selector": "app.kubernetes.io/instance=resnet50",
    }


def test_scale_beyond_the_bound_is_refused(installed_crd: ApiServer, namespace: str) -> None:
    create(installed_crd, namespace)
    done = installed_crd.run("kubectl", "scale", "rns/resnet50", "-n", namespace, "--replicas=1001")
    assert done.returncode != 0
    assert "less than or equal to 1000" in done.stderr


NEWER_STATUS = [
    ("a field", {"phase": "Ready", "canary": {"mode": "Replace"}}),
    ("a field of a part", {"phase": "Ready", "artifact": {"record": "r", "signature": "s"}}),
    ("a field of a condition", {"conditions": [{"type": "Ready", "severity": "Low"}]}),
    ("a word where words are listed", {"phase": "Quantizing"}),
    ("a field of a tensor", {"model": {"inputs": [{"name": "input", "layout": "NCHW"}]}}),
]


@pytest.mark.parametrize(("reason", "status"), NEWER_STATUS, ids=[c[0] for c in NEWER_STATUS])
def test_status_of_a_newer_operator_is_kept(
    installed_crd: ApiServer, namespace: str, reason: str, status: dict[str, Any]
) -> None:
    """Server-side apply would refuse the whole status for one field that the CRD does not know."""
    path = create(installed_crd, namespace)
    answer = apply_status(installed_crd, path, status)
    assert answer.status == 200, f"{reason}: {answer.message}"
    assert installed_crd.request("GET", path).body["status"] == status | {"observedGeneration": -1}


def test_conditions_of_others_are_kept(installed_crd: ApiServer, namespace: str) -> None:
    """Conditions are a map by type: each belongs to whoever applied it."""
    path = create(installed_crd, namespace)
    apply_status(installed_crd, path, READY_STATUS)
    installed_crd.request(
        "PATCH",
        f"{path}/status?fieldManager=somebody&force=true",
        body={k: v for k, v in service().items() if k != "spec"}
        | {"status": {"conditions": [{"type": "Audited", "status": "True"}]}},
        content_type="application/apply-patch+yaml",
    )
    apply_status(installed_crd, path, READY_STATUS | {"conditions": []})
    conditions = installed_crd.request("GET", path).body["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Audited"]


def test_explain_has_a_sentence_for_every_field(installed_crd: ApiServer) -> None:
    printed = installed_crd.kubectl("explain", "rns.spec.model")
    assert "Name of the model in Triton; default metadata.name." in printed
    for path, node in nodes(root_schema()):
        last = path.rpartition(".")[2]
        if not path or last in {"*", "metadata"} or last.endswith("[]"):
            continue
        description = node.get("description", "")
        assert description.endswith("."), f"{path} is not described by a sentence"
        assert description[0].isupper() or description.split()[0].islower(), path
