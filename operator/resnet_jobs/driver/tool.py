"""Runs a compiler or quantizer, and finds out which one the image holds.

Called by the scripts of this folder. Output goes to the container's log line by line; the tail is
kept for the explanation of a failure.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

from .message import DriverError, clip, log
from .om_facts import memory_of

STOP_GRACE_SECONDS = 10.0
HEARTBEAT_SECONDS = 30.0  # ATC compiles for minutes without a word
CRASHES = frozenset(
    (
        *(signal.SIGILL, signal.SIGTRAP, signal.SIGABRT),
        *(signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV),
    )
)
CANN_ROOTS = ("/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/cann")
DRIVER_LIBRARIES = (
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/lib64/driver",
    "/usr/local/Ascend/driver/lib64/common",
)

DISPLAY_SECONDS = 120.0  # to print what a file holds


def load_plan(path: str) -> dict[str, Any]:
    """What `prepare` left for a tool: its command line and what is to be expected of it."""
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError) as error:
        raise DriverError(
            "ResultLost", 87, "the step before left no {}: {}".format(path, error)
        ) from error


def cann_roots(environment: dict[str, str]) -> list[str]:
    """The folders CANN may be installed in, the likeliest first."""
    roots = [environment.get("ASCEND_TOOLKIT_HOME"), environment.get("ASCEND_HOME_PATH")]
    atc = shutil.which("atc", path=environment.get("PATH"))
    if atc:  # <root>/bin/atc, <root>/compiler/bin/atc or <root>/<arch>-linux/bin/atc
        folder = os.path.dirname(os.path.dirname(os.path.realpath(atc)))
        roots += [folder, os.path.dirname(folder)]
    roots += CANN_ROOTS
    return [root for index, root in enumerate(roots) if root and root not in roots[:index]]


def compiler_version(environment: dict[str, str], machine: str) -> str:
    """For example "ATC 8.2.RC1 (compiler 8.2.0.0.201)".

    CANN states two numbers: the product's (ascend_toolkit_install.info, or `version_dir`) and the
    component's (`Version`). People know the first; the second differs between builds, so both are
    part of the content key.
    """
    roots = cann_roots(environment)
    arch = machine + "-linux"
    product = component = None
    for root in roots:
        install = _assignments(os.path.join(root, arch, "ascend_toolkit_install.info"))
        product = product or install.get("version")
        for place in ("compiler", arch, "toolkit", ""):
            info = _assignments(os.path.join(root, place, "version.info"))
            component = component or info.get("version")
            product = product or info.get("version_dir")
        if product or component:
            break
    if product is None and component is None:
        return "ATC unknown" + _fingerprint(environment)
    if product is None or component is None:
        return "ATC {}".format(product or component)
    if component.startswith(product):
        return "ATC {}".format(component)
    return "ATC {} (compiler {})".format(product, component)


def _assignments(path: str) -> dict[str, str]:
    """`name=value` lines with lower-case names; nothing for a file that is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            pairs = [line.partition("=") for line in file if "=" in line]
    except OSError:
        return {}
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _fingerprint(environment: dict[str, str]) -> str:
    """Two compilers of unknown version must not share a key: tell them apart by their bytes."""
    atc = shutil.which("atc", path=environment.get("PATH"))
    if not atc:
        return ""
    binary = os.path.realpath(atc) + ".bin"
    with open(binary if os.path.exists(binary) else atc, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return " ({})".format(digest[:12])


def atc_environment(environment: dict[str, str], home: str, machine: str) -> dict[str, str]:
    """ATC's environment: a home, a user, and the stub driver where the real one is absent."""
    result = dict(environment)
    result.setdefault("HOME", home)
    for name in ("USER", "LOGNAME"):
        result.setdefault(name, "resnet")
    path = environment.get("LD_LIBRARY_PATH", "")
    folders = [folder for folder in path.split(":") if folder]
    known = folders + list(DRIVER_LIBRARIES)
    if any(os.path.exists(os.path.join(folder, "libascend_hal.so")) for folder in known):
        return result
    for root in cann_roots(environment):
        stubs = os.path.join(root, machine + "-linux", "devlib")
        if os.path.isdir(stubs):  # appended: the image's own libraries keep their precedence
            result["LD_LIBRARY_PATH"] = ":".join([*folders, stubs])
            break
    return result


class Run:
    """How a run of ATC ended."""

    def __init__(
        self, returncode: int, lines: list[str], timed_out: bool = False, oom_kills: int = 0
    ) -> None:
        self.returncode = returncode
        self.lines = lines
        self.timed_out = timed_out
        self.oom_kills = oom_kills


def run_tool(argv: list[str], environment: dict[str, str], folder: str, seconds: float) -> Run:
    """Runs the command without a shell; its output goes to the log line by line and is kept."""
    kills_before = count_oom_kills()
    heard = _Heard()
    started = time.monotonic()  # before a word can have been heard
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    reader = threading.Thread(target=_pump, args=(process.stdout, heard), daemon=True)
    timed_out = False
    try:  # at once: whoever hears of the process may stop us
        reader.start()
        timed_out = not _ended_within(process, started, seconds, heard)
        if timed_out:
            _end_gently(process)
    finally:
        _signal_group(process, signal.SIGKILL)  # its workers too: they would hold the pipe
        process.wait()
        if reader.ident:  # it may not have begun
            reader.join(5)
    return Run(process.returncode, list(heard.lines), timed_out, count_oom_kills() - kills_before)


def killed_by(number: int, tool: str) -> str:
    """The sentence for a tool that a signal ended: a crash often comes again, a kill passes."""
    if number in CRASHES:
        text = (
            "{} crashed (signal {}); if that stays, use another image, and report it to its maker"
        )
    else:
        text = "{} was ended by signal {}; another attempt can help"
    return text.format(tool, number)


class _Heard:
    """What the tool has printed lately, and when it did so last."""

    def __init__(self) -> None:
        self.lines: collections.deque[str] = collections.deque(maxlen=400)
        self.last = "nothing yet"
        self.moment = time.monotonic()

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.last = line.strip() or self.last
        self.moment = time.monotonic()


def _ended_within(
    process: subprocess.Popen[bytes], started: float, seconds: float, heard: _Heard
) -> bool:
    """Waits; says of a silent tool now and then that it still runs, and what it said last."""
    while True:
        left = started + seconds - time.monotonic()
        try:
            process.wait(timeout=max(0.0, min(HEARTBEAT_SECONDS, left)))
            return True
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if now - started >= seconds:
            return False
        if now - heard.moment >= HEARTBEAT_SECONDS / 2:
            words = "still running after {:.0f} s; its last line: {}"
            log(words.format(now - started, clip(heard.last, 120)))


def _end_gently(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(timeout=STOP_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        log("it ignores SIGTERM; killing it")


def _pump(stream: Any, heard: _Heard) -> None:
    for chunk in iter(lambda: stream.readline(16384), b""):
        line = chunk.decode("utf-8", "replace").rstrip("\r\n")
        heard.add(line)
        log(line)
    stream.close()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def count_oom_kills(root: str = "/sys/fs/cgroup") -> int:
    """How many processes of this container the kernel has killed for lack of memory. ATC outlives
    the loss of a worker and then reports something else entirely.
    """
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            with open(os.path.join(root, name), encoding="ascii") as file:
                fields = [line.split() for line in file]
        except (OSError, UnicodeDecodeError):
            continue
        return sum(int(field[1]) for field in fields if len(field) == 2 and field[0] == "oom_kill")
    return 0


def ask_memory(model: str, environment: dict[str, str], folder: str) -> int | None:
    """What the compiled model takes of the chip, by ATC itself; a model is good without it."""
    try:
        run = run_tool(["atc", "--mode=6", "--om=" + model], environment, folder, DISPLAY_SECONDS)
    except OSError:
        return None
    return memory_of(run.lines)
