"""Explains how a run of ATC ended, and names what it made.

Called by `convert`; `resnet_jobs.commands.publish` needs `content_key` too; both sides must agree.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from .codes import ADVICE, INNER_ERRORS, can_retry
from .message import DriverError, clip
from .tool import Run, killed_by

USUAL_CPU = "x86_64"


def content_key(inputs: dict[str, Any], compiler: str) -> str:
    """The artifact's name in the store: equal inputs and an equal compiler give an equal file."""
    whole = dict(inputs, compiler=compiler)
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def host_part(wanted: str | None, machine: str) -> dict[str, str]:
    """The part of the key for host code that nobody chose: ATC makes it for the node it runs on.

    What was chosen is in the options already. The usual architecture stays unnamed, so that its
    keys do not change.
    """
    return {} if wanted or machine == USUAL_CPU else {"host": machine}


_CODE = re.compile(r"\b([EW][0-9A-Z]\d{3,4})\b\)?:?\s*(.*)")
_PREFIX = re.compile(r"^(\[PID: ?\d+\]\s*)?(\d{4}-\d\d-\d\d-[\d:.]+\s*)?")
_BARE_INNER = re.compile(r"^(inner|internal) error!?\.?$", re.IGNORECASE)
_SECTION = re.compile(r"^\s*(Possible Cause|Solution|TraceBack[^:]*):\s*(.*)", re.IGNORECASE)


def parse_error_block(lines: list[str]) -> dict[str, str]:
    """{"code", "message", "cause", "solution"} of ATC's error block; empty without one.

    Three generations of CANN print it differently; all have the code in the first line, and what
    follows it is the message. Warnings (W…) stand in the same block and are passed over, and an
    inner error is only named when there is no better one.
    """
    blocks: list[dict[str, str]] = []
    section: str | None = None
    for line in lines:
        start = _CODE.search(line)
        heading = _SECTION.match(line)
        if heading:
            name = heading.group(1).lower()
            section = {"possible cause": "cause", "solution": "solution"}.get(name)
            if blocks and section:
                blocks[-1][section] = heading.group(2).strip()
        elif start and not (line.startswith("        ") and blocks):
            text = _PREFIX.sub("", start.group(2)).strip()
            blocks.append({"code": start.group(1), "message": text, "cause": "", "solution": ""})
            section = "message"
        elif not line.strip():
            section = None
        elif blocks and section:  # a wrapped line
            blocks[-1][section] = (blocks[-1][section] + " " + line.strip()).strip()
    errors = [block for block in blocks if block["code"].startswith("E")]
    named = [block for block in errors if block["code"] not in INNER_ERRORS]
    telling = [block for block in errors if not _BARE_INNER.match(block["message"])]
    return next(iter(named or telling or errors), {})


def explain(run: Run, seconds: float, has_model: bool) -> DriverError | None:
    """The `DriverError` that tells how the run ended, or None for a success."""
    detail = "\n".join(run.lines[-60:])
    if run.timed_out:
        return DriverError(
            "ConversionTimeout",
            70,
            "ATC did not end within {:.0f} seconds: raise spec.conversion.timeoutSeconds or give "
            "the conversion more CPU (spec.conversion.resources)".format(seconds),
            detail,
        )
    if run.returncode == 0 and has_model:
        return None
    block = parse_error_block(run.lines)
    code = block.get("code")
    if run.returncode in (-9, 137) or run.oom_kills > 0:
        return DriverError(
            "OutOfMemory",
            85,
            "ATC was killed for lack of memory: raise spec.conversion.resources.limits.memory",
            detail,
            code,
        )
    if code:
        advice = block["solution"] or ADVICE.get(code, "")
        text = "ATC {}: {}".format(code, block["message"])
        if advice:
            text = "{} {}".format(clip(text, 200 if len(advice) > 90 else 240), advice)
        return DriverError("ConversionFailed", 82 if can_retry(code) else 69, text, detail, code)
    exit_code, text = _unexplained(run)
    return DriverError("ConversionFailed", exit_code, text, detail)


def _unexplained(run: Run) -> tuple[int, str]:
    """(exit code, message) for a run that named no error."""
    if run.returncode == 0:
        return 69, "ATC ended with status 0 but wrote no model; see the log of container convert"
    number = -run.returncode if run.returncode < 0 else run.returncode - 128
    if 0 < number <= 64:  # atc is a shell script: a killed atc.bin shows as 128 + the signal
        return 82, killed_by(number, "ATC")
    words = [line.strip() for line in run.lines if line.strip()]
    telling = [line for line in words if "rror" in line or "cannot" in line or "not found" in line]
    last = (telling or words or ["it printed nothing"])[-1]
    text = "ATC ended with status {}: {}".format(run.returncode, clip(last, 160))
    return 69, text + ". Check that spec.conversion.image is a CANN toolkit image"
