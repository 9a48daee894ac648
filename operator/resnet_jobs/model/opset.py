"""Models of an operator set that ATC does not read, brought to one that it does.

Called by `prepare`. onnx's version converter does it; whether the answers are still the same is not
believed but tried, with ONNX Runtime, on the file as it came and on the converted one.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.runtime_error import read_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resnet_jobs.model.inspect import ModelInput

# What ATC's documentation shows most, and exporters write by default.
TARGET = 13
NEWEST = 18
OLDEST = 7  # before it, broadcasting had other rules and ONNX Runtime gives no word
DEFAULT = ("", "ai.onnx")


class ConversionError(Exception):
    """The converter or the proof failed; the text is the reason in one line."""


def opset_of(model: Any) -> int:
    """The version of the default operator set, 0 where the model names none."""
    return max((e.version for e in model.opset_import if e.domain in DEFAULT), default=0)


def convert(
    model: Any,
    inputs: Sequence[ModelInput],
    *,
    answers: Callable[[Any, Sequence[ModelInput]], dict[str, Any]],
) -> Any:
    """The same model at an opset that ATC reads; `answers` runs one on noise.

    Raises ConversionError where the converter cannot, or where the answers differ.
    """
    import onnx

    old = opset_of(model)
    target = TARGET if old < TARGET else NEWEST
    before = copy.deepcopy(model)
    _list_weights(before)
    try:
        converted = onnx.version_converter.convert_version(before, target)
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises RuntimeError and others, by operator
        raise ConversionError(read_failure(_last_line(error)).reason) from error
    converted.ir_version = max(converted.ir_version, 4)
    _unlist_weights(converted)
    _compare(answers(model, inputs), answers(converted, inputs))
    return converted


def _list_weights(model: Any) -> None:
    """The converter looks for every weight among the inputs, as files before IR 4 list them."""
    from onnx import helper

    listed = {value.name for value in model.graph.input}
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in listed
    )


def _unlist_weights(model: Any) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _compare(want: dict[str, Any], got: dict[str, Any]) -> None:
    for name, expected in want.items():
        answer = got.get(name)
        if answer is None or answer.shape != expected.shape:
            raise ConversionError(f'output "{name}" has another shape afterwards')
        if not is_alike(answer, expected, loose=1e-4, loose_half=1e-2):
            raise ConversionError(f'output "{name}" has other values afterwards')


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def is_alike(got: Any, want: Any, *, loose: float, loose_half: float) -> bool:
    """Whether two answers are the same, floats within a part of the largest number."""
    import numpy as np

    if want.dtype.kind != "f":
        return bool(np.array_equal(got, want))
    part = loose_half if want.dtype.itemsize == 2 else loose
    finite = np.abs(want[np.isfinite(want)])
    scale = float(finite.max()) if finite.size else 1.0
    return np.allclose(got, want, rtol=part, atol=part * scale, equal_nan=True)
