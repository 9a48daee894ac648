"""The containers of the gate's pod: launch.py with a real Triton, and `evaluate` beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tests.support.patience import patient
from tests.support.planted import RUINED, planted
from tests.triton.server import DIGITS, ROOT, Model, digits_on_cpu, pod
from tests.triton.test_ascend_om import CANN, FP16_TOLERANCE, Node, convert, digits_on_npu

from resnet_client import PRESETS, preprocess
from resnet_contract.order import parse_job
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools.aipp import plan_aipp
from resnet_operator.record.measurement import Measurement

KEY = "ef" * 32
HOW = PRESETS["digits"]
PREPROCESSING = {
    "pixelFormat": "RGB888",
    "source": {"height": 32, "width": 32},
    "mean": list(HOW.mean),
    "std": list(HOW.std),
}
ORDER = {
    "uri": "pvc://models/digits-resnet.onnx",
    "batchSizes": [1, 2, 4, 8],
    "dataset": {"uri": "pvc://sets/digits.npz", "format": "Npy"},
    "validationKey": KEY,
}


class Gate:
    """The volumes of the gate's pod: /scratch as fetch and prepare leave it, /eval, the store."""

    def __init__(self, root: Path, samples: Any, labels: Any, **order: Any) -> None:
        self.root = root
        self.load_seconds, self.timeout = "1", 120.0
        self.eval = root / "eval"
        for folder in ("eval", "store", "scratch/in", "scratch/dataset"):
            (root / folder).mkdir(parents=True)
        model = root / "scratch/in/model.onnx"
        model.write_bytes((DIGITS / "digits-resnet.onnx").read_bytes())
        np.savez(root / "scratch/dataset/digits.npz", x=samples, y=labels)
        store = {"type": "SharedClaim", "path": str(root / "store")}
        self.order = {**ORDER, "store": store, **order}

    @property
    def launch(self) -> list[str]:
        return [f"--until-file={self.eval / 'done'}"]

    def evaluate(self, address: str, model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
        """(message, result.json) of the container `evaluate`."""
        order = {
            **self.order,
            "model": {
                "name": model.name,
                "inputs": [{"name": model.input, "dataType": model.type, "dims": list(model.dims)}],
                "outputs": [{"name": model.output, "dataType": "FP32", "dims": [model.classes]}],
                "maxBatchSize": model.max_batch,
            },
        }
        message = self.root / "termination-log"
        ended = subprocess.run(
            [sys.executable, "-m", "resnet_jobs", "evaluate"],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "operator"),
                "RESNET_JOB": json.dumps(order),
                "RESNET_SCRATCH": str(self.root / "scratch"),
                "RESNET_EVAL": str(self.eval),
                "RESNET_TRITON": address,
                "RESNET_LOAD_SECONDS": self.load_seconds,
                "RESNET_TERMINATION_LOG": str(message),
            },
            capture_output=True,
            text=True,
            timeout=patient(self.timeout),
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        result = (self.root / f"store/results/{KEY}.json").read_text()
        return json.loads(message.read_text()), json.loads(result)


@pytest.fixture(scope="module")
def held_out() -> tuple[Any, Any, Any, Any]:
    """(pictures, tensors, labels, ONNX Runtime's answers)"""
    with np.load(DIGITS / "heldout.npz") as file:
        pictures, labels = file["pictures"], file["labels"]
    tensors = preprocess(pictures, HOW)
    session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
    return pictures, tensors, labels, session.run(None, {"input": tensors})[0]


