"""The .om computes with the numbers its precision mode allows, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from ascend_simulator import om
from onnx import TensorProto, helper, numpy_helper
from tests.unit.devkit.cann.networks import convert, pictures, reference, small_network

if TYPE_CHECKING:
    from pathlib import Path


def run(path: Path, batch: np.ndarray) -> np.ndarray:
    _, graph = om.split(path.read_bytes())
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0])


MODES = [
    ("--precision_mode=force_fp16", 2e-2, 1e-6, "everything is rounded to half precision"),
    ("--precision_mode_v2=fp16", 2e-2, 1e-6, "the same by its newer name"),
    ("--precision_mode=allow_fp32_to_fp16", 2e-2, 1e-6, "matrix operators in half precision"),
    ("--precision_mode=force_fp32", 2e-2, 1e-6, "half precision in, single precision out"),
    ("--precision_mode=must_keep_origin_dtype", 1e-5, 0.0, "nothing is rounded"),
    ("--precision_mode_v2=origin", 1e-5, 0.0, "nothing is rounded"),
]


@pytest.mark.parametrize(("option", "most", "least", "reason"), MODES)
def test_moves_the_numbers_as_much_as_it_should(
    workdir: Path, option: str, most: float, least: float, reason: str
) -> None:
    batch = pictures(4)
    assert convert("--input_shape=input:4,3,12,12", option) == 0
    error = np.abs(run(workdir / "net.om", batch) - reference(small_network(), batch)).max()
    assert least <= error <= most, reason


def test_bfloat16_is_coarser(workdir: Path) -> None:
    batch = pictures(4)
    for mode in ("allow_mix_precision_bf16", "allow_mix_precision"):
        shape = "--input_shape=input:4,3,12,12"
        chosen = (shape, f"--precision_mode={mode}", "--soc_version=Ascend910B4")
        assert convert(*chosen, output=mode) == 0
    wanted = reference(small_network(), batch)
    coarse = np.abs(run(workdir / "allow_mix_precision_bf16.om", batch) - wanted).max()
    fine = np.abs(run(workdir / "allow_mix_precision.om", batch) - wanted).max()
    assert 2 * fine < coarse < 1


def test_answers_are_half_precision_numbers(workdir: Path) -> None:
    convert("--input_shape=input:4,3,12,12")
    answers = run(workdir / "net.om", pictures(4))
    assert answers.dtype == np.float32, "an .om keeps the types of the model's inputs and outputs"
    assert np.array_equal(answers.astype(np.float16).astype(np.float32), answers)


def test_results_between_operators_are_rounded(workdir: Path) -> None:
    """2048 + 1 - 2048 is 0 in half precision: 2049 does not exist there."""
    one = numpy_helper.from_array(np.ones((1,), np.float32), "one")
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "one"], ["more"]),
            helper.make_node("Sub", ["more", "x"], ["y"]),
        ],
        "ulp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [one],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(workdir / "ulp.onnx"))
    x = np.array([[1, 1024, 2048, 4096]], np.float32)
    for mode, wanted in (("fp16", [1, 1, 0, 0]), ("origin", [1, 1, 1, 1])):
        assert convert(f"--precision_mode_v2={mode}", model="ulp.onnx", output=mode) == 0
        assert run(workdir / f"{mode}.om", x).tolist() == [wanted]


def test_half_precision_output(workdir: Path) -> None:
    convert("--input_shape=input:1,3,12,12", "--output_type=FP16")
    header, _ = om.split((workdir / "net.om").read_bytes())
    assert [(t.dtype, t.size) for t in header.outputs] == [(1, 10)]
    assert run(workdir / "net.om", pictures(1)).dtype == np.float16


CHIPS = [
    ("Ascend310P3", 65504.0, "stops at the largest half-precision number"),
    ("Ascend910B4", np.inf, "goes on to infinity"),
]


@pytest.mark.parametrize(("chip", "wanted", "reason"), CHIPS)
def test_overflow(workdir: Path, chip: str, wanted: float, reason: str) -> None:
    shape = "--input_shape=input:1,3,12,12"
    assert convert(shape, f"--soc_version={chip}") == 0
    answers = run(workdir / "net.om", np.full((1, 3, 12, 12), 1e30, np.float32))
    assert np.abs(answers[np.isfinite(answers)]).max(initial=0) <= 65504, reason
    assert np.isfinite(answers).all() == np.isfinite(wanted), reason
