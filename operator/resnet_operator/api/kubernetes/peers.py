"""Who may connect, as a NetworkPolicy has it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.kubernetes.passed_on import PassedOn
from resnet_operator.api.kubernetes.selectors import LabelSelector
from resnet_operator.api.rules import Rule, given

# A network with the length of its prefix; the API server reads the address itself.
Cidr = Annotated[str, Field(max_length=49, pattern=r"^[0-9a-fA-F.:]{2,45}/[0-9]{1,3}$")]


class AddressBlock(ApiModel):
    cidr: Cidr = Field(description="Network, for example 10.0.0.0/8.")
    # `except` is a word of Python.
    excluded: Annotated[list[Cidr], Field(max_length=32)] | None = Field(
        default=None, alias="except", description="Networks inside it that are left out."
    )


class Peer(ApiModel):
    pod_selector: LabelSelector | None = optional(
        "Pods that may connect; of the object's namespace when alone."
    )
    namespace_selector: LabelSelector | None = optional("Namespaces whose pods may connect.")
    ip_block: AddressBlock | None = optional("Addresses that may connect; beside no selector.")

    RULES = (
        Rule(
            "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
            lambda it: (it.ip_block is not None) == given(it, ["podSelector", "namespaceSelector"]),
            "write podSelector, namespaceSelector or both, or ipBlock alone",
        ),
    )


Peers = Annotated[
    list[Annotated[dict[str, Any], PassedOn(Peer)]], Field(min_length=1, max_length=32)
]
