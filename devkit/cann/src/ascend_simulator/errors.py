"""An error of ATC, and the three ways CANN has printed one. Used by all that refuses something."""

from __future__ import annotations

import os
import re
from datetime import datetime

from ascend_simulator.catalogue import CATALOGUE


class AtcError(Exception):
    """ATC refuses; `trace` are the lines under "TraceBack"."""

    def __init__(self, code: str, *arguments: object, trace: tuple[str, ...] = ()) -> None:
        self.code = code
        self.arguments = tuple(str(argument) for argument in arguments)
        self.trace = trace
        super().__init__(CATALOGUE[code].sentence.format(*self.arguments))


GENERATIONS = {"6.3": "7", "8.0": "8", "9": "9"}
"""ASCEND_SIMULATOR_GENERATION -> how errors look: CANN up to 7.0; 8.x; the newest."""


_WORDS = re.compile(r"(?:--)?\{\}|--[a-z_]+")


def format_block(error: AtcError, generation: str, *, pid: int | None = None) -> str:
    """The error block as that generation of CANN prints it."""
    entry = CATALOGUE[error.code]
    # The newest CANN prints arguments and options bare; the others put brackets round them.
    template = entry.sentence if generation == "9" else _WORDS.sub(r"[\g<0>]", entry.sentence)
    sentence = template.format(*error.arguments)
    now = datetime.now().strftime("%Y-%m-%d-%H:%M:%S.%f")  # noqa: DTZ005 - ATC prints local time
    stamp = f"[PID: {os.getpid() if pid is None else pid}] {now[:-3]}.{now[-3:]}"
    forms = {
        "7": f"{error.code}: {sentence}",
        "8": f"{error.code}: {stamp} {sentence}",
        "9": f"{stamp} {entry.title}({error.code}): {sentence}",
    }
    first = forms.get(generation, forms["8"])
    lines = [first]
    lines += [f"        Possible Cause: {entry.cause}"] if entry.cause else []
    lines += [f"        Solution: {entry.solution}"] if entry.solution else []
    if error.trace:
        lines += ["        TraceBack (most recent call last):"]
        lines += [f"        {line}" for line in error.trace]
    return "\n".join(lines)
