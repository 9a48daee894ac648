"""ATC's command line equals what ModelZoo's recipes run; each option only when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_contract.order import JobSpec, parse_job
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools import atc
from resnet_operator.api.conversion import EXTRA_ARGS, OpSelectImplMode, PrecisionMode

RGB32 = {"pixelFormat": "RGB888", "source": {"height": 32, "width": 32}}
QUANTIZED = {"quantization": {"calibration": {"uri": "pvc://d/c.tar", "format": "Images"}}}
PICTURE = Tensor("actual_input_1", "FP32", (3, 224, 224))
HEAD = ["atc", "--framework=5", "--model=/scratch/in/model.onnx", "--output=/scratch/out/model"]
TAIL = ["--soc_version=Ascend310P3", "--log=error"]


def spec(**changes: Any) -> JobSpec:
    return parse_job(json.dumps({**ORDER, **changes}))


def argv(order: JobSpec, *inputs: Tensor, aipp: str | None = None, model: str = "") -> list[str]:
    files = atc.config_files(order, Path("/scratch/conf"), aipp=aipp)
    return atc.build_argv(
        order,
        model=Path(model or "/scratch/in/model.onnx"),
        output=Path("/scratch/out/model"),
        inputs=inputs or [PICTURE],
        files=files,
    )


# The two vectors of the field guide, word for word.
R1 = [
    "atc", "--framework=5", "--model=/scratch/quant/model_deploy_model.onnx",
    "--output=/scratch/out/model", "--input_format=NCHW", "--input_shape=input:24,3,32,32",
    "--insert_op_conf=/scratch/conf/aipp.conf", "--enable_small_channel=1",
    "--op_select_implmode=high_performance", "--soc_version=Ascend310P3", "--log=error",
]  # fmt: skip
TORCHVISION = [
    "atc", "--framework=5", "--model=/scratch/in/model.onnx", "--output=/scratch/out/model",
    "--input_format=NCHW", "--input_shape=actual_input_1:-1,3,224,224",
    "--dynamic_batch_size=1,2,4,8", "--soc_version=Ascend310P3", "--log=error",
]  # fmt: skip


def test_the_cifar_recipe() -> None:
    order = spec(
        batchSizes=[24],
        smallChannel=True,
        opSelectImplMode="HighPerformance",
        preprocessing=RGB32,
        quantization={"calibration": {"uri": "pvc://d/c.tar", "format": "Images"}},
    )
    atc.check_options(order)
    small = Tensor("input", "FP32", (3, 32, 32))
    found = argv(order, small, aipp="aipp_op {}", model="/scratch/quant/model_deploy_model.onnx")
    assert found == R1


def test_torchvision_with_dynamic_batch() -> None:
    assert argv(spec()) == TORCHVISION


TWO = (Tensor("a", "FP32", (3, 224, 224)), Tensor("b", "FP32", (4,)))
SHAPES = [
    (
        "several inputs, all with the batch in front",
        [1, 2],
        TWO,
        ["--input_format=NCHW", "--input_shape=a:-1,3,224,224;b:-1,4", "--dynamic_batch_size=1,2"],
    ),
    (
        "no picture among the inputs",
        [1],
        (Tensor("b", "FP16", (4,)),),
        ["--input_format=ND", "--input_shape=b:1,4"],
    ),
    (
        "a scalar for each picture",
        [1],
        (PICTURE, Tensor("s", "FP32", ())),
        ["--input_format=NCHW", "--input_shape=actual_input_1:1,3,224,224;s:1"],
    ),
]


@pytest.mark.parametrize(("reason", "sizes", "inputs", "want"), SHAPES, ids=[s[0] for s in SHAPES])
def test_shapes(reason: str, sizes: list[int], inputs: tuple[Tensor, ...], want: list[str]) -> None:
    assert argv(spec(batchSizes=sizes), *inputs) == HEAD + want + TAIL, reason


OPTIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a v1 precision name", {"precisionMode": "MustKeepOriginDtype"},
     ["--precision_mode=must_keep_origin_dtype"]),
    ("a v2 name, before the implementation mode",
     {"precisionMode": "MixedFloat16", "opSelectImplMode": "HighPrecision"},
     ["--precision_mode_v2=mixed_float16", "--op_select_implmode=high_precision"]),
    ("a slice of a chip", {"virtualDevice": True}, ["--virtual_type=1"]),
    ("servers with Arm", {"hostArchitecture": "arm64"},
     ["--host_env_os=linux", "--host_env_cpu=aarch64"]),
    ("servers with x86", {"hostArchitecture": "amd64"},
     ["--host_env_os=linux", "--host_env_cpu=x86_64"]),
    ("half-precision answers", {"outputType": "FP16"}, ["--output_type=FP16"]),
    ("compiled operators kept", {"opCompilerCache": True},
     ["--op_compiler_cache_mode=enable", "--op_compiler_cache_dir=/op-cache"]),
    ("all files",
     {"precisionMode": "MixedFloat16", "configFiles": {
         "keepDtype": "Conv_0", "mixList": "{}", "opPrecision": "[ByOpType]",
         "fusionSwitch": "a:off"
     }},
     ["--precision_mode_v2=mixed_float16", "--fusion_switch_file=/scratch/conf/fusion_switch.cfg",
      "--op_precision_mode=/scratch/conf/op_precision.ini",
      "--modify_mixlist=/scratch/conf/mixlist.json", "--keep_dtype=/scratch/conf/keep_dtype.cfg"]),
    ("further options by name, the log among them",
     {"extraArgs": {"--log": "debug", "--deterministic": "1", "--buffer_optimize": "off_optimize"}},
     ["--buffer_optimize=off_optimize", "--deterministic=1"]),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "changes", "want"), OPTIONS, ids=[o[0] for o in OPTIONS])
def test_options(reason: str, changes: dict[str, Any], want: list[str]) -> None:
    order = spec(batchSizes=[1], **changes)
    atc.check_options(order)
    shapes = ["--input_format=NCHW", "--input_shape=actual_input_1:1,3,224,224"]
    found = argv(order)
    assert found[:-2] == HEAD + shapes + want, reason
    level = order.extra_args.get("--log", "error")
    assert found[-2:] == ["--soc_version=Ascend310P3", f"--log={level}"]


def test_quantizing_the_first_layer() -> None:
    order = spec(
        batchSizes=[1], smallChannel=True, firstLayerQuantization=True, preprocessing=RGB32
    )
    atc.check_options(order)
    files = atc.config_files(order, Path("/c"), aipp="aipp_op {}")
    assert [(file.option, str(file.path)) for file in files] == [
        ("--insert_op_conf", "/c/aipp.conf"),
        ("--compression_optimize_conf", "/c/compression.cfg"),
    ]
    assert files[1].text == "enable_first_layer_quantization:true\n"


def test_what_reaches_the_content_key() -> None:
    """Digests instead of paths, and not whether operators were compiled before."""
    order = spec(batchSizes=[1], opCompilerCache=True, configFiles={"keepDtype": "Conv_0"})
    keys = []
    for folder in ("/here", "/there"):
        files = atc.config_files(order, Path(folder), aipp="aipp_op {}")
        found = atc.build_argv(
            order, model=Path(folder, "m"), output=Path(folder, "o"), inputs=[PICTURE], files=files
        )
        keys.append((atc.content_options(found, files), atc.file_digests(files)))
    assert keys[0] == keys[1]
    options, digests = keys[0]
    assert options == [
        "--framework=5",
        "--input_format=NCHW",
        "--input_shape=actual_input_1:1,3,224,224",
        "--soc_version=Ascend310P3",
    ]
    assert sorted(digests) == ["aipp", "files"]
    assert sorted(digests["files"]) == ["--keep_dtype"]


MIXED = {"configFiles": {"mixList": "{}"}}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("310P3 has no bfloat16", {"precisionMode": "AllowMixPrecisionBF16"}, "bfloat16"),
    ("by its v2 name too", {"precisionMode": "MixedBFloat16"}, "bfloat16"),
    ("the old 910B is not the A2", {"chip": "Ascend910B", "precisionMode": "AllowFP32ToBF16"},
     "bfloat16"),
    ("ATC's own spelling", {"precisionMode": "force_fp16"}, "write one of ForceFP16"),
    ("of the other mode too", {"opSelectImplMode": "fast"}, "write one of HighPerformance"),
    ("dynamic profiles of a quantized model", {"quantized": True}, "write one, for example [8]"),
    ("FP32 of INT8", {"quantized": True, "batchSizes": [8], "precisionMode": "ForceFP32"},
     "ATC refuses it for a quantized model"),
    ("its v2 name", {"batchSizes": [8], "precisionMode": "Origin", **QUANTIZED},
     "ATC refuses it for a quantized model"),
    ("origin types", {"batchSizes": [8], "precisionMode": "MustKeepOriginDtype", **QUANTIZED},
     "ATC refuses it for a quantized model"),
    ("high precision of INT8", {"quantized": True, "batchSizes": [8], "configFiles": {
        "opPrecision": "[ByOpType]\nSoftmax=high_precision"}}, "asks for high_precision"),
    ("small channels without AIPP", {"smallChannel": True}, "add preprocessing or remove it"),
    ("a first layer of a 910", {"chip": "Ascend910B4", "firstLayerQuantization": True},
     "is for 310P and 310B"),
    ("a first layer without AIPP", {"firstLayerQuantization": True},
     "needs preprocessing and smallChannel"),
    ("a list without mixing", MIXED, "write one of AllowMixPrecision"),
    ("a list that is none", {"precisionMode": "MixedFloat16", "configFiles": {"mixList": "x"}},
     "mixList is not JSON"),
    ("switches that are none", {"configFiles": {"fusionSwitch": "{"}}, "fusionSwitch is not JSON"),
    ("modes without a section", {"configFiles": {"opPrecision": "Conv=high_precision"}},
     "write [ByOpType] or [ByNodeName]"),
    ("an unknown option", {"extraArgs": {"--nonsense": "1"}}, "allowed are --ac_parallel_enable"),
    ("weights beside the OM", {"extraArgs": {"--external_weight": "1"}}, "then incomplete"),
    ("tuning", {"extraArgs": {"--auto_tune_mode": "RL"}}, "tune with AOE"),
    ("what is a field", {"extraArgs": {"--output_type": "FP16"}}, "use spec.conversion.outputType"),
    ("a path", {"extraArgs": {"--out_nodes": "fc:0;$(x)"}}, "outputs with ; between them"),
    ("a wrong value", {"extraArgs": {"--buffer_optimize": "l3"}}, "l2_optimize or off_optimize"),
    ("types without a mode", {"extraArgs": {"--optypelist_for_implmode": "Gelu"}},
     "needs opSelectImplMode"),
    ("outputs nobody described", {"extraArgs": {"--out_nodes": "fc:0"}},
     "write its outputs into spec.model.outputs"),
    ("AIPP on a CPU", {"chip": "CPU", "preprocessing": RGB32}, "chip CPU runs the ONNX model"),
    ("INT8 on a CPU", {"chip": "CPU", "quantized": True}, "cannot run AscendQuant operators"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "changes", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(reason: str, changes: dict[str, Any], want: str) -> None:
    with pytest.raises(JobError) as caught:
        atc.check_options(spec(**changes))
    assert caught.value.reason == Reason.INVALID_SPEC, reason
    assert want in caught.value.message
    clipped = len(atc.EXTRA_ARGS) if "allowed are" in want else 0
    assert len(caught.value.message) <= 300 + 20 * clipped


def test_a_cpu_passes_over_what_changes_no_contract() -> None:
    atc.check_options(spec(chip="CPU", precisionMode="ForceFP16", extraArgs={"--log": "debug"}))


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
    assert atc.EXTRA_ARGS == EXTRA_ARGS


def test_neither_the_cache_nor_the_log_decides_the_artifact() -> None:
    loud = spec(opCompilerCache=True, extraArgs={"--log": "debug"})
    assert atc.content_options(argv(loud)) == atc.content_options(argv(spec()))


def test_further_options_name_no_field_and_no_path() -> None:
    argv_words = [word.split("=")[0] for word in R1 + TORCHVISION]
    assert set(atc.EXTRA_ARGS) & set(argv_words) <= {"--log"}
    assert atc.EXTRA_ARGS == EXTRA_ARGS, "the custom resource offers the same"


def test_a_name_with_a_colon_is_said_as_it_is() -> None:
    """ATC splits at the last one; TensorFlow's exports are full of them."""
    assert "--input_shape=serving_default_input_1:0:-1,3" in argv(
        spec(), Tensor("serving_default_input_1:0", "FP32", (3,))
    )
