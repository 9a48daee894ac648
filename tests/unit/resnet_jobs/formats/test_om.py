"""An OM as it is: what `prepare` can refuse, and what ATC's releases tell of a file.

The simulator's own files are read in tests/unit/devkit/cann/test_om_driver.py; the JSON here has
the form that CANN's manual and Huawei's comparing tool show.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.resnet_jobs import models

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.driver import message, om, om_facts
from resnet_jobs.driver.om_facts import memory_of

Order = Callable[..., JobSpec]
GOOD = b"IMOD" + bytes(400)


def as_om(order: Order, **changes: Any) -> JobSpec:
    return order(**{"uri": "pvc://models/net.om", "format": "OM", "batchSizes": None, **changes})


# --- prepare ------------------------------------------------------------------------------------


@pytest.fixture
def fetched(workspace: Workspace) -> Path:
    workspace.fetched.parent.mkdir(parents=True, exist_ok=True)
    workspace.fetched.write_bytes(GOOD)
    return workspace.fetched


def test_nothing_is_told_yet(order: Order, workspace: Workspace, fetched: Path) -> None:
    assert prepare(as_om(order), workspace) == {"ok": True, "notes": []}
    assert not workspace.convert_plan.exists(), "there is no command of ours"
    content = json.loads(workspace.prepared.read_text())["contentInputs"]
    assert content == {
        "recipe": 1,
        "model": hashlib.sha256(GOOD).hexdigest(),
        "chip": "Ascend310P3",
        "options": [],
        "format": "OM",
    }


def test_what_is_declared_makes_another_artifact(
    order: Order, workspace: Workspace, fetched: Path
) -> None:
    outputs = [{"name": "scores", "dataType": "FP32", "dims": [5]}]
    prepare(as_om(order, batchSizes=[2], declaredOutputs=outputs), workspace)
    content = json.loads(workspace.prepared.read_text())["contentInputs"]
    assert content["declared"] == {"batchSizes": [2], "outputs": outputs}


NO_OMS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "the file is empty"),
    ("a page", b"<!DOCTYPE html><html>" + bytes(300), "a web page, not an Ascend OM"),
    ("half a header", b"IMOD\x00\x01", "the file has 6 bytes and is no OM"),
    ("PyTorch weights", b"PK\x03\x04" + bytes(300), "as PyTorch saves weights, not an Ascend OM"),
    (
        "an ONNX model",
        models.classifier().SerializeToString(),
        "the file is an ONNX model, not an Ascend OM; remove spec.model.format",
    ),
]


@pytest.mark.parametrize(("reason", "data", "said"), NO_OMS, ids=[n[0] for n in NO_OMS])
def test_what_is_no_om(
    reason: str, data: bytes, said: str, order: Order, workspace: Workspace, fetched: Path
) -> None:
    fetched.write_bytes(data)
    with pytest.raises(JobError) as refused:
        prepare(as_om(order), workspace)
    assert refused.value.reason == Reason.UNSUPPORTED_MODEL, reason
    assert said in refused.value.message


def test_what_begins_like_onnx_is_left_to_atc(
    order: Order, workspace: Workspace, fetched: Path
) -> None:
    fetched.write_bytes(b"\x08" + bytes(400))
    assert prepare(as_om(order), workspace)["ok"]


# --- what the releases of ATC tell --------------------------------------------------------------


def text(value: str) -> dict[str, str]:
    return {"s": value}


def tensor(*dims: Any, kind: str = "DT_FLOAT", layout: str = "NCHW") -> dict[str, Any]:
    return {"dtype": kind, "layout": layout, "shape": {"dim": list(dims)}}


COMMAND = "/usr/local/bin/atc.bin --model ./a.onnx --framework 5 --soc_version Ascend310P3"


def content(
    *operators: dict[str, Any], command: str = COMMAND, more: dict[str, Any] | None = None
) -> dict[str, Any]:
    attributes = {"atc_version": text("8.0"), "atc_cmdline": text(command), **(more or {})}
    return {
        "name": "a",
        "attr": [{"key": key, "value": value} for key, value in attributes.items()],
        "graph": [
            {"name": "a_batch_0", "op": [data("input", tensor(1, 3, 8, 8))]},
            {"name": "a", "op": list(operators)},
        ],
    }


def data(name: str, *described: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": "Data", "output_desc": list(described)}


def net_output(*described: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Node_Output", "type": "NetOutput", "input_desc": list(described)}


CASE = {"name": "case", "type": "Case", "subgraph_name": ["a_batch_0"]}
NAMES = {"attr_model_out_nodes_name": {"list": {"s": ["Gemm_1:0:scores"]}}}


def found(value: Any) -> om_facts.Facts:
    facts = om_facts.Facts()
    om_facts.read_json(facts, value)
    return facts


def test_a_model_with_profiles() -> None:
    """The graph that is called tells; the others are its copies for each batch."""
    facts = found(
        content(
            data("input", tensor("-1", "3", "8", "8")),
            data("ascend_mbatch_shape_data", tensor(1, kind="DT_INT32")),
            CASE,
            net_output(tensor(4, 5, layout="ND")),
            command=COMMAND + " --dynamic_batch_size 4,1",
            more=NAMES,
        )
    )
    assert (facts.chip, facts.compiler, facts.batches) == ("Ascend310P3", "8.0", [1, 4])
    picture = {"name": "input", "dataType": "FP32", "dims": [3, 8, 8], "layout": "NCHW"}
    assert facts.inputs == [picture]
    assert facts.outputs == [{"name": "scores", "dataType": "FP32", "dims": [5]}]


OUTPUTS: list[tuple[str, list[str], list[str]]] = [
    ("named after the source", ["Gemm_1:0:a", "Gemm_2:0:b"], ["a", "b"]),
    ("older: the node and a number", ["Gemm_1:0", "Gemm_2:0"], ["Gemm_1", "Gemm_2"]),
    ("one node, two outputs", ["TopK:0", "TopK:1"], ["output_0", "output_1"]),
    ("no names", [], ["output_0", "output_1"]),
]


@pytest.mark.parametrize(("reason", "names", "want"), OUTPUTS, ids=[o[0] for o in OUTPUTS])
def test_names_of_outputs(reason: str, names: list[str], want: list[str]) -> None:
    listed = {"attr_model_out_nodes_name": {"list": {"s": names}}}
    answers = [tensor(1, 5, layout="ND"), tensor(1, 5, layout="ND")]
    facts = found(content(CASE, net_output(*answers), more=listed))
    assert [entry["name"] for entry in facts.outputs] == want, reason


def test_one_number_a_sample() -> None:
    facts = found(content(CASE, net_output(tensor(4, layout="ND")), more=NAMES))
    assert facts.outputs == [{"name": "scores", "dataType": "FP32", "dims": []}]


SILENT: list[tuple[str, Any]] = [
    ("nothing", None),
    ("a list", []),
    ("an empty object", {}),
    ("broken parts", {"attr": [1, {"key": 2}], "graph": [{"op": [None, {"type": "Data"}]}]}),
    ("a type that Triton has not", content(CASE, data("x", tensor(1, 3, kind="DT_COMPLEX64")))),
    ("the chip's own arrangement", content(CASE, data("x", tensor(1, 1, 8, 8, layout="FRACTAL")))),
    ("open sizes", content(CASE, data("x", tensor(1, 3, -1, -1)))),
    ("no shape", content(CASE, data("x", {"dtype": "DT_FLOAT"}), net_output({}))),
]


@pytest.mark.parametrize(("reason", "value"), SILENT, ids=[s[0] for s in SILENT])
def test_what_is_strange_is_left_out(reason: str, value: Any) -> None:
    facts = found(value)
    assert (facts.inputs, facts.outputs) == ([], []), reason


# --- the container, with a stand-in for ATC ------------------------------------------------------

BLOCK = """\
============ Display Model Info start ============
Original Atc command line: /usr/local/bin/atc.bin --model=a.onnx --soc_version=Ascend310P3
system   info: atc_version[7.0.RC1], soc_version[Ascend310P3], framework_type[Onnx].
============ Display Model Info end   ============
"""
PICTURE = {"name": "input", "dataType": "FP32", "dims": [3, 8, 8]}
SCORES = {"name": "scores", "dataType": "FP32", "dims": [5]}
WHOLE = {"batchSizes": [8], "declaredInputs": [PICTURE], "declaredOutputs": [SCORES]}
NO_JSON = "sys.exit(255) if '--mode=1' in sys.argv else print(BLOCK)"
E10041 = "print('E10041: Failed to load the model from a.om.'); sys.exit(255)"


def ran(tmp_path: Path, body: str, **order: Any) -> tuple[dict[str, Any], int]:
    program = tmp_path / "cann/bin/atc"
    program.parent.mkdir(parents=True)
    lines = [f"#!{sys.executable} -S", "import json, os, sys, time", f"BLOCK = {BLOCK!r}", body]
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    job = {"uri": "pvc://models/a.om", "chip": "Ascend310P3", "timeoutSeconds": 60, **order}
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "RESNET_SCRATCH": str(tmp_path / "scratch"),
        "RESNET_JOB": json.dumps(job),
    }
    return message.outcome(om.read, environment)


def test_a_release_that_writes_no_json(tmp_path: Path) -> None:
    payload, code = ran(tmp_path, NO_JSON, **WHOLE)
    assert code == 0, payload
    assert (payload["batchSizes"], payload["inputs"]) == ([8], [PICTURE])
    assert payload["outputs"] == [SCORES]
    assert payload["notes"] == ["the OM was made by ATC 7.0.RC1 for Ascend310P3"]


def test_all_that_is_declared_is_believed(tmp_path: Path) -> None:
    payload, code = ran(tmp_path, E10041, **WHOLE)
    assert code == 0, payload
    assert payload["notes"] == ["the OM was made by an unknown ATC for an unknown chip"]


DYNAMIC = (
    "print('Original Atc command line: atc.bin --dynamic_image_size=224,224;448,448');"
    "print('system   info: soc_version[Ascend310P3]')"
)
MANY = [{"name": f"{'n' * 60}{i}", "dataType": "FP32", "dims": [5]} for i in range(30)]
ENDINGS: list[tuple[str, str, dict[str, Any], str, int, str]] = [
    (
        "nothing is declared",
        NO_JSON,
        {},
        "InvalidSpec",
        64,
        "the OM does not tell its batch sizes: write spec.conversion.batchSizes",
    ),
    (
        "the outputs are missing",
        NO_JSON,
        {**WHOLE, "declaredOutputs": None},
        "InvalidSpec",
        64,
        "the OM does not tell its outputs: write spec.model.outputs",
    ),
    (
        "no OM at all",
        E10041,
        {},
        "UnsupportedModel",
        65,
        (
            "ATC cannot read the file (ATC E10041: Failed to load the model from a.om.): check "
            "that spec.model.uri names a whole OM, or declare spec.conversion.batchSizes"
        ),
    ),
    ("pictures of any size", DYNAMIC, WHOLE, "UnsupportedModel", 65, "--dynamic_image_size, and"),
    (
        "the family of another chip",
        "print('system   info: soc_version[Ascend910B]')",
        WHOLE,
        "ChipMismatch",
        73,
        "the OM was made for Ascend910B, not Ascend310P3",
    ),
    (
        "more than a Job can report",
        NO_JSON,
        {**WHOLE, "declaredOutputs": MANY},
        "UnsupportedModel",
        65,
        "the OM has 31 inputs and outputs, more than a Job can report",
    ),
    ("the image has no CANN", "print('libge.so'); sys.exit(127)", WHOLE, "ConversionFailed", 69,
     "Check that spec.conversion.image is a CANN toolkit image"),
    ("killed", "os.kill(os.getpid(), 9)", WHOLE, "OutOfMemory", 85, "limits.memory"),
    ("silence for too long", "time.sleep(60)", {**WHOLE, "timeoutSeconds": 1},
     "ConversionTimeout", 70, "within 1 seconds"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "body", "order", "reason", "exit_code", "said"), ENDINGS, ids=[e[0] for e in ENDINGS]
)
def test_endings(
    why: str,
    body: str,
    order: dict[str, Any],
    reason: str,
    exit_code: int,
    said: str,
    tmp_path: Path,
) -> None:
    payload, code = ran(tmp_path, body, **order)
    assert (payload.get("reason"), code) == (reason, exit_code), why
    assert said in payload["message"]
    assert len(payload["message"]) <= 300


def test_the_family_of_the_chip_will_do(tmp_path: Path) -> None:
    body = "print('system   info: soc_version[Ascend310P]')"
    _, code = ran(tmp_path, body, **WHOLE)
    assert code == 0


RESOURCES = "resource info: memory_size[24123392 B], weight_size[5170176 B], stream_num[1]."
MEMORY: tuple[tuple[str, list[str], int | None], ...] = (
    ("CANN 8.0 of a 310B4", [RESOURCES], 24123392 + 5170176),
    ("a command line that quotes it", [f"Original Atc command line: atc --x={RESOURCES}"], None),
    ("after such a one", ["Original: memory_size[1 B]", f"  {RESOURCES}"], 24123392 + 5170176),
    ("half of it is nothing", ["resource info: memory_size[24123392 B], stream_num[1]."], None),
    ("another unit", ["resource info: memory_size[23 MB], weight_size[5 MB]."], None),
    ("beyond any chip", [f"resource info: memory_size[{'9' * 16} B], weight_size[1 B]."], None),
    ("nothing at all", [], None),
)


@pytest.mark.parametrize(("reason", "lines", "size"), MEMORY)
def test_what_the_model_takes_of_a_chip(reason: str, lines: list[str], size: int | None) -> None:
    assert memory_of(lines) == size, reason
