"""The container that reads an OM, against OMs of the simulator and its `atc`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.devkit.cann.networks import Chip, convert

from resnet_jobs.driver import message, om
from resnet_operator.record.artifact import Artifact
from resnet_runtime.offline_model import OfflineModel, match
from resnet_runtime.pyacl import Acl
from resnet_runtime.settings import TensorSpec

pytestmark = pytest.mark.thorough  # compiles and loads networks

CANN = Path(__file__).parents[4] / "devkit" / "cann"
FIXED = "--input_shape=input:4,3,12,12"
OPEN = "--input_shape=input:-1,3,12,12"
PROFILES = (OPEN, "--dynamic_batch_size=1,4")
INPUT = {"name": "input", "dataType": "FP32", "dims": [3, 12, 12], "layout": "NCHW"}
OUTPUT = {"name": "output", "dataType": "FP32", "dims": [5]}
AIPP = """aipp_op {
    aipp_mode: static
    input_format: RGB888_U8
    src_image_size_w: 16
    src_image_size_h: 14
    crop: true
    load_start_pos_w: 2
    load_start_pos_h: 1
    crop_size_w: 12
    crop_size_h: 12
}
"""


@pytest.fixture
def scratch(workdir: Path) -> Path:
    (workdir / "in").mkdir()
    return workdir


def read(scratch: Path, **order: Any) -> tuple[dict[str, Any], int]:
    """What the container says of in/source."""
    environment = {
        "PATH": f"{CANN}/toolkit/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(CANN / "src"),
        "LD_LIBRARY_PATH": str(CANN / "toolkit/arch-linux/devlib"),
        "RESNET_SCRATCH": str(scratch),
        "RESNET_JOB": json.dumps(
            {"uri": "pvc://models/net.om", "chip": "Ascend310P3", "timeoutSeconds": 60, **order}
        ),
    }
    return message.outcome(om.read, environment)


def made(scratch: Path, *options: str) -> None:
    assert convert(*options) == 0
    (scratch / "net.om").rename(scratch / "in/source")


CONTRACTS: list[tuple[str, tuple[str, ...], list[int], dict[str, Any]]] = [
    ("one batch", (FIXED,), [4], INPUT),
    ("profiles, in their order", (OPEN, "--dynamic_batch_size=4,1"), [1, 4], INPUT),
    (
        "AIPP: the file takes bytes of the source's size",
        (*PROFILES, "--insert_op_conf=aipp.conf"),
        [1, 4],
        {"name": "input", "dataType": "UINT8", "dims": [14, 16, 3], "layout": "NHWC"},
    ),
]


@pytest.mark.parametrize(
    ("reason", "options", "batches", "takes"), CONTRACTS, ids=[c[0] for c in CONTRACTS]
)
def test_the_file_tells_its_contract(
    reason: str, options: tuple[str, ...], batches: list[int], takes: dict[str, Any], scratch: Path
) -> None:
    (scratch / "aipp.conf").write_text(AIPP)
    made(scratch, *options)
    payload, code = read(scratch)
    assert code == 0, payload
    assert payload["batchSizes"] == batches, reason
    assert (payload["inputs"], payload["outputs"]) == ([takes], [OUTPUT])
    assert "by ATC" in payload["notes"][0]
    assert payload["notes"][0].endswith("for Ascend310P3")
    assert options[0] in payload["argv"], "the command line that made it"
    assert (payload["compiler"], payload["arch"]) == (None, None)
    assert json.loads((scratch / "out/convert.json").read_text()) == payload


YUV = AIPP.replace("RGB888_U8", "YUV420SP_U8").replace("start_pos_h: 1", "start_pos_h: 2")
SERVED: list[tuple[str, tuple[str, ...], str]] = [
    ("a static batch", (FIXED,), ""),
    ("profiles", PROFILES, ""),
    ("half precision", (*PROFILES, "--output_type=FP16"), ""),
    ("AIPP", (FIXED, "--insert_op_conf=aipp.conf"), AIPP),
    (
        "AIPP with half a picture more for the colours",
        (*PROFILES, "--insert_op_conf=aipp.conf"),
        YUV,
    ),
]


@pytest.mark.parametrize(("reason", "options", "aipp"), SERVED, ids=[s[0] for s in SERVED])
def test_the_runtime_finds_what_was_told(
    reason: str, options: tuple[str, ...], aipp: str, scratch: Path, chip: Chip
) -> None:
    """The contract becomes config.pbtxt, which the runtime holds against the loaded OM."""
    (scratch / "aipp.conf").write_text(aipp)
    made(scratch, *options)
    payload, code = read(scratch)
    assert code == 0, (reason, payload)
    model = OfflineModel(Acl(), str(scratch / "in/source"), device=0, soc_version="Ascend310P3")
    assert model.profiles == payload["batchSizes"]
    for kind, tensors in (("input", model.inputs), ("output", model.outputs)):
        specs = [
            TensorSpec(told["name"], f"TYPE_{told['dataType']}", tuple(told["dims"]))
            for told in payload[f"{kind}s"]
        ]
        assert len(match(kind, specs, tensors, rows=payload["batchSizes"][-1])) == len(specs)
    model.close()


def test_another_type_of_answer(scratch: Path) -> None:
    made(scratch, FIXED, "--output_type=FP16")
    payload, _ = read(scratch)
    assert payload["outputs"] == [{**OUTPUT, "dataType": "FP16"}]


def test_what_is_declared_and_true_is_taken(scratch: Path) -> None:
    made(scratch, *PROFILES)
    named = {"name": "scores", "dataType": "FP32", "dims": [5]}
    order = {"batchSizes": [1, 4], "declaredInputs": [INPUT], "declaredOutputs": [named]}
    payload, code = read(scratch, **order)
    assert code == 0, payload
    assert payload["outputs"] == [named], "an output's name may be chosen: its place tells"


def test_a_model_that_runs_on_one_architecture(scratch: Path) -> None:
    made(scratch, FIXED)
    payload, _ = read(scratch, uri="https://host/net_linux_aarch64.om?x=1")
    assert payload["arch"] == "aarch64"


REFUSALS: list[tuple[str, dict[str, Any], str, int, str]] = [
    (
        "another chip",
        {"chip": "Ascend910B4"},
        "ChipMismatch",
        73,
        (
            "the OM was made for Ascend310P3, not Ascend910B4: bring another OM, or correct "
            "spec.accelerator.chip"
        ),
    ),
    (
        "another batch",
        {"batchSizes": [1, 2]},
        "InvalidSpec",
        64,
        (
            "the OM was made for batch [1, 4], spec.conversion.batchSizes says [1, 2]: remove it, "
            "or bring another OM"
        ),
    ),
    (
        "another shape",
        {"declaredOutputs": [{**OUTPUT, "dims": [10]}]},
        "InvalidSpec",
        64,
        "spec.model.outputs says output FP32 [10], and the OM has output FP32 [5]",
    ),
    (
        "another type",
        {"declaredInputs": [{**INPUT, "dataType": "UINT8"}]},
        "InvalidSpec",
        64,
        "input UINT8 [3, 12, 12], and the OM has input FP32 [3, 12, 12]: correct or remove",
    ),
    (
        "another number of inputs",
        {"declaredInputs": [INPUT, {**INPUT, "name": "more"}]},
        "InvalidSpec",
        64,
        "spec.model.inputs says input FP32 [3, 12, 12], more FP32 [3, 12, 12], and the OM has",
    ),
]


@pytest.mark.parametrize(
    ("why", "order", "reason", "exit_code", "said"), REFUSALS, ids=[r[0] for r in REFUSALS]
)
def test_what_does_not_fit_is_refused(
    why: str, order: dict[str, Any], reason: str, exit_code: int, said: str, scratch: Path
) -> None:
    made(scratch, *PROFILES)
    payload, code = read(scratch, **order)
    assert (payload.get("reason"), code) == (reason, exit_code), why
    assert said in payload["message"]
    assert not (scratch / "out/convert.json").exists()


def test_a_file_that_is_cut_off(scratch: Path) -> None:
    made(scratch, FIXED)
    source = scratch / "in/source"
    source.write_bytes(source.read_bytes()[:-1])
    payload, code = read(scratch)
    assert (payload["reason"], code) == ("UnsupportedModel", 65)
    assert "ATC cannot read the file (ATC E10041: " in payload["message"]
    assert "check that spec.model.uri names a whole OM" in payload["message"]


def test_from_a_claim_into_the_store(workdir: Path) -> None:
    """All containers of the Job one after the other, each as a program of its own."""
    scratch, claim, store = (workdir / name for name in ("scratch", "claim", "store"))
    for folder in (scratch, claim, store):
        folder.mkdir()
    assert convert(*PROFILES) == 0
    (workdir / "net.om").rename(claim / "net.om")
    order = {
        "uri": "pvc://models/net.om",
        "format": "OM",
        "chip": "Ascend310P3",
        "timeoutSeconds": 60,
        "store": {"type": "SharedClaim", "path": str(store)},
    }
    secret = workdir / "store-key"
    secret.mkdir()
    (secret / "key").write_bytes(bytes(32))
    (secret / "password").write_text("x")
    said: dict[str, Any] = {}
    for name, program in {
        "fetch": ["-m", "resnet_jobs", "fetch"],
        "prepare": ["-m", "resnet_jobs", "prepare"],
        "convert": [str(scratch / "driver/om.py")],
        "publish": ["-m", "resnet_jobs", "publish"],
    }.items():
        log = workdir / f"{name}.json"
        ours = os.pathsep.join((str(CANN / "src"), str(Path(om.__file__).parents[2])))
        environment = {
            "PATH": f"{CANN}/toolkit/bin:{os.environ['PATH']}",
            "PYTHONPATH": ours,
            "LD_LIBRARY_PATH": str(CANN / "toolkit/arch-linux/devlib"),
            "HOME": str(workdir / "home"),
            "RESNET_JOB": json.dumps(order),
            "RESNET_SCRATCH": str(scratch),
            "RESNET_SOURCE": str(claim),
            "RESNET_TERMINATION_LOG": str(log),
            "RESNET_STORE_KEY": str(secret),
        }
        done = subprocess.run([sys.executable, *program], env=environment, capture_output=True)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        said[name] = json.loads(log.read_text())
    artifact = Artifact.from_messages(said, chip="Ascend310P3")
    assert (artifact.batch_sizes, artifact.origin, artifact.compiler) == ((1, 4), "Copied", "none")
    assert [tensor.name for tensor in artifact.outputs] == ["output"]
    assert artifact.sha256 == artifact.model_sha256, "it is the very file"
    assert (store / "blobs/sha256" / artifact.sha256).is_file()
    assert Artifact.from_record(artifact.to_record()) == artifact
