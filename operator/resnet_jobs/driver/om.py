"""Reads an OM that somebody else has compiled: the container `convert` where nothing is converted.

Run as a script, /scratch/driver/om.py, in a stock CANN image, for its `atc` can tell what a file
holds. The chip and the batch sizes of the file must be those of the ResNetService; what the file
does not tell has to be declared there.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from typing import Any

if not __package__:  # run as a script: the folder it lies in is the package (PEP 366)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "driver"
    __import__(__package__)

from .message import DriverError, clip, fit_message, log, run_container
from .om_facts import Facts, read_json, read_text
from .outcome import explain, parse_error_block
from .tool import Run, ask_memory, atc_environment, run_tool

# A file may name only the family of its chip: one that every member of it runs.
FAMILIES = ("Ascend310P", "Ascend310B", "Ascend910B", "Ascend910_93", "Ascend950")
FLOATS = ("FP16", "FP32")


def read(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> dict[str, Any]:
    """The success message with the contract; `DriverError` otherwise. Leaves out/convert.json."""
    started = time.monotonic()
    facts, complaint = _ask(job, scratch, environment)
    _check_chip(facts, str(job.get("chip")))
    if facts.open_size:
        raise DriverError(
            "UnsupportedModel",
            65,
            "the OM was made with --{}, and only the batch may be open: convert it again with "
            "--dynamic_batch_size or one fixed shape".format(facts.open_size),
        )
    batches = _batches(facts, job.get("batchSizes"), complaint)
    result: dict[str, Any] = {
        "ok": True,
        "compiler": None,
        "durationSeconds": round(time.monotonic() - started, 1),
        "arch": _architecture(str(job.get("uri"))),
        "inputs": _contract("inputs", facts.inputs, job.get("declaredInputs"), complaint),
        "outputs": _contract("outputs", facts.outputs, job.get("declaredOutputs"), complaint),
        "batchSizes": batches,
        "notes": _notes(facts),
        "argv": facts.command,
        "memoryBytes": facts.memory,
    }
    _check_fits(result)
    out = os.path.join(scratch, "out")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "convert.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    return result


def _ask(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> tuple[Facts, str]:
    """What the file tells, and why it tells nothing."""
    work, home = os.path.join(scratch, "work"), environment.get("HOME") or ""
    home = home or os.path.join(scratch, "home")
    for folder in (work, home):
        os.makedirs(folder, exist_ok=True)
    model = _with_suffix(os.path.join(scratch, "in", "source"), work)
    target = os.path.join(work, "om.json")
    child = atc_environment(environment, home, platform.machine())
    seconds = float(job.get("timeoutSeconds") or 3600)
    facts = Facts()
    run = _run(["atc", "--mode=1", "--om=" + model, "--json=" + target], child, work, seconds)
    content = _load(target)
    read_json(facts, content)
    complaint = "" if content is not None else _complaint(run)
    if facts.is_known:
        facts.memory = ask_memory(model, child, work)
    else:  # the JSON of this release says less, or it cannot write any
        run = _run(["atc", "--mode=6", "--om=" + model], child, work, seconds)
        read_text(facts, run.lines)
    return facts, "" if facts.chip else complaint


def _with_suffix(path: str, folder: str) -> str:
    """The file under a name that ends in .om, for tools that look at the name."""
    named = os.path.join(folder, "model.om")
    try:
        if os.path.exists(named):
            os.remove(named)
        os.link(path, named)
    except OSError:
        # Another mount, which a link cannot reach.
        try:
            os.symlink(path, named)
        except OSError:
            return path
    return named


def _run(argv: list[str], environment: dict[str, str], folder: str, seconds: float) -> Run:
    """A run of ATC to its own end: one that was cut short says nothing about the file."""
    log("running: " + " ".join(argv))
    try:
        run = run_tool(argv, environment, folder, seconds)
    except OSError as error:
        raise DriverError(
            "ConversionFailed",
            69,
            "{} cannot be started ({}): spec.conversion.image must be a CANN toolkit image".format(
                argv[0], error.strerror
            ),
        ) from error
    killed = run.returncode < 0 or (run.returncode > 128 and run.returncode != 255)
    if run.timed_out or run.oom_kills or killed or run.returncode == 127:
        failure = explain(run, seconds, has_model=False)
        if failure:
            raise failure
    return run


def _load(path: str) -> Any:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _complaint(run: Run) -> str:
    """What ATC says of a file that it cannot read."""
    block = parse_error_block(run.lines)
    if block:
        return "ATC {}: {}".format(block["code"], clip(block["message"], 90))
    return "ATC ended with status {}".format(run.returncode)


def _check_chip(facts: Facts, chip: str) -> None:
    if facts.chip is None:
        log("the file does not tell its chip: {} is taken for granted".format(chip))
        return
    alike = facts.chip.lower() == chip.lower()
    if alike or (facts.chip in FAMILIES and chip.startswith(facts.chip)):
        return
    raise DriverError(
        "ChipMismatch",
        73,
        "the OM was made for {}, not {}: bring another OM, or correct spec.accelerator.chip".format(
            facts.chip, chip
        ),
    )


def _batches(facts: Facts, declared: list[int] | None, complaint: str) -> list[int]:
    if not facts.batches and not declared:
        raise _untold("its batch sizes", "spec.conversion.batchSizes", complaint)
    if facts.batches and declared and facts.batches != declared:
        raise DriverError(
            "InvalidSpec",
            64,
            "the OM was made for batch {}, spec.conversion.batchSizes says {}: remove it, or bring "
            "another OM".format(facts.batches, declared),
        )
    return facts.batches or list(declared or ())


def _contract(
    kind: str, told: list[dict[str, Any]], declared: list[dict[str, Any]] | None, complaint: str
) -> list[dict[str, Any]]:
    """The file's inputs or outputs, by the names and in the order of their declaration if any."""
    field = "spec.model." + kind
    if not declared:
        if not told:
            raise _untold("its " + kind, field, complaint)
        return told
    if not told:
        return declared
    names = [tensor["name"] for tensor in told]
    if sorted(names) == sorted(tensor["name"] for tensor in declared):
        pairs = [(tensor, told[names.index(tensor["name"])]) for tensor in declared]
    elif len(told) == len(declared) and (kind == "outputs" or len(told) == 1):
        pairs = list(zip(declared, told))  # noqa: B905 - Python 3.7 has no strict
    else:
        raise _contradiction(field, _listed(declared), _listed(told))
    for wish, found in pairs:
        kinds = (wish["dataType"], found["dataType"])
        alike = kinds[0] == kinds[1] or all(kind in FLOATS for kind in kinds)
        # One number a sample has no dims; in a declaration it is [1].
        if not alike or list(wish["dims"]) != (found["dims"] or [1]):
            raise _contradiction(field, _listed([wish]), _listed([found]))
    # The file knows best what it holds; only the names may be chosen.
    return [dict(found, name=wish["name"]) for wish, found in pairs]


