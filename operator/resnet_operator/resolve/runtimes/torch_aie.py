"""What runtime TorchAIE, which compiles at load, decides otherwise. Called by `resolve`. Pure."""

from __future__ import annotations

from typing import Any

from resnet_contract.words import DEFAULT_CLASSES
from resnet_operator.api.serving.torch_aie import PrecisionPolicy
from resnet_operator.api.spec import ResNetServiceSpec


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
