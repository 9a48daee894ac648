"""The stages that an object goes through, and for each reason two commands: what shows more of the
cause, and what helps. docs/reasons.md is made of it, and a test holds that no reason is left out.

`resnet50` stands for the object; every command runs in its namespace.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from resnet_operator import names
from resnet_operator.api.reasons import Reason

R = Reason
ONE = "resnetservice resnet50"


class Stage(StrEnum):
    """In the order in which an object meets them."""

    WELL = "All is well, or on its way"
    SPEC = "The spec"
    FETCH = "Fetching the model"
    CONVERT = "Converting it"
    STORE = "The artifact store"
    GATE = "The gate"
    PODS = "Pods, of a Job or of what serves"
    LOAD = "Loading and serving"
    ROLLOUT = "Rolling out"
    NETWORK = "The network around it"
    OPERATOR = "The operator and its objects"


class Help(NamedTuple):
    """`shows` more of the cause; `helps` is the command of the usual way out."""

    stage: Stage
    shows: str
    helps: str


def _patch(patch: str) -> str:
    return f"kubectl patch {ONE} --type merge -p '{{\"spec\":{patch}}}'"


def _logs(stage: str) -> str:
    return f"kubectl resnet logs resnet50 --stage {stage}"


def _pods(component: str = "") -> str:
    more = f",app.kubernetes.io/component={component}" if component else ""
    return f"kubectl describe pods -l serving.resnet-operator.io/service=resnet50{more}"


def _of_store(what: str) -> str:
    return f"kubectl {what} -l app.kubernetes.io/component=store"


WHY = f"kubectl describe {ONE}"
TREE = "kubectl resnet why resnet50"
WAIT = f"kubectl wait {ONE} --for=condition=Ready --timeout=1h"
EDIT = f"kubectl edit {ONE}"
RETRY = f'kubectl annotate {ONE} {names.RETRY}="$(date +%s)" --overwrite'
EVENTS = "kubectl get events --sort-by=.lastTimestamp"
REVISIONS = f"kubectl get {ONE} -o jsonpath='{{.status.revisions}}'"
CHIPS = "kubectl describe nodes | grep -A 12 'Allocated resources'"
ACCOUNT = "system:serviceaccount:resnet-system:resnet-operator"
OPERATOR_LOG = "kubectl logs -n resnet-system deployment/resnet-operator --since=1h"
MORE_MEMORY = _patch('{"conversion":{"resources":{"limits":{"memory":"16Gi"}}}}')

HELP: dict[Reason, Help] = {
    R.READY: Help(Stage.WELL, f"kubectl get {ONE} -o wide", TREE),
    R.PENDING: Help(Stage.WELL, TREE, WAIT),
    R.FETCHING: Help(Stage.WELL, _logs("fetch"), WAIT),
    R.CONVERTING: Help(Stage.WELL, _logs("convert"), WAIT),
    R.VALIDATING: Help(Stage.WELL, _logs("gate"), WAIT),
    R.VALIDATED: Help(Stage.WELL, WHY, WAIT),
    R.CONVERTED: Help(Stage.WELL, WHY, WAIT),
    R.REUSED: Help(Stage.WELL, WHY, WAIT),
    R.ANALYZING: Help(Stage.WELL, TREE, "kubectl resnet rollout status resnet50 --wait"),
    R.ROLLING_OUT: Help(Stage.WELL, TREE, "kubectl resnet rollout status resnet50 --wait"),
    R.LOADING: Help(Stage.WELL, _logs("serve"), WAIT),
    R.SUSPENDED: Help(Stage.WELL, WHY, _patch('{"suspend":false}')),
    R.SCALED_TO_ZERO: Help(Stage.WELL, WHY, f"kubectl scale {ONE} --replicas=1"),
    R.INVALID_SPEC: Help(Stage.SPEC, WHY, EDIT),
    R.MODEL_NOT_FOUND: Help(Stage.FETCH, _logs("fetch"), RETRY),
    R.ACCESS_DENIED: Help(Stage.FETCH, _logs("fetch"), RETRY),
    R.CHECKSUM_MISMATCH: Help(Stage.FETCH, _logs("fetch"), EDIT),
    R.DOWNLOAD_FAILED: Help(Stage.FETCH, _logs("fetch"), RETRY),
    R.UNSUPPORTED_MODEL: Help(Stage.CONVERT, _logs("prepare"), EDIT),
    R.CONVERSION_FAILED: Help(Stage.CONVERT, _logs("convert"), EDIT),
    R.QUANTIZATION_FAILED: Help(Stage.CONVERT, _logs("quantize"), EDIT),
    R.CONVERSION_TIMEOUT: Help(
        Stage.CONVERT, _logs("convert"), _patch('{"conversion":{"timeoutSeconds":7200}}')
    ),
    R.OUT_OF_MEMORY: Help(Stage.CONVERT, TREE, MORE_MEMORY),
    R.EPHEMERAL_STORAGE_EXCEEDED: Help(Stage.CONVERT, _pods("conversion"), RETRY),
    R.RESULT_LOST: Help(Stage.CONVERT, _pods("conversion"), WAIT),
    R.MESSAGE_INVALID: Help(Stage.CONVERT, _logs("publish"), RETRY),
    R.SIDECAR_RUNNING: Help(
        Stage.CONVERT, _pods(), "helm upgrade resnet-operator … --reuse-values -f helper-pods.yaml"
    ),
    R.ARTIFACT_MISSING: Help(Stage.STORE, _of_store("logs"), RETRY),
    R.STORE_FULL: Help(
        Stage.STORE,
        _of_store("describe pvc"),
        "kubectl patch pvc resnet-store -p "
        '\'{"spec":{"resources":{"requests":{"storage":"100Gi"}}}}\'',
    ),
    R.STORE_UNAVAILABLE: Help(
        Stage.STORE, _of_store("describe pods"), "kubectl rollout restart deployment resnet-store"
    ),
    R.VALIDATION_FAILED: Help(Stage.GATE, _logs("gate"), EDIT),
    R.EVALUATION_FAILED: Help(Stage.GATE, _logs("gate"), RETRY),
    R.WAITING_FOR_CHIP: Help(
        Stage.GATE, CHIPS, _patch('{"validation":{"onNoFreeChip":"BorrowReplica"}}')
    ),
    R.UNSCHEDULABLE: Help(Stage.PODS, CHIPS, _patch('{"serving":{"replicas":1}}')),
    R.IMAGE_PULL_FAILED: Help(Stage.PODS, _pods(), EDIT),
    R.VOLUME_MOUNT_FAILED: Help(Stage.PODS, _pods(), "kubectl apply -f claim.yaml"),
    R.CONTAINER_CONFIG_ERROR: Help(Stage.PODS, _pods(), "kubectl apply -f secret.yaml"),
    R.QUOTA_EXCEEDED: Help(Stage.PODS, "kubectl describe quota,limitrange", EDIT),
    R.POD_SECURITY_FORBIDDEN: Help(
        Stage.PODS,
        "kubectl get namespace NAMESPACE --show-labels",
        "helm upgrade resnet-operator … --reuse-values --set devices.driver=Runtime",
    ),
    R.ADMISSION_DENIED: Help(Stage.PODS, EVENTS, EDIT),
    R.EVICTED: Help(
        Stage.PODS,
        "kubectl describe nodes | grep -B 2 -A 8 Pressure",
        _patch('{"serving":{"resources":{"requests":{"memory":"4Gi"}}}}'),
    ),
    R.NODE_LOST: Help(Stage.PODS, "kubectl get nodes", "kubectl drain NODE --ignore-daemonsets"),
    R.POD_LOST: Help(Stage.PODS, EVENTS, WAIT),
    R.CHIP_UNHEALTHY: Help(
        Stage.PODS, "npu-smi info    # on the node", "kubectl delete pod POD    # it serves on it"
    ),
    R.CHIP_MISMATCH: Help(Stage.LOAD, _logs("serve"), EDIT),
    R.MODEL_LOAD_FAILED: Help(Stage.LOAD, _logs("serve"), EDIT),
    R.CRASH_LOOPING: Help(Stage.LOAD, f"{_logs('serve')} --previous", EDIT),
    R.PROBE_FAILING: Help(
        Stage.LOAD, _logs("serve"), _patch('{"serving":{"loadTimeoutSeconds":1200}}')
    ),
    R.PROGRESS_DEADLINE_EXCEEDED: Help(
        Stage.ROLLOUT, _pods("serving"), _patch('{"rollout":{"progressDeadlineSeconds":3600}}')
    ),
    R.ROLLED_BACK: Help(Stage.ROLLOUT, REVISIONS, RETRY),
    R.COUNTERS_UNREADABLE: Help(
        Stage.ROLLOUT,
        "kubectl get networkpolicy resnet50 -o yaml",
        _patch('{"rollout":{"analysis":null}}'),
    ),
    R.ERROR_RATIO_EXCEEDED: Help(Stage.ROLLOUT, REVISIONS, EDIT),
    R.LATENCY_EXCEEDED: Help(Stage.ROLLOUT, REVISIONS, EDIT),
    R.ANSWERS_DIFFER: Help(Stage.ROLLOUT, REVISIONS, EDIT),
    R.REVISION_NOT_FOUND: Help(
        Stage.ROLLOUT,
        "kubectl resnet rollout history resnet50",
        _patch('{"rollout":{"pinRevision":null}}'),
    ),
    R.REVISION_REPLACED: Help(
        Stage.ROLLOUT,
        "kubectl get configmaps -o yaml --show-managed-fields",
        "kubectl delete rolebinding NAME    # of whoever should not write ConfigMaps",
    ),
    R.ROUTE_REFUSED: Help(Stage.NETWORK, "kubectl describe httproute resnet50", EDIT),
    R.KIND_MISSING: Help(
        Stage.NETWORK, "kubectl api-resources | grep gateway.networking.k8s.io", EDIT
    ),
    R.NAME_CONFLICT: Help(
        Stage.OPERATOR,
        "kubectl get deployment,service resnet50 -o yaml --show-managed-fields",
        "kubectl delete deployment,service resnet50    # if nobody needs them",
    ),
    R.RECORD_INVALID: Help(
        Stage.OPERATOR, WHY, "kubectl delete configmap NAME    # the one in the message"
    ),
    R.TWO_OPERATORS: Help(
        Stage.OPERATOR,
        "kubectl get configmap resnet-operator -o yaml",
        "helm uninstall RELEASE -n NAMESPACE    # of the second one",
    ),
    R.REJECTED: Help(
        Stage.OPERATOR,
        f"kubectl auth can-i --list --as={ACCOUNT}",
        "helm upgrade resnet-operator … --reuse-values --set rbac.create=true",
    ),
    R.INTERNAL_ERROR: Help(Stage.OPERATOR, OPERATOR_LOG, RETRY),
}
