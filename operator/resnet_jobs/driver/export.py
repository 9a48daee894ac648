"""Turns TorchScript into ONNX: the container `export` of the conversion Job.

Run as a script, /scratch/driver/export.py, in any image with python3 and torch. The work itself is
torch_export.py, in a process of its own with a time limit; this one tells how it ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

if not __package__:  # run as a script: the folder it lies in is the package (PEP 366)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "driver"
    __import__(__package__)

from .message import DriverError, log, run_container
from .tool import Run, killed_by, run_tool

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_export.py")
ILLEGAL_INSTRUCTION = 4


def export(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> dict[str, Any]:
    """The success message; `DriverError` otherwise. Leaves in/model.onnx and the folder export/."""
    started = time.monotonic()
    folder = os.path.join(scratch, "export")
    os.makedirs(folder, exist_ok=True)
    result = os.path.join(folder, "result.json")
    for stale in (result, os.path.join(scratch, "in", "model.onnx")):
        if os.path.exists(stale):
            os.remove(stale)
    if not os.path.isfile(os.path.join(scratch, "in", "source")):
        raise DriverError("ResultLost", 87, "the fetched file is missing: the Job has to run again")
    child = dict(environment, RESNET_JOB=json.dumps(job), RESNET_SCRATCH=scratch)
    for name in ("HOME", "TORCH_HOME", "XDG_CACHE_HOME"):  # the root of the image is read-only
        child.setdefault(name, folder)
    seconds = float(job.get("timeoutSeconds") or 3600)
    log("exporting {} with {}".format(job.get("format"), sys.executable))
    run = run_tool([sys.executable or "python3", "-s", SCRIPT], child, folder, seconds)
    answer = explain(run, _read(result), seconds)
    return dict(answer, durationSeconds=round(time.monotonic() - started, 1))


def explain(run: Run, answer: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What torch_export.py answered, or the `DriverError` that tells how it ended without."""
    detail = "\n".join(run.lines[-60:])
    if run.timed_out:
        raise DriverError(
            "ConversionTimeout",
            70,
            "the export did not end within {:.0f} seconds: raise spec.conversion.timeoutSeconds "
            "or give the conversion more CPU (spec.conversion.resources)".format(seconds),
            detail,
        )
    if run.returncode == 0 and answer.get("ok"):
        return answer
    if answer.get("reason"):
        raise DriverError(
            answer["reason"], run.returncode, answer["message"], answer.get("detail") or detail
        )
    if run.returncode in (-9, 137) or run.oom_kills > 0:
        raise DriverError(
            "OutOfMemory",
            85,
            "PyTorch was killed for lack of memory: raise spec.conversion.resources.limits.memory",
            detail,
        )
    if run.returncode == -ILLEGAL_INSTRUCTION:
        raise DriverError(
            "ConversionFailed",
            69,
            "PyTorch needs a processor with instructions that this node's lacks: use another "
            "export image, or nodes with newer processors",
            detail,
        )
    if run.returncode < 0:
        raise DriverError(
            "ConversionFailed",
            82,
            killed_by(-run.returncode, "PyTorch"),
            detail,
        )
    words = [line.strip() for line in run.lines if line.strip()] or ["it printed nothing"]
    raise DriverError(
        "ConversionFailed",
        69,
        "the export ended with status {}: {}".format(run.returncode, words[-1][:200]),
        detail,
    )


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    sys.exit(run_container(export))
