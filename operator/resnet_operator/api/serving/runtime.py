"""`spec.serving.runtime`: which program runs the model inside Triton."""

from __future__ import annotations

from enum import StrEnum

from resnet_operator.api.base import rule


class Runtime(StrEnum):
    AUTO = "Auto"
    ASCEND_OM = "AscendOM"
    ONNX_RUNTIME = "ONNXRuntime"
    ONEFLOW = "OneFlow"
    TORCH_AIE = "TorchAIE"


def _only(runtime: Runtime, needs: str, message: str) -> dict[str, str]:
    """Return a rule of the whole spec: this runtime needs that chip or format."""
    return rule(
        f"!has(self.serving) || !has(self.serving.runtime) || self.serving.runtime != '{runtime}' "
        f"|| ({needs})",
        message,
    )


RUNTIME_RULES = (
    _only(
        Runtime.ASCEND_OM,
        "self.accelerator.chip.startsWith('Ascend')",
        "remove serving.runtime; AscendOM runs on Ascend chips only",
    ),
    _only(
        Runtime.ONNX_RUNTIME,
        "self.accelerator.chip == 'CPU'",
        "remove serving.runtime, or write chip CPU; ONNXRuntime runs nowhere else",
    ),
    _only(
        Runtime.ONEFLOW,
        "has(self.model.format) && self.model.format == 'OneFlow'",
        "remove serving.runtime, or write model.format: OneFlow; it runs no other model",
    ),
)
