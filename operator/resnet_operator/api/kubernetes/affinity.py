"""Affinity and spreading of pods, as `core/v1` has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.kubernetes.passed_on import PassedOn
from resnet_operator.api.kubernetes.selectors import (
    LabelKey,
    LabelSelector,
    NodeSelectorTerm,
)

Weight = Annotated[int, Field(ge=1, le=100)]
Keys = Annotated[list[LabelKey], Field(max_length=16)]
SELECTOR_KEYS = "Keys of labels whose values are those of the pod itself."


class NodeSelector(ApiModel):
    node_selector_terms: Annotated[list[NodeSelectorTerm], Field(min_length=1, max_length=8)] = (
        Field(description="Terms, one of which must hold.")
    )


class PreferredNodes(ApiModel):
    weight: Weight = Field(description="How much it counts, from 1 to 100.")
    preference: NodeSelectorTerm = Field(description="Term that preferred nodes fulfil.")


class NodeAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = optional(
        "Nodes that the pods may run on."
    )
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredNodes], Field(max_length=8)] | None
    ) = optional("Nodes that are better than others.")


class PodAffinityTerm(ApiModel):
    topology_key: LabelKey = Field(description="Label of nodes that makes them one place.")
    label_selector: LabelSelector | None = optional("Pods that are meant.")
    namespaces: (
        Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=16)] | None
    ) = optional("Namespaces of those pods; default the object's.")
    namespace_selector: LabelSelector | None = optional(
        "Namespaces of those pods, by their labels."
    )
    match_label_keys: Keys | None = optional(SELECTOR_KEYS)
    mismatch_label_keys: Keys | None = optional(
        "Keys of labels whose values differ from those of the pod itself."
    )


class PreferredPods(ApiModel):
    weight: Weight = Field(description="How much it counts, from 1 to 100.")
    pod_affinity_term: PodAffinityTerm = Field(description="Pods to be near to, or away from.")


class PodAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: (
        Annotated[list[PodAffinityTerm], Field(max_length=8)] | None
    ) = optional("Pods that must, or must not, be in the same place.")
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredPods], Field(max_length=8)] | None
    ) = optional("Pods that better are, or are not, in the same place.")


class PodPlacement(ApiModel):
    node_affinity: NodeAffinity | None = optional("Which nodes.")
    pod_affinity: PodAffinity | None = optional("Near to which pods.")
    pod_anti_affinity: PodAffinity | None = optional("Away from which pods.")


class WhenUnsatisfiable(StrEnum):
    DO_NOT_SCHEDULE = "DoNotSchedule"
    SCHEDULE_ANYWAY = "ScheduleAnyway"


class NodeInclusion(StrEnum):
    HONOR = "Honor"
    IGNORE = "Ignore"


class SpreadConstraint(ApiModel):
    max_skew: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="By how many pods two places may differ."
    )
    topology_key: LabelKey = Field(description="Label of nodes that makes them one place.")
    when_unsatisfiable: WhenUnsatisfiable = Field(description="What to do when it cannot hold.")
    label_selector: LabelSelector | None = optional(
        "Pods that are counted; default those of this object."
    )
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = optional(
        "Number of places that there should be."
    )
    match_label_keys: Keys | None = optional(SELECTOR_KEYS)
    node_affinity_policy: NodeInclusion | None = optional(
        "Whether nodes that affinity rules out count."
    )
    node_taints_policy: NodeInclusion | None = optional("Whether nodes with taints count.")


Affinity = Annotated[dict[str, Any], PassedOn(PodPlacement)]
SpreadConstraints = Annotated[
    list[Annotated[dict[str, Any], PassedOn(SpreadConstraint)]], Field(max_length=8)
]