def test_the_network_on_a_processor_is_its_own_source(
    tmp_path: Path, held_out: tuple[Any, Any, Any, Any]
) -> None:
    _, tensors, labels, expected = held_out
    labels = labels.copy()
    labels[:30] = (labels[:30] + 1) % 10  # a set that is wrong about 30: so must the numbers be
    asked = {"requestsPerSecond": 40, "batchSize": 2}
    gate = Gate(tmp_path, tensors, labels, chip="CPU", benchmark={"load": asked})
    model = digits_on_cpu(max_batch=24)
    with pod(tmp_path / "pod", model, launch=gate.launch) as running:
        message, result = gate.evaluate(running.http, model)
        assert running.wait_end() == 0, "the file of the evaluator ends Triton"
    top1 = float(np.mean(expected.argmax(axis=1) == labels))
    assert message["samples"] == len(labels)
    assert message["top1"] == message["top1Reference"] == pytest.approx(top1)
    assert message["top1Agreement"] == 1.0
    assert message["cosineSimilarity"] == pytest.approx(1.0, abs=1e-6)
    assert message["throughput"] == {}, "nobody asked for the bare speed"
    load = result["load"]
    assert load["images"] % 24 == 0
    assert message["imagesPerSecond"] == pytest.approx(load["images"] / load["seconds"], rel=0.01)
    assert 1 <= load["seconds"] < 20
    waited = result["latency"]
    assert waited["load"] == asked
    assert (waited["requests"], waited["failedRequests"]) == (200, 0)
    assert 0 < waited["p50Milliseconds"] <= waited["p99Milliseconds"] <= waited["maxMilliseconds"]
    told = Measurement.from_message(json.dumps(message), attempt=1)
    assert told.samples == len(labels)
    assert told.latency is not None


def taking_pictures(gate: Gate) -> Model:
    """The network compiled with AIPP, as the gate's order says it."""
    how = parse_job(json.dumps(gate.order)).preprocessing
    assert how is not None
    aipp = plan_aipp(how, [Tensor("input", "FP32", (3, 32, 32))])
    config = gate.root / "aipp.conf"
    config.write_text(aipp.text)
    om = convert(
        gate.root,
        *("--input_shape=input:-1,3,32,32", "--dynamic_batch_size=1,2,4,8"),
        f"--insert_op_conf={config}",
    )
    return Model(
        **{**vars(digits_on_npu(om)), "dims": aipp.inputs[0].dims, "type": "UINT8",
           "layout": "NHWC"},
    )  # fmt: skip


def test_the_network_on_a_chip_takes_pictures(
    tmp_path: Path, held_out: tuple[Any, Any, Any, Any]
) -> None:
    """AIPP, half precision, four batch sizes; the chip is measured alone before Triton has it."""
    pictures, _, labels, expected = held_out
    gate = Gate(tmp_path, pictures, labels, chip="Ascend310P3", preprocessing=PREPROCESSING)
    model = taking_pictures(gate)
    benchmark = gate.eval / "benchmark.json"
    flags = [f"--benchmark={benchmark}", "--benchmark-loops=5", *gate.launch]
    environment = {**Node(tmp_path).env, "ASCEND_TOOLKIT_HOME": str(ROOT / "devkit/cann/toolkit")}
    with pod(tmp_path / "pod", model, env=environment, launch=flags) as running:
        message, result = gate.evaluate(running.http, model)
        assert running.wait_end() == 0
    top1 = float(np.mean(expected.argmax(axis=1) == labels))
    assert message["top1Reference"] == pytest.approx(top1)
    assert message["top1"] == pytest.approx(top1, abs=0.01)
    assert 1 - FP16_TOLERANCE**2 < message["cosineSimilarity"] <= 1
    assert list(message["throughput"]) == ["1", "2", "4", "8"]
    assert result["benchmark"]["profiles"]["8"]["count"] == 5
    assert result["versions"]["cann"] == "8.2.RC1 (simulator)", "it says what it is"
    assert message["imagesPerSecond"] > 0


def test_a_wrong_mean_is_a_fault_of_the_preprocessing_and_of_no_layer(
    tmp_path: Path, held_out: tuple[Any, Any, Any, Any]
) -> None:
    """A mean far from that of the pictures: the source model itself is wrong with it."""
    pictures, _, labels, _ = held_out

    def measure(name: str, how: dict[str, Any]) -> dict[str, Any]:
        diagnose = {"when": "OnFailure", "thresholds": {"minTop1": "0.97"}}
        gate = Gate(tmp_path / name, pictures, labels, chip="Ascend310P3",
                    preprocessing=how, diagnose=diagnose)  # fmt: skip
        model = taking_pictures(gate)
        with pod(gate.root / "pod", model, env=Node(gate.root).env, launch=gate.launch) as running:
            message, _ = gate.evaluate(running.http, model)
            assert running.wait_end() == 0
        return message

    message = measure("before", PREPROCESSING | {"mean": [250.0, 250.0, 250.0]})
    assert message["top1"] < 0.97
    told = message["diagnosis"]
    assert told["cause"] == "Preprocessing"
    assert told["message"].endswith("no layer is at fault")

    change = json.loads(told["patch"])["spec"]["conversion"]["preprocessing"]
    message = measure("after", PREPROCESSING | change)
    assert message["top1"] >= 0.97
    assert "diagnosis" not in message


