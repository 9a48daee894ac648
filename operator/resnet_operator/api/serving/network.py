"""How clients reach the serving pods: Service, Ingress, HTTPRoute, TLS, NetworkPolicy.

None of it is part of a revision but `tls`: a change of the rest restarts no pod.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, ObjectName, no_store_secret, optional, text
from resnet_operator.api.kubernetes.peers import Peers
from resnet_operator.api.pod import StringMap
from resnet_operator.api.rules import Rule, given

Host = Annotated[
    str,
    *text(
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "write a host name in lower case, without scheme, port and path, for example "
        "resnet50.example.com",
        max_length=253,
    ),
]


class ServiceType(StrEnum):
    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class TrafficPolicy(StrEnum):
    CLUSTER = "Cluster"
    LOCAL = "Local"


class DisruptionBudget(StrEnum):
    AUTO = "Auto"
    DISABLED = "Disabled"


OF_BALANCERS = ("loadBalancerClass", "loadBalancerSourceRanges")


class ServiceOptions(ApiModel):
    type: ServiceType | None = optional("Type of the Service; default ClusterIP.")
    annotations: StringMap | None = optional("Annotations of the Service.")
    load_balancer_class: (
        Annotated[
            str,
            *text(
                r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
                "write the load balancer's class, for example example.com/internal",
                max_length=317,
            ),
        ]
        | None
    ) = optional("Load balancer to use; default the cluster's.")
    load_balancer_source_ranges: (
        Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)] | None
    ) = optional("Networks that the load balancer lets in, as CIDRs.")
    external_traffic_policy: TrafficPolicy | None = optional(
        "Local keeps the client's address; default Cluster."
    )

    RULES = (
        Rule(
            "(has(self.type) && self.type == 'LoadBalancer') || "
            "(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges))",
            lambda it: it.type is not ServiceType.LOAD_BALANCER and given(it, OF_BALANCERS),
            "write type: LoadBalancer, or remove loadBalancerClass and loadBalancerSourceRanges",
        ),
        Rule(
            "(has(self.type) && self.type != 'ClusterIP') || !has(self.externalTrafficPolicy)",
            lambda it: (
                it.type in {None, ServiceType.CLUSTER_IP} and it.external_traffic_policy is not None
            ),
            "write type: LoadBalancer or NodePort, or remove externalTrafficPolicy",
        ),
    )


class IngressOptions(ApiModel):
    host: Host = Field(description="Host name under which clients call.")
    class_name: ObjectName | None = optional("Ingress class; default the cluster's.")
    tls_secret_name: ObjectName | None = optional(
        "Secret with the certificate of the host; plain HTTP when absent."
    )
    annotations: StringMap | None = optional(
        "Annotations of the Ingress, for example its largest body."
    )

    RULES = (
        no_store_secret(
            "!has(self.tlsSecretName) || self.tlsSecretName {}", lambda it: it.tls_secret_name
        ),
    )


class ParentReference(ApiModel):
    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: ObjectName | None = optional("Namespace of the Gateway; default the object's.")
    section_name: ObjectName | None = optional(
        "Listener of the Gateway; every one that fits when absent."
    )


class HTTPRouteOptions(ApiModel):
    parent_refs: Annotated[list[ParentReference], Field(min_length=1, max_length=16)] = Field(
        description="Gateways that lead to the service."
    )
    hostnames: Annotated[list[Host], Field(min_length=1, max_length=16)] | None = optional(
        "Host names of the route; those of the Gateway if absent."
    )
    annotations: StringMap | None = optional("Annotations of the HTTPRoute.")


class NetworkPolicyOptions(ApiModel):
    """Written at all, even as {}: only these may call."""

    allow_from: Peers | None = optional(
        "Who may call, as in a NetworkPolicy; default the pods of the namespace."
    )
    allow_metrics_from: Peers | None = optional(
        "Who may read Triton's metrics; default every pod of the cluster."
    )


class ServingTLS(ApiModel):
    secret_name: ObjectName = Field(
        description="Secret with tls.crt and tls.key, and ca.crt for clientAuthentication."
    )
    client_authentication: bool | None = optional(
        "True asks clients for a certificate that ca.crt signed; default false."
    )

    RULES = (no_store_secret("self.secretName {}", lambda it: it.secret_name),)
