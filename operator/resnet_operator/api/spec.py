"""`spec` of a ResNetService. Each description is one sentence: `kubectl explain` prints it.

A field stands here only when it works. Defaults are written in the descriptions and resolved in
`resolve`; a default in the schema would change stored objects (`docs/decisions`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import (
    QUALIFIED_NAME,
    ApiModel,
    ConfigKey,
    Image,
    ObjectName,
    Sha256,
    cel,
    opaque,
    rule,
)

Batch = Annotated[int, Field(ge=1, le=2048)]
Dim = Annotated[int, Field(ge=1, le=65536)]
InputName = Annotated[str, Field(min_length=1, max_length=127)]
StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


class ModelFormat(StrEnum):
    ONNX = "ONNX"


class PrecisionMode(StrEnum):
    """ATC's --precision_mode and --precision_mode_v2 in one list, so that one excludes the other."""

    FORCE_FP16 = "ForceFP16"
    FORCE_FP32 = "ForceFP32"
    CUBE_FP16_IN_FP32_OUT = "CubeFP16InFP32Out"
    ALLOW_FP32_TO_FP16 = "AllowFP32ToFP16"
    MUST_KEEP_ORIGIN_DTYPE = "MustKeepOriginDtype"
    ALLOW_MIX_PRECISION = "AllowMixPrecision"
    ALLOW_MIX_PRECISION_BF16 = "AllowMixPrecisionBF16"
    ALLOW_FP32_TO_BF16 = "AllowFP32ToBF16"
    FP16 = "FP16"
    ORIGIN = "Origin"
    MIXED_FLOAT16 = "MixedFloat16"
    MIXED_BFLOAT16 = "MixedBFloat16"


class OpSelectImplMode(StrEnum):
    HIGH_PERFORMANCE = "HighPerformance"
    HIGH_PRECISION = "HighPrecision"
    HIGH_PERFORMANCE_FOR_ALL = "HighPerformanceForAll"
    HIGH_PRECISION_FOR_ALL = "HighPrecisionForAll"


class BatchingMode(StrEnum):
    DYNAMIC = "Dynamic"
    DISABLED = "Disabled"


class Warmup(StrEnum):
    AUTO = "Auto"
    DISABLED = "Disabled"


class ServiceType(StrEnum):
    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ConfigMapKeyRef(ApiModel):
    name: ObjectName = Field(description="Name of a ConfigMap in the object's namespace.")
    key: ConfigKey = Field(description="Key in that ConfigMap.")


class ClassLabels(ApiModel):
    config_map_key_ref: ConfigMapKeyRef = Field(
        description="ConfigMap key that holds one label a line, the first line being class 0."
    )


class Model(ApiModel):
    """Where the model lies and what it is called."""

    uri: str = Field(
        min_length=1,
        max_length=2048,
        description=(
            "Where the model lies: pvc://<claim>/<path>, configmap://<name>/<key>, "
            "http://… or https://…."
        ),
        json_schema_extra=cel(
            rule(
                "self.startsWith('pvc://') || self.startsWith('configmap://') || "
                "self.startsWith('http://') || self.startsWith('https://')",
                "write pvc://<claim>/<path>, configmap://<name>/<key>, http://… or https://…; "
                "other schemes are not supported yet",
            ),
            rule(
                "!self.matches('^https?://[^/]*@')",
                "remove the user and password from the URI; anyone who may read the object "
                "could read them",
            ),
            rule(
                "!self.startsWith('pvc://') || "
                "self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^/].*$')",
                "write pvc://<claim>/<path to the file>, for example pvc://models/resnet50.onnx",
            ),
            rule(
                "!self.startsWith('configmap://') || "
                "self.matches('^configmap://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$')",
                "write configmap://<name>/<key>, for example configmap://models/digits.onnx",
            ),
            rule("!self.contains('/../') && !self.endsWith('/..')", "remove '..' from the path"),
            rule(
                "!self.matches('^https?://') || self.matches('^https?://[^/?#]+/.+')",
                "write the host and the path of the file, for example "
                "https://models.example.com/resnet50.onnx",
            ),
        ),
    )
    sha256: Sha256 | None = Field(
        default=None,
        description=(
            "SHA-256 of the model file in hexadecimal; checked after the download, and objects "
            "with the same digest and options share one conversion."
        ),
    )
    refetch: str | None = Field(
        default=None,
        max_length=64,
        description="Free text; change it to have a URI without sha256 fetched again.",
    )
    format: ModelFormat | None = Field(
        default=None, description="Format of the file; default ONNX."
    )
    name: str | None = Field(
        default=None,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the model in Triton; default metadata.name.",
    )
    class_labels: ClassLabels | None = Field(
        default=None,
        description="Names of the classes, which Triton returns for a request with class_count.",
    )