AMCT = "import sys; from amct_onnx.cli import main; sys.exit(main(sys.argv[1:]))"


def ruined_om(folder: Path, *, skip: str = "") -> Path:
    """The network with one layer that eight bits ruin, quantized and compiled as Jobs do it."""
    source = folder / "planted.onnx"
    source.write_bytes(planted().SerializeToString())
    with np.load(DIGITS / "heldout.npz") as file:
        tensors = preprocess(file["pictures"], HOW)
    (folder / "calib").mkdir()
    for number in range(4):
        tensors[8 * number : 8 * number + 8].tofile(folder / f"calib/{number}.bin")
    skipped = f'skip_layers : "{skip}"\n' if skip else ""
    (folder / "quant.cfg").write_text("batch_num : 4\n" + skipped)
    subprocess.run(
        [
            *(sys.executable, "-c", AMCT, "calibration", f"--model={source}"),
            *(f"--save_path={folder / 'quant'}", "--input_shape=input:8,3,32,32"),
            *(f"--data_dir={folder / 'calib'}/", "--data_types=float32"),
            f"--calibration_config={folder / 'quant.cfg'}",
        ],
        env={**os.environ, "PYTHONPATH": str(CANN)},
        cwd=folder,
        check=True,
    )
    deployed = folder / "quant_deploy_model.onnx"
    return convert(folder, "--input_shape=input:8,3,32,32", model=deployed)


def test_the_layer_that_eight_bits_ruin_is_named_and_skipping_it_helps(
    tmp_path: Path, held_out: tuple[Any, Any, Any, Any]
) -> None:
    """The doctor, whole: the simulator's dump beside a real Triton, the ranking, the patch."""
    _, tensors, labels, _ = held_out

    def measure(name: str, skip: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
        root = tmp_path / name
        root.mkdir()
        om = ruined_om(root, skip=skip)
        thresholds = {"minTop1": "0.98", "minTop1Agreement": "0.98"}
        diagnose = {"when": "OnFailure", "thresholds": thresholds, "quantized": True}
        gate = Gate(root, tensors, labels, chip="Ascend310P3", batchSizes=[8], diagnose=diagnose)
        (root / "scratch/in/model.onnx").write_bytes((root / "planted.onnx").read_bytes())
        model = digits_on_npu(om, batches="8")
        with pod(root / "pod", model, env=Node(root).env, launch=gate.launch) as running:
            found = gate.evaluate(running.http, model)
            assert running.wait_end() == 0
        return found

    message, result = measure("before")
    assert message["top1"] < 0.98
    told = message["diagnosis"]
    assert told["cause"] == "Layers", result["diagnosis"]
    print(json.dumps(result["diagnosis"], indent=1)[:2000])
    (named,) = json.loads(told["patch"])["spec"]["conversion"]["quantization"]["skipLayers"]
    assert named == RUINED
    assert result["diagnosis"]["ranking"][0]["name"] == RUINED
    assert result["diagnosis"]["predicted"]["top1"] >= 0.98
    assert 0.5 < result["diagnosis"]["speed"] < 1, "one of ten layers takes twice as long"
    price = f"at {result['diagnosis']['speed']:.0%} of the speed"
    assert told["message"].endswith(f"are predicted to be right, {price}")
    tried = {trial["change"]: trial["passes"] for trial in result["diagnosis"]["trials"]}
    assert tried.pop(f"without {RUINED} in eight bits")
    assert len(tried) >= 2, "other ranges and more pictures"
    assert not any(tried.values()), "do not help a channel that is 4,000 times as large"

    message, result = measure("after", skip=named)
    assert message["top1"] >= 0.98
    assert result["diagnosis"] is None
