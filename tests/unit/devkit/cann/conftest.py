"""The simulator's packages are imported by their own names, as in the CANN image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

SIMULATOR = Path(__file__).parents[4] / "devkit" / "cann"
sys.path.append(str(SIMULATOR / "src"))
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from tests.unit.devkit.cann.networks import small_network  # noqa: E402 - needs the path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.devkit.cann.networks import Chip


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a home and the small network, as a conversion has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "net.onnx").write_bytes(small_network().SerializeToString())
    return tmp_path


@pytest.fixture
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    """A fresh `import acl` in a process that was given the chips with the physical ids 2 and 5."""
    from tests.unit.devkit.cann.networks import Chip

    devices = tmp_path / "dev"
    devices.mkdir()
    for name in ("davinci2", "davinci5"):
        (devices / name).touch()
    monkeypatch.setenv("SIMULATED_NPU_SOC", "Ascend310P3")
    monkeypatch.setenv("SIMULATED_NPU_DEVICE_DIR", str(devices))
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", "5,2")
    yield Chip()
    Chip.forget()