class Accelerator(ApiModel):
    """What the replicas run on."""

    chip: str = Field(
        max_length=32,
        description="Soc version of the Ascend chip, for example Ascend310P3, or CPU.",
        json_schema_extra=cel(
            rule(
                "self == 'CPU' || self.matches('^Ascend[0-9]{3}[A-Za-z0-9_-]*$')",
                "write CPU or the soc version of the chip, for example Ascend310P3 "
                "('npu-smi info' prints 310P3 in its Name column: put Ascend before it)",
            ),
            rule(
                "self != 'Ascend310P'",
                "write the whole soc version: Ascend310P3, Ascend310P1, Ascend310P5 or Ascend310P7",
            ),
        ),
    )
    count: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Chips for each replica, instances are spread over them; default 1.",
    )
    resource_name: str | None = Field(
        default=None,
        max_length=253,
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$",
        description="Extended resource to ask for, where the operator's own map is wrong.",
    )


NoDeviceResource = cel(
    rule(
        "(!has(self.requests) || !self.requests.exists(k, k.startsWith('huawei.com/'))) && "
        "(!has(self.limits) || !self.limits.exists(k, k.startsWith('huawei.com/')))",
        "remove huawei.com/… from resources; write spec.accelerator.count instead",
    )
)
Quantity = Annotated[
    str,
    Field(
        max_length=32,
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
        },
    ),
]
QuantityMap = Annotated[
    dict[Annotated[str, Field(max_length=253)], Quantity | int], Field(max_length=16)
]


class Resources(ApiModel):
    requests: QuantityMap | None = Field(default=None, description="What is reserved.")
    limits: QuantityMap | None = Field(default=None, description="What is allowed at most.")

    model_config = {**ApiModel.model_config, "json_schema_extra": NoDeviceResource}


Toleration = Annotated[dict[str, Any], Field(json_schema_extra=opaque())]
Tolerations = Annotated[
    list[Toleration],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]


class Conversion(ApiModel):
    """How ATC makes the offline model; not used when the chip is CPU, but for batchSizes."""

    image: Image | None = Field(
        default=None, description="CANN toolkit image; default by chip from the operator's settings."
    )
    batch_sizes: (
        Annotated[
            list[Batch],
            Field(
                min_length=1,
                max_length=100,
                json_schema_extra={
                    "x-kubernetes-list-type": "atomic",
                    **cel(
                        rule(
                            "self.all(i, self.exists_one(j, j == i))",
                            "remove the repeated batch size",
                        ),
                        rule(
                            "self.size() < 2 || self.all(i, i == self[0] || self[0] < i) && "
                            "self.map(i, self.filter(j, j < i).size()) == "
                            "self.map(i, self.indexOf(i))",
                            "write the batch sizes in ascending order, for example [1, 2, 4, 8]",
                        ),
                    ),
                },
            ),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Batch sizes the chip runs: one is a static batch, several are ATC's dynamic "
            "profiles; default [1, 2, 4, 8]."
        ),
    )
    input_shapes: (
        Annotated[
            dict[InputName, Annotated[list[Dim], Field(max_length=8)]],
            Field(max_length=16),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Shape of each input without the batch dimension, where the model leaves it open."
        ),
    )
    precision_mode: PrecisionMode | None = Field(
        default=None, description="ATC's precision mode (v1 or v2); absent means no flag."
    )
    op_select_impl_mode: OpSelectImplMode | None = Field(
        default=None, description="ATC's --op_select_implmode; absent means no flag."
    )
    resources: Resources | None = Field(
        default=None, description="CPU and memory of the conversion; default requests 2 CPU, 4Gi."
    )
    node_selector: StringMap | None = Field(
        default=None, description="Nodes on which the conversion may run; it needs no NPU."
    )
    tolerations: Tolerations | None = Field(
        default=None, description="Taints that the conversion tolerates."
    )
    timeout_seconds: int | None = Field(
        default=None, ge=10, le=86400, description="Limit of one attempt of ATC; default 3600."
    )
    retries: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Further attempts after a failure that a retry can help; default 2.",
    )


class Batching(ApiModel):
    mode: BatchingMode | None = Field(
        default=None, description="Dynamic gathers requests into batches; default Dynamic."
    )
    max_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=2048,
        description="Triton's max_batch_size; default the largest of conversion.batchSizes.",
    )
    preferred_batch_sizes: (
        Annotated[
            list[Batch], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
        ]
        | None
    ) = Field(
        default=None, description="Sizes to wait for; default the two largest batch sizes above 1."
    )
    max_queue_delay_microseconds: int | None = Field(
        default=None, ge=0, le=60_000_000, description="Longest wait for a batch; default 1000."
    )


class LocalObjectReference(ApiModel):
    name: ObjectName = Field(description="Name of a Secret in the object's namespace.")


EnvVar = Annotated[
    dict[str, Any],
    Field(
        json_schema_extra={
            **opaque(required=["name"]),
            "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 253}},
        }
    ),
]


