"""Errors of ONNX Runtime and of onnx, from their C++ to the node and the reason.

Called by whatever runs, checks or converts a model. They put an error code, the source file, a C++
signature and the failed expression before the one sentence that a user needs, and the node
anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resnet_jobs.base.errors import clip

CODE = re.compile(r"^\s*\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
WHILE = re.compile(
    r"(?:Non-zero status code returned|Exception caught|Exception) (?:while|during) "
    r"(?:running|initialization:|executing|processing) (?P<operator>\w+) node\. "
    r"Name: ?'(?P<node>[^']*)' Status Message: (?P<rest>.*)",
    re.DOTALL,
)
# How a message names a node, and whether that is no part of the reason.
PLACES: tuple[tuple[re.Pattern[str], bool], ...] = tuple(
    (re.compile(pattern, re.DOTALL), is_apart)
    for pattern, is_apart in (
        (r"\(op_type: ?(?P<operator>\w+), node name: ?(?P<node>[^)]*)\)", True),
        (
            r"==> Context: Bad node spec for node\. Name: (?P<node>.*?) OpType: (?P<operator>\w+)",
            True,
        ),
        (r"\bNode:? ?\((?P<node>[^)]*)\) Op ?\((?P<operator>\w+)\)", True),
        (r"\bOptype \((?P<operator>\w+)\) .* in node \((?P<node>[^)]*)\)", False),
        (r"\boperator \((?P<operator>\w+)\) in node \((?P<node>[^)]*)\)", False),
        (r"\bfor (?P<operator>\w+)\(\d+\) node with name '(?P<node>[^']*)'", False),
        (r"\bof node:\s*name: (?P<node>.*?) OpType: (?P<operator>\w+)", False),
        (r"\b[\w.]+:(?P<operator>\w+)\(-?\d+\)(?P<node>) is not a registered", False),
    )
)
# "/path/file.cc:123 onnxruntime::common::Status onnxruntime::Op::Compute(…) const condition was
# false. " and the like, in front of the sentence.
SOURCE = re.compile(r"^\S*\.(?:cc|h|cpp|hpp):\d+ ")
ASSERTION = re.compile(r"^\S*\.(?:cc|h|cpp|hpp):\d+: \w+: Assertion `.*?` failed: ")
FAILED_CONDITION = re.compile(r"^.*? was false\. ?", re.DOTALL)
SIGNATURE = re.compile(r"^(?:[\w:<>,&*~ ]+::)+~?\w+\(.*?\)(?: const)? ", re.DOTALL)
LENGTH = 150


@dataclass(frozen=True)
class RuntimeFailure:
    """`node` is empty where the message names none."""

    reason: str
    operator: str = ""
    node: str = ""

    @property
    def place(self) -> str:
        """Such as ' at node "/Flatten" (Reshape)'; empty where it is not known."""
        if not self.node:
            return f" at a {self.operator} node" if self.operator else ""
        return f' at node "{clip(self.node, 60)}"' + (
            f" ({self.operator})" if self.operator else ""
        )


def read_failure(text: str) -> RuntimeFailure:
    """The node, and the reason in one line, of an error of ONNX Runtime."""
    text = CODE.sub("", text.strip())
    operator = node = ""
    while found := WHILE.search(text):  # an If tells of the node in its branch
        if found["node"] or not node:
            operator, node = found["operator"], found["node"]
        text = found["rest"]
    if not operator:
        for place, is_apart in PLACES:
            if found := place.search(text):
                operator, node = found["operator"], found["node"].strip()
                text = text[: found.start()] + text[found.end() :] if is_apart else text
                break
    return RuntimeFailure(_sentence(text), operator, node)


def _sentence(text: str) -> str:
    text = ASSERTION.sub("", text.strip())
    if SOURCE.match(text):
        text = SOURCE.sub("", text)
        shorter = FAILED_CONDITION.sub("", text)
        text = SIGNATURE.sub("", text) if shorter in ("", text) else shorter
    line = " ".join(text.split()).strip(" .,")
    return clip(line, LENGTH) or "no reason given"
