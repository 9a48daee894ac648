"""What the simulated atc's further options do: files, nodes by name, the cache, the other modes."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from ascend_simulator import om
from ascend_simulator.atc import main
from tests.unit.devkit.cann.networks import convert, pictures, reference, small_network

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPE = "--input_shape=input:4,3,12,12"
OPEN_SHAPE = "--input_shape=input:-1,3,12,12"
AIPP = (
    "aipp_op { aipp_mode: static input_format: RGB888_U8 "
    "src_image_size_w: 12 src_image_size_h: 12 %s }"
)
FILES = {
    "aipp.conf": AIPP % "",
    "crop.conf": AIPP % "crop: true",
    "open.conf": "aipp_op { aipp_mode: static input_format: RGB888_U8 }",
    "fusion.cfg": "ConvBatchnormFusionPass:off\n",
    "fusion.json": json.dumps({"Switch": {"GraphFusion": {"ALL": "off"}, "UBFusion": {}}}),
    "badfusion.cfg": "XPass:maybe\n",
    "badswitch.json": json.dumps({"Switch": {"Fusion": {}}}),
    "broken.json": "{",
    "precision.ini": "[ByOpType]\nConv2D=high_precision\n[ByNodeName]\nGemm_8=high_performance\n",
    "exact.ini": "[ByNodeName]\nConv_0=enable_float_32_execution\n",
    "badprecision.ini": "[ByOpType]\nConv2D=best\n",
    "badsection.ini": "[Types]\n",
    "mix.json": json.dumps({"black-list": {"to-add": ["Conv2D", "FullyConnection"]}}),
    "badmix.json": json.dumps({"red-list": {}}),
    "keep.cfg": "OpType::Conv2D\nOpType::FullyConnection\n",
    "first.cfg": "enable_first_layer_quantization: true\n",
    "calibration.cfg": "calibration:\n{\n    input_data_dir: ./d.bin\n}\n",
    "compress.cfg": "enable_magic: true\n",
}


@pytest.fixture
def files(workdir: Path) -> Path:
    for name, text in FILES.items():
        (workdir / name).write_text(text)
    return workdir


def header(path: str = "net.om") -> om.Header:
    return om.split(Path(path).read_bytes())[0]


def run(batch: np.ndarray, path: str = "net.om") -> list[np.ndarray]:
    graph = om.split(Path(path).read_bytes())[1]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, {"input": batch})]


ACCEPTED = [
    "--fusion_switch_file=fusion.cfg",
    "--fusion_switch_file=fusion.json",
    "--op_precision_mode=precision.ini",
    "--keep_dtype=keep.cfg",
    "--compression_optimize_conf=first.cfg",
    "--enable_small_channel=1",
    "--op_select_implmode=high_performance",
    "--virtual_type=1",
    "--buffer_optimize=off_optimize",
    "--disable_reuse_memory=1",
    "--core_type=VectorCore",
    "--aicore_num=4|8",
    "--sparsity=1",
    "--deterministic=1",
    "--oo_level=O3",
    "--is_weight_clip=0",
    "--enable_single_stream=true",
    "--jit_compile=0",
    "--op_debug_level=0",
    "--external_weight=0",
    "--ac_parallel_enable=1",
    "--enable_compress_weight=true",
    f"--host_env_cpu={platform.machine()}",
]


@pytest.mark.parametrize("option", ACCEPTED)
def test_accepts_and_records(files: Path, option: str) -> None:
    assert convert(SHAPE, option) == 0
    name, _, value = option.removeprefix("--").partition("=")
    assert header().options[name] == value


def test_optypes_go_with_an_implementation(files: Path) -> None:
    flags = ("--op_select_implmode=high_precision", "--optypelist_for_implmode=Pooling")
    assert convert(SHAPE, *flags) == 0


class Refusal(NamedTuple):
    """Options that ATC refuses, or refuses together."""

    code: str
    options: Sequence[str]
    reason: str
    says: str = ""


REFUSALS = [
    Refusal("E10001", ["--fusion_switch_file=badfusion.cfg"], "a pass that is maybe"),
    Refusal("E10001", ["--fusion_switch_file=badswitch.json"], "a switch that does not exist"),
    Refusal("E10032", ["--fusion_switch_file=broken.json"], "half a JSON"),
    Refusal("E13000", ["--fusion_switch_file=gone.cfg"], "a missing file"),
    Refusal("E10001", ["--op_precision_mode=badprecision.ini"], "an unknown mode", "best"),
    Refusal("E10001", ["--op_precision_mode=badsection.ini"], "an unknown section"),
    Refusal("E10001", ["--modify_mixlist=mix.json"], "a mix list without a mixed precision"),
    Refusal(
        "E10001",
        ["--modify_mixlist=badmix.json", "--precision_mode=allow_mix_precision"],
        "an unknown list",
    ),
    Refusal("E10055", ["--compression_optimize_conf=calibration.cfg"], "it needs an NPU", "NPU"),
    Refusal("E10001", ["--compression_optimize_conf=compress.cfg"], "an unknown feature"),
    Refusal(
        "E10001",
        ["--compression_optimize_conf=first.cfg", "--soc_version=Ascend910B4"],
        "first-layer quantization on a 910B4",
    ),
    Refusal(
        "E10047",
        ["--enable_compress_weight=true", "--compress_weight_conf=compress.cfg"],
        "both ways to compress weights",
    ),
    Refusal("E10001", ["--auto_tune_mode=RL,GA"], "a removed option", "AOE"),
    Refusal("E10001", ["--aicore_num=many"], "a number in words"),
    Refusal("E10005", ["--enable_single_stream=1"], "a switch of words"),
    Refusal("E10006", ["--sparsity=yes"], "a switch of numbers"),
    Refusal("E10055", ["--external_weight=1"], "not simulated"),
    Refusal("E10001", ["--output_type=FP64"], "a type that does not exist"),
    Refusal("E10001", ["--output_type=Gemm_8:0:FP16"], "types of nodes without the nodes"),
    Refusal("E10016", ["--out_nodes=Gemm_9:0"], "an unknown node", "[Gemm_9]"),
    Refusal("E10016", ["--out_nodes=Gemm_8:1"], "an output that the node has not"),
    Refusal("E10001", ["--out_nodes=Gemm_8:x"], "an index that is no number"),
    Refusal("E10016", ["--input_fp16_nodes=image"], "an unknown input"),
    Refusal(
        "E10034",
        ["--input_fp16_nodes=input", "--insert_op_conf=aipp.conf"],
        "half precision behind AIPP",
        "Nodes (for example, [input]) connected to AIPP must not be of type fp16.",
    ),
    Refusal(
        "E10001",
        ["--dynamic_dims=1;2", "--input_format=ND", "--insert_op_conf=aipp.conf"],
        "AIPP with open dimensions",
        "does not support AIPP",
    ),
    Refusal("E10001", ["--input_format=ND", "--insert_op_conf=aipp.conf"], "AIPP without NCHW"),
    Refusal(
        "E10052",
        ["--dynamic_image_size=12,12;24,24", "--insert_op_conf=crop.conf"],
        "crop with open sizes",
        "When --dynamic_image_size is set, crop and padding cannot be set to 'true'",
    ),
    Refusal(
        "E10052",
        ["--dynamic_image_size=12,12;24,24", "--insert_op_conf=aipp.conf"],
        "a source size with open sizes",
        "src_image_size",
    ),
    Refusal(
        "E10055",
        ["--dynamic_image_size=12,12;24,24", "--insert_op_conf=open.conf"],
        "open sizes are not simulated",
    ),
    Refusal("E10055", ["--dynamic_dims=1;2"], "open dimensions are not simulated"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.code}: {case.reason}")
def test_refuses(files: Path, capsys: pytest.CaptureFixture[str], case: Refusal) -> None:
    assert convert(SHAPE, *case.options) == 255
    out = capsys.readouterr().out
    assert f"\n{case.code}: [PID: " in out
    assert case.says in out


EXACT = [
    (("--keep_dtype=keep.cfg", "--precision_mode=allow_mix_precision"), "kept types"),
    (("--modify_mixlist=mix.json", "--precision_mode=allow_mix_precision"), "a black list"),
]


@pytest.mark.parametrize(("options", "reason"), EXACT, ids=[case[1] for case in EXACT])
def test_exempts_operators(files: Path, options: tuple[str, ...], reason: str) -> None:
    assert convert(SHAPE, *options) == 0
    batch = pictures(4)
    assert np.abs(run(batch)[0] - reference(small_network(), batch)).max() < 1e-5, reason


def test_one_operator_in_single_precision(files: Path) -> None:
    convert(SHAPE)
    rounded = run(pictures(4))[0]
    convert(SHAPE, "--op_precision_mode=exact.ini")
    assert not np.array_equal(run(pictures(4))[0], rounded)


def test_chosen_outputs(workdir: Path) -> None:
    nodes = "--out_nodes=GlobalAveragePool_6:0;Gemm_8:0"
    types = "--output_type=GlobalAveragePool_6:0:FP16;Gemm_8:0:FP32"
    assert convert(SHAPE, nodes, types) == 0
    outputs = header().outputs
    assert [tensor.name for tensor in outputs] == [
        "GlobalAveragePool_6:0:pooled",
        "Gemm_8:0:output",
    ]
    assert [(tensor.dtype, tensor.dims) for tensor in outputs] == [(1, (4, 8, 1, 1)), (0, (4, 5))]
    assert [array.dtype for array in run(pictures(4))] == [np.float16, np.float32]
    assert convert(SHAPE, "--out_nodes=Relu_2:0") == 0
    assert [tensor.dims for tensor in header().outputs] == [(4, 8, 12, 12)]


@pytest.mark.parametrize(("word", "kind", "code"), [("UINT8", np.uint8, 4), ("INT8", np.int8, 2)])
def test_whole_numbers_out(workdir: Path, word: str, kind: type, code: int) -> None:
    assert convert(SHAPE, f"--output_type={word}") == 0
    assert [tensor.dtype for tensor in header().outputs] == [code]
    limits = np.iinfo(kind)
    wanted = np.clip(np.round(reference(small_network(), pictures(4))), limits.min, limits.max)
    answers = run(pictures(4))[0]
    assert answers.dtype == kind
    assert np.abs(answers.astype(int) - wanted.astype(int)).max() <= 1


def test_half_precision_in(workdir: Path) -> None:
    assert convert(SHAPE, "--input_fp16_nodes=input") == 0
    assert [(tensor.dtype, tensor.size) for tensor in header().inputs] == [(1, 4 * 432 * 2)]
    batch = pictures(4)
    error = np.abs(run(batch.astype(np.float16))[0] - reference(small_network(), batch)).max()
    assert error < 2e-2


def test_another_architecture_is_in_the_name(workdir: Path) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    assert convert(SHAPE, "--host_env_os=linux", f"--host_env_cpu={other}") == 0
    assert [path.name for path in workdir.glob("*.om")] == [f"net_linux_{other}.om"]


def test_cache_is_used_again(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(small_network(hooks={"cann_simulator.seconds": "0.4"}), "net.onnx")
    cached = ("--op_compiler_cache_mode=enable", "--op_compiler_cache_dir=cache")
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)

    def compiles(*options: str) -> bool:
        """Tell whether the compiler took its time."""
        naps.clear()
        assert convert(SHAPE, *options) == 0
        return 0.4 in naps

    assert compiles(*cached)
    first = Path("net.om").read_bytes()
    entries = list(Path("cache/kernel_cache/Ascend310P3").glob("*.o"))
    assert len(entries) == 1
    assert not compiles(*cached)
    assert Path("net.om").read_bytes() == first
    assert compiles(*cached, "--precision_mode=force_fp32"), "another order is compiled"
    assert compiles("--op_compiler_cache_mode=force", cached[1]), "force compiles again"
    entries[0].write_bytes(b"damaged")
    assert compiles(*cached), "a damaged entry is made again"


def test_default_cache_lies_in_the_home(workdir: Path) -> None:
    assert convert(SHAPE, "--op_compiler_cache_mode=enable") == 0
    assert list(Path("home/atc_data/kernel_cache").rglob("*.o"))


def test_om_as_json(files: Path) -> None:
    convert(OPEN_SHAPE, "--dynamic_batch_size=1,4", "--insert_op_conf=aipp.conf")
    assert main(["--mode=1", "--om=net.om", "--json=net.json"], {}) == 0
    content = json.loads(Path("net.json").read_text())
    data, mbatch, output = content["graph"][0]["op"]
    assert (data["type"], mbatch["type"], output["type"]) == ("Data", "Data", "NetOutput")
    described = data["output_desc"][0]
    assert described["dtype"] == "DT_UINT8"
    assert (described["layout"], described["shape"]["dim"]) == ("NHWC", [-1, 12, 12, 3])
    assert output["input_desc"][0]["name"] == "Gemm_8:0:output"
    attributes = {entry["key"]: entry["value"]["s"] for entry in content["attr"]}
    assert attributes["soc_version"] == "Ascend310P3"
    assert "--dynamic_batch_size=1,4" in attributes["atc_cmdline"]
    assert "simulator" in attributes["atc_version"]


def test_onnx_as_json(workdir: Path) -> None:
    assert main(["--mode=1", "--om=net.onnx", "--json=net.json", "--framework=5"], {}) == 0
    graph = json.loads(Path("net.json").read_text())["graph"]
    assert graph["node"][0]["opType"] == "Conv"


@pytest.mark.parametrize("options", [["--om=net.om"], ["--json=x.json"]])
def test_mode_1_needs_both_paths(
    workdir: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["--mode=1", *options], {}) == 255
    assert "E10004" in capsys.readouterr().out


def test_shows_the_model_it_made(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(SHAPE, "--display_model_info=1") == 0
    out = capsys.readouterr().out
    assert "============ Display Model Info start ============\nOriginal Atc command line: " in out
    assert "soc_version[Ascend310P3], framework_type[Onnx]." in out
    assert "resource info: memory_size[" in out
    assert "============ Display Model Info end   ============\n" in out


def test_pre_check(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--mode=3", "--framework=5", "--model=net.onnx"]
    assert main(arguments, {}) == 0
    assert json.loads(Path("check_result.json").read_text())["result"] == "success"
    onnx.save(small_network(opset=19), "net.onnx")
    assert main([*arguments, "--check_report=report.json"], {}) == 255
    assert "E19010" in capsys.readouterr().out
    assert json.loads(Path("report.json").read_text())["result"] == "failed"


def test_log_on_stdout(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--framework=5", "--model=net.onnx", "--output=net", "--soc_version=Ascend310P3"]
    environment = {"HOME": "home", "ASCEND_SLOG_PRINT_TO_STDOUT": "1"}
    assert main([*arguments, SHAPE, "--log=info"], environment) == 0
    assert "[INFO] GE(" in capsys.readouterr().out


GENERATIONS = [
    ("6.3", "\nE10049: [--input_shape] has"),
    ("8.0", "\nE10049: [PID: "),
    ("9", "Invalid_Argument_Tensor_Input_Shape(E10049): --input_shape has"),
    ("nonsense", "\nE10049: [PID: "),
]


@pytest.mark.parametrize(("generation", "says"), GENERATIONS)
def test_generation_of_errors(
    workdir: Path, capsys: pytest.CaptureFixture[str], generation: str, says: str
) -> None:
    arguments = ["--framework=5", "--model=net.onnx", "--output=net", "--soc_version=Ascend310P3"]
    environment = {"ASCEND_SIMULATOR_GENERATION": generation}
    assert main([*arguments, "--input_shape=input:1,3"], environment) == 255
    assert says in capsys.readouterr().out
