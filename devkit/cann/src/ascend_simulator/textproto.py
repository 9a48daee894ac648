"""Reads protobuf text files exactly as protobuf does: AIPP's, AMCT's and ATC's optimization files.

The message types are built here from short tables, so that Google's own parser decides what an
unknown field, a full-width colon, a missing quote or a number out of range is. Used by aipp.py,
sidefiles.py and the package amct_onnx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _FIELD.TYPE_BOOL,
    "float": _FIELD.TYPE_FLOAT,
    "int32": _FIELD.TYPE_INT32,
    "uint32": _FIELD.TYPE_UINT32,
    "string": _FIELD.TYPE_STRING,
}


class TextProtoError(Exception):
    """The text is not of this type; the message has the line and the column."""


class Schema:
    """A set of messages and enums; `parse` reads a text as one of the messages.

    A message maps each field to its type; `repeated ` may stand before it, and a type that is not
    built in names a message or an enum.
    """

    def __init__(
        self,
        package: str,
        messages: Mapping[str, Mapping[str, str]],
        enums: Mapping[str, Mapping[str, int]] | None = None,
        *,
        syntax: str = "proto3",
    ) -> None:
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax=syntax
        )
        known = enums or {}
        for name, values in known.items():
            # Enums of C++ protobuf share one name space; a message of their own keeps them apart.
            enum = file.message_type.add(name=f"{name}Space").enum_type.add(name=name)
            for word, number in values.items():
                enum.value.add(name=word, number=number)
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for number, (field, kind) in enumerate(fields.items(), start=1):
                _add_field(message, field, kind, number, package=package, enums=list(known))
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        self._classes = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
            for name in messages
        }

    def parse(self, message: str, text: str) -> Any:
        try:
            return text_format.Parse(text, self._classes[message]())
        except text_format.ParseError as error:
            raise TextProtoError(str(error)) from error


def _add_field(
    message: descriptor_pb2.DescriptorProto,
    name: str,
    kind: str,
    number: int,
    *,
    package: str,
    enums: Sequence[str],
) -> None:
    repeated = kind.startswith("repeated ")
    word = kind.removeprefix("repeated ")
    field = message.field.add(name=name, number=number)
    field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    if word in _TYPES:
        field.type = _TYPES[word]
    elif word in enums:
        field.type = _FIELD.TYPE_ENUM
        field.type_name = f".{package}.{word}Space.{word}"
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{package}.{word}"


def read(schema: Schema, message: str, data: bytes) -> Any:
    """The bytes of a file; text that is no UTF-8 is as wrong as a wrong word."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextProtoError(f"byte {error.start} is no UTF-8 text") from error
    return schema.parse(message, text)
