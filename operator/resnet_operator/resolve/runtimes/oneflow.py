"""What format OneFlow brings: its GPUs, and what of the spec does not go with it.

Called by `resolve`. The CRD's rules say the same; this is for objects that are older than they.
Pure.
"""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.model import DeclaredTensor
from resnet_operator.api.serving.oneflow import UNUSED, Xrt
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.shares import DeviceRequest
from resnet_operator.settings.operator import Settings, by_longest_prefix

CPU, GPU = "CPU", "GPU"
RESOURCES = {GPU: "nvidia.com/gpu"}
# The values of the parameter `xrt` that OneFlow's backend knows.
XRT_NAMES = {Xrt.TENSOR_RT: "tensorrt", Xrt.OPEN_VINO: "openvino"}
XRT_CHIPS = {Xrt.TENSOR_RT: GPU, Xrt.OPEN_VINO: CPU}


def gpu_request(spec: ResNetServiceSpec, settings: Settings) -> DeviceRequest:
    """Return the resource of chip GPU."""
    table = {**RESOURCES, **settings.chip_resources}
    resource = spec.accelerator.resource_name or by_longest_prefix(table, GPU)
    return DeviceRequest(resource=resource or RESOURCES[GPU])


def check_oneflow(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Raise InvalidSpec where GPU, OneFlow and the rest of the spec do not fit together."""
    chip, serving = spec.accelerator.chip, spec.serving
    if model_format is not ModelFormat.ONEFLOW:
        if chip == GPU:
            raise InvalidSpec(
                f"chip GPU runs format OneFlow only, and this is {model_format}; write an Ascend "
                "chip or CPU"
            )
        if serving.oneflow:
            raise InvalidSpec("remove serving.oneflow, or write model.format: OneFlow")
        return
    if chip not in {CPU, GPU}:
        raise InvalidSpec(f"OneFlow's backend does not know {chip}; write chip GPU, or CPU")
    _check_names("inputs", spec.model.inputs, "INPUT")
    _check_names("outputs", spec.model.outputs, "OUTPUT")
    if (serving.instances_per_chip or 1) > 1:
        raise InvalidSpec(
            "remove serving.instancesPerChip and raise serving.replicas; OneFlow runs the "
            "instances of one process one after the other"
        )
    xrt = serving.oneflow and serving.oneflow.xrt
    if xrt and XRT_CHIPS[xrt] != chip:
        raise InvalidSpec(f"serving.oneflow.xrt {xrt} runs on chip {XRT_CHIPS[xrt]}; write that")
    if serving.batching and serving.batching.preferred_batch_sizes:
        raise InvalidSpec(
            "remove serving.batching.preferredBatchSizes; OneFlow's backend pads every run to "
            "maxBatchSize"
        )
    if spec.validation:
        raise InvalidSpec("remove validation; nothing here can compute what OneFlow should answer")
    _check_conversion(spec)


def _check_names(field: str, tensors: list[DeclaredTensor] | None, kind: str) -> None:
    names = [tensor.name for tensor in tensors or ()]
    if names != [f"{kind}_{index}" for index in range(max(len(names), 1))]:
        raise InvalidSpec(
            f"write model.{field} in the order of the graph, and name them {kind}_0, {kind}_1 and "
            "so on; OneFlow's backend knows no other names"
        )


def _check_conversion(spec: ResNetServiceSpec) -> None:
    given = spec.conversion.model_dump(exclude_none=True, by_alias=True) if spec.conversion else {}
    unused = [name for name in UNUSED if name in given]
    if unused:
        raise InvalidSpec(
            f"remove conversion.{unused[0]}; a OneFlow graph is served as it was saved, and its "
            "batch is serving.batching.maxBatchSize"
        )
