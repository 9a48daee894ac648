"""Environment and tolerations of a container and of a pod, as `core/v1` has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import ApiModel, ConfigKey, ObjectName, no_store_secret, optional
from resnet_operator.api.kubernetes.passed_on import PassedOn
from resnet_operator.api.kubernetes.quantity import Quantity
from resnet_operator.api.kubernetes.reserved import VARIABLES_RULE
from resnet_operator.api.rules import Rule, Rules

VALUE_CHARS = 32768
FieldPath = Annotated[str, Field(min_length=1, max_length=512)]


class KeySelector(ApiModel):
    name: ObjectName = Field(description="Name of the object in the namespace.")
    key: ConfigKey = Field(description="Key in it.")
    optional: bool | None = optional("True lets it be missing.")


class FieldSelector(ApiModel):
    field_path: FieldPath = Field(description="Field of the pod, for example metadata.name.")
    api_version: Annotated[str, Field(max_length=63)] | None = optional(
        "Version of the schema that the path is written in; default v1."
    )


class ResourceSelector(ApiModel):
    resource: Annotated[str, Field(min_length=1, max_length=317)] = Field(
        description="Request or limit of a container, for example limits.cpu."
    )
    container_name: Annotated[str, Field(max_length=63)] | None = optional(
        "Name of the container; default this one."
    )
    divisor: Quantity | None = optional("Unit of the value; default 1.")


class EnvSource(ApiModel):
    config_map_key_ref: KeySelector | None = optional("Key of a ConfigMap.")
    secret_key_ref: KeySelector | None = optional("Key of a Secret.")
    field_ref: FieldSelector | None = optional("Field of the pod.")
    resource_field_ref: ResourceSelector | None = optional("Resource of a container.")

    RULES = (
        Rule(
            "[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef), "
            "has(self.resourceFieldRef)].filter(given, given).size() == 1",
            lambda it: sum(value is not None for _, value in it) != 1,
            "write one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef",
        ),
        no_store_secret(
            "!has(self.secretKeyRef) || self.secretKeyRef.name {}",
            lambda it: it.secret_key_ref and it.secret_key_ref.name,
        ),
    )


class Variable(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[ -<>-~]+$")] = Field(
        description="Name of the variable."
    )
    value: Annotated[str, Field(max_length=VALUE_CHARS)] | None = optional("Its value.")
    value_from: EnvSource | None = optional("Where the value comes from instead.")

    RULES = (
        Rule(
            "!has(self.value) || self.value == '' || !has(self.valueFrom)",
            lambda it: it.value and it.value_from is not None,
            "write value or valueFrom, not both",
        ),
    )


class TolerationOperator(StrEnum):
    EXISTS = "Exists"
    EQUAL = "Equal"
    LESS = "Lt"
    GREATER = "Gt"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    key: Annotated[str, Field(max_length=317)] | None = optional(
        "Key of the taint; every taint when absent."
    )
    operator: TolerationOperator | None = optional(
        "Exists or Equal; Lt and Gt where the cluster knows them."
    )
    value: Annotated[str, Field(max_length=63)] | None = optional("Value of the taint.")
    effect: TaintEffect | None = optional("Effect; every one when absent.")
    # Seconds as Kubernetes has them, 64 bits wide; a negative number evicts at once.
    toleration_seconds: Annotated[int, Field(ge=-(2**31), le=2**31)] | None = optional(
        "How long a NoExecute taint is tolerated; for ever when absent."
    )


SMALL_TOGETHER = Rule(
    "self.map(item, has(item.value) ? item.value.size() : 0).sum() <= " + str(VALUE_CHARS),
    lambda env: sum(len(item.get("value") or "") for item in env) > VALUE_CHARS,
    f"write values of at most {VALUE_CHARS} characters together, or keep them in a ConfigMap and "
    "write valueFrom",
)


Env = Annotated[
    list[Annotated[dict[str, Any], PassedOn(Variable)]],
    Field(
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
    Rules(VARIABLES_RULE, SMALL_TOGETHER),
]
Tolerations = Annotated[list[Annotated[dict[str, Any], PassedOn(Toleration)]], Field(max_length=32)]
