"""The modes of atc that compile nothing: 1 (a model as JSON), 3 (pre-check), 6 (an .om's block).

Called by atc.py. The JSON has the field names of GE's ge_ir.proto: graph, op, output_desc, dtype,
layout, shape.dim; of a compiled graph only its inputs and outputs are told.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ascend_simulator import om
from ascend_simulator.errors import AtcError
from ascend_simulator.paths import input_path, output_path

if TYPE_CHECKING:
    from pathlib import Path

    from ascend_simulator.flags import Flags

_TYPES = {0: "DT_FLOAT", 1: "DT_FLOAT16", 2: "DT_INT8", 3: "DT_INT32", 4: "DT_UINT8",
          6: "DT_INT16", 7: "DT_UINT16", 8: "DT_UINT32", 9: "DT_INT64", 10: "DT_UINT64",
          11: "DT_DOUBLE", 12: "DT_BOOL"}  # fmt: skip
_LAYOUTS = {om.FORMAT_NCHW: "NCHW", om.FORMAT_NHWC: "NHWC", om.FORMAT_ND: "ND"}


def display(path: str) -> None:
    """--mode=6"""
    print(om.describe(_header(path), prefix=f"{sys.argv[0]} "))


def write_json(flags: Flags) -> None:
    """--mode=1 --om=… --json=…; with --framework=5 the file is an ONNX model."""
    for name in ("om", "json"):
        if not flags.get(name):
            raise AtcError("E10004", name)
    target = output_path("json", flags["json"])
    if flags["framework"] == "5":
        content = _onnx(input_path("om", flags["om"]))
    else:
        content = _model(_header(flags["om"]))
    try:
        target.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise AtcError("E13004", target, error.strerror) from error


def check_only(flags: Flags) -> None:
    """--mode=3: the parser's part of a conversion, and check_result.json in its place."""
    from ascend_simulator import graph  # heavy: not for the other modes

    if not flags.get("model"):
        raise AtcError("E10054", "--model")
    path = input_path("model", flags["model"])
    target = output_path("check_report", flags.get("check_report") or "check_result.json")
    failure = None
    try:
        graph.load(path)
    except AtcError as error:
        failure = error
    result = "failed" if failure else "success"
    report: dict[str, Any] = {"name": path.name, "result": result, "op": []}
    if failure:
        report["op"] = [{"cause": [{"code": failure.code, "message": str(failure)}]}]
    target.write_text(json.dumps(report, indent=2) + "\n")
    if failure:
        raise failure


def _header(path: str) -> om.Header:
    if not path:
        raise AtcError("E10004", "om")
    try:
        header, _ = om.split(input_path("om", path).read_bytes())
    except om.NotAnOmError as error:
        raise AtcError("E10041", path) from error
    return header


def _onnx(path: Path) -> Any:
    from google.protobuf.json_format import MessageToDict

    from ascend_simulator import graph

    return MessageToDict(graph.load(path))


def _attribute(key: str, value: object) -> dict[str, Any]:
    kind = "i" if isinstance(value, int) else "s"
    return {"key": key, "value": {kind: value}}


def _tensor(tensor: om.Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": _TYPES[tensor.dtype],
        "layout": _LAYOUTS[tensor.format],
        "shape": {"dim": list(tensor.dims)},
        "size": tensor.size,
    }


def _model(header: om.Header) -> dict[str, Any]:
    ops = [
        {
            "name": tensor.name,
            "type": "Data",
            "attr": [
                _attribute("index", index),
                *[_attribute("aipp", json.dumps(a)) for a in [header.aipp.get(tensor.name)] if a],
            ],
            "output_desc": [_tensor(tensor)],
        }
        for index, tensor in enumerate(header.inputs)
    ]
    ops.append(
        {
            "name": "Node_Output",
            "type": "NetOutput",
            "attr": [],
            "input_desc": [_tensor(tensor) for tensor in header.outputs],
        }
    )
    batches = ",".join(map(str, header.batches))
    return {
        "name": header.model_name,
        "version": 1,
        "attr": [
            _attribute("atc_version", header.atc_version),
            _attribute("atc_cmdline", f"atc.bin {header.command_line}"),
            _attribute("soc_version", header.soc_version),
            _attribute("framework_type", "5"),
            _attribute("dynamic_batch_size", batches),
        ],
        "graph": [{"name": header.model_name, "op": ops}],
    }
