"""`spec.serving.runtime`: which program runs the model inside Triton."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from resnet_contract.words import ModelFormat
from resnet_operator.api.rules import Rule

if TYPE_CHECKING:
    from resnet_operator.api.spec import ResNetServiceSpec


class Runtime(StrEnum):
    AUTO = "Auto"
    ASCEND_OM = "AscendOM"
    ONNX_RUNTIME = "ONNXRuntime"
    ONEFLOW = "OneFlow"
    TORCH_AIE = "TorchAIE"


def _only(
    runtime: Runtime, needs: str, fits: Callable[[ResNetServiceSpec], bool], message: str
) -> Rule:
    """Return a rule of the whole spec: this runtime needs that chip or format."""
    return Rule(
        f"!has(self.serving) || !has(self.serving.runtime) || self.serving.runtime != '{runtime}' "
        f"|| ({needs})",
        lambda spec: spec.serving.runtime is runtime and not fits(spec),
        message,
    )


RUNTIME_RULES = (
    _only(
        Runtime.ASCEND_OM,
        "self.accelerator.chip.startsWith('Ascend')",
        lambda spec: spec.accelerator.chip.startswith("Ascend"),
        "remove serving.runtime; AscendOM runs on Ascend chips only",
    ),
    _only(
        Runtime.ONNX_RUNTIME,
        "self.accelerator.chip == 'CPU'",
        lambda spec: spec.accelerator.chip == "CPU",
        "remove serving.runtime, or write chip CPU; ONNXRuntime runs nowhere else",
    ),
    _only(
        Runtime.ONEFLOW,
        "has(self.model.format) && self.model.format == 'OneFlow'",
        lambda spec: spec.model.format is ModelFormat.ONEFLOW,
        "remove serving.runtime, or write model.format: OneFlow; it runs no other model",
    ),
)
