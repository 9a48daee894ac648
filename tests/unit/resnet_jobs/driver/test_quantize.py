"""Quantization: what AMCT is told, what is refused first, and how the driver explains its ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.limits import LIMIT_SECONDS, time_is_up_after

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import EXIT_CODES, JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.driver import amct, message, quantize
from resnet_jobs.driver.tool import Run
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools import amct as quantization

Order = Callable[..., JobSpec]
INPUT = Tensor("input", "FP32", (3, 8, 8))
CALIBRATION = {"uri": "pvc://data/set.npy", "format": "Npy", "batches": 5}


def block(**changes: Any) -> dict[str, Any]:
    """spec.conversion.quantization with five batches of an array."""
    return {"calibration": CALIBRATION, **changes}


# --- what AMCT is told --------------------------------------------------------------------------


def plan(spec: JobSpec, workspace: Workspace, model: Any = None) -> quantization.QuantizationPlan:
    workspace.calibration.mkdir(exist_ok=True)
    np.save(workspace.calibration / "set.npy", np.ones((200, 3, 8, 8), np.float32))
    return quantization.plan_quantization(
        spec,
        workspace,
        model=model or models.classifier(),
        inputs=[INPUT],
        inside=[INPUT],
        opset=13,
        preprocessing=None,
    )


def test_the_reference_recipe(order: Order, workspace: Workspace) -> None:
    """Batch 24, five batches and joint quantization, as the vendor's recipe writes them."""
    spec = order(batchSizes=[24], quantization=block(jointQuantization=True))
    made = plan(spec, workspace)
    root = workspace.scratch
    assert made.model == root / "quant/model_deploy_model.onnx"
    assert workspace.quant_cfg.read_text() == "batch_num : 5\njoint_quant : true\n"
    left = json.loads(workspace.quant_plan.read_text())
    assert left == {
        "argv": [
            "amct_onnx",
            "calibration",
            f"--model={root}/in/model.onnx",
            f"--save_path={root}/quant/model",
            "--input_shape=input:24,3,8,8",
            f"--data_dir={root}/calib/input/",
            "--data_types=float32",
            f"--calibration_config={root}/conf/quant.cfg",
        ],
        "opset": 13,
        "timeoutSeconds": 3600,
    }
    sizes = [path.stat().st_size for path in sorted((root / "calib/input").iterdir())]
    assert sizes == [24 * 3 * 8 * 8 * 4] * 5
    assert sorted(made.content) == ["batch", "calibration", "config"]
    assert made.notes == ["calibrating with 5 batches of 24"]


def test_another_order_has_another_content(order: Order, workspace: Workspace) -> None:
    def content(**changes: Any) -> dict[str, Any]:
        spec = order(batchSizes=[8], quantization=block(**changes))
        return plan(spec, workspace).content

    base = content()
    assert content() == base
    assert content(skipLayers=["fc"])["config"] != base["config"]
    assert content(jointQuantization=False) == base, "false is AMCT's default: the same artifact"
    assert content(jointQuantization=True)["config"] != base["config"]
    fewer = content(calibration={**CALIBRATION, "batches": 4})
    assert fewer["calibration"] != base["calibration"]


CONFIGS: list[tuple[str, dict[str, Any], str]] = [
    ("nothing said: AMCT's defaults", {}, "batch_num : 5\n"),
    ("joint quantization", {"jointQuantization": True}, "batch_num : 5\njoint_quant : true\n"),
    (
        "layers left out, one a line",
        {"skipLayers": ["conv1", "fc"]},
        'batch_num : 5\nskip_layers : "conv1"\nskip_layers : "fc"\n',
    ),
    (
        "names as protobuf's text format wants them",
        {"skipLayers": ['a"b\\c', "é"]},
        'batch_num : 5\nskip_layers : "a\\"b\\\\c"\nskip_layers : "\\303\\251"\n',
    ),
    (
        "raw text as it is, with the number of batches",
        {"rawConfig": "version: 1\nbatch_num: 5"},
        "version: 1\nbatch_num: 5\n",
    ),
    (
        "raw text without the number gets it: AMCT would use one batch",
        {"rawConfig": "# batch_num: 9\ndo_fusion: true\n"},
        "batch_num : 5\n# batch_num: 9\ndo_fusion: true\n",
    ),
]


