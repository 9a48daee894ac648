"""Runtime TorchAIE: real torch and a simulated torch_aie, in the Python that has torch."""

from __future__ import annotations

import copy
import fcntl
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT
from tests.support.needs import SYSTEM_PYTHON, need_torch
from tests.support.patience import patient

from resnet_runtime import torch_errors, torch_modules
from resnet_runtime.settings import LoadError, Settings

pytestmark = pytest.mark.thorough  # PyTorch computes

PARAMETERS = {
    "model_file": "model.pth",
    "architecture": "resnet18",
    "classes": "5",
    "batch_sizes": "4",
    "chip_count": "2",
    "soc_version": "Ascend310P3",
    "precision_policy": "FP32",
}
CONFIG: dict[str, Any] = {
    "inputs": {"INPUT": ("TYPE_FP32", [3, 32, 32])},
    "outputs": {"OUTPUT": ("TYPE_FP32", [5])},
    "max_batch_size": 4,
    "instance": "resnet_0_0",
    "parameters": PARAMETERS,
}
WAIT_SECONDS = patient(60)
Process = subprocess.Popen[str]


def start(folder: Path, cases: list[dict[str, Any]]) -> Process:
    """Begin a process with two simulated chips."""
    need_torch()
    for number in (1, 3):
        (folder / f"davinci{number}").touch()
    process = subprocess.Popen(
        [SYSTEM_PYTHON, "-B", str(Path(__file__).with_name("torch_aie_process.py")), str(folder)],
        env={
            "PATH": os.environ["PATH"],
            "ASCEND_VISIBLE_DEVICES": "1,3",
            "SIMULATED_NPU_DEVICE_DIR": str(folder),
            "TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",  # small networks: more threads only wait for each other
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(cases))
    process.stdin.close()
    process.stdin = None
    return process


def outcomes(process: Process) -> list[dict[str, Any]]:
    output, errors = process.communicate(timeout=patient(120))
    assert process.returncode == 0, errors
    assert "(simulator): no NPU" in errors, "it never passes for the real one"
    found: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
    return found


def config(*, without: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """The usual configuration with these parameters and fields."""
    made = copy.deepcopy(CONFIG)
    made |= {key: changes.pop(key) for key in list(changes) if key in made}
    made["parameters"] |= changes
    for key in without:
        del made["parameters"][key]
    return made


SCRIPT: dict[str, Any] = {"without": ("architecture", "classes"), "model_file": "model.torchscript"}


def case(reason: str, **changes: Any) -> dict[str, Any]:
    return {"reason": reason, "soc": "Ascend310P3", "config": config(), **changes}


ANSWERED = [
    case("weights; three rows in a batch of four", rows=[1, 2]),
    case("several sizes are compiled as a range", config=config(batch_sizes="1,4"), rows=[1]),
    case("TorchScript brings its network along", config=config(**SCRIPT), rows=[4]),
    case(
        "inputs and outputs in the order of config.pbtxt",
        config=config(
            **{**SCRIPT, "model_file": "pair.torchscript"},
            inputs={"image": ("TYPE_FP32", [3, 8, 8]), "extra": ("TYPE_FP32", [3])},
            outputs={"a": ("TYPE_FP32", [3]), "b": ("TYPE_FP32", [3])},
        ),
        rows=[1, 1, 2],
    ),
]
OTHERS = [
    case("half precision is asked for", config=config(precision_policy="FP16"), rows=[2]),
    *[case("by index", config=config(instance=f"r_0_{number}")) for number in (0, 1, 2)],
    case("a chip goes", rows=[1], lose=True),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What came of all the cases, which share one process."""
    refused = [made for made, _, _ in REFUSED]
    folder = tmp_path_factory.mktemp("torch-aie")
    results = outcomes(start(folder, [*ANSWERED, *OTHERS, *refused]))
    first, second = len(ANSWERED), len(ANSWERED) + len(OTHERS)
    return {
        "answered": results[:first],
        "others": results[first:second],
        "refused": results[second:],
    }


@pytest.mark.parametrize("number", range(len(ANSWERED)))
def test_it_answers_as_torch_does(found: dict[str, Any], number: int) -> None:
    outcome = found["answered"][number]
    assert outcome["worst"] < 1e-5, (ANSWERED[number]["reason"], outcome)


def test_half_precision_is_asked_for(found: dict[str, Any]) -> None:
    assert 0 < found["others"][0]["worst"] < 0.05


def test_instances_are_spread_over_the_chips(found: dict[str, Any]) -> None:
    assert [outcome["device"] for outcome in found["others"][1:4]] == [0, 1, 0]


def test_a_chip_that_is_lost_is_told_to_the_client(found: dict[str, Any]) -> None:
    assert found["others"][4]["errors"] == ["TorchAIE: input 0 is on npu:0, the module on npu:7"]


def waits_for_a_lock(process: Process) -> bool:
    """As the kernel lists it: a process that waits has an arrow before its lock."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {process.pid} " in line for line in lines)


def test_instances_compile_one_after_the_other(tmp_path: Path) -> None:
    """While another one compiles, an instance waits; then it takes its turn."""
    with (tmp_path / "resnet-torch-aie.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = start(tmp_path, [case("", rows=[1])])
        deadline = time.monotonic() + WAIT_SECONDS
        while not waits_for_a_lock(process):
            assert process.poll() is None, "it did not wait"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    (found,) = outcomes(process)
    assert found["worst"] < 1e-5


REFUSED = [
    (
        case("", soc="Ascend310P1"),
        "ChipMismatch",
        "TorchAIE cannot compile for Ascend310P3: soc_version Ascend310P3 does not match",
    ),
    (
        case("", config=config(chip_count="3", instance="r_0_2")),
        "ModelLoadFailed",
        "the pod has no such chip: see the device plugin and the driver on the node",
    ),
    (
        case("", config=config(classes="7")),
        "ModelLoadFailed",
        "fc.weight is for 5 classes, not 7: write spec.model.pytorch.classes: 5",
    ),
    (
        case("", config=config(model_file="model.torchscript")),
        "ModelLoadFailed",
        "the file is TorchScript, not weights: write spec.model.format: TorchScript",
    ),
    (
        case("", config=config(model_file="lost.pth")),
        "ModelLoadFailed",
        "is not there: the artifact was not mounted",
    ),
    (
        case("", config=config(outputs={"OUTPUT": ("TYPE_FP32", [7])})),
        "ModelLoadFailed",
        "the network answers a batch of 4 with [[4, 5]]; config.pbtxt says [[4, 7]]",
    ),
    (
        case("", config=config(**SCRIPT, inputs={"INPUT": ("TYPE_FP32", [1, 32, 32])})),
        "ModelLoadFailed",
        "TorchAIE cannot run the model: RuntimeError: Given groups=1",
    ),
    (
        case("", config=config(inputs={"INPUT": ("TYPE_UINT8", [3, 32, 32])})),
        "ModelLoadFailed",
        "input INPUT is TYPE_UINT8; TorchAIE is given FP32 here",
    ),
    (
        case("", config=config(max_batch_size=8)),
        "ModelLoadFailed",
        "config.pbtxt says max_batch_size 8, above batch_sizes [4]",
    ),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_failed_load_leaves_a_sentence(found: dict[str, Any], number: int) -> None:
    _, reason, words = REFUSED[number]
    message = found["refused"][number]["message"]
    assert (message["reason"], words in message["message"]) == (reason, True), message


# --- what needs no torch ------------------------------------------------------------------------

ERRORS = [
    ("aclrtMalloc failed, error code is 207001", "OutOfMemory", "fewer instancesPerChip", "207001"),
    ("[enforce fail] not enough memory: you tried", "OutOfMemory", "limits.memory", None),
    ("load failed: 507008", "ChipMismatch", "correct spec.accelerator.chip", "507008"),
    ("aclrtSetDevice: 507033", "ModelLoadFailed", "try count 1 and more replicas", "507033"),
    ("Unsupported operator: aten::x\nException raised from", "ModelLoadFailed", "aten::x", None),
]


@pytest.mark.parametrize(("text", "reason", "words", "code"), ERRORS)
def test_errors_become_sentences(text: str, reason: str, words: str, code: str | None) -> None:
    settings = Settings((), (), 4, 1, {"soc_version": "Ascend310P3"})
    found = torch_errors.load_error(RuntimeError(text), settings)
    assert (found.reason, found.code, found.detail) == (reason, code, text)
    assert words in str(found)
    assert "Exception raised" not in str(found)


@pytest.mark.parametrize("found", ["Ascend310P1", "Ascend310P3", ""])
def test_the_chip_is_asked_of_pyacl(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    acl = types.SimpleNamespace(get_soc_name=lambda: found)
    monkeypatch.setitem(sys.modules, "acl", acl)
    if found != "Ascend310P1":
        torch_modules.check_chip("Ascend310P3")
        return
    with pytest.raises(LoadError, match=r"set spec\.accelerator\.chip to Ascend310P1") as raised:
        torch_modules.check_chip("Ascend310P3")
    assert raised.value.reason == "ChipMismatch"


def test_an_image_without_torch_aie_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    with pytest.raises(LoadError, match="neither mindietorch nor torch_aie"):
        torch_modules.import_aie()
