"""Parts of the spec that go into pods as Kubernetes has them: resources, tolerations, environment.

Bounded, because an unbounded list or map exhausts the cost budget of the CEL rules.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from resnet_operator.api.base import (
    ApiModel,
    ConfigKey,
    ObjectName,
    cel,
    opaque,
    rule,
    string,
    text,
)

StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
LabelValue = Annotated[
    str,
    text(
        r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
        "write a label value: letters, digits, '-', '_' and '.', ending with a letter or a digit",
        max_length=63,
        min_length=0,
    ),
]
LabelMap = Annotated[dict[Annotated[str, Field(max_length=317)], LabelValue], Field(max_length=64)]


class ConfigMapKeyRef(ApiModel):
    name: ObjectName = Field(description="Name of a ConfigMap in the object's namespace.")
    key: ConfigKey = Field(description="Key in that ConfigMap.")


class LocalObjectReference(ApiModel):
    name: ObjectName = Field(description="Name of a Secret in the object's namespace.")


IS_DEVICE = "k.matches('^(huawei|nvidia)[.]com/')"
NoDeviceResource = cel(
    rule(
        f"(!has(self.requests) || !self.requests.exists(k, {IS_DEVICE})) && "
        f"(!has(self.limits) || !self.limits.exists(k, {IS_DEVICE}))",
        "remove huawei.com/… and nvidia.com/… from resources; write spec.accelerator.count instead",
    )
)
QUANTITY = r"^[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            "pattern": QUANTITY,
        }
    ),
]
QuantityMap = Annotated[dict[Annotated[str, Field(max_length=253)], Quantity], Field(max_length=16)]


class Resources(ApiModel):
    requests: QuantityMap | None = Field(default=None, description="What is reserved.")
    limits: QuantityMap | None = Field(default=None, description="What is allowed at most.")

    model_config = ConfigDict(json_schema_extra=NoDeviceResource)


# Typed here and a plain dict in Python: the operator passes these on to the pod as they are.
Toleration = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "key": string("Key of the taint; every taint when absent.", 316),
                "operator": string("Exists or Equal; default Equal.", 32),
                "value": string("Value of the taint.", 63),
                "effect": string("NoSchedule, PreferNoSchedule or NoExecute; all if absent.", 32),
                "tolerationSeconds": {
                    "type": "integer",
                    "description": "How long a NoExecute taint is tolerated; for ever when absent.",
                },
            },
        }
    ),
]
Tolerations = Annotated[
    list[Toleration],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]

EnvVar = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {**string("Name of the variable.", 253), "minLength": 1},
                "value": string("Its value.", 32768),
                "valueFrom": opaque(description="Where the value comes from instead, as in a pod."),
            },
        }
    ),
]
