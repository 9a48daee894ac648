"""The rules of serving.runtime, case by case."""

from __future__ import annotations

from tests.cluster.rule_cases import case

RUNTIME_RULES = [
    case(
        "pyACL has no chip on a CPU",
        refused={"serving.runtime": "AscendOM", "accelerator.chip": "CPU"},
        message="remove serving.runtime; AscendOM runs on Ascend chips only",
        accepted={"serving.runtime": "AscendOM"},
    ),
    case(
        "ONNX Runtime has no kernels for a chip",
        refused={"serving.runtime": "ONNXRuntime"},
        message="remove serving.runtime, or write chip CPU; ONNXRuntime runs nowhere else",
        accepted={"serving.runtime": "ONNXRuntime", "accelerator.chip": "CPU"},
    ),
]
