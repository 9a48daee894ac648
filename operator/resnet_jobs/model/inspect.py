"""What `prepare` finds out about a model before anything expensive runs.

A chain of small checks in the order of cost: operator domains and opset, then inputs and their
shapes. Each ends in a value or in a sentence that says what to write instead. `batch` goes on
from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, invalid, unsupported
from resnet_jobs.model.opset import opset_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHIP_OPSETS = range(11, 19)  # what ATC's ONNX parser accepts, by its own documentation
AMCT_OPSETS = range(8, 19)  # above 14 only with its newer pairs of onnx and ONNX Runtime
CHIP_INPUTS = ("FP32", "FP16")
CPU_INPUTS = (
    "FP32", "FP16", "FP64", "UINT8", "INT8", "UINT16", "INT16", "INT32", "UINT32", "INT64",
    "UINT64", "BOOL",
)  # fmt: skip
PICTURE_SIZE = 8  # a dimension as large as this may be a height or a width
CHANNELS = (1, 3)
BATCH_NAMES = ("n", "b", "batch", "batch_size", "batchsize")
CHANNEL_NAMES = ("c", "channel", "channels")
TRITON_TYPES = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64",
    8: "STRING", 9: "BOOL", 10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64", 16: "BF16",
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """An input or output as Triton names it: `dims` without the batch dimension. `layout` is
    said only where AIPP decided it.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    layout: str | None = None

    def as_json(self) -> dict[str, Any]:
        value = {"name": self.name, "dataType": self.data_type, "dims": list(self.dims)}
        return value | ({"layout": self.layout} if self.layout else {})


@dataclass(frozen=True)
class ModelInput:
    """`batch` is the number in dimension 0, or None where the file leaves it open."""

    tensor: Tensor
    batch: int | None


def graph_inputs(model: Any) -> list[Any]:
    """What a client must send: models of 2018 list their weights as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return [value for value in model.graph.input if value.name not in weights]


def tidy_domains(model: Any, *, for_chip: bool) -> list[str]:
    """Inlines local functions and drops unused operator domains, in place; notes what it did.

    ATC refuses a second domain with E16005, even where no operator uses it, which is how PyTorch
    and several tools export.
    """
    notes = []
    if model.functions:
        import onnx.inliner

        model.CopyFrom(onnx.inliner.inline_local_functions(model))
        notes.append("inlined the model's local functions")
    used = {_domain(node.domain) for node in nodes(model.graph)}
    unused = [entry for entry in model.opset_import if _domain(entry.domain) not in used | {""}]
    for entry in unused:
        model.opset_import.remove(entry)
        notes.append(f"dropped the unused operator domain {entry.domain}")
    strangers = [node for node in nodes(model.graph) if _domain(node.domain)]
    operators = sorted(
        {node.op_type for node in strangers if not node.op_type.startswith("Ascend")}
    )
    foreign = sorted({_domain(node.domain) for node in strangers})
    if for_chip and operators:
        first = next(node for node in strangers if node.op_type in operators)
        raise unsupported(
            f'the model uses operators outside ONNX (node "{first.name or first.output[0]}"), '
            f"{', '.join(operators[:3])} of {', '.join(foreign)}: ATC has no parser for them; "
            "export it with standard operators"
        )
    return notes


def tidy_dimensions(model: Any) -> list[str]:
    """Writes dimensions given as 0 or -1 as what is meant, open ones; notes what it did.

    ONNX Runtime takes a 0 by its word and wants empty pictures.
    """
    changed = []
    for value in [*graph_inputs(model), *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        odd = [dim for dim in dims if dim.HasField("dim_value") and dim.dim_value < 1]
        for dim in odd:
            dim.Clear()
        if odd:
            changed.append(value.name)
    return [f"marked dimensions of {', '.join(changed)} as open, not 0 or -1"] if changed else []


def nodes(graph: Any) -> list[Any]:
    """All nodes, those of subgraphs too."""
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            for subgraph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                found += nodes(subgraph)
    return found


def check_opset(model: Any, *, chip: str, quantized: bool = False, tried: str = "") -> int:
    """The version of the default operator set; ONNX Runtime judges for the CPU. What AMCT has
    written, or is to read, may be older than what ATC documents. `tried` is why the file could
    not be converted.
    """
    opset = opset_of(model)
    if not opset:
        raise unsupported("the model names no ONNX operator set: export it again with opset 13")
    if not reads_opset(opset, chip=chip, quantized=quantized):
        readable, reader = _readable(quantized=quantized)
        why = f", and cannot be converted ({tried})" if tried else ""
        raise unsupported(
            f"the model has opset {opset}, but {reader} reads {readable.start} to "
            f"{readable.stop - 1}{why}: export it again with opset 13"
        )
    return opset


def reads_opset(opset: int, *, chip: str, quantized: bool = False) -> bool:
    """Whether the tools for that chip read the operator set as it is."""
    return chip == "CPU" or opset in _readable(quantized=quantized)[0]


def _readable(*, quantized: bool) -> tuple[range, str]:
    return (AMCT_OPSETS, "AMCT") if quantized else (CHIP_OPSETS, "ATC")


def read_inputs(
    model: Any, shapes: Mapping[str, Sequence[int]], *, cpu: bool = False
) -> list[ModelInput]:
    """The inputs with every dimension known, open ones filled in from spec.conversion.inputShapes.

    Dimension 0 is the batch and no part of a shape. A CPU takes more types than a chip.
    """
    values = graph_inputs(model)
    names = [value.name for value in values]
    if not names:
        raise unsupported("the model has no inputs: export it with the picture as its input")
    for name in shapes:
        if name not in names:
            raise invalid(
                f'spec.conversion.inputShapes names "{name}"; the model\'s inputs are: '
                f"{', '.join(names)}; write one of these"
            )
    return [_read_input(value, shapes.get(value.name), cpu=cpu) for value in values]


def _read_input(value: Any, wanted: Sequence[int] | None, *, cpu: bool) -> ModelInput:
    name, data_type = value.name, element_type(value)
    if data_type not in (CPU_INPUTS if cpu else CHIP_INPUTS):
        where, types = ("a CPU", "numbers") if cpu else ("a chip", "FP32 and FP16")
        other = "" if cpu or data_type not in CPU_INPUTS else ", or write accelerator.chip: CPU"
        raise unsupported(
            f'input "{name}" has type {data_type}, but on {where} only {types} can be served: '
            f"export the model with floating-point inputs{other}"
        )
    if not value.type.tensor_type.HasField("shape"):
        if wanted is None:
            raise _open(name, "its whole shape", [None, 3, 224, 224])
        return ModelInput(Tensor(name, data_type, tuple(wanted)), batch=None)
    dims = [_number(dim) for dim in value.type.tensor_type.shape.dim]
    if not dims:
        raise unsupported(
            f'input "{name}" is a single number: its first dimension must be N; export the model '
            "with pictures as its input"
        )
    if is_single_picture(value):
        shown = ", ".join("?" if dim is None else str(dim) for dim in dims)
        raise unsupported(
            f'input "{name}" has the shape [{shown}] of one picture and no batch dimension: export '
            f"the model with one in front, torch.onnx.export(model, torch.zeros(1, {shown}), …)"
        )
    return ModelInput(Tensor(name, data_type, _fill(name, dims, wanted)), batch=dims[0])


def is_single_picture(value: Any) -> bool:
    """Whether an input's three dimensions are certainly channels, height and width."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 3:
        return False
    if any(dim.dim_param.lower() in BATCH_NAMES for dim in dims[:1]):
        return False
    first, *_, last = (_number(dim) for dim in dims)
    sizes = [_number(dim) or PICTURE_SIZE for dim in dims]
    chw = first == 3 and min(sizes[1:]) >= PICTURE_SIZE
    hwc = last in CHANNELS and first is not None and min(sizes[:2]) >= PICTURE_SIZE
    named = dims[0].dim_param.lower() in CHANNEL_NAMES
    return chw or (hwc and sizes[0] == sizes[1]) or named


