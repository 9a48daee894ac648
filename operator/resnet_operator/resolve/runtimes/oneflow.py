"""What format OneFlow brings: its GPUs and its compilers. Called by `resolve`. Pure."""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.oneflow import Xrt
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.config_overrides import brought_flags
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


OLD = "remove {}; OneFlow's image has Triton 21.10, which does not know it"


def check_triton(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Raise InvalidSpec for flags that are not known."""
    serving = spec.serving
    arguments = serving.extra_args or []
    if model_format is not ModelFormat.ONEFLOW:
        return
    if serving.tracing:
        raise InvalidSpec(OLD.format("serving.tracing"))
    for argument in arguments:
        if not argument.startswith("--log-"):
            raise InvalidSpec(OLD.format(f"{argument.split('=')[0]} from serving.extraArgs"))
    overrides = serving.config_overrides
    for option in brought_flags(overrides) if overrides else ():
        raise InvalidSpec(OLD.format(f"{option} from serving.configOverrides"))
