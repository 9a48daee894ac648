"""Which AMCT an image holds, and why a run of it failed. Called by quantize.py.

AMCT for ONNX is bound to few versions of ONNX Runtime, onnx and Python, and is in no public image:
people build theirs, so most failures are the image's. The vendor's codes do not exist here; what
AMCT prints is a log line with ERROR or a Python exception, both meant for its developers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

from .message import DriverError, clip, log
from .tool import Run, killed_by

IMAGE = "spec.conversion.quantization.image"
FAILED, FAILED_FOR_NOW = 71, 88  # exit statuses of QuantizationFailed: for good, worth a retry
PROBE_SECONDS = 60.0
# Pairs that the vendor names, of CANN 6.3 to 9.
PAIRS = (
    "onnxruntime 1.8 (Python 3.7), 1.9 (Python 3.9), 1.16 with onnx 1.14 (Python 3.10) or 1.20 "
    "with onnx 1.18 (Python 3.12)"
)
# (ONNX Runtime before, highest opset that AMCT then reads)
OPSETS = (((1, 16), 14), ((1, 20), 16))
HIGHEST_OPSET = 18

# Asked of the Python that runs the tool, for its search path may be another one's. Nothing heavy
# is imported unless the package has no metadata.
PROBE = """
import importlib.util, json, os, platform
try:
    from importlib.metadata import version
except ImportError:
    from pkg_resources import get_distribution
    version = lambda name: get_distribution(name).version
found = {"python": platform.python_version()}
for key, names in (("amct", ("amct_onnx", "amct-onnx")), ("onnx", ("onnx",)),
                   ("onnxruntime", ("onnxruntime", "onnxruntime-gpu"))):
    for name in names:
        try:
            found.setdefault(key, version(name))
        except Exception:
            pass
spec = importlib.util.find_spec("amct_onnx")
found["package"] = spec is not None
if spec is not None and "amct" not in found:
    beside = os.path.join(os.path.dirname(spec.origin or ""), ".version")
    if os.path.isfile(beside):
        found["amct"] = open(beside).read().strip()
    else:
        import amct_onnx
        found["amct"] = getattr(amct_onnx, "__version__", None)
print(json.dumps(found))
"""


class Tool:
    """An AMCT: `name` is for people and for the content key, for example
    "AMCT 6.3.RC1 with onnxruntime 1.8.0".
    """

    def __init__(self, path: str, name: str, versions: dict[str, Any]) -> None:
        self.path = path
        self.name = name
        self.versions = versions

    @property
    def pair(self) -> str:
        """What the image combines: "onnxruntime 1.8.0, onnx 1.9.0, Python 3.7.5"."""
        names = (("onnxruntime", "onnxruntime"), ("onnx", "onnx"), ("Python", "python"))
        known = [(shown, self.versions.get(key)) for shown, key in names]
        return ", ".join("{} {}".format(shown, version) for shown, version in known if version)


def find_tool(command: str, environment: dict[str, str]) -> Tool:
    """`QuantizationFailed` when the image has no AMCT at all."""
    path = shutil.which(command, path=environment.get("PATH"))
    if path is None:
        raise failed(
            "there is no {} in the image: {} must be an image with AMCT for ONNX; no public "
            "image has it".format(command, IMAGE)
        )
    versions = _probe(_interpreter(path, environment), environment)
    number = versions.get("amct")
    if not number:  # two unknown tools must not share a content key
        with open(path, "rb") as file:
            number = "unknown ({})".format(hashlib.sha256(file.read()).hexdigest()[:12])
    runtime = versions.get("onnxruntime")
    with_runtime = " with onnxruntime {}".format(runtime) if runtime else ""
    return Tool(path, "AMCT {}{}".format(number, with_runtime), versions)


def check_opset(opset: Any, tool: Tool) -> None:
    """`QuantizationFailed` before minutes go by, when the image's AMCT cannot read the model."""
    numbers = re.match(r"(\d+)\.(\d+)", str(tool.versions.get("onnxruntime") or ""))
    if not numbers or not isinstance(opset, int):
        return
    runtime = (int(numbers.group(1)), int(numbers.group(2)))
    highest = next((limit for before, limit in OPSETS if runtime < before), HIGHEST_OPSET)
    if opset > highest:
        raise failed(
            "the model has opset {}, AMCT with {} reads up to {}: export the model with opset 13, "
            "or use {} with a newer pair".format(opset, tool.pair, highest, IMAGE)
        )


def explain(run: Run, seconds: float, missing: list[str], tool: Tool) -> DriverError | None:
    """The `DriverError` that tells how the run ended, or None for a success."""
    detail = "\n".join(run.lines[-60:])
    if run.timed_out:
        return DriverError(
            "ConversionTimeout",
            70,
            "AMCT did not end within {:.0f} seconds: raise spec.conversion.timeoutSeconds, write "
            "fewer calibration batches, or give the conversion more CPU".format(seconds),
            detail,
        )
    if run.returncode == 0 and not missing:
        return None
    text = "\n".join(run.lines)
    if run.returncode in (-9, 137) or run.oom_kills > 0 or _NO_MEMORY.search(text):
        return DriverError(
            "OutOfMemory",
            85,
            "AMCT ran out of memory: raise spec.conversion.resources.limits.memory, or write a "
            "smaller batch size",
            detail,
        )
    if "No space left on device" in text:
        return DriverError(
            "EphemeralStorageExceeded",
            84,
            "AMCT filled the pod's local disk: free disk space on the node",
            detail,
        )
    known = _known(text, tool)
    if known:
        return failed(known, detail)
    number = -run.returncode if run.returncode < 0 else run.returncode - 128
    if 0 < number <= 64:
        text = killed_by(number, "AMCT")
        return DriverError("QuantizationFailed", FAILED_FOR_NOW, text, detail)
    return failed(_complaint(run, missing), detail)