class ServiceOptions(ApiModel):
    type: ServiceType | None = Field(
        default=None, description="Type of the Service; default ClusterIP."
    )
    annotations: StringMap | None = Field(
        default=None, description="Annotations of the Service."
    )


class Serving(ApiModel):
    """How Triton serves the artifact."""

    image: Image | None = Field(
        default=None,
        description="Triton image with the runtime; default by runtime from the operator's settings.",
    )
    replicas: int = Field(
        default=1, ge=0, le=1000, description="Number of serving pods; 0 stops serving."
    )
    instances_per_chip: int | None = Field(
        default=None, ge=1, le=32, description="Triton model instances for each chip; default 1."
    )
    batching: Batching | None = Field(default=None, description="Triton's dynamic batching.")
    warmup: Warmup | None = Field(
        default=None, description="Auto runs each batch size once before ready; default Auto."
    )
    load_timeout_seconds: int | None = Field(
        default=None, ge=10, le=7200, description="Longest time to load the model; default 300."
    )
    resources: Resources | None = Field(
        default=None,
        description="CPU and memory of Triton; default requests 1 CPU, 1Gi. The chip is added.",
    )
    env: (
        Annotated[
            list[EnvVar],
            Field(
                max_length=64,
                json_schema_extra={
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
            ),
        ]
        | None
    ) = Field(default=None, description="Environment of Triton, as in a pod.")
    node_selector: StringMap | None = Field(default=None, description="Nodes that may serve.")
    tolerations: Tolerations | None = Field(
        default=None, description="Taints that the serving pods tolerate."
    )
    affinity: Annotated[dict[str, Any], Field(json_schema_extra=opaque())] | None = Field(
        default=None, description="Affinity of the serving pods, as in a pod."
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="Priority class of the serving pods."
    )
    service_account_name: ObjectName | None = Field(
        default=None, description="Service account of the serving pods; its token is not mounted."
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
    ) = Field(default=None, description="Pull secrets of the serving pods and of the conversion.")
    pod_labels: (
        Annotated[
            StringMap,
            Field(
                json_schema_extra=cel(
                    rule(
                        "!self.exists(k, k.startsWith('app.kubernetes.io/') || "
                        "k.startsWith('serving.resnet-operator.io/'))",
                        "remove the labels app.kubernetes.io/… and serving.resnet-operator.io/…; "
                        "the operator sets them",
                    )
                )
            ),
        ]
        | None
    ) = Field(default=None, description="Further labels of the serving pods.")
    pod_annotations: StringMap | None = Field(
        default=None, description="Further annotations of the serving pods."
    )
    service: ServiceOptions | None = Field(default=None, description="The Service before the pods.")


class Rollout(ApiModel):
    progress_deadline_seconds: int | None = Field(
        default=None,
        ge=30,
        le=86400,
        description="After this long without progress the object is Stalled; default 1800.",
    )


class ResNetServiceSpec(ApiModel):
    """What the user wants."""

    suspend: bool | None = Field(
        default=None, description="True removes the pods and keeps the artifact; default false."
    )
    model: Model = Field(description="Where the model lies and what it is called.")
    accelerator: Accelerator = Field(description="What the replicas run on.")
    conversion: Conversion | None = Field(
        default=None, description="How the model is converted for the chip."
    )
    serving: Serving = Field(default_factory=Serving, description="How Triton serves the model.")
    rollout: Rollout | None = Field(default=None, description="How changes are rolled out.")

    model_config = {
        **ApiModel.model_config,
        "json_schema_extra": cel(
            rule(
                "!has(self.serving) || !has(self.serving.batching) || "
                "!has(self.serving.batching.maxBatchSize) || "
                "self.serving.batching.maxBatchSize <= "
                "(has(self.conversion) && has(self.conversion.batchSizes) ? "
                "self.conversion.batchSizes[self.conversion.batchSizes.size() - 1] : 8)",
                "serving.batching.maxBatchSize may not be above the largest of "
                "conversion.batchSizes (default 8); raise batchSizes or lower maxBatchSize",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.accelerator.resourceName)",
                "remove accelerator.resourceName; chip CPU asks for no device",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.accelerator.count)",
                "remove accelerator.count; chip CPU asks for no device",
            ),
            rule(
                "self.accelerator.chip != 'CPU' || !has(self.conversion) || "
                "(!has(self.conversion.precisionMode) && !has(self.conversion.opSelectImplMode) "
                "&& !has(self.conversion.image))",
                "remove conversion.precisionMode, opSelectImplMode and image; "
                "chip CPU is not converted by ATC",
            ),
            rule(
                "!has(self.conversion) || !has(self.conversion.precisionMode) || "
                "!self.conversion.precisionMode.contains('BF16') || "
                "!self.accelerator.chip.startsWith('Ascend310P')",
                "choose a precisionMode without BF16; Ascend310P chips have no bfloat16",
            ),
        ),
    }
