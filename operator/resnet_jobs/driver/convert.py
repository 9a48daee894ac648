"""Runs ATC inside a stock CANN image: the container `convert` of the conversion Job.

Run as a script, /scratch/driver/convert.py. The order of things: find the compiler's version,
compute the content key, ask the store whether that artifact exists already, else run ATC with a
time limit and explain how it ended.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import sys
import time
from typing import Any

if not __package__:  # run as a script: the folder it lies in is the package (PEP 366)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "driver"
    __import__(__package__)

from .message import DriverError, log, run_container
from .outcome import content_key, explain, host_part
from .tool import ask_memory, atc_environment, compiler_version, load_plan, run_tool

HOST_CPUS = {"amd64": "x86_64", "arm64": "aarch64"}


def collect_model(folder: str) -> tuple[bool, str | None]:
    """(found, arch): the compiled file is at <folder>/model.om afterwards. With host code inside
    ATC names it model_linux_<arch>.om, and it runs on that architecture only.
    """
    target = os.path.join(folder, "model.om")
    if os.path.isfile(target) and os.path.getsize(target):
        return True, None
    for path in sorted(glob.glob(os.path.join(folder, "model_linux_*.om"))):
        if os.path.getsize(path):
            os.replace(path, target)
            return True, os.path.basename(path)[len("model_linux_") : -len(".om")]
    return False, None


def find_known(scratch: str, key: str) -> dict[str, Any] | None:
    """The manifest of a whole artifact of that key, or None.

    This container of a foreign image gets neither the store's login nor its key: before it
    `prepare` has asked (`resnet_jobs.store.known`), and left a list. `publish` looks again.
    """
    try:
        with open(os.path.join(scratch, "conf", "known.json"), encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError):
        return None  # it costs a conversion, no more
    manifest = known.get(key) if isinstance(known, dict) else None
    return manifest if isinstance(manifest, dict) else None


def convert(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> dict[str, Any]:
    """The success message; `DriverError` otherwise. Leaves out/model.om and out/convert.json."""
    started = time.monotonic()
    out, work = os.path.join(scratch, "out"), os.path.join(scratch, "work")
    home = environment.get("HOME") or os.path.join(scratch, "home")
    for folder in (out, work, home):
        os.makedirs(folder, exist_ok=True)
    plan = load_plan(os.path.join(scratch, "conf", "convert.json"))
    argv = plan["argv"]
    compiler = compiler_version(environment, platform.machine())
    inputs = dict(plan["contentInputs"])
    quantizer = _quantizer(os.path.join(scratch, "quant", "quantize.json"))
    if quantizer:
        inputs["quantizer"] = quantizer
    inputs.update(host_part(job.get("hostArchitecture"), platform.machine()))
    key = content_key(inputs, compiler)
    log("{}; content key {}".format(compiler, key))

    manifest = find_known(scratch, key)
    arch = manifest.get("arch") if manifest else None
    memory = manifest.get("memoryBytes") if manifest else None
    if manifest:
        log("the store has this artifact already: nothing to convert")
    else:
        child = atc_environment(environment, home, platform.machine())
        arch = _convert_now(argv, child, scratch, float(job.get("timeoutSeconds") or 3600))
        _check_architecture(arch, job.get("hostArchitecture"))
        memory = ask_memory(os.path.join(out, "model.om"), child, work)
    result = {
        "ok": True,
        "compiler": compiler,
        "contentKey": key,
        "hit": manifest is not None,
        "durationSeconds": round(time.monotonic() - started, 1),
        "arch": arch,
        "argv": argv,
        "memoryBytes": memory,
    }
    with open(os.path.join(out, "convert.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    return result


def _quantizer(path: str) -> str | None:
    """The tool that quantized the model, which decides the artifact as the compiler does."""
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file)["tool"])
    except FileNotFoundError:
        return None


def _check_architecture(arch: str | None, wanted: str | None) -> None:
    """A model with host code of another architecture would only fail where it is served."""
    if arch and wanted and HOST_CPUS.get(wanted, wanted) != arch:
        raise DriverError(
            "ConversionFailed",
            69,
            "ATC made a model for {} hosts, but spec.conversion.hostArchitecture is {}: use a "
            "spec.conversion.image that can compile for it".format(arch, wanted),
        )


def _convert_now(
    argv: list[str], environment: dict[str, str], scratch: str, seconds: float
) -> str | None:
    """Runs ATC and puts its model in place; the architecture it is bound to, if any."""
    out = os.path.join(scratch, "out")
    for stale in glob.glob(os.path.join(out, "model*.om")):
        os.remove(stale)
    log("running: " + " ".join(argv))
    try:
        run = run_tool(argv, environment, os.path.join(scratch, "work"), seconds)
    except OSError as error:
        raise DriverError(
            "ConversionFailed",
            69,
            "{} cannot be started ({}): spec.conversion.image must be a CANN toolkit image with "
            "the operators of the chip".format(argv[0], error.strerror),
        ) from error
    has_model, arch = collect_model(out)
    failure = explain(run, seconds, has_model)
    if failure:
        raise failure
    return arch


if __name__ == "__main__":
    sys.exit(run_container(convert))
