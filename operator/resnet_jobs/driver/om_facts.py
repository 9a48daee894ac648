"""What an OM tells about itself: the text of `atc --mode=6` and the JSON of `atc --mode=1`.

Called by `om`. Pure. The releases of CANN differ in what they write, so whatever is missing or
strange is left out, and `om` asks for a declaration instead.
"""

from __future__ import annotations

import re
from typing import Any

TYPES = {
    "DT_FLOAT": "FP32",
    "DT_FLOAT16": "FP16",
    "DT_INT8": "INT8",
    "DT_INT16": "INT16",
    "DT_INT32": "INT32",
    "DT_INT64": "INT64",
    "DT_UINT8": "UINT8",
    "DT_BOOL": "BOOL",
}
# The input through which a caller of a model with profiles says how large its batch is.
MBATCH_INPUT = "ascend_mbatch_shape_data"
# Options of ATC that leave more open than the batch: no contract of fixed sizes follows.
OPEN_SIZES = ("dynamic_image_size", "dynamic_dims", "input_shape_range")
_INFO = re.compile(r"(atc_version|soc_version)\[([^\]]*)\]")
_SIZES = re.compile(r"(memory_size|weight_size)\[(\d{1,15}) B\]")
_COMMAND = re.compile(r"Original Atc command line:[ \t]*(.*)")


class Facts:
    """What was found in one file. None and empty lists mean that the file does not tell."""

    def __init__(self) -> None:
        self.chip: str | None = None
        self.compiler: str | None = None
        self.command: list[str] = []
        self.batches: list[int] = []
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.memory: int | None = None

    @property
    def is_known(self) -> bool:
        return bool(self.chip and self.command)

    def option(self, name: str) -> str | None:
        """The value of an option of the command line that made the file."""
        for index, word in enumerate(self.command):
            key, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("-") or key != name:
                continue
            if equals:
                return value.strip("\"'")
            following = self.command[index + 1 : index + 2]
            return following[0].strip("\"'") if following else None
        return None

    @property
    def open_size(self) -> str | None:
        """The option, if any, that left more open than the batch."""
        return next((name for name in OPEN_SIZES if self.option(name)), None)


def read_text(facts: Facts, lines: list[str]) -> None:
    """Adds what the block of `--mode=6` says and the JSON did not."""
    text = "\n".join(lines)
    found = {key: value.strip() for key, value in _INFO.findall(text)}
    command = _COMMAND.search(text)
    facts.chip = facts.chip or found.get("soc_version") or None
    facts.compiler = facts.compiler or found.get("atc_version") or None
    facts.command = facts.command or (command.group(1).split() if command else [])
    facts.memory = memory_of(lines)
    _conclude(facts)


def memory_of(lines: list[str]) -> int | None:
    """Bytes of the chip that the loaded model takes: what it works in, and its weights.

    The words stand in the block's third line only, which a command line before it may quote.
    """
    told = [line for line in lines if line.lstrip().startswith("resource info:")]
    sizes = {name: int(size) for name, size in _SIZES.findall(told[-1])} if told else {}
    return sum(sizes.values()) if len(sizes) == 2 else None


def read_json(facts: Facts, content: Any) -> None:
    """Adds what the JSON of `--mode=1` says: a model with attributes and graphs of operators."""
    if not isinstance(content, dict):
        return
    attributes = _attributes(content)
    facts.chip = _text(attributes.get("soc_version")) or facts.chip
    facts.compiler = _text(attributes.get("atc_version")) or facts.compiler
    facts.command = (_text(attributes.get("atc_cmdline")) or "").split() or facts.command
    operators = _main_graph(content)
    data = [entry for entry in operators if entry.get("type") == "Data"]
    data = [entry for entry in data if entry.get("name") != MBATCH_INPUT]
    told = [(entry.get("name"), _first(entry, "output_desc", "input_desc")) for entry in data]
    sizes = {_first_dimension(tensor) for _, tensor in told}
    if len(sizes) == 1:
        facts.batches = [size for size in sizes if size is not None and size > 0]
    facts.inputs = _tensors(told)
    facts.outputs = _outputs(operators, attributes)
    _conclude(facts)


