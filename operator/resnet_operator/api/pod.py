"""Parts of the spec that go into pods as Kubernetes has them: resources, labels, references.

Bounded, because an unbounded list or map exhausts the cost budget of the CEL rules.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import (
    ApiModel,
    ConfigKey,
    ObjectName,
    no_store_secret,
    optional,
    text,
)
from resnet_operator.api.kubernetes.quantity import QuantityMap
from resnet_operator.api.kubernetes.reserved import ANNOTATIONS_RULE
from resnet_operator.api.rules import Rule, Rules, matches

MAP_CHARS = 16384


SMALL_TOGETHER = Rule(
    f"self.map(k, self[k].size()).sum() <= {MAP_CHARS}",
    lambda values: sum(map(len, values.values())) > MAP_CHARS,
    f"write values of at most {MAP_CHARS} characters together",
)
StringMap = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=4096)]],
    Field(max_length=64),
    Rules(SMALL_TOGETHER),
]
PodAnnotations = Annotated[StringMap, Rules(ANNOTATIONS_RULE)]
LabelValue = Annotated[
    str,
    *text(
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

    RULES = (no_store_secret("self.name {}", lambda it: it.name),)


DEVICE = "^(huawei|nvidia)[.]com/"
IS_DEVICE = f"k.matches('{DEVICE}')"


class Resources(ApiModel):
    requests: QuantityMap | None = optional("What is reserved.")
    limits: QuantityMap | None = optional("What is allowed at most.")

    RULES = (
        Rule(
            f"(!has(self.requests) || !self.requests.exists(k, {IS_DEVICE})) && "
            f"(!has(self.limits) || !self.limits.exists(k, {IS_DEVICE}))",
            lambda it: any(
                matches(DEVICE, key) for key in (*(it.requests or ()), *(it.limits or ()))
            ),
            "remove huawei.com/… and nvidia.com/… from resources; "
            "write spec.accelerator.count instead",
        ),
    )


class ContainerResources(ApiModel):
    """Resources of the operator's own containers; what is absent keeps its default."""

    fetch: Resources | None = optional("Of the one that fetches sources.")
    export: Resources | None = optional("Of the one that exports to ONNX.")
    prepare: Resources | None = optional("Of the one that inspects models.")
    publish: Resources | None = optional("Of the one that fills the store.")
    evaluate: Resources | None = optional("Of the one that measures.")
    artifact: Resources | None = optional("Of the one that brings the artifact into a serving pod.")
