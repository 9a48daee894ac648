"""A chip's memory that several containers share: first come, first served, and freed by death."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.unit.devkit.cann.conftest import SIMULATOR
from tests.unit.devkit.cann.networks import Chip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 2**20
HOLDER = """
import acl, sys
acl.init()
acl.rt.set_device(0)
print(acl.rt.malloc(int(sys.argv[1]), 0)[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holder(size: int) -> Iterator[subprocess.Popen[str]]:
    """Another container's process on the same chip, which has taken its part of it."""
    environment = {**os.environ, "PYTHONPATH": str(SIMULATOR / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "0\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def shared(chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chip:
    """A process with places on the chips 2 and 5, of ten mebibytes each."""
    for number in ("2", "5"):
        (tmp_path / "npu" / number).mkdir(parents=True)
    monkeypatch.setenv("SIMULATED_NPU_SHARED_DIR", str(tmp_path / "npu"))
    monkeypatch.setenv("SIMULATED_NPU_MEMORY_MB", "10")
    found = Chip()
    found.open()
    return found


def test_what_others_have_is_not_free(shared: Chip) -> None:
    rt = shared.acl.rt
    with holder(6 * MIB) as other:
        free, total, code = rt.get_mem_info(1)
        assert (total, code) == (10 * MIB, 0)
        assert 3 * MIB < free < 4 * MIB
        assert rt.malloc(5 * MIB, 0) == (0, 207001)
        address, code = rt.malloc(3 * MIB, 0)
        assert code == 0
        assert rt.free(address) == 0
        assert rt.get_mem_info(1)[0] == free
        other.kill()
        other.wait()
        assert rt.get_mem_info(1)[0] == total, "the driver cleans up after a process that died"
    assert rt.malloc(9 * MIB, 0)[1] == 0


def test_each_chip_has_its_own_memory(shared: Chip) -> None:
    with holder(9 * MIB):
        assert shared.acl.rt.set_device(1) == 0
        assert shared.acl.rt.malloc(9 * MIB, 0)[1] == 0


def test_the_other_one_sees_ours(shared: Chip) -> None:
    assert shared.acl.rt.malloc(8 * MIB, 0)[1] == 0
    with pytest.raises(AssertionError), holder(3 * MIB):
        pass
    with holder(1 * MIB):
        pass
