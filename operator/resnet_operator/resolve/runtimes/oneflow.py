"""What format OneFlow brings: its GPUs and its compilers. Called by `resolve`. Pure."""

from __future__ import annotations

from resnet_operator.api.serving.oneflow import Xrt
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.resolve.runtimes.shares import DeviceRequest
from resnet_operator.settings.operator import Settings, by_longest_prefix

CPU, GPU = "CPU", "GPU"
RESOURCES = {GPU: "nvidia.com/gpu"}
# The values of the parameter `xrt` that OneFlow's backend knows.
XRT_NAMES = {Xrt.TENSOR_RT: "tensorrt", Xrt.OPEN_VINO: "openvino"}


def gpu_request(spec: ResNetServiceSpec, settings: Settings) -> DeviceRequest:
    """Return the resource of chip GPU."""
    table = {**RESOURCES, **settings.chip_resources}
    resource = spec.accelerator.resource_name or by_longest_prefix(table, GPU)
    return DeviceRequest(resource=resource or RESOURCES[GPU])