def _fill(name: str, dims: list[int | None], wanted: Sequence[int] | None) -> tuple[int, ...]:
    """The dimensions after the batch; the file's fixed numbers win over a contradiction."""
    own = dims[1:]
    if wanted is None:
        if None in own:
            which = ", ".join(str(index) for index, dim in enumerate(dims) if index and dim is None)
            raise _open(name, f"dimension {which}", dims)
        return tuple(dim for dim in own if dim is not None)
    fits = len(wanted) == len(own) and all(
        dim is None or dim == number for dim, number in zip(own, wanted, strict=True)
    )
    if not fits:
        shown = ", ".join("?" if dim is None else str(dim) for dim in own)
        raise invalid(
            f'spec.conversion.inputShapes "{name}": {list(wanted)} does not fit the model, which '
            f"has [{shown}] after the batch; write it without the batch dimension"
        )
    return tuple(wanted)


def _open(name: str, what: str, dims: list[int | None]) -> JobError:
    example = [dim or (3 if index == 0 else 224) for index, dim in enumerate(dims[1:])]
    return invalid(
        f'input "{name}" leaves {what} open: write the size, for example '
        f"spec.conversion.inputShapes: {{{name}: {example}}}"
    )


def element_type(value: Any) -> str:
    """Triton's name of a tensor's type, without TYPE_."""
    if not value.type.HasField("tensor_type"):
        raise unsupported(f'"{value.name}" is not a tensor: export the model with tensors only')
    number = int(value.type.tensor_type.elem_type)
    if number not in TRITON_TYPES:
        raise unsupported(
            f'"{value.name}" has a type (number {number}) that Triton lacks: export '
            "the model with floating-point inputs and outputs"
        )
    return TRITON_TYPES[number]


def _number(dim: Any) -> int | None:
    """Exporters mark an open dimension by a name, by nothing, by 0 or by -1."""
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name