@pytest.mark.parametrize(("why", "changes", "want"), CONFIGS, ids=[c[0] for c in CONFIGS])
def test_config_text(why: str, changes: dict[str, Any], want: str, order: Order) -> None:
    spec = order(batchSizes=[8], quantization=block(**changes))
    quantization.check_order(spec)
    assert spec.quantization is not None
    assert quantization.config_text(spec.quantization) == want, why


# --- refused before anything runs ---------------------------------------------------------------

RAW = {"rawConfig": "batch_num : 5\n"}
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "several batch sizes",
        {"batchSizes": [1, 8]},
        {},
        "ATC compiles a quantized model for one batch size only; write one, for example [8]",
    ),
    ("a CPU", {"chip": "CPU"}, {}, "is for Ascend chips"),
    ("quantized already", {"quantized": True}, {}, "spec.model.quantized says so"),
    ("compiled already", {"format": "OM"}, {}, "an OM is compiled"),
    (
        "a full-width colon",
        {},
        {"rawConfig": "version: 1\nbatch_num：5\n"},
        "rawConfig has the character '：' in line 2",
    ),
    (
        "two numbers of batches",
        {},
        {"rawConfig": "batch_num : 1\n"},
        "rawConfig says batch_num 1, calibration.batches says 5",
    ),
]


