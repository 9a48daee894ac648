"""ONNX Runtime's errors, from its C++ to the node and the reason.

Called by whatever runs a model. ONNX Runtime puts an error code, the source file, a C++ signature
and the failed expression before the one sentence that a user needs.
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
IN_GRAPH = re.compile(r"\(op_type: ?(?P<operator>\w+), node name: ?(?P<node>[^)]*)\)")
# "/path/file.cc:123 onnxruntime::common::Status onnxruntime::Op::Compute(…) const condition was
# false. " and the like, in front of the sentence.
SOURCE = re.compile(r"^\S*\.(?:cc|h|cpp|hpp):\d+ ")
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
    if found := WHILE.search(text):
        operator, node, text = found["operator"], found["node"], found["rest"]
    elif found := IN_GRAPH.search(text):
        operator, node = found["operator"], found["node"]
        text = text[: found.start()] + text[found.end() :]
    return RuntimeFailure(_sentence(text), operator, node)


def _sentence(text: str) -> str:
    text = text.strip()
    if SOURCE.match(text):
        text = SOURCE.sub("", text)
        shorter = FAILED_CONDITION.sub("", text)
        text = SIGNATURE.sub("", text) if shorter in ("", text) else shorter
    line = " ".join(text.split()).strip(" .,")
    return clip(line, LENGTH) or "no reason given"
