"""Fixtures of the golden tests. The option `--update-golden` is declared in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.rendering import CASES

from resnet_operator.render import serving, store


@pytest.fixture(autouse=True)
def fixed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put short texts for the files of others, so that their changes do not rewrite every case."""
    files = ("ascend_om.py", "launch.py", "onnxruntime_model.py")
    monkeypatch.setattr(serving, "runtime_data", lambda: {name: f"# {name}\n" for name in files})
    monkeypatch.setattr(serving, "runtime_digest", lambda: "0123456789")
    monkeypatch.setattr(store, "read_template", lambda name: f"# {name}\n")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


def want_folder(name: str) -> Path:
    return CASES / name / "want"