def failed(message: str, detail: str = "") -> DriverError:
    """A failure that the same order and the same image would only repeat."""
    return DriverError("QuantizationFailed", FAILED, message, detail)


_NO_MEMORY = re.compile(r"^MemoryError|std::bad_alloc|Failed to allocate memory", re.MULTILINE)
_SIZES = re.compile(r"input image size\[(\d+)\] is not equal to model input size\[(\d+)\]")
_RUNTIMES = re.compile(r"only support onnxruntime ([\w., ]+)")
_MODULE = re.compile(r"(?:ModuleNotFound|Import)Error: No module named '?([\w.]+)")
_LIBRARY = re.compile(r"(\S*(?:amct_onnx_op|amct_onnx_custom)\S*\.so\S*)|\b(amct_onnx_op\w*)\b")
_LAYER = re.compile(r"layer[: \[]*([\w./:-]+)\]?.{0,40}(?:FakeQuant|Arq|Ifmr)\w* failed", re.I)
_ERROR_LINE = re.compile(r"\bERROR\b.*?\[AMCT\]\s*:\s*\[[^\]]*\]\s*:?\s*(.+)")
_EXCEPTION = re.compile(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception)): (.+)")


def _known(text: str, tool: Tool) -> str | None:
    """The sentence for a failure that has a known remedy."""
    sizes = _SIZES.search(text)
    if sizes:
        return (
            "AMCT: a calibration batch has size {} and the model takes {}: check that the data "
            "are of the input's type (factor 2 is FP16 for FP32) and batch size".format(
                sizes.group(1), sizes.group(2)
            )
        )
    runtimes = _RUNTIMES.search(text)
    if runtimes:
        return (
            "AMCT supports only onnxruntime {}, the image has {}: build {} with a pair that fits, "
            "such as {}".format(runtimes.group(1).strip(" ."), tool.pair or "another", IMAGE, PAIRS)
        )
    module = _MODULE.search(text)
    if module:
        root = module.group(1).split(".")[0]
        if root in ("amct_onnx", "amct"):
            return "the image's Python has no {}: {} is no AMCT image".format(root, IMAGE)
        return "the image lacks the Python package {} that AMCT needs: add it to {}".format(
            root, IMAGE
        )
    if re.search(r"undefined symbol|cannot open shared object|not registered", text):
        library = _LIBRARY.search(text)
        if library:
            return (
                "AMCT's operators ({}) do not fit the image's {}: build amct_onnx_op in {} against "
                "its own onnxruntime".format(
                    os.path.basename(library.group(0)), tool.pair or "onnxruntime", IMAGE
                )
            )
    layer = _LAYER.search(text)
    if layer:
        return (
            "AMCT cannot quantize the layer {}: add it to "
            "spec.conversion.quantization.skipLayers".format(clip(layer.group(1), 80))
        )
    return None


def _complaint(run: Run, missing: list[str]) -> str:
    """AMCT's own words, the most telling first."""
    if run.returncode == 0:
        return "AMCT ended with status 0 but wrote no {}; see the log of container quantize".format(
            " and no ".join(missing)
        )
    for pattern in (_ERROR_LINE, _EXCEPTION):
        found = [match for match in map(pattern.search, run.lines) if match]
        if found:
            return "AMCT: {}".format(clip(": ".join(found[-1].groups()), 240))
    words = [line.strip() for line in run.lines if line.strip()]
    return "AMCT ended with status {}: {}. Check that {} is an image with AMCT for ONNX".format(
        run.returncode, clip((words or ["it printed nothing"])[-1], 140), IMAGE
    )


def _interpreter(path: str, environment: dict[str, str]) -> str:
    """The Python named in the first line of the tool, else this one."""
    try:
        with open(path, "rb") as file:
            first = file.readline(512).decode("utf-8", "replace")
    except OSError:
        first = ""
    words = first[2:].split() if first.startswith("#!") else []
    if words and os.path.basename(words[0]) == "env":
        words = [shutil.which(words[-1], path=environment.get("PATH")) or ""]
    if words and "python" in os.path.basename(words[0]) and os.access(words[0], os.X_OK):
        return words[0]
    return sys.executable or "python3"


def _probe(python: str, environment: dict[str, str]) -> dict[str, Any]:
    """{"python", "amct", "onnx", "onnxruntime"} as far as they are known."""
    try:
        answer = subprocess.run(
            [python, "-c", PROBE],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=PROBE_SECONDS,
            check=False,
        )
        return dict(json.loads(answer.stdout.decode("utf-8").strip().splitlines()[-1]))
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        log("the versions of AMCT and its libraries are unknown: {}".format(error))
        return {}
