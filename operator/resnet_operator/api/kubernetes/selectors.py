"""Labels and what selects by them, as `core/v1` and `meta/v1` have them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, optional

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
Value = Annotated[str, Field(max_length=63)]
Values = Annotated[list[Value], Field(max_length=64)]
MatchLabels = Annotated[dict[Annotated[str, Field(max_length=317)], Value], Field(max_length=16)]


class SelectorOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class NodeOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


class LabelRequirement(ApiModel):
    key: LabelKey = Field(description="Key of the label.")
    operator: SelectorOperator = Field(description="How the label is compared with values.")
    values: Values | None = optional("Values of In and NotIn.")


class LabelSelector(ApiModel):
    match_labels: MatchLabels | None = optional("Labels and their values.")
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = optional(
        "Further conditions; all must hold."
    )


class NodeRequirement(ApiModel):
    # A name of a node, in matchFields, is longer than the value of a label.
    key: LabelKey = Field(description="Key of the node's label, or metadata.name.")
    operator: NodeOperator = Field(description="How it is compared with values.")
    values: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=64)] | None = (
        optional("Values of In and NotIn; one number for Gt and Lt.")
    )


NodeRequirements = Annotated[list[NodeRequirement], Field(max_length=16)]


class NodeSelectorTerm(ApiModel):
    match_expressions: NodeRequirements | None = optional(
        "Conditions on labels of the node; all must hold."
    )
    match_fields: NodeRequirements | None = optional(
        "Conditions on fields of the node, that is metadata.name."
    )
