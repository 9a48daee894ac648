"""What an exported network gets as input: names and sizes, from the order. No torch.

Called by torch_export.py. Neither a `.pth` nor TorchScript says how large its pictures are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .checkpoint import MisfitError

EXAMPLE = "{{input: [{}, 224, 224]}}"
EXAMPLE_INPUT = "{{name: {}, dataType: FP32, dims: [3, 224, 224]}}"
PICTURE = (3, 224, 224)
FIELD = "spec.conversion.inputShapes"
SCRIPT_FIELD = "spec.model.inputs"
FLOATS = ("FP32", "FP16")


class Entry(NamedTuple):
    """An input of the ONNX to be; `dims` without the batch dimension."""

    name: str
    dims: tuple[int, ...]
    data_type: str = "FP32"


def network_input(job: dict[str, Any], channels: int = 3) -> Entry:
    """The picture of a ResNet: "input", 3x224x224 unless the order says otherwise."""
    entries = _asked(job) or [Entry("input", PICTURE)]
    if len(entries) > 1:
        names = ", ".join(entry.name for entry in entries)
        raise _invalid("a ResNet has one input, but the spec names {}".format(names))
    entry = entries[0]
    if len(entry.dims) != 3 or entry.dims[0] != channels:
        raise _invalid(
            '{} "{}" is {}, but this ResNet takes pictures of {} channel(s): write for example '
            "{}".format(FIELD, entry.name, list(entry.dims), channels, EXAMPLE.format(channels))
        )
    if entry.data_type != "FP32":
        raise _invalid("the exported ResNet has an FP32 input: declare it as FP32")
    return entry


def script_inputs(job: dict[str, Any], arguments: Any) -> list[Entry]:
    """TorchScript's inputs in the order of forward()'s arguments."""
    wanted = [entry for entry in arguments if entry.name != "self"]
    needed = [entry for entry in wanted if not entry.has_default_value()]
    names = [str(entry.name) for entry in wanted]
    entries = _asked(job)
    if not entries:
        raise _invalid(
            "TorchScript does not tell how large its input is: write {}: [{}]".format(
                SCRIPT_FIELD, ", ".join(EXAMPLE_INPUT.format(entry.name) for entry in needed)
            )
        )
    if not len(needed) <= len(entries) <= len(wanted):
        raise _invalid(
            "forward() takes {} input(s) ({}), but the spec gives sizes for {}".format(
                len(needed), ", ".join(names), ", ".join(entry.name for entry in entries)
            )
        )
    by_name = {entry.name: entry for entry in entries}
    known = [by_name[name] for name in names if name in by_name]
    if len(known) == len(entries):
        return known
    if len(entries) == 1:  # one picture may be called what its clients call it
        return entries
    raise _invalid(
        "forward() has the arguments {}: give the inputs these names in {}".format(
            ", ".join(names), SCRIPT_FIELD
        )
    )


def _asked(job: dict[str, Any]) -> list[Entry]:
    """The inputs that spec.model.inputs declares, else those of spec.conversion.inputShapes."""
    declared = job.get("declaredInputs") or []
    for entry in declared:
        if entry.get("dataType", "FP32") not in FLOATS:
            raise _invalid(
                'spec.model.inputs "{}" is {}: the network itself takes FP32 or FP16; '
                "spec.conversion.preprocessing makes the served input".format(
                    entry["name"], entry["dataType"]
                )
            )
    entries = [
        Entry(str(entry["name"]), tuple(entry["dims"]), entry.get("dataType", "FP32"))
        for entry in declared
    ]
    shapes = job.get("inputShapes") or {}
    return entries or [Entry(name, tuple(dims)) for name, dims in shapes.items()]


def _invalid(message: str) -> MisfitError:
    return MisfitError(message, field=True)
