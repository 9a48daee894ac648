"""The part of the container `export` that needs torch: TorchScript in, ONNX out.

Run by export.py as a process of its own, because torch ends hard: out of memory, or on a processor
it was not built for. Leaves in/model.onnx, and in the folder export/ a seeded input with what
torch answers to it, so that `prepare` can compare ONNX Runtime's answer; and result.json.
"""

from __future__ import annotations

import array
import inspect
import json
import os
import sys
from typing import Any

if not __package__:  # run as a script: the folder it lies in is the package (PEP 366)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "driver"
    __import__(__package__)

from .checkpoint import MisfitError
from .export_inputs import Entry, script_inputs
from .message import DriverError, log

OPSET = 13
LINE_CHARACTERS = 140
SEED = 20
OPEN_BATCH = {0: "batch"}


def export(job: dict[str, Any], scratch: str) -> dict[str, Any]:
    """The success message's fields; `DriverError` otherwise."""
    torch = _import_torch()
    source = os.path.join(scratch, "in", "source")
    from .torch_source import load_script

    module = load_script(torch, source)
    entries = script_inputs(job, module.forward.schema.arguments)
    module.eval()
    samples, outputs = _try_out(torch, module, entries)
    names = [str(entry.get("name")) for entry in job.get("declaredOutputs") or []]
    if len(names) != len(outputs):
        many = len(outputs) > 1
        names = ["output_{}".format(i) if many else "output" for i in range(len(outputs))]
    target = os.path.join(scratch, "in", "model.onnx")
    log("writing ONNX with opset {}".format(OPSET))
    _write_onnx(torch, module, samples, target, entries, names)
    folder = os.path.join(scratch, "export")
    sample = {
        "inputs": _save(folder, "input", [entry.name for entry in entries], samples),
        "outputs": _save(folder, "output", names, outputs),
    }
    with open(os.path.join(folder, "sample.json"), "w", encoding="utf-8") as file:
        json.dump(sample, file)
    return {"ok": True, "torch": str(torch.__version__)}


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise DriverError(
            "ConversionFailed",
            69,
            "the export image has no usable PyTorch ({}): the operator's setting exportImage must "
            "name an image with python3 and torch 1.13 or newer".format(error),
        ) from error
    return torch


def _try_out(torch: Any, module: Any, entries: list[Entry]) -> tuple[list[Any], list[Any]]:
    """(inputs, outputs) of a run with noise. Two pictures; one where the script takes only one."""
    failure: Exception | None = None
    for batch in (2, 1):
        generator = torch.Generator().manual_seed(SEED)
        samples = [
            torch.randn([batch, *entry.dims], generator=generator).to(
                torch.float16 if entry.data_type == "FP16" else torch.float32
            )
            for entry in entries
        ]
        try:
            with torch.no_grad():
                answer = module(*samples)
        except Exception as error:
            failure = failure or error
            continue
        outputs = list(answer) if isinstance(answer, (tuple, list)) else [answer]
        if all(isinstance(output, torch.Tensor) for output in outputs):
            return samples, outputs
        raise DriverError(
            "UnsupportedModel",
            65,
            "the network answers with a {}, not with tensors: export it to ONNX where it was "
            "trained, and bring the ONNX file".format(type(answer).__name__),
        )
    refuse_lack_of_memory(failure)
    raise DriverError(
        "UnsupportedModel",
        65,
        "the network does not run on {}: {}; check spec.model.inputs".format(
            " and ".join("x".join(map(str, ("N", *entry.dims))) for entry in entries),
            last_line(failure),
        ),
        str(failure),
    ) from failure


def _write_onnx(
    torch: Any,
    module: Any,
    samples: list[Any],
    target: str,
    entries: list[Entry],
    outputs: list[str],
) -> None:
    inputs = [entry.name for entry in entries]
    batched = samples[0].shape[0] > 1
    options: dict[str, Any] = {"dynamic_axes": dict.fromkeys(inputs + outputs, OPEN_BATCH)}
    if not batched:
        log("the script takes one picture only: its batch stays 1 here")
        options = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    try:
        torch.onnx.export(
            module,
            tuple(samples),
            target + ".new",
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            **options,
        )
    except Exception as error:
        refuse_lack_of_memory(error)
        if "onnx is not installed" in str(error):
            raise DriverError(
                "ConversionFailed",
                69,
                "torch {} exports with the Python package onnx, which the export image lacks: "
                "add it to the image that the setting exportImage names".format(torch.__version__),
            ) from error
        raise DriverError(
            "UnsupportedModel",
            65,
            "PyTorch cannot export the network to ONNX: {}; export it where it was trained, and "
            "bring the ONNX file".format(last_line(error)),
            str(error)[-2000:],
        ) from error
    os.replace(target + ".new", target)


def _save(folder: str, kind: str, names: list[str], tensors: list[Any]) -> list[dict[str, Any]]:
    """Raw little-endian float32 files and what is in them; without NumPy, which torch can lack."""
    entries = []
    for index, (name, tensor) in enumerate(zip(names, tensors)):  # noqa: B905
        values = array.array("f", tensor.detach().float().flatten().tolist())
        if sys.byteorder == "big":
            values.byteswap()
        file_name = "{}_{}.bin".format(kind, index)
        with open(os.path.join(folder, file_name), "wb") as file:
            values.tofile(file)
        entries.append({"name": name, "dims": list(tensor.shape), "file": file_name})
    return entries


def refuse_lack_of_memory(error: Exception | None) -> None:
    """PyTorch reports it as a RuntimeError like any other."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "not enough memory" in text or "can't allocate" in text:
        raise DriverError(
            "OutOfMemory",
            85,
            "PyTorch has too little memory for the export: raise "
            "spec.conversion.resources.limits.memory",
            str(error),
        ) from error


def last_line(error: Exception | None) -> str:
    """A script's error is a whole traceback; the end of it says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 1] + "…"


def main() -> int:
    scratch = os.environ.get("RESNET_SCRATCH") or "/scratch"
    exit_code = 0
    try:
        payload = export(json.loads(os.environ["RESNET_JOB"]), scratch)
    except MisfitError as error:
        failure = DriverError(error.reason, 64 if error.reason == "InvalidSpec" else 65, str(error))
        payload, exit_code = failure.payload, failure.exit_code
    except DriverError as error:
        payload, exit_code = error.payload, error.exit_code
    with open(os.path.join(scratch, "export", "result.json"), "w", encoding="utf-8") as file:
        json.dump(payload, file)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
