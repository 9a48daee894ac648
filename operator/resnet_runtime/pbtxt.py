"""Protobuf's text format read and written, for config.pbtxt: stock Triton images have no protobuf.

benchmark.py runs before Triton, which would otherwise have parsed the file for it; trials.py writes
the file with other settings. Every field becomes a list, because the text does not tell which are
repeated.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Tuple

TOKEN = re.compile(
    r"""\s+ | \#[^\n]*
    | (?P<text>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
    | (?P<mark>[{}\[\]<>:,;])
    | (?P<word>[^\s{}\[\]<>:,;"'\#]+)""",
    re.VERBOSE,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
CLOSING = {"{": "}", "<": ">"}

Message = Dict[str, List[Any]]


class Text(str):
    """The value of a string; `raw` is how the file writes it, with all its escapes."""

    raw: str


def parse(text: str) -> Message:
    """The fields of the message; ValueError when it is no text format."""
    tokens = _tokens(text)
    message, position = _message(tokens, 0, "")
    if position != len(tokens):
        raise ValueError("unexpected {!r}".format(tokens[position][1]))
    return message


def _tokens(text: str) -> List[Tuple[str, str]]:
    found = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError("unexpected {!r}".format(text[position : position + 20]))
        if match.lastgroup:
            found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found


def _message(tokens: List[Tuple[str, str]], position: int, closing: str) -> Tuple[Message, int]:
    message: Message = {}
    while position < len(tokens):
        kind, token = tokens[position]
        position += 1
        if token == closing and kind == "mark":
            return message, position
        if kind == "mark" and token in ",;":
            continue
        if kind != "word":
            raise ValueError("a field's name was expected, not {}".format(token))
        if _peek(tokens, position) == ":":
            position += 1
        values, position = _values(tokens, position)
        message.setdefault(token, []).extend(values)
    if closing:
        raise ValueError("a closing {} is missing".format(closing))
    return message, position


def _values(tokens: List[Tuple[str, str]], position: int) -> Tuple[List[Any], int]:
    if _peek(tokens, position) != "[":
        value, position = _value(tokens, position)
        return [value], position
    values: List[Any] = []
    position += 1
    while _peek(tokens, position) != "]":
        if _peek(tokens, position) == ",":
            position += 1
            continue
        value, position = _value(tokens, position)
        values.append(value)
    return values, position + 1


def _value(tokens: List[Tuple[str, str]], position: int) -> Tuple[Any, int]:
    if position >= len(tokens):
        raise ValueError("the text ends where a value was expected")
    kind, token = tokens[position]
    if kind == "mark":
        if token not in CLOSING:
            raise ValueError("a value was expected, not {}".format(token))
        return _message(tokens, position + 1, CLOSING[token])
    if kind == "word":
        return token, position + 1
    written = []
    while position < len(tokens) and tokens[position][0] == "text":  # adjacent strings are one
        written.append(tokens[position][1])
        position += 1
    text = Text("".join(map(_unquoted, written)))
    text.raw = " ".join(written)
    return text, position


def write(message: Message) -> str:
    """The text of a message; a list is written as its field again and again."""
    return "".join(
        "{} {{\n{}}}\n".format(name, write(value))
        if isinstance(value, dict)
        else "{}: {}\n".format(name, value.raw if isinstance(value, Text) else value)
        for name, values in message.items()
        for value in values
    )


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match.group(1), match.group(1)), token[1:-1])


def _peek(tokens: List[Tuple[str, str]], position: int) -> str:
    """The mark at the position, or nothing."""
    if position < len(tokens) and tokens[position][0] == "mark":
        return tokens[position][1]
    return ""
