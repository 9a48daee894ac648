"""Runs AMCT inside an image that has it: the container `quantize` of the conversion Job.

Run as a script, /scratch/driver/quantize.py. `prepare` left the command and the calibration
batches; this finds out which AMCT the image holds, runs it with a time limit and explains how it
ended. `convert` compiles what it writes, and its version becomes part of the content key.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sys
import time
from typing import Any

if not __package__:  # run as a script: the folder it lies in is the package (PEP 366)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "driver"
    __import__(__package__)

from .amct import check_opset, explain, find_tool
from .message import log, run_container
from .tool import load_plan, run_tool

OUTPUTS = ("model_deploy_model.onnx", "model_fake_quant_model.onnx")
DEFAULT_SECONDS = 3600


def quantize(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> dict[str, Any]:
    """The success message; `DriverError` otherwise. Leaves the models and quant/quantize.json."""
    started = time.monotonic()
    folder = os.path.join(scratch, "quant")
    home = environment.get("HOME") or os.path.join(scratch, "home")
    for needed in (folder, home):
        os.makedirs(needed, exist_ok=True)
    plan = load_plan(os.path.join(scratch, "conf", "quantize.json"))
    for stale in glob.glob(os.path.join(folder, "model_*")):
        os.remove(stale)
    child = dict(environment)
    for name, value in (("HOME", home), ("USER", "resnet"), ("LOGNAME", "resnet")):
        child.setdefault(name, value)
    tool = find_tool(plan["argv"][0], child)
    log(tool.name)
    check_opset(plan.get("opset"), tool)
    log("running: " + " ".join(plan["argv"]))
    seconds = float(plan.get("timeoutSeconds") or job.get("timeoutSeconds") or DEFAULT_SECONDS)
    run = run_tool([tool.path, *plan["argv"][1:]], child, folder, seconds)
    missing = [name for name in OUTPUTS if not _has_content(os.path.join(folder, name))]
    failure = explain(run, seconds, missing, tool)
    if failure:
        raise failure
    result = {
        "tool": tool.name,
        "argv": plan["argv"],
        "deploySha256": _sha256(os.path.join(folder, OUTPUTS[0])),
    }
    with open(os.path.join(folder, "quantize.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    return {
        "ok": True,
        "tool": tool.name,
        "argv": plan["argv"],
        "durationSeconds": round(time.monotonic() - started, 1),
    }


def _has_content(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _sha256(path: str) -> str:
    checksum = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1024 * 1024), b""):
            checksum.update(chunk)
    return checksum.hexdigest()


if __name__ == "__main__":
    sys.exit(run_container(quantize))
