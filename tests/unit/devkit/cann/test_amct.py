"""The simulated amct_onnx: command, configuration, files, and a quantization that is real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from amct_onnx import __version__
from amct_onnx.cli import main
from ascend_simulator import om
from ascend_simulator.version import PRODUCT_VERSION
from tests.unit.devkit.cann.networks import Chip, convert, pictures, reference, small_network

if TYPE_CHECKING:
    from collections.abc import Sequence

CANN = Path(__file__).parents[4] / "devkit" / "cann"
R1_CONFIG = "batch_num : 5\njoint_quant : true\n"
SHAPE = "--input_shape=input:4,3,12,12"


@pytest.fixture
def calibration(workdir: Path) -> Path:
    """Five batches of four pictures, as `prepare` writes them."""
    folder = workdir / "calib"
    folder.mkdir()
    for number in range(5):
        pictures(4, seed=number).tofile(folder / f"{number:06d}.bin")
    (workdir / "quant.cfg").write_text(R1_CONFIG)
    return workdir


def quantize(*options: str, config: str = "quant.cfg", model: str = "net.onnx") -> int:
    chosen = [f"--calibration_config={config}"] if config else []
    return main(
        [
            "calibration",
            f"--model={model}",
            "--save_path=out/model",
            SHAPE,
            "--data_dir=calib/",
            "--data_types=float32",
            *chosen,
            *options,
        ]
    )


def run(path: str, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": batch})[0])


def test_writes_the_three_files(calibration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize() == 0
    out, err = capsys.readouterr()
    assert err == ""
    prefix = "INFO - [AMCT]:[Utils]: The model file is saved in out/model"
    assert f"{prefix}_deploy_model.onnx\n" in out
    assert f"{prefix}_fake_quant_model.onnx\n" in out
    assert "simulator" in out
    assert prefix in (calibration / "amct_log/amct_onnx.log").read_text()
    record = json.loads((calibration / "out/model_quant.json").read_text())
    assert [entry["name"] for entry in record["layers"]] == ["Conv_0", "Conv_3", "Gemm_8"]
    assert [len(entry["weight"]["scale"]) for entry in record["layers"]] == [8, 8, 1]


def test_deploy_model_has_amcts_operators(calibration: Path) -> None:
    quantize()
    model = onnx.load("out/model_deploy_model.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[:5] == ["AscendQuant", "AscendWeightQuant", "Conv", "AscendDequant", "Relu"]
    assert kinds.count("AscendDequant") == 3
    assert "BatchNormalization" not in kinds
    assert {node.domain for node in model.graph.node} == {""}
    stored = {t.name: t.data_type for t in model.graph.initializer}
    assert stored["Conv_0.weight"] == onnx.TensorProto.INT8
    assert stored["Conv_0.bias_int32"] == onnx.TensorProto.INT32
    assert stored["Conv_0.deq_scale"] == onnx.TensorProto.UINT64
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N", "as it came"


def test_quantization_moves_the_numbers_a_little(calibration: Path) -> None:
    quantize()
    batch = pictures(4, seed=77)
    wanted = reference(small_network(), batch)
    error = np.abs(run("out/model_fake_quant_model.onnx", batch) - wanted).max()
    assert 1e-4 < error < 0.02 * np.abs(wanted).max()


def test_an_om_of_the_deploy_model_is_the_fake_quant_model(calibration: Path, chip: Chip) -> None:
    quantize()
    assert convert(SHAPE, model="out/model_deploy_model.onnx") == 0
    header, _ = om.split(Path("net.om").read_bytes())
    assert header.quantized
    assert header.weight_bytes < 4000, "weights stay one byte each in the .om"
    chip.open()
    model, desc = chip.load("net.om")
    inputs, (source,), outputs, (target,) = chip.datasets(desc)
    batch = pictures(4, seed=77)
    chip.upload(source, batch)
    assert chip.acl.mdl.execute(model, inputs, outputs) == 0
    fake = run("out/model_fake_quant_model.onnx", batch)
    assert np.abs(chip.download(target, (4, 5)) - fake).max() < 1e-2


def test_data_from_elsewhere_make_worse_scales(calibration: Path) -> None:
    batch = pictures(4, seed=77)
    wanted = reference(small_network(), batch)
    errors = {}
    for factor in (1.0, 50.0):
        for number in range(5):
            (pictures(4, seed=number) * np.float32(factor)).tofile(f"calib/{number:06d}.bin")
        assert quantize() == 0
        fake = run("out/model_fake_quant_model.onnx", batch)
        errors[factor] = float(np.abs(fake - wanted).mean())
    assert errors[50.0] > 5 * errors[1.0]


def test_fewer_bits_are_coarser(calibration: Path) -> None:
    batch = pictures(4, seed=77)
    wanted = reference(small_network(), batch)
    errors = []
    for bits in (8, 6):
        text = f"{R1_CONFIG}common_config {{ arq_quantize {{ quant_bits: {bits} }} }}"
        Path("quant.cfg").write_text(text)
        assert quantize() == 0
        errors.append(np.abs(run("out/model_fake_quant_model.onnx", batch) - wanted).mean())
    assert errors[1] > errors[0]


class Chosen(NamedTuple):
    """A configuration, and the layers that it leaves to quantize."""

    text: str
    layers: list[str]
    reason: str


CHOICES = [
    Chosen('skip_layers : "Conv_0"', ["Conv_3", "Gemm_8"], "a layer by name"),
    Chosen('skip_layers: "Conv_0" skip_layers: "Gemm_8"', ["Conv_3"], "two of them"),
    Chosen('skip_layer_types : "Conv"', ["Gemm_8"], "layers by type"),
    Chosen("activation_offset : false", ["Conv_0", "Conv_3", "Gemm_8"], "no offset"),
]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.reason)
def test_configuration_is_honoured(calibration: Path, case: Chosen) -> None:
    Path("quant.cfg").write_text(case.text)
    assert quantize() == 0
    record = json.loads(Path("out/model_quant.json").read_text())
    assert [entry["name"] for entry in record["layers"]] == case.layers
    offsets = {entry["data"]["offset"] for entry in record["layers"]}
    assert (offsets == {0}) == ("activation_offset" in case.text)
    batch = pictures(4, seed=77)
    error = np.abs(
        run("out/model_fake_quant_model.onnx", batch) - reference(small_network(), batch)
    )
    assert error.max() < 0.1


def test_without_fusion_the_normalization_stays(calibration: Path) -> None:
    for text in ("do_fusion: false", 'skip_fusion_layers: "Conv_0"'):
        Path("quant.cfg").write_text(text)
        assert quantize() == 0
        kinds = [n.op_type for n in onnx.load("out/model_deploy_model.onnx").graph.node]
        assert "BatchNormalization" in kinds, text
        assert convert(SHAPE, model="out/model_deploy_model.onnx") == 0


def test_options_abbreviated_and_with_blanks(calibration: Path) -> None:
    """ModelZoo writes --data_type; both styles of values are documented."""
    status = main(
        [
            "calibration",
            "--model",
            "net.onnx",
            "--save_path",
            "out/model",
            "--input_shape",
            "input:4,3,12,12",
            "--data_dir",
            "calib",
            "--data_type",
            "float32",
            "--calibration_con=quant.cfg",
        ]
    )
    assert status == 0


def test_one_batch_by_default(calibration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize(config="") == 0
    assert "batch 1 of 1" in capsys.readouterr().out


class Refusal(NamedTuple):
    """An order that AMCT refuses."""

    reason: str
    says: str
    options: Sequence[str] = ()
    config: str = R1_CONFIG


REFUSALS = [
    Refusal("batch_num twice", "given twice", ["--batch_num=5"]),
    Refusal("more batches than data", "only 5 batches", config="batch_num: 6"),
    Refusal("no batches", "greater than 0", config="batch_num: 0"),
    Refusal("an unknown field", 'no field named "skip_layer"', config='skip_layer: "Conv_0"'),
    Refusal("a full-width colon", 'Expected ":"', config="batch_num：5"),
    Refusal(
        "a layer that is not there", "Conv_9 is not in the model", config='skip_layers:"Conv_9"'
    ),
    Refusal("an unknown type", "Convolution is not", config='skip_layer_types:"Convolution"'),
    Refusal(
        "everything skipped",
        "No layer",
        config='skip_layer_types:"Conv" skip_layer_types:"Gemm"',
    ),
    Refusal("nuq", "not simulated", config="nuq_config { mapping_file: 'x' }"),
    Refusal("9 bits", "quant_bits", config="common_config { arq_quantize { quant_bits: 9 } }"),
    Refusal("a missing folder", "is no directory", ["--data_dir=gone"]),
    Refusal("an empty folder", "no .bin file", ["--data_dir=."]),
    Refusal(
        "half the size: FP16 for FP32",
        "input image size[6912] is not equal to model input size[13824]",
        ["--input_shape=input:8,3,12,12"],
    ),
    Refusal("an unknown data type", "bfloat is not one of", ["--data_types=bfloat"]),
    Refusal("another input", "the model's inputs are input", ["--input_shape=image:4,3,12,12"]),
    Refusal("no shape", "is invalid", ["--input_shape=input"]),
    Refusal("a missing model", "does not exist", ["--model=gone.onnx"]),
    Refusal("a missing config", "cannot be read", ["--calibration_config=gone.cfg"]),
    Refusal("an evaluator and data", "excludes", ["--evaluator=x.py"]),
    Refusal("a folder as prefix", "prefix", ["--save_path=out/"]),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.reason)
def test_refuses(calibration: Path, capsys: pytest.CaptureFixture[str], case: Refusal) -> None:
    Path("quant.cfg").write_text(case.config)
    assert quantize(*case.options) == 1
    out = capsys.readouterr().out
    assert "ERROR - [AMCT]:[" in out
    assert case.says in out
    assert not Path("out").exists()


MODELS = [
    ("1.9", small_network(opset=15), "opset is 15; v8 to v14", "too new for ONNX Runtime 1.9"),
    ("1.20", small_network(opset=19), "v8 to v18", "too new for every AMCT"),
]


@pytest.mark.parametrize(("runtime", "model", "says", "reason"), MODELS, ids=["1.9", "1.20"])
def test_opsets(
    calibration: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runtime: str,
    model: onnx.ModelProto,
    says: str,
    reason: str,
) -> None:
    monkeypatch.setenv("SIMULATED_AMCT_RUNTIME", runtime)
    onnx.save(model, "net.onnx")
    assert quantize() == 1, reason
    assert says in capsys.readouterr().out


def test_quantizes_only_once(calibration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quantize()
    assert quantize(model="out/model_deploy_model.onnx") == 1
    assert "quantized already" in capsys.readouterr().out


def test_convert_is_not_simulated(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--model=net.onnx", "--save_path=x"]) == 1
    assert "not simulated" in capsys.readouterr().out


ATC_REFUSALS = [
    ["--precision_mode=force_fp32"],
    ["--precision_mode=must_keep_origin_dtype"],
    ["--precision_mode_v2=origin"],
    ["--op_precision_mode=precision.ini"],
    ["--input_shape=input:-1,3,12,12", "--dynamic_batch_size=1,4"],
]


@pytest.mark.parametrize("options", ATC_REFUSALS, ids=lambda options: options[-1])
def test_atc_refuses_with_a_deploy_model(
    calibration: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    quantize()
    Path("precision.ini").write_text("[ByOpType]\nConv2D=high_precision\n")
    assert convert(SHAPE, *options, model="out/model_deploy_model.onnx") == 255
    assert "E10001: [PID: " in capsys.readouterr().out


def test_program_and_version() -> None:
    done = subprocess.run(
        [sys.executable, str(CANN / "amct/amct_onnx"), "--version"],
        env={"PYTHONPATH": ":".join([str(CANN / "src"), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"amct_onnx {__version__}\n"
    assert (CANN / "src/amct_onnx/.version").read_text() == f"{PRODUCT_VERSION}\n"
