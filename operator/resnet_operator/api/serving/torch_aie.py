"""What a ResNetService says for runtime TorchAIE alone, and the rules that keep it apart."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from resnet_contract.networks import TORCHVISION
from resnet_operator.api.base import rule

IS_TORCH_AIE = (
    "has(self.serving) && has(self.serving.runtime) && self.serving.runtime == 'TorchAIE'"
)


BUILT_IN_PODS = (
    "write model.pytorch.architecture, one of torchvision's such as resnet50, without style and "
    "stem; TorchAIE's pods build the network, and no other"
)


class PrecisionPolicy(StrEnum):
    FP32 = "FP32"
    FP16 = "FP16"
    PREF_FP32 = "PREF_FP32"


def torch_aie_rules(model_format: str, of_atc: Iterable[str]) -> tuple[dict[str, str], ...]:
    """Return rules of the whole spec. `of_atc` are the fields of conversion that ATC reads."""
    given = " || ".join(f"has(self.conversion.{name})" for name in of_atc)
    is_torch = f"{model_format} in ['PyTorch', 'TorchScript']"
    network, built = "self.model.pytorch", [entry.value for entry in TORCHVISION]
    only_fp32 = "self.model.{0}.all(tensor, tensor.dataType == 'FP32')"
    return (
        rule(
            f"!({IS_TORCH_AIE}) || (self.accelerator.chip.startsWith('Ascend') && {is_torch})",
            "remove serving.runtime, or write format PyTorch or TorchScript and an Ascend chip; "
            "TorchAIE compiles nothing else",
        ),
        rule(
            f"!({IS_TORCH_AIE}) || !has(self.conversion) || !({given})",
            "remove from conversion what is not batchSizes or inputShapes; TorchAIE compiles the "
            "model itself when it is loaded",
        ),
        rule(
            f"!({IS_TORCH_AIE}) || !has(self.validation)",
            "remove validation; the gate measures what has been converted, and TorchAIE compiles "
            "in the serving pod",
        ),
        rule(
            f"!({IS_TORCH_AIE}) || {model_format} != 'PyTorch' || (has(self.model.pytorch) && "
            f"has(self.model.pytorch.architecture) && {network}.architecture in {built} && "
            f"!has({network}.style) && !has({network}.stem))",
            BUILT_IN_PODS,
        ),
        rule(
            f"!({IS_TORCH_AIE}) || has(self.model.pytorch) || has(self.model.outputs)",
            "write model.outputs, for example [{name: output, dataType: FP32, dims: [1000]}]; "
            "nothing runs a TorchScript file before it is served",
        ),
        rule(
            f"!({IS_TORCH_AIE}) || ("
            f"(!has(self.model.inputs) || {only_fp32.format('inputs')}) && "
            f"(!has(self.model.outputs) || {only_fp32.format('outputs')}))",
            "write dataType: FP32 in model.inputs and model.outputs; TorchAIE is served in FP32",
        ),
        rule(
            f"!has(self.model.outputs) || !({is_torch}) || ({IS_TORCH_AIE})",
            "remove model.outputs; the exported model tells them itself",
        ),
        rule(
            f"({IS_TORCH_AIE}) || !has(self.serving) || !has(self.serving.precisionPolicy)",
            "remove serving.precisionPolicy, or write serving.runtime: TorchAIE",
        ),
    )