def _listed(tensors: list[dict[str, Any]]) -> str:
    shown = ("{} {} {}".format(t["name"], t["dataType"], list(t["dims"])) for t in tensors)
    return clip(", ".join(shown), 100)


def _contradiction(field: str, wish: str, found: str) -> DriverError:
    text = "{} says {}, and the OM has {}: correct or remove {}".format(field, wish, found, field)
    return DriverError("InvalidSpec", 64, text)


def _untold(what: str, field: str, complaint: str) -> DriverError:
    """The file is no OM at all, or one that is silent: in both cases its owner must act."""
    if complaint:
        text = "ATC cannot read the file ({}): check that spec.model.uri names a whole OM, or "
        return DriverError("UnsupportedModel", 65, (text + "declare {}").format(complaint, field))
    return DriverError("InvalidSpec", 64, "the OM does not tell {}: write {}".format(what, field))


def _architecture(uri: str) -> str | None:
    """ATC marks in the file's name what runs on one host architecture only."""
    found = re.search(r"_linux_(x86_64|aarch64)\.om$", re.split("[?#]", uri)[0])
    return found.group(1) if found else None


def _notes(facts: Facts) -> list[str]:
    maker = "ATC " + facts.compiler if facts.compiler else "an unknown ATC"
    return ["the OM was made by {} for {}".format(maker, facts.chip or "an unknown chip")]


def _check_fits(result: dict[str, Any]) -> None:
    try:
        fit_message(result)
    except ValueError as error:
        count = len(result["inputs"]) + len(result["outputs"])
        raise DriverError(
            "UnsupportedModel",
            65,
            "the OM has {} inputs and outputs, more than a Job can report: convert it with fewer, "
            "or with shorter names".format(count),
        ) from error


if __name__ == "__main__":
    sys.exit(run_container(read))
