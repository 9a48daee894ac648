"""The order of a conversion (RESNET_JOB): what the controller writes, the jobs image can read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import a_settings, resolved

from resnet_contract.order import JobSpec, parse_job
from resnet_operator.render.conversion import job_spec

SETTINGS = a_settings(export_image="export:1", amct_image="amct:1")
PICTURE = {"name": "x", "dataType": "FP32", "dims": [3, 32, 32]}


def order(changes: dict[str, Any]) -> JobSpec:
    found = resolved(changes, settings=SETTINGS)
    return parse_job(json.dumps(job_spec(namespace="ns", resolved=found, settings=SETTINGS)))


READ: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("the smallest object", {}, "ONNX"),
    (
        "weights, and nothing said but their network",
        {"model": {"uri": "pvc://m/r.pth", "pytorch": {"architecture": "resnet18"}}},
        "PyTorch",
    ),
    (
        "a script on a CPU",
        {
            "model": {"uri": "pvc://m/r.torchscript", "inputs": [PICTURE]},
            "accelerator": {"chip": "CPU"},
        },
        "TorchScript",
    ),
    ("an OM", {"model": {"uri": "pvc://m/r.om"}}, "OM"),
    (
        "a quantization with nothing said but its pictures",
        {"conversion": {"quantization": {"calibration": {"uri": "pvc://d/p.tar"}}}},
        "ONNX",
    ),
)


@pytest.mark.parametrize(("reason", "changes", "kind"), READ)
def test_the_jobs_image_can_read_it(reason: str, changes: dict[str, Any], kind: str) -> None:
    assert order(changes).format == kind, reason


@pytest.mark.parametrize(
    ("said", "classes", "reason"),
    [({}, None, "those of the weights"), ({"classes": 7}, 7, "said")],
)
def test_the_classes_of_weights(said: dict[str, int], classes: int | None, reason: str) -> None:
    network = {"architecture": "resnet18", **said}
    read = order({"model": {"uri": "pvc://m/r.pth", "pytorch": network}}).pytorch
    assert read is not None
    assert (read.architecture, read.classes) == ("resnet18", classes), reason


def test_the_inputs_of_a_script() -> None:
    read = order({"model": {"uri": "pvc://m/r.torchscript", "inputs": [PICTURE]}})
    assert [(e.name, e.data_type, e.dims) for e in read.declared_inputs] == [
        ("x", "FP32", (3, 32, 32))
    ]
