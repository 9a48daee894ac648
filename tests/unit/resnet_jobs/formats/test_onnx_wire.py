"""Where a model's weights are, read without onnx: held against onnx itself, and against noise."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from resnet_jobs.formats.external_data import external_files
from resnet_jobs.formats.onnx_wire import WireError, external_locations


def outside(name: str, location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph_of(*nodes: onnx.NodeProto, initializer: list[TensorProto]) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [], initializer)


def branch(tensor: TensorProto) -> onnx.GraphProto:
    return graph_of(helper.make_node("Constant", [], ["c"], value=tensor), initializer=[])


def unsaid() -> TensorProto:
    tensor = outside("w", "kept.bin")
    tensor.data_location = TensorProto.DEFAULT
    return tensor


IF = helper.make_node(
    "If",
    ["x"],
    ["y"],
    then_branch=branch(outside("a", "then")),
    else_branch=branch(outside("b", "else")),
)
MANY = helper.make_node("Custom", [], ["y"], tensors=[outside("a", "one"), outside("b", "two")])
GRAPHS = helper.make_node("Custom", [], ["y"], graphs=[branch(outside("a", "deep"))])
INSIDE = numpy_helper.from_array(np.arange(99, dtype=np.float32), "w")
CASES = [
    (graph_of(initializer=[INSIDE]), set(), "weights inside"),
    (graph_of(initializer=[outside("w", "w.bin")]), {"w.bin"}, "one tensor outside"),
    (graph_of(initializer=[INSIDE, outside("v", "v")]), {"v"}, "some outside"),
    (graph_of(initializer=[outside("a", "x"), outside("b", "x")]), {"x"}, "one file of several"),
    (graph_of(initializer=[outside("w", "ü/ö.bin")]), {"ü/ö.bin"}, "not ASCII"),
    (graph_of(initializer=[outside("w", "")]), {""}, "an empty name is refused later"),
    (graph_of(initializer=[unsaid()]), set(), "named, but inside all the same"),
    (graph_of(IF, initializer=[]), {"then", "else"}, "in both branches"),
    (graph_of(MANY, initializer=[]), {"one", "two"}, "a list of tensors"),
    (graph_of(GRAPHS, initializer=[]), {"deep"}, "a list of graphs"),
]


@pytest.mark.parametrize(("graph", "names", "reason"), CASES, ids=[case[2] for case in CASES])
def test_it_finds_what_onnx_finds(graph: onnx.GraphProto, names: set[str], reason: str) -> None:
    data = helper.make_model(graph).SerializeToString()
    assert external_locations(data) == names, reason
    assert external_locations(memoryview(data)) == names, reason


BROKEN = [
    (b"\xff" * 11, "a tag without an end"),
    (b"\x3a\x7f\x00", "a graph longer than the file"),
    (b"\x00\x00", "field number 0"),
    (b"\x3b\x3c", "groups are not in ONNX"),
    (b"\x3a\x02\x2a\x05", "a tensor longer than its graph"),
    (b"<html><body>404</body></html>", "a page"),
]


@pytest.mark.parametrize(("data", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_what_is_no_message_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(WireError):
        external_locations(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_else_is_ever_raised(data: bytes) -> None:
    try:
        found = external_locations(data)
    except WireError:
        return
    assert isinstance(found, set)


def test_damaged_models_name_nothing_or_something() -> None:
    """Cut and with bytes flipped: no other exception, no endless reading."""
    data = helper.make_model(graph_of(IF, MANY, initializer=[INSIDE])).SerializeToString()
    chance = random.Random(7)
    for _ in range(500):
        changed = bytearray(data[: chance.randrange(1, len(data) + 1)])
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            external_locations(bytes(changed))
        except WireError:
            continue


def test_messages_without_end_are_refused() -> None:
    """Each attribute holds a graph that holds a node: a stack of them must end somewhere."""
    inner = b""
    for _ in range(60):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            inner = tag + _length(inner) + inner
    with pytest.raises(WireError, match="too deeply"):
        external_locations(b"\x3a" + _length(inner) + inner)


def _length(data: bytes) -> bytes:
    size, out = len(data), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


def test_a_page_that_mentions_a_location_is_no_model(tmp_path: Path) -> None:
    """`prepare` says what it is; `fetch` only must not fail."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"<html>\x0a\x08location</html>")
    assert external_files(path) == ()
