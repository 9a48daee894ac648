"""Which runtime serves what, and what is said where the declared one cannot."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.apiserver import ROOT

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.serving.serving import Serving
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.rows import ROWS, runtime_of, runtimes_for


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
    """Also one that no rule of the CRD keeps from it."""
    asked = spec("CPU").model_copy(update={"serving": Serving(runtime=Runtime.ASCEND_OM)})
    with pytest.raises(InvalidSpec) as raised:
        runtime_of(asked, ModelFormat.ONNX)
    assert raised.value.message == (
        "serving.runtime AscendOM cannot serve format ONNX on chip CPU; "
        "write ONNXRuntime, or remove it"
    )


def test_every_runtime_has_its_row_and_its_file() -> None:
    assert set(ROWS) == set(Runtime) - {Runtime.AUTO}
    for runtime, row in ROWS.items():
        assert row.formats, runtime
        if row.model_file:
            assert (ROOT / "operator" / "resnet_runtime" / row.model_file).is_file(), runtime
        else:
            assert row.backend != "python", "Triton's Python backend needs a model.py"


@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3", "Ascend910B4"])
@pytest.mark.parametrize("model_format", [ModelFormat.ONNX, ModelFormat.TORCH_SCRIPT])
def test_auto_converts_where_that_is_possible(chip: str, model_format: ModelFormat) -> None:
    """A runtime that compiles at load is only taken when it is asked for."""
    assert ROWS[runtimes_for(chip, model_format)[0]].converts
