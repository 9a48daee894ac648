"""Runs ATC inside a stock CANN image: the container `convert` of the conversion Job.

The container `fetch` copies this one file to /scratch/driver/convert.py and the CANN image's own
Python runs it. So: the standard library only, Python 3.7 syntax, nothing imported from the
package, a read-only root and no shell anywhere. `report` and `publish` import `fit_message` and
`content_key` from here, because this side cannot import theirs.

The order of things: find the compiler's version, compute the content key, ask the store whether
that artifact exists already, else run ATC with a time limit and explain how it ended.
"""

from __future__ import annotations

import collections
import contextlib
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, NoReturn

MESSAGE_BYTES = 1500  # the kubelet divides 12 KiB of messages by the number of containers
MESSAGE_CHARACTERS = 300
STORE_WAIT_SECONDS = 120.0
STOP_GRACE_SECONDS = 10.0
INNER_ERRORS = ("E19999", "EZ9999")  # "internal error": the only ones that a retry can help
CANN_ROOTS = ("/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/cann")
DRIVER_LIBRARIES = (
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/lib64/driver",
    "/usr/local/Ascend/driver/lib64/common",
)
# What to do, for codes whose block in the output often has no "Solution:".
ADVICE = {
    "E10016": "Check the names in spec.conversion.inputShapes.",
    "E16005": "Export the model again with the default operator domain only.",
    "E19010": "Export the model again with opset 13.",
    "E19999": "An internal error of ATC; another attempt can help.",
    "E40000": "The CANN image lacks a Python package; use another spec.conversion.image.",
    "EC0010": "The CANN image lacks a Python package; use another spec.conversion.image.",
    "EZ3003": "The image may hold the operators of another chip; check spec.conversion.image.",
    "EZ9999": "An internal error of ATC; another attempt can help.",
}


