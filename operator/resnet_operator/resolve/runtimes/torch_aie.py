"""What runtime TorchAIE, which compiles at load, decides otherwise. Called by `resolve`. Pure.

The CRD's rules say the same; the checks are for objects that are older than they.
"""

from __future__ import annotations

from typing import Any

from resnet_contract.networks import TORCHVISION
from resnet_contract.words import DEFAULT_CLASSES, ModelFormat
from resnet_operator.api.model import PyTorch
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.serving.torch_aie import BUILT_IN_PODS, PrecisionPolicy
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec

EXPORTED = {ModelFormat.PYTORCH, ModelFormat.TORCH_SCRIPT}
# What of spec.conversion is left where nothing is converted.
KEPT = {
    "batch_sizes",
    "input_shapes",
    "resources",
    "node_selector",
    "tolerations",
    "timeout_seconds",
    "retries",
}


def check_torch_aie(spec: ResNetServiceSpec, runtime: Runtime, model_format: ModelFormat) -> None:
    """Raise InvalidSpec for what does not go together."""
    model, conversion = spec.model, spec.conversion
    if runtime is not Runtime.TORCH_AIE:
        if spec.serving.precision_policy:
            raise InvalidSpec("remove serving.precisionPolicy, or write serving.runtime: TorchAIE")
        if model.outputs and model_format in EXPORTED:
            raise InvalidSpec("remove model.outputs; the exported model tells them itself")
        return
    given = (
        conversion.model_dump(exclude_none=True, by_alias=True, exclude=KEPT) if conversion else {}
    )
    if given:
        raise InvalidSpec(
            f"remove conversion.{min(given)}; TorchAIE compiles the model itself when it is loaded"
        )
    if spec.validation:
        raise InvalidSpec(
            "remove validation; the gate measures what has been converted, and TorchAIE compiles "
            "in the serving pod"
        )
    if model_format is ModelFormat.PYTORCH and not _is_built_in_pods(model.pytorch):
        raise InvalidSpec(BUILT_IN_PODS)
    if model.pytorch is None and not model.outputs:
        raise InvalidSpec(
            "write model.outputs, for example [{name: output, dataType: FP32, dims: [1000]}]; "
            "nothing runs a TorchScript file before it is served"
        )
    for tensor in (*(model.inputs or ()), *(model.outputs or ())):
        if tensor.data_type != "FP32":
            raise InvalidSpec(f"write dataType: FP32 for {tensor.name}; TorchAIE is served in FP32")


def _is_built_in_pods(network: PyTorch | None) -> bool:
    plain = network is not None and network.style is None and network.stem is None
    return plain and network is not None and network.architecture in TORCHVISION


def torch_parameters(spec: ResNetServiceSpec) -> dict[str, str]:
    """Return what torch_aie.py is told in config.pbtxt beside what every runtime is told."""
    policy = spec.serving.precision_policy or PrecisionPolicy.FP32
    found = {"precision_policy": policy.value}
    network = spec.model.pytorch
    if network and network.architecture:
        found |= {
            "architecture": network.architecture.value,
            "classes": str(network.classes or DEFAULT_CLASSES),
        }
        told = {"checkpoint_key": network.checkpoint_key, "strip_prefix": network.strip_prefix}
        found |= {key: value for key, value in told.items() if value}
    return found


def declared_model(spec: ResNetServiceSpec) -> dict[str, Any]:
    """Return what of the model decides the pods: the file alone does not tell it."""
    model = spec.model.model_dump(
        mode="json", exclude_none=True, include={"pytorch", "inputs", "outputs"}
    )
    shapes = spec.conversion.input_shapes if spec.conversion else None
    return model | ({"inputShapes": shapes} if shapes else {})
