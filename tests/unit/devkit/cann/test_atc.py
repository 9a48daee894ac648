"""The simulated atc refuses what ATC refuses, in its words, and leaves its files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from ascend_simulator import om
from ascend_simulator.atc import main
from ascend_simulator.catalogue import CATALOGUE
from ascend_simulator.errors import AtcError, format_block
from ascend_simulator.version import PRODUCT_VERSION
from tests.unit.devkit.cann.networks import convert, small_network

if TYPE_CHECKING:
    import onnx

CANN = Path(__file__).parents[4] / "devkit" / "cann"
SHAPE = "--input_shape=input:1,3,12,12"
OPEN_SHAPE = "--input_shape=input:-1,3,12,12"


class Refusal(NamedTuple):
    """A command line that ATC refuses."""

    code: str
    options: list[str]
    reason: str
    says: str = ""


REFUSALS = [
    Refusal(
        "E10016",
        ["--input_shape=image:1,3,12,12"],
        "an input that the model has not",
        "Opname [image] specified in [--input_shape] is not found in the model.",
    ),
    Refusal("E10049", ["--input_shape=input:1,3,12"], "another number of dimensions"),
    Refusal("E10001", [], "open dimensions without a shape", "set input_shape"),
    Refusal("E10002", ["--input_shape=input"], "a shape without a colon"),
    Refusal("E10002", ["--input_shape=input:1,a,12,12"], "a shape that is no number"),
    Refusal("E10011", ["--input_shape=input:0,3,12,12"], "a dimension of 0"),
    Refusal("E10011", [OPEN_SHAPE], "an open batch without profiles"),
    Refusal("E10031", [SHAPE, "--dynamic_batch_size=1,2"], "profiles for a fixed batch"),
    Refusal("E10018", ["--input_shape=input:-1,-1,12,12", "--dynamic_batch_size=1,2"], "open C"),
    Refusal("E10035", [OPEN_SHAPE, "--dynamic_batch_size=4"], "a single profile"),
    Refusal(
        "E10036",
        [OPEN_SHAPE, "--dynamic_batch_size=" + ",".join(map(str, range(1, 102)))],
        "101 profiles; 100 are the most",
    ),
    Refusal("E10039", [OPEN_SHAPE, "--dynamic_batch_size=1,2,2"], "the same profile twice"),
    Refusal("E10038", [OPEN_SHAPE, "--dynamic_batch_size=0,2"], "a profile of 0"),
    Refusal("E10003", [OPEN_SHAPE, "--dynamic_batch_size=1, 2"], "a blank in the profiles"),
    Refusal(
        "E10009",
        [OPEN_SHAPE, "--dynamic_batch_size=1,2", "--dynamic_dims=1;2"],
        "two kinds of dynamic shape",
    ),
    Refusal("E10001", [SHAPE, "--input_format=NHWC"], "NHWC, which ONNX has not", "NCDHW"),
    Refusal("E10001", [SHAPE, "--precision_mode=fp8"], "a precision that does not exist"),
    Refusal("E10001", [SHAPE, "--precision_mode=allow_fp32_to_bf16"], "bfloat16 on a 310P3"),
    Refusal(
        "E10056",
        [SHAPE, "--precision_mode=force_fp16", "--precision_mode_v2=fp16"],
        "both generations of the precision option",
    ),
    Refusal("E10006", [SHAPE, "--enable_small_channel=yes"], "a switch that is not 0 or 1"),
    Refusal("E10010", [SHAPE, "--log=loud"], "a log level that does not exist"),
    Refusal("E10013", [SHAPE, "--mode=9"], "a mode that does not exist"),
    Refusal("E10014", [SHAPE, "--mode=x"], "a mode that is no number"),
    Refusal("E10001", [SHAPE, "--soc_version=ascend310p3"], "a chip in lower case"),
    Refusal("E10054", ["--soc_version="], "no chip", "[--soc_version]"),
    Refusal("E10054", ["--model=", SHAPE], "no model"),
    Refusal("E10054", ["--output=", SHAPE], "no output"),
    Refusal("E10007", ["--framework=-1"], "no framework", "5(Onnx)"),
    Refusal("E10007", ["--framework=4"], "a framework that does not exist"),
    Refusal("E10022", ["--output=./", SHAPE], "an output that is a folder"),
    Refusal("E10021", ["--output=" + "x" * 4097, SHAPE], "an output path too long"),
    Refusal("E13000", ["--model=gone.onnx", SHAPE], "a model that is not there"),
    Refusal("E13001", ["--model=.", SHAPE], "a model that is a folder"),
    Refusal("E13026", ["--model=a b.onnx", SHAPE], "a blank in a path"),
    Refusal("E10041", ["--model=page.onnx", SHAPE], "a web page instead of a model"),
    Refusal("E10001", [SHAPE, "--optypelist_for_implmode=Pooling"], "half of a pair of options"),
    Refusal("E10055", [SHAPE, "--singleop=op.json"], "what is not simulated is refused"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.code}: {case.reason}")
def test_refuses(workdir: Path, capsys: pytest.CaptureFixture[str], case: Refusal) -> None:
    (workdir / "page.onnx").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    assert convert(*case.options) == 255
    out, err = capsys.readouterr()
    lines = out.splitlines()
    failed = next(i for i, line in enumerate(lines) if line.startswith("ATC run failed, "))
    assert lines[0] == "ATC start working now, please wait for a moment."
    assert re.match(rf"{case.code}: \[PID: \d+\] \d{{4}}-", lines[failed + 1]), out
    assert case.says in lines[failed + 1]
    assert err == "", "everything goes to stdout"
    assert not list(workdir.glob("*.om"))


MODELS = [
    ("E19010", small_network(opset=19), "[Conv_0, optype [ai.onnx::19::Conv]]", "opset too new"),
    ("E19010", small_network(opset=10), "ai.onnx::10::Conv", "opset too old"),
    (
        "E19010",
        small_network(replaced={k: (k, "my.ops") for k in
                                ("Conv", "BatchNormalization", "Relu", "Add", "Flatten", "Gemm",
                                 "GlobalAveragePool")}),
        "my.ops::1::Conv",
        "operators of a foreign domain",
    ),
    ("E16005", small_network(domains=[("ai.onnx.ml", 2)]), "has [2] ", "two opset domains"),
    ("EZ3003", small_network(replaced={"Add": ("Hardmax", "")}), "[Add_4], optype [Hardmax]",
     "an operator without a kernel"),
    ("E19999", small_network(batch=1, reshape=[1, 8]), "", "a Reshape with the batch baked in"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "model", "says", "reason"), MODELS, ids=[m[3] for m in MODELS])
def test_refuses_the_model(
    workdir: Path,
    capsys: pytest.CaptureFixture[str],
    code: str,
    model: onnx.ModelProto,
    says: str,
    reason: str,
) -> None:
    (workdir / "net.onnx").write_bytes(model.SerializeToString())
    assert convert(OPEN_SHAPE, "--dynamic_batch_size=2,4") == 255, reason
    out = capsys.readouterr().out
    assert f"\n{code}: [PID: " in out
    assert says in out


def test_converts(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(OPEN_SHAPE, "--dynamic_batch_size=1,4", "--log=error") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ATC start working now, please wait for a moment."
    assert lines[-1] == "ATC run success, welcome to the next use."
    assert "simulator" in lines[1]
    header, _ = om.split((workdir / "net.om").read_bytes())
    assert header.soc_version == "Ascend310P3"
    assert "simulator" in header.atc_version
    assert header.batches == (1, 4)
    assert [(t.name, t.dims, t.size) for t in header.inputs] == [
        ("input", (-1, 3, 12, 12), 4 * 3 * 144 * 4),
        ("ascend_mbatch_shape_data", (1,), 8),
    ]
    assert [(t.name, t.dims) for t in header.outputs] == [("Gemm_8:0:output", (4, 5))]
    assert (workdir / "fusion_result.json").exists(), "ATC leaves its reports in the working folder"
    assert (workdir / "kernel_meta").is_dir()
    assert list((workdir / "home/ascend/log").rglob("plog-*.log"))


def test_same_input_gives_the_same_file(workdir: Path) -> None:
    convert(SHAPE)
    first = (workdir / "net.om").read_bytes()
    convert(SHAPE)
    assert (workdir / "net.om").read_bytes() == first


def test_host_code_names_the_architecture(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--framework=5", "--model=net.onnx", "--output=net", "--soc_version=Ascend310P3"]
    assert main([*arguments, SHAPE], {"SIMULATED_ATC_HOST_CODE": "1"}) == 0
    assert [path.name for path in workdir.glob("*.om")] == [f"net_linux_{os.uname().machine}.om"]


def test_needs_a_writable_working_directory(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Path,
        "write_text",
        lambda self, text: (_ for _ in ()).throw(OSError(30, "Read-only file system", str(self))),
    )
    assert convert(SHAPE) == 255
    assert "Read-only file system" in capsys.readouterr().out


def test_shows_what_an_om_is(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(SHAPE, "--soc_version=Ascend910B4")
    capsys.readouterr()
    assert main(["--mode=6", "--om=net.om"], {}) == 0
    out = capsys.readouterr().out
    assert "Original Atc command line: " in out
    assert f"atc_version[{PRODUCT_VERSION}], soc_version[Ascend910B4], framework_type[Onnx]" in out


@pytest.mark.parametrize("name", ["net.onnx", "half.om"])
def test_mode_6_refuses_what_is_no_om(
    workdir: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    convert(SHAPE)
    (workdir / "half.om").write_bytes((workdir / "net.om").read_bytes()[:-1])
    assert main(["--mode=6", f"--om={name}"], {}) == 255
    assert "E10041" in capsys.readouterr().out


def test_a_model_may_ask_for_a_failure(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = small_network(hooks={"cann_simulator.fail": "EZ3003"})
    (workdir / "net.onnx").write_bytes(wanted.SerializeToString())
    assert convert(SHAPE) == 255
    assert "EZ3003" in capsys.readouterr().out


GENERATIONS = [
    ("7", r"E10016: Opname \[x\] specified in \[--input_shape\] is not found"),
    ("8", r"E10016: \[PID: 7\] [\d:.-]+ Opname \[x\] specified in \[--input_shape\] is not found"),
    (
        "9",
        r"\[PID: 7\] [\d:.-]+ Invalid_Argument_Operator_Name\(E10016\): Opname x specified in --i",
    ),
]


@pytest.mark.parametrize(("generation", "first"), GENERATIONS)
def test_prints_errors_as_each_generation_does(generation: str, first: str) -> None:
    block = format_block(AtcError("E10016", "x", "input_shape"), generation, pid=7)
    assert re.match(first, block)
    assert block.splitlines()[1].startswith("        Solution: Use a name ")


@pytest.mark.parametrize("code", CATALOGUE)
@pytest.mark.parametrize("generation", ["7", "8", "9"])
def test_the_driver_understands_every_error(code: str, generation: str) -> None:
    from resnet_jobs.driver.outcome import parse_error_block

    error = AtcError(code, *["word"] * CATALOGUE[code].sentence.count("{}"))
    block = parse_error_block(["ATC run failed, …", *format_block(error, generation).splitlines()])
    assert block["code"] == code
    assert block["solution"].split() == CATALOGUE[code].solution.split()


def test_unknown_option(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(SHAPE, "--ouput_type=FP32") == 255
    assert "--ouput_type=FP32" in capsys.readouterr().out


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"], {}) == 0
    assert "simulator" in capsys.readouterr().out


def test_program_needs_the_driver_library(workdir: Path) -> None:
    program = [str(CANN / "toolkit/bin/atc"), "--mode=6", "--om=net.om"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CANN / "src")}
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 127
    assert "libascend_hal.so: cannot open shared object file" in done.stderr
    environment["LD_LIBRARY_PATH"] = str(CANN / "toolkit/arch-linux/devlib")
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 255, "the library is there, the .om is not"
    assert "E13000" in done.stdout


def test_version_files_say_simulator() -> None:
    info = (CANN / "toolkit/compiler/version.info").read_text()
    assert info == f"Version={PRODUCT_VERSION}\n"
    install = (CANN / "toolkit/arch-linux/ascend_toolkit_install.info").read_text()
    assert f"\nversion={PRODUCT_VERSION}\n" in install


def test_weights_that_are_listed_as_inputs_are_constants(workdir: Path) -> None:
    """As in the model zoo, whose files are of IR version 3: real ATC takes them."""
    from onnx import helper

    model = small_network()
    for tensor in model.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(value)
    model.ir_version = 3
    (workdir / "old.onnx").write_bytes(model.SerializeToString())
    assert [convert(SHAPE, model=f"{name}.onnx", output=name) for name in ("net", "old")] == [0, 0]
    plain, old = (om.split((workdir / f"{name}.om").read_bytes())[0] for name in ("net", "old"))
    assert (old.inputs, old.outputs) == (plain.inputs, plain.outputs)
