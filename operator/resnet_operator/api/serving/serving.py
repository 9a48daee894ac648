"""`spec.serving`: how Triton serves the artifact, and the pods it runs in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, Image, ObjectName, optional
from resnet_operator.api.conversion import Batch
from resnet_operator.api.kubernetes.affinity import Affinity, SpreadConstraints
from resnet_operator.api.kubernetes.pods import Env, Tolerations
from resnet_operator.api.pod import LabelMap, LocalObjectReference, PodAnnotations, Resources
from resnet_operator.api.rules import Rule, Rules, given
from resnet_operator.api.serving.autoscaling import Autoscaling
from resnet_operator.api.serving.network import (
    DisruptionBudget,
    HTTPRouteOptions,
    IngressOptions,
    NetworkPolicyOptions,
    ServiceOptions,
    ServiceType,
    ServingTLS,
)
from resnet_operator.api.serving.oneflow import OneFlow
from resnet_operator.api.serving.pipeline import Pipeline
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.serving.torch_aie import PrecisionPolicy
from resnet_operator.api.serving.triton import EITHER, ExtraArgs, Tracing

__all__ = ["Batching", "BatchingMode", "ServiceType", "Serving", "Warmup"]


class BatchingMode(StrEnum):
    DYNAMIC = "Dynamic"
    DISABLED = "Disabled"


class Warmup(StrEnum):
    AUTO = "Auto"
    DISABLED = "Disabled"


OF_DYNAMIC = ("preferredBatchSizes", "maxQueueDelayMicroseconds")
OURS = ("app.kubernetes.io/", "serving.resnet-operator.io/")
PodLabels = Annotated[
    LabelMap,
    Rules(
        Rule(
            "!self.exists(k, k.startsWith('app.kubernetes.io/') || "
            "k.startsWith('serving.resnet-operator.io/'))",
            lambda labels: any(key.startswith(OURS) for key in labels),
            "remove the labels app.kubernetes.io/… and serving.resnet-operator.io/…; "
            "the operator sets them",
        )
    ),
]


class Batching(ApiModel):
    mode: BatchingMode | None = optional("Dynamic gathers requests into batches; default Dynamic.")
    max_batch_size: int | None = optional(
        "Triton's max_batch_size; default the largest of conversion.batchSizes.", ge=1, le=2048
    )
    preferred_batch_sizes: Annotated[list[Batch], Field(max_length=16)] | None = optional(
        "Sizes to wait for; default the two largest batch sizes above 1."
    )
    max_queue_delay_microseconds: int | None = optional(
        "Longest wait for a batch; default 1000.", ge=0, le=60_000_000
    )

    RULES = (
        Rule(
            "!has(self.mode) || self.mode != 'Disabled' || "
            "(!has(self.preferredBatchSizes) && !has(self.maxQueueDelayMicroseconds))",
            lambda it: it.mode is BatchingMode.DISABLED and given(it, OF_DYNAMIC),
            "remove preferredBatchSizes and maxQueueDelayMicroseconds, or write mode: Dynamic",
        ),
    )


class Serving(ApiModel):
    """How Triton serves the artifact."""

    runtime: Runtime | None = optional(
        "What runs the model in Triton; default Auto, by chip and format."
    )
    image: Image | None = optional(
        "Triton image with the runtime; default from the operator's settings."
    )
    precision_policy: PrecisionPolicy | None = optional(
        "How TorchAIE computes: FP32, FP16 or PREF_FP32 (FP16 where there is no FP32); "
        "default FP32."
    )
    replicas: int = Field(
        default=1, ge=0, le=1000, description="Number of serving pods, 0 stops serving; default 1."
    )
    autoscaling: Autoscaling | None = optional(
        "An autoscaler that sets replicas by what it measures; default none."
    )
    instances_per_chip: int | None = optional(
        "Triton model instances for each chip; default 1.", ge=1, le=32
    )
    batching: Batching | None = optional("Triton's dynamic batching.")
    pipeline: Pipeline | None = optional(
        "A model <name>-pipeline that takes picture files, also if {}; default none."
    )
    oneflow: OneFlow | None = optional("How OneFlow's backend runs the graph; format OneFlow only.")
    warmup: Warmup | None = optional("Auto runs each batch size once before ready; default Auto.")
    load_timeout_seconds: int | None = optional(
        "Longest time to load the model; default 300, and 1800 where loading compiles.",
        ge=10,
        le=7200,
    )
    config_overrides: Annotated[str, Field(min_length=1, max_length=16384)] | None = optional(
        "Protobuf text of Triton's ModelConfig, merged last into config.pbtxt."
    )
    extra_args: ExtraArgs | None = optional("Further flags of Triton, from a list of allowed ones.")
    tracing: Tracing | None = optional(
        "Traces of requests for an OpenTelemetry collector; default none."
    )
    resources: Resources | None = optional(
        "CPU and memory of Triton; default requests 500m CPU and 1Gi, limit 4Gi."
    )
    env: Env | None = optional("Environment of Triton, as in a pod.")
    node_selector: LabelMap | None = optional("Nodes that may serve.")
    tolerations: Tolerations | None = optional("Taints that the serving pods tolerate.")
    affinity: Affinity | None = optional("Affinity of the serving pods, as in a pod.")
    topology_spread_constraints: SpreadConstraints | None = optional(
        "Spreading of the pods, as in a pod; labelSelector defaults to these pods."
    )
    priority_class_name: ObjectName | None = optional("Priority class of the serving pods.")
    service_account_name: ObjectName | None = optional(
        "Service account of the serving pods; its token is not mounted."
    )
    image_pull_secrets: (
        Annotated[
            list[LocalObjectReference],
            Field(
                max_length=16,
                json_schema_extra={
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
            ),
        ]
        | None
    ) = optional("Pull secrets of the serving pods and of the conversion.")
    pod_labels: PodLabels | None = optional("Further labels of the serving pods.")
    pod_annotations: PodAnnotations | None = optional("Further annotations of the serving pods.")
    service: ServiceOptions | None = optional("The Service in front of the pods.")
    tls: ServingTLS | None = optional(
        "TLS of the gRPC port; Triton has none for HTTP, which the Service then hides."
    )
    ingress: IngressOptions | None = optional("An Ingress that leads to the HTTP port.")
    http_route: HTTPRouteOptions | None = optional(
        "A Gateway API HTTPRoute that leads to the HTTP port."
    )
    pod_disruption_budget: DisruptionBudget | None = optional(
        "Auto lets evictions take one pod at a time if replicas is above 1; default Auto."
    )
    network_policy: NetworkPolicyOptions | None = optional(
        "A NetworkPolicy for the pods, also if empty; default none."
    )

    RULES = (
        Rule(
            "!has(self.tracing) || !has(self.extraArgs) || "
            "!self.extraArgs.exists(a, a.startsWith('--trace-config='))",
            lambda it: (
                it.tracing is not None
                and any(flag.startswith("--trace-config=") for flag in it.extra_args or ())
            ),
            EITHER,
        ),
    )

    @property
    def publishes_http(self) -> bool:
        """Tell whether the Service has the HTTP port: not where all is to be encrypted."""
        return self.tls is None or self.ingress is not None or self.http_route is not None
