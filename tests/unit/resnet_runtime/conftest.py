"""What the runtime's tests share: Triton's module, replaced, and a termination log."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.resnet_runtime import stub

sys.modules.setdefault("triton_python_backend_utils", stub)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("RESNET_TERMINATION_LOG", str(path))
    return path


@pytest.fixture
def left_behind(termination_log: Path) -> Callable[[], dict[str, Any]]:
    """The termination message as the operator would read it; {} when there is none."""
    return lambda: json.loads(termination_log.read_text() or "{}")
