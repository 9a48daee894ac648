"""Builds objects of ours from dotted paths: {"serving.env[].name": "A"} on the smallest object."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from tests.support.apiserver import CRD_FILE
from tests.support.crd import read_crd

Schema = dict[str, Any]

SMALLEST: dict[str, Any] = {
    "model": {"uri": "pvc://models/resnet50.onnx"},
    "accelerator": {"chip": "Ascend310P3"},
}
SMALLEST_BATCH: dict[str, Any] = {
    "service": {"name": "resnet50"},
    "input": {"uri": "pvc://photos/2026"},
    "output": {"uri": "pvc://results/2026"},
}
# What the API server requires beside a field before it looks at the field itself.
SIBLINGS: dict[str, dict[str, Any]] = {
    "model.classLabels.configMapKeyRef": {"name": "labels", "key": "labels.txt"},
    "serving.env[]": {"name": "A"},
    "serving.autoscaling": {"maxReplicas": 1000, "value": 1},
    "serving.tracing": {"otlpEndpoint": "http://a"},
    "serving.ingress": {"host": "a.example"},
    "serving.httpRoute": {"parentRefs": [{"name": "public"}]},
    "serving.httpRoute.parentRefs[]": {"name": "public"},
    "model.pytorch": {"architecture": "resnet50"},
    "model.inputs[]": {"name": "a", "dataType": "FP32", "dims": [1]},
    "model.outputs[]": {"name": "a", "dataType": "FP32", "dims": [1]},
    "model.caBundleConfigMapKeyRef": {"name": "trust", "key": "ca.pem"},
    "conversion.preprocessing": {
        "pixelFormat": "RGB888",
        "source": {"height": 4096, "width": 4096},
    },
    "conversion.preprocessing.crop": {"height": 1, "width": 1},
    "conversion.quantization": {"calibration": {"uri": "pvc://data/pictures.tar"}},
    "validation": {
        "dataset": {"uri": "pvc://data/test.tar", "format": "ImageFolder"},
        "thresholds": {"minTop1": "0.5"},
    },
}
# Where the schema alone does not say what is accepted.
STARTS = {"cidr": "10.0.0.0/8"}
MAP_KEY = "key"
# Maps that take some keys only.
MAP_KEYS = {"conversion.extraArgs": "--log"}


@cache
def root_schema() -> Schema:
    schema: Schema = read_crd(CRD_FILE)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def below(schema: Schema, path: str) -> Schema | None:
    """Return the schema at a path: `a.b`, `a[]` for items, `a.*` for entries."""
    for part in path.replace("[]", ".[]").split("."):
        if part == "[]":
            schema = schema.get("items", {})
        elif part == "*":
            schema = schema.get("additionalProperties", {})
        else:
            schema = schema.get("properties", {}).get(part, {})
    return schema or None


def required(path: str) -> dict[str, Any]:
    """Return what the API server requires at a path before it looks at anything else there."""
    if path in SIBLINGS:
        return copy.deepcopy(SIBLINGS[path])
    schema = below(root_schema()["properties"]["spec"], path)
    value = smallest(schema) if schema else {}
    return value if isinstance(value, dict) else {}


def smallest(node: Schema, name: str = "") -> Any:
    """Return the smallest value that a schema accepts."""
    if "enum" in node:
        return node["enum"][0]
    match node.get("type"):
        case "object":
            fields = node.get("properties", {})
            return {key: smallest(fields[key], key) for key in node.get("required", ())}
        case "array":
            return [smallest(node["items"])] * node.get("minItems", 0)
        case "integer":
            return node.get("minimum", 0)
        case _:
            return STARTS.get(name, "a")


def service(changes: dict[str, Any] | None = None, *, name: str = "resnet50") -> dict[str, Any]:
    """Return the smallest ResNetService with `changes` to its spec."""
    return _object("ResNetService", name, SMALLEST, changes)


def batch(changes: dict[str, Any] | None = None, *, name: str = "archive") -> dict[str, Any]:
    """Return the smallest ResNetBatch with `changes` to its spec."""
    return _object("ResNetBatch", name, SMALLEST_BATCH, changes)


def _object(
    kind: str, name: str, smallest_spec: dict[str, Any], changes: dict[str, Any] | None
) -> dict[str, Any]:
    spec = copy.deepcopy(smallest_spec)
    for path, value in (changes or {}).items():
        _set(spec, path, copy.deepcopy(value))
    return {
        "apiVersion": "serving.resnet-operator.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _set(node: dict[str, Any], path: str, value: object) -> None:
    """Set one value; `a[]` is the only item of a list, `a.*` the only entry of a map."""
    done, parts = "", path.replace("[]", ".[]").split(".")
    container: Any = node
    for index, part in enumerate(parts):
        done = f"{done}[]" if part == "[]" else f"{done}.{part}".removeprefix(".")
        entry = MAP_KEYS.get(done.removesuffix(".*"), MAP_KEY)
        key: Any = {"[]": 0, "*": entry}.get(part, part)
        last = index == len(parts) - 1
        child: Any = value
        if not last:
            child = [None] if parts[index + 1] == "[]" else required(done)
            existing = container.get(key) if isinstance(container, dict) else container[key]
            child = child if existing is None else existing
        container[key] = child
        container = child
