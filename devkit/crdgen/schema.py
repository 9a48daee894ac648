"""Turns pydantic's JSON schema into the structural schema that a CRD must have. Used by `crd`.

A CRD allows no `$ref`, no `anyOf` with null and no `propertyNames`, and it must not have the
defaults and titles that pydantic writes: a default changes stored objects when they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_operator.api.base import rule

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

DROPPED = frozenset({"$defs", "title", "default", "propertyNames", "additionalProperties"})
KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "anyOf",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "properties",
    "items",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the model's schema as a CRD may hold it; raise ValueError where that cannot be."""
    raw = model.model_json_schema(by_alias=True)
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _convert(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    node = _flatten(node, definitions, path)
    unknown = node.keys() - DROPPED - set(KEPT)
    if unknown:
        raise ValueError(f"{path}: a CRD schema cannot hold {', '.join(sorted(unknown))}")
    if "type" not in node and "x-kubernetes-int-or-string" not in node:
        raise ValueError(f"{path}: the schema has no type")
    if "items" in node:
        node = {"x-kubernetes-list-type": "atomic", **node}
    out: Schema = {key: node[key] for key in KEPT if key in node}
    if "properties" in node:
        out["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    if "items" in node:
        out["items"] = _convert(node["items"], definitions, f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(
            node["additionalProperties"], definitions, f"{path}.*"
        )
        _add_key_rules(out, node.get("propertyNames", {}))
    return out


def _flatten(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """Inline `$ref` and take null out of `anyOf`; what stands beside them wins."""
    while True:
        if "$ref" in node:
            inner = definitions[node["$ref"].removeprefix("#/$defs/")]
            node = {**inner, **{key: node[key] for key in node if key != "$ref"}}
        elif "anyOf" in node and "x-kubernetes-int-or-string" not in node:
            choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
            if len(choices) != 1:
                raise ValueError(f"{path}: a CRD field has one type, not {len(choices)}")
            node = {**choices[0], **{key: node[key] for key in node if key != "anyOf"}}
        else:
            return node


def _add_key_rules(out: Schema, names: Schema) -> None:
    """Bound a map's keys by CEL, for CRDs have no propertyNames."""
    rules = list(out.get("x-kubernetes-validations", []))
    if "maxLength" in names:
        limit = names["maxLength"]
        rules.append(
            rule(f"self.all(k, k.size() <= {limit})", f"write keys of at most {limit} characters")
        )
    if names.get("minLength"):
        rules.append(rule("self.all(k, k.size() > 0)", "remove the empty key"))
    if rules:
        out["x-kubernetes-validations"] = rules
