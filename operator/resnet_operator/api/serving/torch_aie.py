"""What a ResNetService says for runtime TorchAIE alone, and the rules that keep it apart."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from resnet_contract.networks import TORCHVISION
from resnet_contract.words import ModelFormat
from resnet_operator.api.conversion import OF_ATC
from resnet_operator.api.rules import Rule, given
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.source.formats import FORMAT_OF_SPEC, format_of

if TYPE_CHECKING:
    from resnet_operator.api.spec import ResNetServiceSpec

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


EXPORTED = {ModelFormat.PYTORCH, ModelFormat.TORCH_SCRIPT}
IS_EXPORTED = f"{FORMAT_OF_SPEC} in ['PyTorch', 'TorchScript']"
ATC_IS_ASKED = " || ".join(f"has(self.conversion.{name})" for name in OF_ATC)
NETWORK, BUILT = "self.model.pytorch", [entry.value for entry in TORCHVISION]
ONLY_FP32 = "self.model.{0}.all(tensor, tensor.dataType == 'FP32')"


def _is_torch_aie(spec: ResNetServiceSpec) -> bool:
    return spec.serving.runtime is Runtime.TORCH_AIE


def _is_exported(spec: ResNetServiceSpec) -> bool:
    return format_of(spec.model) in EXPORTED


def _is_not_compiled(spec: ResNetServiceSpec) -> bool:
    on_chip = spec.accelerator.chip.startswith("Ascend")
    return _is_torch_aie(spec) and not (on_chip and _is_exported(spec))


def _is_not_built(spec: ResNetServiceSpec) -> bool:
    network = spec.model.pytorch
    if not _is_torch_aie(spec) or format_of(spec.model) is not ModelFormat.PYTORCH:
        return False
    if network is None or network.architecture not in TORCHVISION:
        return True
    return network.style is not None or network.stem is not None


def _has_other_types(spec: ResNetServiceSpec) -> bool:
    tensors = (*(spec.model.inputs or ()), *(spec.model.outputs or ()))
    return _is_torch_aie(spec) and any(tensor.data_type != "FP32" for tensor in tensors)


TORCH_AIE_RULES = (
    Rule(
        f"!({IS_TORCH_AIE}) || (self.accelerator.chip.startsWith('Ascend') && {IS_EXPORTED})",
        _is_not_compiled,
        "remove serving.runtime, or write format PyTorch or TorchScript and an Ascend chip; "
        "TorchAIE compiles nothing else",
    ),
    Rule(
        f"!({IS_TORCH_AIE}) || !has(self.conversion) || !({ATC_IS_ASKED})",
        lambda it: _is_torch_aie(it) and given(it.conversion, OF_ATC),
        "remove from conversion what is not batchSizes or inputShapes; TorchAIE compiles the "
        "model itself when it is loaded",
    ),
    Rule(
        f"!({IS_TORCH_AIE}) || !has(self.validation)",
        lambda it: _is_torch_aie(it) and it.validation is not None,
        "remove validation; the gate measures what has been converted, and TorchAIE compiles "
        "in the serving pod",
    ),
    Rule(
        f"!({IS_TORCH_AIE}) || {FORMAT_OF_SPEC} != 'PyTorch' || (has(self.model.pytorch) && "
        f"has(self.model.pytorch.architecture) && {NETWORK}.architecture in {BUILT} && "
        f"!has({NETWORK}.style) && !has({NETWORK}.stem))",
        _is_not_built,
        BUILT_IN_PODS,
    ),
    Rule(
        f"!({IS_TORCH_AIE}) || has(self.model.pytorch) || has(self.model.outputs)",
        lambda it: _is_torch_aie(it) and it.model.pytorch is None and it.model.outputs is None,
        "write model.outputs, for example [{name: output, dataType: FP32, dims: [1000]}]; "
        "nothing runs a TorchScript file before it is served",
    ),
    Rule(
        f"!({IS_TORCH_AIE}) || ("
        f"(!has(self.model.inputs) || {ONLY_FP32.format('inputs')}) && "
        f"(!has(self.model.outputs) || {ONLY_FP32.format('outputs')}))",
        _has_other_types,
        "write dataType: FP32 in model.inputs and model.outputs; TorchAIE is served in FP32",
    ),
    Rule(
        f"!has(self.model.outputs) || !({IS_EXPORTED}) || ({IS_TORCH_AIE})",
        lambda it: it.model.outputs is not None and _is_exported(it) and not _is_torch_aie(it),
        "remove model.outputs; the exported model tells them itself",
    ),
    Rule(
        f"({IS_TORCH_AIE}) || !has(self.serving) || !has(self.serving.precisionPolicy)",
        lambda it: not _is_torch_aie(it) and it.serving.precision_policy is not None,
        "remove serving.precisionPolicy, or write serving.runtime: TorchAIE",
    ),
)
