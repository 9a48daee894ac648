"""Weights beside a model are whole: `prepare` looks before it merges them, and names what is not.

Apart from `external_data`, which `fetch` needs: this imports onnx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, unsupported
from resnet_jobs.formats.external_data import external_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

AGAIN = "upload it again, whole, beside the model"
LFS_POINTER = b"version https://git-lfs"


def check_external_files(path: Path) -> None:
    """`UnsupportedModel` that names the weights file which is missing, cut off or a pointer."""
    if not external_files(path):
        return
    import onnx

    model = onnx.load_model(str(path), load_external_data=False)
    needed: dict[str, int] = {}
    for tensor in tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            name = entries.get("location", "")
            needed[name] = max(needed.get(name, 0), _end_of(tensor, entries, name))
    for name, size in sorted(needed.items()):
        _check_file(path.parent / name, name, size)


def _end_of(tensor: Any, entries: Mapping[str, str], name: str) -> int:
    """The byte after the tensor's last one; numbers in the file are somebody's claim."""
    import math

    from onnx import helper

    try:
        offset = int(entries.get("offset") or 0)
        itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        length = int(entries.get("length") or math.prod(tensor.dims) * itemsize)
    except (ValueError, KeyError) as error:
        raise _broken(
            f'says no sound place of "{tensor.name}" in {name}: export it again'
        ) from error
    if offset < 0 or length < 0:
        raise _broken(f'says no sound place of "{tensor.name}" in {name}: export it again')
    return offset + length


def _check_file(path: Path, name: str, size: int) -> None:
    if not name.isprintable():
        raise _broken(
            f"keeps weights in a file whose name has control characters ({ascii(name)[:80]}): "
            "save it with another name"
        )
    if path.is_symlink():
        raise _broken(f'keeps weights in "{name}", which is a link: upload the file itself')
    try:
        there = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except OSError as error:
        raise _broken(f'keeps weights in "{name}", which is not beside it: {AGAIN}') from error
    if head == LFS_POINTER:
        raise _broken(
            f'keeps weights in "{name}", which is a Git LFS pointer of {there} bytes and not the '
            "file: fetch it with `git lfs pull`, and upload it again"
        )
    if there < size:
        what = "empty" if there == 0 else f"cut off: it has {there:,} of {size:,} bytes"
        raise _broken(f'keeps weights in "{name}", which is {what}; {AGAIN}')


def _broken(what: str) -> JobError:
    return unsupported(f"the model {what}")


def tensors(graph: Any) -> Iterator[Any]:
    """Every tensor stored in the graph, those of nodes and of subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            subgraphs = list(attribute.graphs)
            for subgraph in [attribute.g, *subgraphs] if attribute.HasField("g") else subgraphs:
                yield from tensors(subgraph)
