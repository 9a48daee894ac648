"""Every refusal of a model is one line and says what to do: all sentences of the code are read,
those that no test has provoked too.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import resnet_jobs
from resnet_contract.foreign.kinds import KINDS, Kind

ROOT = Path(resnet_jobs.__file__).parent
PLACES = ("checkpoints", "driver/saved", "formats", "hub", "model")
FILES = sorted([*(p for place in PLACES for p in (ROOT / place).glob("*.py")),
                ROOT / "driver/checkpoint.py"])  # fmt: skip
# What makes a refusal, and which argument is its sentence.
MAKERS = {"JobError": 1, "MisfitError": 0, "NotRowsError": 0, "invalid": 0, "unsupported": 0}
DOES = re.compile(
    r"\b(again|attempt|bring|check|choose|convert|correct|export|fetch|free|leave|remove|run|save|"
    r"set|split|try|unpack|upload|use|write)\b"
)
FIELD = "…"
# Ends of sentences that come from a table or from another refusal, which has its own test.
PASSED_ON = {
    "the file is …": "the table of read_kind; test_pytorch.test_other_files",
    "the file starts with …: …, not …; …": "KINDS, below",
    'the batch is lost at node "…" (…): …': "the refusal before it",
}


@dataclass(frozen=True)
class Sentence:
    place: str
    text: str


class Module:
    """One file: its sentences, those of its own helpers with what each caller puts into them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        self.names = vars(importlib.import_module(name))
        self.tree = ast.parse(path.read_text())
        self.own: dict[int, str] = {}  # of a helper's own call: the parameter in its sentence
        self.helpers = dict(self._helpers())

    def sentences(self) -> Iterator[Sentence]:
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call):
                continue
            for text in self._of(node):
                if text.strip(FIELD + " :;"):  # else a sentence that is passed on
                    yield Sentence(f"{self.path.relative_to(ROOT)}:{node.lineno}", text)

    def _of(self, call: ast.Call) -> Iterator[str]:
        name = ast.unparse(call.func).rpartition(".")[2]
        if name in MAKERS and len(call.args) > MAKERS[name]:
            text = self.text(call.args[MAKERS[name]])
            if f"{{{self.own.get(id(call), '')}}}" not in text:
                yield re.sub(r"\{\w+\}", FIELD, text)
        if name in self.helpers and call.args:
            whole, parameter, at = self.helpers[name]
            if len(call.args) > at:
                said = self.text(call.args[at])
                yield re.sub(r"\{\w+\}", FIELD, whole.replace(f"{{{parameter}}}", said))

    def _helpers(self) -> Iterator[tuple[str, tuple[str, str, int]]]:
        """A helper's sentence, its parameter that stands in it, and the place of that."""
        for function in ast.walk(self.tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            names = [one.arg for one in function.args.args if one.arg != "self"]
            for node in ast.walk(function):
                call = node.value if isinstance(node, ast.Return) else None
                name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
                if isinstance(call, ast.Call) and name in MAKERS and len(call.args) > MAKERS[name]:
                    text = self.text(call.args[MAKERS[name]])
                    inside = next((one for one in names if f"{{{one}}}" in text), None)
                    if inside:
                        self.own[id(call)] = inside
                        yield function.name, (text, inside, names.index(inside))

    def text(self, node: ast.expr) -> str:
        """The sentence, with the module's own constants in it and its fields in braces."""
        match node:
            case ast.Constant(value=str(value)):
                return value
            case ast.JoinedStr(values=values):
                return "".join(
                    self.text(v.value if isinstance(v, ast.FormattedValue) else v) for v in values
                )
            case ast.BinOp(left=left, right=right):
                return self.text(left) + self.text(right)
            case ast.Call(func=ast.Attribute(value=value, attr="format")):
                arguments = [self.text(one) for one in node.args]
                count = iter([*arguments, *[FIELD] * 9])
                return re.sub(r"\{(\d?)\}", lambda _: next(count), self.text(value))
            case ast.IfExp(body=body, orelse=other):
                return min((self.text(body), self.text(other)), key=lambda t: bool(DOES.search(t)))
            case ast.Name(id=name) if isinstance(self.names.get(name), str):
                return str(self.names[name])
            case ast.Name(id=name):
                return f"{{{name}}}"
            case ast.Attribute(attr=name):
                return f"{{{name}}}"
        return FIELD


FOUND = [sentence for path in FILES for sentence in Module(path).sentences()]


def test_the_sentences_are_read() -> None:
    assert len(FOUND) > 120
    places = {sentence.place.partition("/")[0] for sentence in FOUND}
    assert places == {"checkpoints", "driver", "formats", "hub", "model"}


@pytest.mark.parametrize("sentence", FOUND, ids=[one.place for one in FOUND])
def test_it_says_what_to_do(sentence: Sentence) -> None:
    assert DOES.search(sentence.text) or sentence.text in PASSED_ON, sentence.text
    assert "\n" not in sentence.text
    assert "onnxruntime::" not in sentence.text


def test_what_is_passed_on_is_there() -> None:
    assert set(PASSED_ON) <= {sentence.text for sentence in FOUND}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_known_kind_says_what_to_do(kind: Kind) -> None:
    assert DOES.search(kind.advice), kind.name