@pytest.mark.parametrize(("why", "changes", "wish", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused_without_a_model(
    why: str, changes: dict[str, Any], wish: dict[str, Any], want: str, order: Order
) -> None:
    spec = order(**{"batchSizes": [8], "quantization": block(**wish), **changes})
    with pytest.raises(JobError) as caught:
        quantization.check_order(spec)
    assert caught.value.reason == Reason.INVALID_SPEC, why
    assert want in caught.value.message


def test_an_order_without_quantization_is_fine(order: Order) -> None:
    quantization.check_order(order(batchSizes=[1, 8], chip="CPU"))


def quantized_model() -> Any:
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"])
    return models.chain(
        [node], weights={"s": np.float32(1)}, dims=["N", 3], out_kind=TensorProto.UINT8
    )


def nothing_to_quantize() -> Any:
    return models.chain([helper.make_node("Relu", ["x"], ["y"], name="relu")])


MODELS: list[tuple[str, Callable[[], Any], int, str]] = [
    ("quantized already", quantized_model, 13, "quantized already (QuantizeLinear)"),
    ("an opset too old", models.classifier, 7, "has opset 7, but AMCT reads 8 to 18"),
    ("an opset too new", models.classifier, 19, "has opset 19"),
    ("nothing to do", nothing_to_quantize, 13, "nothing that AMCT quantizes"),
]


@pytest.mark.parametrize(("why", "build", "opset", "want"), MODELS, ids=[m[0] for m in MODELS])
def test_models_refused(why: str, build: Callable[[], Any], opset: int, want: str) -> None:
    with pytest.raises(JobError) as caught:
        quantization.check_model(build(), opset=opset)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL, why
    assert want in caught.value.message


def named(*names: str) -> Any:
    model = models.classifier()
    for node, name in zip(model.graph.node, names, strict=False):
        node.name = name
    return model


SKIPPED: list[tuple[str, Any, str, str]] = [
    (
        "a typing error is answered with names that are close",
        named("/layer1/conv1/Conv", "/relu/Relu"),
        "/layer1/conv/Conv",
        "is no layer of the model; it has for example: /layer1/conv1/Conv",
    ),
    (
        "nothing is close: any will do",
        named("/layer1/conv1/Conv"),
        "zzz",
        "it has for example: /layer1/conv1/Conv, fc",
    ),
    (
        "an operator that AMCT leaves alone",
        named("c", "/relu/Relu"),
        "/relu/Relu",
        "is a Relu, which AMCT never quantizes (Conv, Gemm, MatMul",
    ),
    (
        "a model without names",
        models.chain([helper.make_node("Gemm", ["x", "w"], ["y"])], weights={"w": np.ones((3, 2))}),
        "fc",
        "none, its layers have no names",
    ),
]


@pytest.mark.parametrize(("why", "model", "name", "want"), SKIPPED, ids=[s[0] for s in SKIPPED])
def test_skipped_layers(why: str, model: Any, name: str, want: str) -> None:
    with pytest.raises(JobError) as caught:
        quantization.check_skipped(model, [name])
    assert caught.value.reason == Reason.INVALID_SPEC, why
    assert want in caught.value.message


def test_a_late_opset_is_noted(order: Order, workspace: Workspace) -> None:
    workspace.calibration.mkdir()
    np.save(workspace.calibration / "set.npy", np.ones((5, 3, 8, 8), np.float32))
    made = quantization.plan_quantization(
        order(batchSizes=[1], quantization=block()),
        workspace,
        model=models.classifier(),
        inputs=[INPUT],
        inside=[INPUT],
        opset=16,
        preprocessing=None,
    )
    assert made.notes[-1] == "opset 16 needs AMCT with ONNX Runtime 1.16 or later"


# --- the driver ---------------------------------------------------------------------------------

GOOD = """
for kind in ("deploy", "fake_quant"):
    open(f"{prefix}_{kind}_model.onnx", "w").write(kind)
    print(f"INFO - [AMCT]:[Utils]: The model file is saved in {prefix}_{kind}_model.onnx")
"""


class Place:
    """A scratch volume with a plan, and an image whose `amct_onnx` runs the given Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch"
        self.log = root / "termination-log"
        self.argv = ["amct_onnx", "calibration", f"--save_path={self.scratch}/quant/model", "a b;$"]
        self.write("scratch/conf/quantize.json", json.dumps({"argv": self.argv, "opset": 13}))
        self.write("site/onnxruntime-1.8.0.dist-info/METADATA", metadata("onnxruntime", "1.8.0"))
        self.job: dict[str, Any] = {"timeoutSeconds": 60}
        self.environment = {
            "PATH": f"{root}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(root / "site"),
            "RESNET_SCRATCH": str(self.scratch),
            "RESNET_TERMINATION_LOG": str(self.log),
        }

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def install(self, body: str) -> None:
        self.write("site/amct_onnx/__init__.py", "raise RuntimeError('slow to import')")
        self.write("site/amct_onnx-6.3.1.dist-info/METADATA", metadata("amct_onnx", "6.3.1"))
        lines = [
            f"#!{sys.executable}",
            "import os, sys, time",
            'prefix = next(a for a in sys.argv if a.startswith("--save_path=")).split("=")[1]',
            body,
        ]
        self.write("bin/amct_onnx", "\n".join(lines)).chmod(0o755)

    def outcome(self) -> tuple[dict[str, Any], int]:
        return message.outcome(
            quantize.quantize, {**self.environment, "RESNET_JOB": json.dumps(self.job)}
        )


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_quantization(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.install("print(os.getcwd(), os.environ['USER']); print(sys.argv[-1])" + GOOD)
    place.write("scratch/quant/model_deploy_model.onnx", "of an earlier run")
    payload, code = place.outcome()
    assert code == 0
    assert payload == {
        "ok": True,
        "tool": "AMCT 6.3.1 with onnxruntime 1.8.0",
        "argv": place.argv,
        "durationSeconds": payload["durationSeconds"],
    }
    left = json.loads((place.scratch / "quant/quantize.json").read_text())
    assert left["tool"] == payload["tool"]
    assert left["argv"] == place.argv
    assert len(left["deploySha256"]) == 64
    log = capfd.readouterr().out
    assert f"{place.scratch}/quant resnet\n" in log, "AMCT writes its logs to its folder"
    assert "a b;$\n" in log, "no shell ever saw the argument"


ERROR = "ERROR - [AMCT]:[Calibration]: "
ENDINGS: list[tuple[str, str, str, int, str]] = [
    (
        "batches of another size",
        f'sys.exit("{ERROR}input image size[1579014] is not equal to model input size[3158028]")',
        "QuantizationFailed",
        71,
        "a calibration batch has size 1579014 and the model takes 3158028",
    ),
    (
        "a pair that the vendor never built",
        'raise RuntimeError("amct_onnx now only support onnxruntime 1.5.2, 1.6.0 or 1.9.0.")',
        "QuantizationFailed",
        71,
        "supports only onnxruntime 1.5.2, 1.6.0 or 1.9.0, the image has onnxruntime 1.8.0",
    ),
    (
        "half an installation",
        "import amct_onnx_helper",
        "QuantizationFailed",
        71,
        "lacks the Python package amct_onnx_helper that AMCT needs",
    ),
    (
        "its operators were built for another runtime",
        'raise ImportError("/x/amct_onnx_op.cpython-37m.so: undefined symbol: _ZN3Ort")',
        "QuantizationFailed",
        71,
        "AMCT's operators (amct_onnx_op.cpython-37m.so",
    ),
    (
        "a layer it cannot do",
        'print("ERROR layer conv_7 WeightFakeQuantArq failed"); sys.exit(1)',
        "QuantizationFailed",
        71,
        "cannot quantize the layer conv_7: add it to spec.conversion.quantization.skipLayers",
    ),
    (
        "the last of its own errors",
        f'print("{ERROR}first"); print("2026-01-01 - {ERROR}No layer is left"); sys.exit(1)',
        "QuantizationFailed",
        71,
        "AMCT: No layer is left",
    ),
    (
        "a Python exception",
        'raise ValueError("input_shape is wrong")',
        "QuantizationFailed",
        71,
        "AMCT: ValueError: input_shape is wrong",
    ),
    (
        "a usage message",
        'print("error: unrecognized arguments: --x", file=sys.stderr); sys.exit(2)',
        "QuantizationFailed",
        71,
        "status 2: error: unrecognized arguments: --x. Check that",
    ),
    ("silence", "sys.exit(3)", "QuantizationFailed", 71, "status 3: it printed nothing"),
    (
        "success without a model",
        'open(f"{prefix}_deploy_model.onnx", "w").write("x")',
        "QuantizationFailed",
        71,
        "status 0 but wrote no model_fake_quant_model.onnx",
    ),
    (
        "a model beside an error is no success",
        GOOD + "sys.exit(1)",
        "QuantizationFailed",
        71,
        "AMCT ended with status 1",
    ),
    (
        "a crash may pass",
        "os.kill(os.getpid(), 11)",
        "QuantizationFailed",
        88,
        "crashed (signal 11)",
    ),
    ("killed for memory", "os.kill(os.getpid(), 9)", "OutOfMemory", 85, "limits.memory"),
    ("Python's own word for it", "raise MemoryError", "OutOfMemory", 85, "smaller batch size"),
    (
        "a full disk",
        'raise OSError(28, "No space left on device")',
        "EphemeralStorageExceeded",
        84,
        "free disk space",
    ),
]


@pytest.mark.parametrize(
    ("why", "body", "reason", "exit_code", "want"), ENDINGS, ids=[e[0] for e in ENDINGS]
)
def test_endings(why: str, body: str, reason: str, exit_code: int, want: str, place: Place) -> None:
    place.install(body)
    payload, code = place.outcome()
    assert (payload["reason"], code) == (reason, exit_code), why
    assert want in payload["message"]
    assert len(payload["message"]) <= 300
    assert not (place.scratch / "quant/quantize.json").exists()


def test_the_time_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    time_is_up_after(monkeypatch, "working")
    place.install('print("working", flush=True); time.sleep(600)')
    place.job["timeoutSeconds"] = LIMIT_SECONDS
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ConversionTimeout", 70)
    assert f"within {LIMIT_SECONDS} seconds" in payload["message"]
    assert payload["detail"] == "working"


def test_no_amct_in_the_image(place: Place) -> None:
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("QuantizationFailed", 71)
    assert "must be an image with AMCT for ONNX" in payload["message"]


def test_the_step_before_left_nothing(place: Place) -> None:
    place.install(GOOD)
    (place.scratch / "conf/quantize.json").unlink()
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ResultLost", 87)


def test_a_model_too_new_for_the_image(place: Place) -> None:
    place.install(GOOD)
    place.write("scratch/conf/quantize.json", json.dumps({"argv": place.argv, "opset": 17}))
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("QuantizationFailed", 71)
    assert "has opset 17, AMCT with onnxruntime 1.8.0" in payload["message"]
    assert "reads up to 14" in payload["message"]


PAIRS = [("1.8.0", 14, 15), ("1.16.3", 16, 17), ("1.20.1", 18, 19), (None, 99, None)]


@pytest.mark.parametrize(("runtime", "fine", "refused"), PAIRS)
def test_opsets_by_runtime(runtime: str | None, fine: int, refused: int | None) -> None:
    tool = amct.Tool("/x", "AMCT", {"onnxruntime": runtime})
    amct.check_opset(fine, tool)
    if refused:
        with pytest.raises(message.DriverError):
            amct.check_opset(refused, tool)


VERSIONS: list[tuple[str, dict[str, str], str]] = [
    (
        "the package's metadata, without importing it",
        {"site/amct_onnx-6.3.1.dist-info/METADATA": metadata("amct-onnx", "6.3.1")},
        "AMCT 6.3.1 with onnxruntime 1.8.0",
    ),
    (
        "a note in the package",
        {"site/amct_onnx/.version": "7.0.RC1\n"},
        "AMCT 7.0.RC1 with onnxruntime 1.8.0",
    ),
    (
        "what the package says of itself: a simulator says so",
        {"site/amct_onnx/__init__.py": '__version__ = "8.2.RC1 (simulator)"'},
        "AMCT 8.2.RC1 (simulator) with onnxruntime 1.8.0",
    ),
]


@pytest.mark.parametrize(("why", "files", "want"), VERSIONS, ids=[v[0] for v in VERSIONS])
def test_versions(why: str, files: dict[str, str], want: str, place: Place) -> None:
    place.write("site/amct_onnx/__init__.py", "raise RuntimeError")
    place.write("bin/amct_onnx", f"#!{sys.executable} -s\n").chmod(0o755)
    for path, text in files.items():
        place.write(path, text)
    assert amct.find_tool("amct_onnx", place.environment).name == want, why


def test_unknown_tools_are_told_apart(place: Place) -> None:
    found = set()
    for body in ("exec one", "exec two"):
        place.write("bin/amct_onnx", f"#!/bin/sh\n{body}\n").chmod(0o755)
        found.add(amct.find_tool("amct_onnx", place.environment).name)
    assert len(found) == 2
    assert all(name.startswith("AMCT unknown (") for name in found)


def test_a_lost_worker_is_a_lack_of_memory() -> None:
    failure = amct.explain(Run(1, ["ERROR"], oom_kills=1), 60, [], amct.Tool("", "", {}))
    assert failure is not None
    assert failure.payload["reason"] == "OutOfMemory"


def test_as_a_program_it_writes_its_message(place: Place) -> None:
    place.install(f'print("{ERROR}no batch"); sys.exit(1)')
    ended = subprocess.run(
        [sys.executable, "-s", quantize.__file__],
        env={**place.environment, "RESNET_JOB": json.dumps(place.job)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == EXIT_CODES[Reason.QUANTIZATION_FAILED] == amct.FAILED
    written = json.loads(place.log.read_text())
    assert written["message"] == "AMCT: no batch"
    assert ERROR in ended.stdout
