"""Parts of the spec that go into pods as Kubernetes has them: resources, labels, references.

Bounded, because an unbounded list or map exhausts the cost budget of the CEL rules.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from resnet_operator.api.base import (
    ApiModel,
    ConfigKey,
    ObjectName,
    cel,
    no_store_secret,
    rule,
    text,
)
from resnet_operator.api.kubernetes.quantity import QuantityMap
from resnet_operator.api.kubernetes.reserved import ANNOTATIONS_RULE, is_reserved_annotation

MAP_CHARS = 16384


def _small_together(values: dict[str, str]) -> dict[str, str]:
    if sum(map(len, values.values())) > MAP_CHARS:
        raise ValueError(SMALL_TOGETHER["message"])
    return values


SMALL_TOGETHER = rule(
    f"self.map(k, self[k].size()).sum() <= {MAP_CHARS}",
    f"write values of at most {MAP_CHARS} characters together",
)
StringMap = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=4096)]],
    Field(max_length=64, json_schema_extra=cel(SMALL_TOGETHER)),
    AfterValidator(_small_together),
]


def _without_reserved(annotations: dict[str, str]) -> dict[str, str]:
    if any(is_reserved_annotation(key) for key in annotations):
        raise ValueError(ANNOTATIONS_RULE["message"])
    return annotations


PodAnnotations = Annotated[
    StringMap,
    Field(json_schema_extra=cel(SMALL_TOGETHER, ANNOTATIONS_RULE)),
    AfterValidator(_without_reserved),
]
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

    model_config = ConfigDict(json_schema_extra=cel(no_store_secret("self.name {}")))


IS_DEVICE = "k.matches('^(huawei|nvidia)[.]com/')"
NoDeviceResource = cel(
    rule(
        f"(!has(self.requests) || !self.requests.exists(k, {IS_DEVICE})) && "
        f"(!has(self.limits) || !self.limits.exists(k, {IS_DEVICE}))",
        "remove huawei.com/… and nvidia.com/… from resources; write spec.accelerator.count instead",
    )
)


class Resources(ApiModel):
    requests: QuantityMap | None = Field(default=None, description="What is reserved.")
    limits: QuantityMap | None = Field(default=None, description="What is allowed at most.")

    model_config = ConfigDict(json_schema_extra=NoDeviceResource)


class ContainerResources(ApiModel):
    """Resources of the operator's own containers; what is absent keeps its default."""

    fetch: Resources | None = Field(default=None, description="Of the one that fetches sources.")
    export: Resources | None = Field(default=None, description="Of the one that exports to ONNX.")
    prepare: Resources | None = Field(default=None, description="Of the one that inspects models.")
    publish: Resources | None = Field(default=None, description="Of the one that fills the store.")
    evaluate: Resources | None = Field(default=None, description="Of the one that measures.")
    artifact: Resources | None = Field(
        default=None, description="Of the one that brings the artifact into a serving pod."
    )