class DriverError(Exception):
    """The conversion cannot go on; `payload` is the termination message."""

    def __init__(
        self,
        reason: str,
        exit_code: int,
        message: str,
        detail: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.payload: dict[str, Any] = {
            "ok": False,
            "reason": reason,
            "message": clip(message),
            "detail": detail,
            "code": code,
        }


class StoppedError(Exception):
    """SIGTERM arrived: the pod is being deleted."""


def log(text: str) -> None:
    print(text, flush=True)


# --- the termination message -------------------------------------------------------------------


def clip(text: str, limit: int = MESSAGE_CHARACTERS) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def fit_message(payload: dict[str, Any], limit: int = MESSAGE_BYTES) -> str:
    """`payload` as JSON of at most `limit` bytes. What tells least gives way first: the start of
    the log tail, then the last notes, arguments and words. Raises ValueError when nothing is left
    to give.
    """
    fitted = dict(payload)
    for key in ("detail", "notes", "argv", "message"):
        value = fitted.get(key)
        if _bytes(fitted) <= limit:
            break
        if not isinstance(value, (str, list)):
            continue
        low, high = 0, len(value)
        while low < high:  # the longest part of the value that fits
            middle = (low + high + 1) // 2
            fitted[key] = _part(key, value, middle)
            low, high = (middle, high) if _bytes(fitted) <= limit else (low, middle - 1)
        fitted[key] = _part(key, value, low)
    if _bytes(fitted) > limit:
        raise ValueError("the message does not fit into {} bytes".format(limit))
    return _json(fitted)


def _part(key: str, value: Any, length: int) -> Any:
    return value[len(value) - length :] if key == "detail" else value[:length]


def _json(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def _bytes(value: dict[str, Any]) -> int:
    return len(_json(value).encode("utf-8"))


def write_message(payload: dict[str, Any], path: str) -> None:
    """A message that cannot be written is lost for the operator, but never hides the exit code."""
    text = fit_message(payload)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        log("cannot write {}: {}; the message was {}".format(path, error, text))


# --- the content key and the compiler ----------------------------------------------------------


def content_key(inputs: dict[str, Any], compiler: str) -> str:
    """The artifact's name in the store: equal inputs and an equal compiler give an equal file."""
    whole = dict(inputs, compiler=compiler)
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


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


# --- the store ---------------------------------------------------------------------------------


def find_in_store(
    store: dict[str, str], key: str, wait_seconds: float = STORE_WAIT_SECONDS
) -> dict[str, Any] | None:
    """The manifest of a whole artifact of that key, or None. A manifest without its blob, or with
    a blob of another size, counts as absent: the artifact is made again and repaired.
    """
    if store["type"] == "SharedClaim":
        return _find_in_folder(store["path"], key)
    deadline = time.monotonic() + wait_seconds
    pause = 1.0
    while True:
        try:
            return _find_on_server(store["url"].rstrip("/"), key)
        except (OSError, ValueError) as error:  # URLError is an OSError
            if time.monotonic() + pause > deadline:
                raise DriverError(
                    "StoreUnavailable",
                    81,
                    "the store does not answer ({}): look at the pod of Deployment resnet-store "
                    "in this namespace".format(error),
                ) from error
            log("the store does not answer yet ({}); asking again".format(error))
        time.sleep(pause)
        pause = min(pause * 2, 10.0)


def _find_on_server(url: str, key: str) -> dict[str, Any] | None:
    manifest_bytes, _ = _http("GET", "{}/artifacts/{}.json".format(url, key))
    manifest = _manifest(manifest_bytes, key)
    if manifest is None:
        return None
    _, size = _http("HEAD", "{}/blobs/sha256/{}".format(url, manifest["sha256"]))
    return manifest if size == manifest["sizeBytes"] else None


def _http(method: str, url: str) -> tuple[bytes | None, int | None]:
    """(body, Content-Length), or (None, None) for 404. Never through a proxy: it is in-cluster."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.read(), int(answer.headers.get("Content-Length") or 0)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None, None
        raise


def _find_in_folder(path: str, key: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(path, "artifacts", key + ".json"), "rb") as file:
            manifest = _manifest(file.read(), key)
        if manifest is None:
            return None
        size = os.path.getsize(os.path.join(path, "blobs", "sha256", manifest["sha256"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DriverError(
            "StoreUnavailable", 81, "the store's claim cannot be read: {}".format(error)
        ) from error
    return manifest if size == manifest["sizeBytes"] else None


def _manifest(text: bytes | None, key: str) -> dict[str, Any] | None:
    try:
        manifest = json.loads(text.decode("utf-8")) if text else None
    except ValueError:
        return None
    if not isinstance(manifest, dict) or not {"sha256", "sizeBytes", "file"} <= set(manifest):
        return None
    return manifest if manifest.get("contentKey") == key else None


# --- running ATC -------------------------------------------------------------------------------


class Run:
    """How a run of ATC ended."""

    def __init__(
        self, returncode: int, lines: list[str], timed_out: bool = False, oom_kills: int = 0
    ) -> None:
        self.returncode = returncode
        self.lines = lines
        self.timed_out = timed_out
        self.oom_kills = oom_kills


def run_atc(argv: list[str], environment: dict[str, str], folder: str, seconds: float) -> Run:
    """Runs the command without a shell; its output goes to the log line by line and is kept."""
    kills_before = count_oom_kills()
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    tail: collections.deque[str] = collections.deque(maxlen=400)
    reader = threading.Thread(target=_pump, args=(process.stdout, tail), daemon=True)
    reader.start()
    timed_out = False
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(timeout=STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            log("ATC ignores SIGTERM; killing it")
    finally:
        _signal_group(process, signal.SIGKILL)  # its workers too: they would hold the pipe
        process.wait()
        reader.join(5)
    return Run(process.returncode, list(tail), timed_out, count_oom_kills() - kills_before)


def _pump(stream: Any, tail: collections.deque[str]) -> None:
    for chunk in iter(lambda: stream.readline(16384), b""):
        line = chunk.decode("utf-8", "replace").rstrip("\r\n")
        tail.append(line)
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


# --- explaining how it ended -------------------------------------------------------------------

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
        return DriverError(
            "ConversionFailed", 82 if code in INNER_ERRORS else 69, text, detail, code
        )
    exit_code, text = _unexplained(run)
    return DriverError("ConversionFailed", exit_code, text, detail)


def _unexplained(run: Run) -> tuple[int, str]:
    """(exit code, message) for a run that named no error."""
    if run.returncode == 0:
        return 69, "ATC ended with status 0 but wrote no model; see the log of container convert"
    number = -run.returncode if run.returncode < 0 else run.returncode - 128
    if 0 < number <= 64:  # atc is a shell script: a killed atc.bin shows as 128 + the signal
        return 82, "ATC was ended by signal {}; another attempt can help".format(number)
    words = [line.strip() for line in run.lines if line.strip()]
    telling = [line for line in words if "rror" in line or "cannot" in line or "not found" in line]
    last = (telling or words or ["it printed nothing"])[-1]
    text = "ATC ended with status {}: {}".format(run.returncode, clip(last, 160))
    return 69, text + ". Check that spec.conversion.image is a CANN toolkit image"


# --- the whole conversion ----------------------------------------------------------------------


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


def convert(job: dict[str, Any], scratch: str, environment: dict[str, str]) -> dict[str, Any]:
    """The success message; `DriverError` otherwise. Leaves out/model.om and out/convert.json."""
    started = time.monotonic()
    out, work = os.path.join(scratch, "out"), os.path.join(scratch, "work")
    home = environment.get("HOME") or os.path.join(scratch, "home")
    for folder in (out, work, home):
        os.makedirs(folder, exist_ok=True)
    plan = _load_plan(os.path.join(scratch, "conf", "convert.json"))
    argv = plan["argv"]
    compiler = compiler_version(environment, platform.machine())
    key = content_key(plan["contentInputs"], compiler)
    log("{}; content key {}".format(compiler, key))

    manifest = find_in_store(job["store"], key)
    arch = manifest.get("arch") if manifest else None
    if manifest:
        log("the store has this artifact already: nothing to convert")
    else:
        child = atc_environment(environment, home, platform.machine())
        arch = _convert_now(argv, child, scratch, float(job.get("timeoutSeconds") or 3600))
    result = {
        "ok": True,
        "compiler": compiler,
        "contentKey": key,
        "hit": manifest is not None,
        "durationSeconds": round(time.monotonic() - started, 1),
        "arch": arch,
        "argv": argv,
    }
    with open(os.path.join(out, "convert.json"), "w", encoding="utf-8") as file:
        json.dump(dict(result, manifest=manifest), file)
    return result


def _load_plan(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError) as error:
        raise DriverError(
            "ResultLost", 87, "the step before left no {}: {}".format(path, error)
        ) from error


def _convert_now(
    argv: list[str], environment: dict[str, str], scratch: str, seconds: float
) -> str | None:
    """Runs ATC and puts its model in place; the architecture it is bound to, if any."""
    out = os.path.join(scratch, "out")
    for stale in glob.glob(os.path.join(out, "model*.om")):
        os.remove(stale)
    log("running: " + " ".join(argv))
    try:
        run = run_atc(argv, environment, os.path.join(scratch, "work"), seconds)
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


def outcome(environment: dict[str, str]) -> tuple[dict[str, Any], int]:
    """(termination message, exit status) of the whole container: never an exception."""
    try:
        job = json.loads(environment.get("RESNET_JOB") or "{}")
        return convert(job, environment.get("RESNET_SCRATCH") or "/scratch", environment), 0
    except DriverError as error:
        failure = error
    except StoppedError:
        text = "the conversion was stopped from outside: the pod is being deleted"
        failure = DriverError("ConversionFailed", 82, text)
    except Exception as error:  # the operator must never be left without a sentence
        text = "unexpected {}: {}".format(type(error).__name__, error)
        failure = DriverError("ConversionFailed", 90, text)
    return failure.payload, failure.exit_code


def stop(_number: int, _frame: Any) -> NoReturn:
    raise StoppedError


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    environment = dict(os.environ)
    payload, exit_code = outcome(environment)
    write_message(payload, environment.get("RESNET_TERMINATION_LOG") or "/dev/termination-log")
    log(_json(payload))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
