"""Reads of an ONNX file only where its weights are, without onnx: the image that fetches has none.

An ONNX file is a protobuf message. This walks its wire format along the few fields that lead to
tensors and skips all else by length, so a model with its weights inside costs no memory. Numbers
are those of onnx.proto.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Buffer = bytes | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 100
"""protobuf's own limit on messages within messages."""
EXTERNAL = 1
# Message -> field number -> message in it. TensorProto has no further ones that lead to a place.
FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14
KEY, VALUE = 1, 2


class WireError(ValueError):
    """These bytes are no protobuf message."""


@dataclass(frozen=True)
class Field:
    number: int
    kind: int
    value: int
    """Of a varint."""
    start: int
    end: int
    """Where the bytes of a length-delimited field lie."""


def external_locations(data: Buffer) -> set[str]:
    """Return the locations that tensors outside the file name; WireError for no model."""
    found: set[str] = set()
    todo = [("model", 0, len(data), 0)]
    while todo:
        message, start, end, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise WireError("the messages are nested too deeply")
        if message == "tensor":
            found |= _locations(data, start, end)
            continue
        for field in _fields(data, start, end):
            inner = FIELDS[message].get(field.number)
            if inner and field.kind == BYTES:
                todo.append((inner, field.start, field.end, depth + 1))
    return found


def _locations(data: Buffer, start: int, end: int) -> set[str]:
    location, names = 0, set()
    for field in _fields(data, start, end):
        if field.number == DATA_LOCATION and field.kind == VARINT:
            location = field.value
        elif field.number == EXTERNAL_DATA and field.kind == BYTES:
            entry = {
                one.number: bytes(data[one.start : one.end])
                for one in _fields(data, field.start, field.end)
                if one.kind == BYTES
            }
            if entry.get(KEY) == b"location":
                names.add(_text(entry.get(VALUE, b"")))
    return names if location == EXTERNAL else set()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise WireError("a location is not UTF-8") from error


def _fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        value, begin = 0, at
        if kind == VARINT:
            value, at = _varint(data, at, end)
        elif kind == BYTES:
            length, begin = _varint(data, at, end)
            at = begin + length
        elif kind in (FIXED32, FIXED64):
            at += struct.calcsize("<I" if kind == FIXED32 else "<Q")
        else:
            raise WireError(f"a field of kind {kind}")
        if at > end or not number:
            raise WireError("a field leads out of its message")
        yield Field(number, kind, value, begin, at)


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError("a number without an end")