def _conclude(facts: Facts) -> None:
    """The profiles stand in the command line only; what it named stands in for missing inputs."""
    profiles = facts.option("dynamic_batch_size")
    if profiles and re.fullmatch(r"\d+(,\d+)*", profiles):
        facts.batches = sorted({int(size) for size in profiles.split(",")})
    facts.chip = facts.chip or facts.option("soc_version")


def _main_graph(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The operators of the graph that is called; a model with profiles has one more for each."""
    graphs = [graph for graph in _list(content.get("graph")) if isinstance(graph, dict)]
    operators = [
        [entry for entry in _list(graph.get("op")) if isinstance(entry, dict)] for graph in graphs
    ]
    called = {
        name for group in operators for entry in group for name in _list(entry.get("subgraph_name"))
    }
    for graph, group in zip(graphs, operators):  # noqa: B905 - Python 3.7 has no strict
        if graph.get("name") not in called:
            return group
    return []


def _outputs(operators: list[dict[str, Any]], attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """ATC names an output "<node>:<number>:<name in the source>", older ones without the name."""
    last = [entry for entry in operators if entry.get("type") == "NetOutput"]
    if len(last) != 1:
        return []
    tensors = [item for item in _list(last[0].get("input_desc")) if isinstance(item, dict)]
    listed = attributes.get("attr_model_out_nodes_name")
    names = _list(listed.get("list", {}).get("s")) if isinstance(listed, dict) else []
    if len(names) != len(tensors):
        names = [tensor.get("name") for tensor in tensors]
    short = [_short(name, index) for index, name in enumerate(names)]
    if len(set(short)) != len(short):
        short = ["output_{}".format(index) for index in range(len(short))]
    return _tensors(list(zip(short, tensors)))  # noqa: B905 - Python 3.7 has no strict


def _short(name: Any, index: int) -> str:
    parts = [part for part in str(name or "").split(":") if part]
    words = [part for part in parts if not part.isdigit()]
    return words[-1] if words else "output_{}".format(index)


def _tensors(told: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """All of them, or none: half a contract would be taken for a whole one."""
    tensors = [_tensor(name, tensor) for name, tensor in told]
    return [tensor for tensor in tensors if tensor] if all(tensors) else []


def _tensor(name: Any, tensor: Any) -> dict[str, Any] | None:
    dims, layout = _dims(tensor), tensor.get("layout") if isinstance(tensor, dict) else None
    kind = TYPES.get(str(tensor.get("dtype"))) if isinstance(tensor, dict) else None
    if not isinstance(name, str) or not name or not kind or not dims:
        return None
    is_open = any(size < 1 for size in dims[1:])
    if is_open or layout not in (None, "", "ND", "NCHW", "NHWC"):
        return None  # also the chip's own arrangement of the numbers
    found: dict[str, Any] = {"name": name, "dataType": kind, "dims": dims[1:]}
    if layout in ("NCHW", "NHWC") and len(dims) == 4:
        found["layout"] = layout
    return found


def _first_dimension(tensor: Any) -> int | None:
    dims = _dims(tensor)
    return dims[0] if dims else None


def _dims(tensor: Any) -> list[int]:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    found = _list(shape.get("dim")) if isinstance(shape, dict) else []
    try:
        return [int(number) for number in found]  # int64 may be written as text
    except (TypeError, ValueError):
        return []


def _first(entry: dict[str, Any], *keys: str) -> Any:
    return next((_list(entry.get(key))[0] for key in keys if _list(entry.get(key))), None)


def _attributes(content: dict[str, Any]) -> dict[str, Any]:
    entries = [entry for entry in _list(content.get("attr")) if isinstance(entry, dict)]
    return {str(entry.get("key")): entry.get("value") for entry in entries}


def _text(value: Any) -> str | None:
    found = value.get("s") if isinstance(value, dict) else None
    return found.strip() or None if isinstance(found, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
