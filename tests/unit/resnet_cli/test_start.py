"""A command starts fast: what only other commands need is not imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.apiserver import ROOT

LATE = ("jinja2", "kopf", "prometheus_client", "onnx", "numpy", "resnet_operator.api.spec")
LOADED = """
import sys
import resnet_cli.app, resnet_cli.commands.{command}
print([name for name in {late} if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("get", "a table of what the API server says"),
        ("why", "the objects, events and logs of one service"),
        ("logs", "a stream of lines"),
        ("rollout", "one patch"),
    ],
)
def test_looking_needs_neither_templates_nor_the_spec(command: str, reason: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOADED.format(command=command, late=LATE)],
        env={"PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]", reason
