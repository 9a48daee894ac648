"""What the API server refuses, rule by rule and bound by bound, and what it says to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.batch_rule_cases import BATCH_RULES
from tests.cluster.bounds import ONLY_REFUSED, Bound, bounds, nodes
from tests.cluster.conversion_rule_cases import CONVERSION_RULES, FORMAT_RULES
from tests.cluster.kubernetes_rule_cases import KUBERNETES_RULES
from tests.cluster.manifests import batch, root_schema, service
from tests.cluster.om_rule_cases import OM_RULES
from tests.cluster.oneflow_rule_cases import ONEFLOW_RULES
from tests.cluster.pipeline_rule_cases import PIPELINE_RULES
from tests.cluster.quantity_cases import QUANTITIES
from tests.cluster.rule_cases import NAMES, RuleCase
from tests.cluster.rule_cases import RULES as GENERAL_RULES
from tests.cluster.runtime_rule_cases import RUNTIME_RULES
from tests.cluster.torch_aie_rule_cases import TORCH_AIE_RULES
from tests.cluster.tuning_rule_cases import TUNING_RULES
from tests.support import yamls
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

BOUNDS = bounds()
RULES = (
    GENERAL_RULES
    + FORMAT_RULES
    + OM_RULES
    + ONEFLOW_RULES
    + RUNTIME_RULES
    + TORCH_AIE_RULES
    + CONVERSION_RULES
    + TUNING_RULES
    + PIPELINE_RULES
    + KUBERNETES_RULES
)
SAMPLES = sorted((ROOT / "samples").glob("*.yaml"))


@pytest.mark.parametrize(
    "case", RULES, ids=lambda case: f"{next(iter(case.refused))}: {case.reason}"
)
def test_rule(installed_crd: ApiServer, shared_namespace: str, case: RuleCase) -> None:
    refused = installed_crd.create(shared_namespace, service(case.refused), dry_run=True)
    assert refused.status == 422, case.reason
    assert case.message in refused.message, case.reason
    accepted = installed_crd.create(shared_namespace, service(case.accepted), dry_run=True)
    assert accepted.status == 201, f"{case.reason}: {accepted.message}"


@pytest.mark.parametrize(
    "case", BATCH_RULES, ids=lambda case: f"{next(iter(case.refused))}: {case.reason}"
)
def test_rule_of_a_batch(installed_crd: ApiServer, shared_namespace: str, case: RuleCase) -> None:
    refused = installed_crd.create(shared_namespace, batch(case.refused), dry_run=True)
    assert refused.status == 422, case.reason
    assert case.message in refused.message, case.reason
    accepted = installed_crd.create(shared_namespace, batch(case.accepted), dry_run=True)
    assert accepted.status == 201, f"{case.reason}: {accepted.message}"


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.path} {bound.keyword}")
def test_bound(installed_crd: ApiServer, shared_namespace: str, bound: Bound) -> None:
    beyond = service(bound.context | {bound.path: bound.beyond})
    refused = installed_crd.create(shared_namespace, beyond, dry_run=True)
    assert refused.status == 422, bound.reason
    assert bound.message in refused.message, bound.reason
    if (bound.path, bound.keyword) in ONLY_REFUSED:
        return
    at = service(bound.context | {bound.path: bound.at})
    accepted = installed_crd.create(shared_namespace, at, dry_run=True)
    assert accepted.status == 201, f"{bound.reason}: {accepted.message}"


@pytest.mark.parametrize(("name", "message", "reason"), NAMES, ids=[case[2] for case in NAMES])
def test_name(
    installed_crd: ApiServer, shared_namespace: str, name: str, message: str | None, reason: str
) -> None:
    answer = installed_crd.create(shared_namespace, service(name=name), dry_run=True)
    assert answer.status == (422 if message else 201), reason
    assert (message or "") in answer.message, reason


STRUCTURE: list[tuple[str, dict[str, Any], str]] = [
    ("no model", {"spec": {"accelerator": {"chip": "CPU"}}}, "spec.model: Required value"),
    ("no chip", {"spec": {"model": {"uri": "pvc://m/a"}}}, "spec.accelerator: Required value"),
    ("no spec at all", {}, "spec: Required value"),
]


@pytest.mark.parametrize(("reason", "body", "message"), STRUCTURE, ids=[c[0] for c in STRUCTURE])
def test_required(
    installed_crd: ApiServer, shared_namespace: str, reason: str, body: dict[str, Any], message: str
) -> None:
    manifest = {key: value for key, value in service().items() if key != "spec"} | body
    answer = installed_crd.create(shared_namespace, manifest, dry_run=True)
    assert answer.status == 422, reason
    assert message in answer.message, reason


UNKNOWN = [
    ("serving.replica", 2, "a slip of the pen"),
    ("serving.tolerations", [{"keys": "a"}], "a slip within a toleration"),
    ("serving.env", [{"name": "A", "vaule": "1"}], "a slip within a variable"),
    ("serving.networkPolicy", {"allowFrom": [{"who": "me"}]}, "a peer that is nobody"),
    ("serving.affinity", {"nodeAffinty": {}}, "a slip within the affinity"),
    ("rollout.canary", "a", "a feature that is to come is not accepted and ignored"),
]


@pytest.mark.parametrize(("path", "value", "reason"), UNKNOWN, ids=[c[2] for c in UNKNOWN])
def test_unknown_field(
    installed_crd: ApiServer, shared_namespace: str, path: str, value: object, reason: str
) -> None:
    answer = installed_crd.create(shared_namespace, service({path: value}), dry_run=True)
    assert answer.status == 400, reason
    assert "unknown field" in answer.message, reason


@pytest.mark.parametrize(("value", "good", "reason"), QUANTITIES, ids=[c[2] for c in QUANTITIES])
def test_quantity(
    installed_crd: ApiServer, shared_namespace: str, value: object, good: bool, reason: str
) -> None:
    changes = {"serving.resources.limits": {"memory": value}}
    answer = installed_crd.create(shared_namespace, service(changes), dry_run=True)
    assert answer.status == (201 if good else 422), f"{reason}: {answer.message}"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_is_accepted(installed_crd: ApiServer, shared_namespace: str, path: Any) -> None:
    for manifest in yamls.read_all(path.read_text(encoding="utf-8")):
        if manifest["kind"] == "ResNetService":
            answer = installed_crd.create(shared_namespace, manifest, dry_run=True)
            assert answer.status == 201, answer.message


def test_every_rule_of_the_crd_has_a_case() -> None:
    messages = [case.message for case in RULES] + [message for _, message, _ in NAMES if message]
    rules = [
        rule["message"]
        for _, node in nodes(root_schema())
        for rule in node.get("x-kubernetes-validations", [])
    ]
    untested = {rule for rule in rules if not any(message in rule for message in messages)}
    assert not untested
