"""ATC's command line equals what ModelZoo's recipes run; each option only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnet_jobs import atc
from resnet_jobs.errors import JobError, Reason
from resnet_jobs.inspect_model import Tensor
from resnet_operator.api.conversion import OpSelectImplMode, PrecisionMode

PATHS: Any = {"model": Path("/scratch/in/model.onnx"), "output": Path("/scratch/out/model")}
PICTURE = Tensor("actual_input_1", "FP32", (3, 224, 224))
HEAD = ["atc", "--framework=5", "--model=/scratch/in/model.onnx", "--output=/scratch/out/model"]
TAIL = ["--soc_version=Ascend310P3", "--log=error"]

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "torchvision with dynamic batch",
        {"inputs": [PICTURE], "batch_sizes": [1, 2, 4, 8]},
        [
            "--input_format=NCHW",
            "--input_shape=actual_input_1:-1,3,224,224",
            "--dynamic_batch_size=1,2,4,8",
        ],
    ),
    (
        "CIFAR with a static batch, tuned for speed",
        {
            "inputs": [Tensor("input", "FP32", (3, 32, 32))],
            "batch_sizes": [24],
            "op_select_impl_mode": "HighPerformance",
        },
        [
            "--input_format=NCHW",
            "--input_shape=input:24,3,32,32",
            "--op_select_implmode=high_performance",
        ],
    ),
    (
        "several inputs, all with the batch in front",
        {
            "inputs": [Tensor("a", "FP32", (3, 224, 224)), Tensor("b", "FP32", (4,))],
            "batch_sizes": [1, 2],
        },
        ["--input_format=NCHW", "--input_shape=a:-1,3,224,224;b:-1,4", "--dynamic_batch_size=1,2"],
    ),
    (
        "no picture among the inputs",
        {"inputs": [Tensor("b", "FP16", (4,))], "batch_sizes": [1]},
        ["--input_format=ND", "--input_shape=b:1,4"],
    ),
    (
        "a v1 precision name",
        {"inputs": [PICTURE], "batch_sizes": [1], "precision_mode": "MustKeepOriginDtype"},
        [
            "--input_format=NCHW",
            "--input_shape=actual_input_1:1,3,224,224",
            "--precision_mode=must_keep_origin_dtype",
        ],
    ),
    (
        "a v2 precision name, before the implementation mode",
        {
            "inputs": [PICTURE],
            "batch_sizes": [1],
            "precision_mode": "MixedFloat16",
            "op_select_impl_mode": "HighPrecision",
        },
        [
            "--input_format=NCHW",
            "--input_shape=actual_input_1:1,3,224,224",
            "--precision_mode_v2=mixed_float16",
            "--op_select_implmode=high_precision",
        ],
    ),
]


@pytest.mark.parametrize(("reason", "order", "middle"), CASES, ids=[c[0] for c in CASES])
def test_command_line(reason: str, order: dict[str, Any], middle: list[str]) -> None:
    argv = atc.build_argv(**PATHS, chip="Ascend310P3", **order)
    assert argv == HEAD + middle + TAIL, reason


def test_paths_do_not_reach_the_content_key() -> None:
    here = atc.build_argv(**PATHS, chip="Ascend310P3", inputs=[PICTURE], batch_sizes=[1])
    there = atc.build_argv(
        model=Path("/a.onnx"), output=Path("/b"), chip="Ascend310P3", inputs=[PICTURE],
        batch_sizes=[1],
    )  # fmt: skip
    assert atc.options_without_paths(here) == atc.options_without_paths(there)
    assert "--framework=5" in atc.options_without_paths(here)
    assert "--input_shape=actual_input_1:1,3,224,224" in atc.options_without_paths(here)


REFUSED: list[tuple[str, str | None, str, str]] = [
    ("310P3 has no bfloat16", "AllowMixPrecisionBF16", "Ascend310P3", "bfloat16"),
    ("by its v2 name too", "MixedBFloat16", "Ascend310P3", "bfloat16"),
    ("the old 910B is not the A2", "AllowFP32ToBF16", "Ascend910B", "bfloat16"),
]


@pytest.mark.parametrize(("reason", "mode", "chip", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_precision_the_chip_lacks(reason: str, mode: str, chip: str, want: str) -> None:
    with pytest.raises(JobError) as caught:
        atc.check_precision(mode, chip=chip)
    assert caught.value.reason == Reason.INVALID_SPEC, reason
    assert want in caught.value.message


ALLOWED = [
    ("none asked for", None, "Ascend310P3"),
    ("half precision is everywhere", "ForceFP16", "Ascend310P3"),
    ("310B has bfloat16", "MixedBFloat16", "Ascend310B4"),
    ("A2 has bfloat16", "AllowFP32ToBF16", "Ascend910B3"),
    ("A3 has bfloat16", "AllowMixPrecisionBF16", "Ascend910_9362"),
    ("950 has bfloat16", "MixedBFloat16", "Ascend950PR_9589"),
]


@pytest.mark.parametrize(("reason", "mode", "chip"), ALLOWED, ids=[a[0] for a in ALLOWED])
def test_precision_the_chip_has(reason: str, mode: str | None, chip: str) -> None:
    atc.check_precision(mode, chip=chip)


def test_the_tables_know_what_the_custom_resource_offers() -> None:
    assert [mode.value for mode in PrecisionMode] == list(atc.PRECISION_MODES)
    assert [mode.value for mode in OpSelectImplMode] == list(atc.OP_SELECT_IMPL_MODES)


@pytest.mark.parametrize("field", ["precision_mode", "op_select_impl_mode"])
def test_an_unknown_mode_lists_the_known_ones(field: str) -> None:
    wrong: Any = {field: "force_fp16"}
    with pytest.raises(JobError) as caught:
        atc.build_argv(**PATHS, chip="Ascend310P3", inputs=[PICTURE], batch_sizes=[1], **wrong)
    assert caught.value.reason == Reason.INVALID_SPEC
    assert "write one of" in caught.value.message


def test_an_input_name_atc_cannot_take() -> None:
    with pytest.raises(JobError) as caught:
        atc.build_argv(
            **PATHS, chip="Ascend310P3", inputs=[Tensor("in:0", "FP32", (3,))], batch_sizes=[1]
        )
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL
