"""What goes into pods as Kubernetes has it: the rules, and values of the wrong shape."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import RuleCase, case, one

from resnet_operator.api.kubernetes.reserved import ANNOTATIONS, BEGINNINGS, VARIABLES

RESERVED_VARIABLE = "remove the variables that the operator, the container runtime or the loader"
RESERVED_ANNOTATION = "remove the annotations that choose devices"
PEER = "write podSelector, namespaceSelector or both, or ipBlock alone"
ONE_SOURCE = "write one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
TWO_VALUES = "write value or valueFrom, not both"
ALLOW = "serving.networkPolicy.allowFrom"
FROM = "serving.env[].valueFrom"
BLOCK = {"ipBlock": {"cidr": "10.0.0.0/8"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
# Neighbours of the reserved names that are nobody's.
FREE = (
    "ASCEND_GLOBAL_LOG_LEVEL",
    "NVIDIA_TF32_OVERRIDE",
    "LDFLAGS",
    "MY_PATH",
    "MY_NPU_ID",
    "PYTHONHASHSEED",
)


def variable(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": "1"}]


def _reserved_variables() -> list[RuleCase]:
    return [
        one(
            f"{name} is reserved: {reason}",
            "serving.env",
            variable(name.replace("*", "ANY")),
            RESERVED_VARIABLE,
            variable(FREE[index % len(FREE)]),
        )
        for index, (name, reason) in enumerate(VARIABLES.items())
    ]


def _reserved_annotations() -> list[RuleCase]:
    return [
        one(
            f"{name}/… is reserved: {reason}",
            "serving.podAnnotations",
            {f"{prefix}{name}/a": "b"},
            RESERVED_ANNOTATION,
            {f"{name}": "b", f"not{name}/a": "b"},
        )
        for name, reason in ANNOTATIONS.items()
        for prefix in ("", "sub.")
    ] + [
        one(
            f"{name}… is reserved: {reason}",
            "serving.podAnnotations",
            {f"{name}Devices": "/dev/davinci0"},
            RESERVED_ANNOTATION,
            {f"my.{name}a": "b", name.rstrip("."): "b"},
        )
        for name, reason in BEGINNINGS.items()
    ]


KUBERNETES_RULES = [
    *_reserved_variables(),
    *_reserved_annotations(),
    one(
        "values that are large together",
        "serving.env",
        [{"name": f"A{index}", "value": "a" * 16385} for index in range(2)],
        "write values of at most 32768 characters together, or keep them in a ConfigMap",
        [{"name": f"A{index}", "value": "a" * 16384} for index in range(2)],
    ),
    *(
        one(
            "annotations that are large together",
            path,
            {f"a{index}": "a" * 3277 for index in range(5)},
            "write values of at most 16384 characters together",
            {f"a{index}": "a" * 3276 for index in range(5)},
        )
        for path in ("serving.podAnnotations", "serving.service.annotations")
    ),
    one("a peer that is none", ALLOW, [{}], PEER, [{"podSelector": {}}]),
    one("addresses and pods in one peer", ALLOW, [{**BLOCK, "podSelector": {}}], PEER, [BLOCK]),
    one("a source that is none", FROM, {}, ONE_SOURCE, {"fieldRef": {"fieldPath": "a"}}),
    one(
        "two sources of one variable",
        FROM,
        {"fieldRef": {"fieldPath": "a"}, "secretKeyRef": {"name": "a", "key": "b"}},
        ONE_SOURCE,
        {"secretKeyRef": {"name": "a", "key": "b"}},
    ),
    case(
        "a value and a source",
        refused={
            "serving.env[]": {
                "name": "A",
                "value": "1",
                "valueFrom": {"fieldRef": {"fieldPath": "a"}},
            }
        },
        message=TWO_VALUES,
        accepted={"serving.env[]": {"name": "A", "value": "1"}},
    ),
    # Values of the wrong shape: the answer names the path.
    one(
        "an affinity that is a string",
        "serving.affinity",
        {"nodeAffinity": "x"},
        "spec.serving.affinity.nodeAffinity: Invalid value",
        {"nodeAffinity": {}},
    ),
    one(
        "a list in the place of terms",
        f"serving.affinity.nodeAffinity.{REQUIRED}",
        [],
        f"spec.serving.affinity.nodeAffinity.{REQUIRED}: Invalid value",
        {"nodeSelectorTerms": [{}]},
    ),
    one(
        "an operator that Kubernetes does not have",
        f"serving.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[].matchExpressions[]",
        {"key": "a", "operator": "Is"},
        "matchExpressions[0].operator: Unsupported value",
        {"key": "a", "operator": "Gt", "values": ["1"]},
    ),
    one(
        "a term of pods without a place",
        f"serving.affinity.podAffinity.{REQUIRED}",
        [{"labelSelector": {}}],
        f"podAffinity.{REQUIRED}[0].topologyKey: Required value",
        [{"topologyKey": "zone"}],
    ),
    one(
        "a weight of nothing",
        "serving.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[]",
        {"weight": 0, "podAffinityTerm": {"topologyKey": "a"}},
        "weight",
        {"weight": 100, "podAffinityTerm": {"topologyKey": "a"}},
    ),
    one(
        "a constraint without the skew",
        "serving.topologySpreadConstraints[]",
        {key: value for key, value in SPREAD.items() if key != "maxSkew"},
        "topologySpreadConstraints[0].maxSkew: Required value",
        SPREAD,
    ),
    one(
        "an effect that Kubernetes does not have",
        "serving.tolerations[]",
        {"key": "a", "effect": "NoRun"},
        "tolerations[0].effect: Unsupported value",
        {"key": "a", "effect": "NoExecute", "tolerationSeconds": 60},
    ),
    one(
        "a network without its length",
        f"{ALLOW}[]",
        {"ipBlock": {"cidr": "10.0.0.0"}},
        "allowFrom[0].ipBlock.cidr: Invalid value",
        {"ipBlock": {"cidr": "fd00::/8", "except": ["fd00:1::/32"]}},
    ),
    one(
        "a variable whose name has a sign of equality",
        "serving.env",
        variable("A=B"),
        "env[0].name: Invalid value",
        variable("A.B-c"),
    ),
]
