"""Which runtime serves what, and what is said where the declared one cannot."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_contract.words import ModelFormat
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.choice import runtime_of


def spec(chip: str, runtime: str | None = None, **model: Any) -> ResNetServiceSpec:
    return ResNetServiceSpec.model_validate(
        {
            "model": {"uri": "pvc://models/a"} | model,
            "accelerator": {"chip": chip},
            "serving": {"runtime": runtime} if runtime else {},
        }
    )


CASES = [
    ("Ascend310P3", None, ModelFormat.ONNX, "AscendOM", "a chip runs OMs"),
    ("Ascend310P3", "Auto", ModelFormat.OM, "AscendOM", "Auto is the default, written out"),
    ("Ascend310P3", "AscendOM", ModelFormat.ONNX, "AscendOM", "what Auto would choose"),
    ("CPU", None, ModelFormat.ONNX, "ONNXRuntime", "no chip"),
    ("CPU", "ONNXRuntime", ModelFormat.TORCH_SCRIPT, "ONNXRuntime", "exported to ONNX"),
]


@pytest.mark.parametrize(("chip", "runtime", "kind", "wanted", "reason"), CASES)
def test_runtime(
    chip: str, runtime: str | None, kind: ModelFormat, wanted: str, reason: str
) -> None:
    assert runtime_of(spec(chip, runtime), kind) == wanted, reason


def test_a_runtime_that_cannot_serve_this_is_refused() -> None:
    with pytest.raises(InvalidSpec) as raised:
        runtime_of(spec("CPU", "AscendOM"), ModelFormat.ONNX)
    assert raised.value.message == (
        "serving.runtime AscendOM cannot serve format ONNX on chip CPU; "
        "write ONNXRuntime, or remove it"
    )
