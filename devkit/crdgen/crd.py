"""The CustomResourceDefinition around the schema: names, columns, subresources, the three defaults.

Used by `__main__` and by the tests, which install it on a real API server.
"""

from __future__ import annotations

from typing import Any

from devkit.crdgen.schema import Schema, structural_schema

from resnet_operator.api import GROUP, KIND, PLURAL, VERSION
from resnet_operator.api.kubernetes.reserved import NAME_RULES
from resnet_operator.api.rules import VALIDATIONS, Rule
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.api.status import ResNetServiceStatus


def root_schema() -> Schema:
    """Return the openAPIV3Schema of the whole object."""
    spec = structural_schema(ResNetServiceSpec)
    status = structural_schema(ResNetServiceStatus)
    # The only defaults. Without replicas the scale subresource answers 500; with the generation
    # -1 a new object is InProgress for whatever reads kstatus, until the operator has seen it.
    serving = spec["properties"]["serving"]
    serving["default"] = {}
    serving["properties"]["replicas"]["default"] = 1
    return object_schema(
        KIND,
        "A trained ResNet, converted for an Ascend chip and served by Triton.",
        spec=spec,
        status=status,
        rules=NAME_RULES,
    )


def object_schema(
    kind: str, description: str, *, spec: Schema, status: Schema, rules: tuple[Rule, ...]
) -> Schema:
    """Return what stands around the spec and the status of each kind."""
    status["default"] = {"observedGeneration": -1}
    keep_unknown_fields(status)
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": "Version of this schema.", "type": "string"},
            "kind": {"description": f"Always {kind}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        VALIDATIONS: [row.extension for row in rules],
    }


def keep_unknown_fields(node: Schema) -> None:
    """Let an operator that is newer than the CRD write what the CRD does not know yet.

    Without this, server-side apply refuses the whole status: "field not declared in schema".
    """
    if "properties" in node:
        node["x-kubernetes-preserve-unknown-fields"] = True
    for child in [*node.get("properties", {}).values(), *filter(None, [node.get("items")])]:
        keep_unknown_fields(child)


def custom_resource_definition() -> dict[str, Any]:
    """Return the whole CRD as `kubectl apply` and the chart take it."""
    return definition(KIND, PLURAL, short="rns", version=_version())


def definition(kind: str, plural: str, *, short: str, version: dict[str, Any]) -> dict[str, Any]:
    """Return the CRD of one kind around its only version."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            # Removing the CRD removes every object of it in the cluster: helm must not.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/name": "resnet-operator"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root_schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.serving.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            column("Phase", ".status.phase", "Where the object is on its way."),
            column("Chip", ".spec.accelerator.chip", "What the replicas run on."),
            column("Batch", ".status.batch", "Batch sizes of the desired revision."),
            column("Ready", ".status.ready", "Ready pods of wanted pods."),
            column("Since", ".status.phaseStartTime", "Age of the phase.", type_="date"),
            column("Message", condition("Ready", "message"), "The cause and what to do."),
            column("Age", ".metadata.creationTimestamp", "Age of the object.", type_="date"),
            _wide("Available", condition("Available", "status"), "At least one pod serves."),
            _wide("Artifact", ".status.artifact.record", "ConfigMap that describes the artifact."),
            _wide("Runtime", ".status.runtime", "What runs the model inside Triton."),
            _wide("Endpoint", ".status.endpoints.http", "Address for HTTP clients."),
        ],
    }


def condition(name: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")].{field}'


def column(name: str, path: str, description: str, *, type_: str = "string") -> dict[str, Any]:
    return {"name": name, "type": type_, "jsonPath": path, "description": description}


def _wide(name: str, path: str, description: str) -> dict[str, Any]:
    return {**column(name, path, description), "priority": 1}
