"""The rules of runtime TorchAIE, case by case."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import case

SCORES = [{"name": "scores", "dataType": "FP32", "dims": [1000]}]
PICTURE = [{"name": "image", "dataType": "FP32", "dims": [3, 224, 224]}]
WEIGHTS: dict[str, Any] = {
    "model.uri": "pvc://m/r.pth",
    "model.pytorch": {"architecture": "resnet50"},
}
SCRIPT: dict[str, Any] = {"model.uri": "pvc://m/r.torchscript", "model.inputs": PICTURE}
AIE = {"serving.runtime": "TorchAIE"}
VALIDATION = {
    "dataset": {"uri": "pvc://data/test.tar", "format": "ImageFolder"},
    "thresholds": {"minTop1": "0.5"},
}
ELSE = "remove serving.runtime, or write format PyTorch or TorchScript and an Ascend chip"
FP32 = "write dataType: FP32 in model.inputs and model.outputs; TorchAIE is served in FP32"


def half(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**tensor, "dataType": "FP16"} for tensor in tensors]


TORCH_AIE_RULES = [
    case(
        "TorchAIE reads no ONNX",
        refused=AIE,
        message=ELSE,
        accepted={**WEIGHTS, **AIE},
    ),
    case(
        "TorchAIE compiles for NPUs",
        refused={**WEIGHTS, **AIE, "accelerator.chip": "CPU"},
        message=ELSE,
        accepted={**WEIGHTS, "accelerator.chip": "CPU"},
    ),
    *[
        case(
            f"the pods build the network themselves: {network}",
            refused={"model.uri": "pvc://m/r.pth", "model.pytorch": network, **AIE},
            message="write model.pytorch.architecture, one of torchvision's such as resnet50",
            accepted={"model.uri": "pvc://m/r.pth", "model.pytorch": network},
        )
        for network in (
            {"classes": 5},
            {"architecture": "resnet50d"},
            {"architecture": "resnet50", "style": "Caffe"},
            {"architecture": "resnet50", "stem": "CIFAR"},
        )
    ],
    *[
        case(
            f"{field} is for what ATC converts",
            refused={**WEIGHTS, **AIE, f"conversion.{field}": value},
            message="remove from conversion what is not batchSizes or inputShapes; TorchAIE",
            accepted={**WEIGHTS, **AIE, "conversion.inputShapes": {"input": [3, 32, 32]}},
        )
        for field, value in [
            ("image", "cann:1"),
            ("precisionMode", "ForceFP16"),
            ("preprocessing", {"rawAIPP": "aipp_op {}"}),
            ("extraArgs", {"--buffer_optimize": "off_optimize"}),
        ]
    ],
    case(
        "there is no artifact that a gate could measure",
        refused={**WEIGHTS, **AIE, "validation": VALIDATION},
        message="remove validation; the gate measures what has been converted",
        accepted={**WEIGHTS, "validation": VALIDATION},
    ),
    case(
        "a script's outputs are seen by nobody before",
        refused={**SCRIPT, **AIE},
        message="write model.outputs, for example",
        accepted={**SCRIPT, **AIE, "model.outputs": SCORES},
    ),
    case(
        "half inputs",
        refused={**SCRIPT, **AIE, "model.inputs": half(PICTURE), "model.outputs": SCORES},
        message=FP32,
        accepted={**SCRIPT, "model.inputs": half(PICTURE)},
    ),
    case(
        "half outputs",
        refused={**SCRIPT, **AIE, "model.outputs": half(SCORES)},
        message=FP32,
        accepted={**SCRIPT, **AIE, "model.outputs": SCORES},
    ),
    case(
        "an exported script tells its outputs",
        refused={**SCRIPT, "model.outputs": SCORES},
        message="remove model.outputs; the exported model tells them itself",
        accepted={**SCRIPT, **AIE, "model.outputs": SCORES},
    ),
    case(
        "only TorchAIE has a precision policy",
        refused={**WEIGHTS, "serving.precisionPolicy": "FP16"},
        message="remove serving.precisionPolicy, or write serving.runtime: TorchAIE",
        accepted={**WEIGHTS, **AIE, "serving.precisionPolicy": "FP16"},
    ),
]
