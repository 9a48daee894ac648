"""A load that hangs is told by the work that is not done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.patience import patient
from tests.unit.resnet_runtime.test_launch import launched

from resnet_runtime.stall import Stall, Work, descendants, work_of_descendants

MIB = 1 << 20


@dataclass(frozen=True)
class Load:
    """What has been done after each minute of ten, and whether that is a hang of five."""

    reason: str
    processor: tuple[float, ...]
    read: tuple[int, ...] = (0,) * 10
    hangs: bool = False

    def __str__(self) -> str:
        return self.reason


NOTHING = (2.0,) * 10
LOADS = [
    Load("it compiles", tuple(range(0, 600, 60))),
    Load("it waits from the start", NOTHING, hangs=True),
    Load("it gets a hundredth of a busy node", tuple(4.0 * minute for minute in range(10))),
    Load("it reads over a slow network", NOTHING, tuple(2 * MIB * m for m in range(10))),
    Load("it looks at its stubs and does nothing else", tuple(2 + m / 10 for m in range(10)),
         tuple(1000 * m for m in range(10)), hangs=True),
    Load("it hangs after it has read the file", (0, 10, 20, 30, *(30.0,) * 6),
         (0, *(300 * MIB,) * 9), hangs=True),
    Load("it works in the fourth minute and then no more", (*(2.0,) * 4, *(8.0,) * 6), hangs=True),
    Load("it rests for less than five minutes, twice", (*(2.0,) * 4, *(8.0,) * 4, 20.0, 20.0)),
    Load("a process ends and takes its sum along", (50, 60, 70, 80, 90, 5, 5, 5, 5, 5)),
]  # fmt: skip


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_loads(load: Load) -> None:
    minute = 0
    stall = Stall(
        300.0,
        work=lambda: Work(load.processor[minute], load.read[minute]),
        clock=lambda: 60.0 * minute,
    )
    found = False
    for minute in range(10):  # noqa: B007  the clock reads it
        found = stall.is_over() or found
    assert found is load.hangs


def test_it_looks_now_and_then() -> None:
    looks: list[float] = []

    def work() -> Work:
        looks.append(now)
        return Work(0, 0)

    now = 0.0
    stall = Stall(300.0, work=work, clock=lambda: now)
    for tick in range(100):
        now = tick / 5
        stall.is_over()
    assert looks == [0.0, 5.0, 10.0, 15.0]


def test_descendants_of_descendants_are_counted() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 30: 2, 2: 0}
    assert sorted(descendants(10, parents)) == [11, 12]
    assert sorted(descendants(1, parents)) == [10, 11, 12, 20]


@pytest.mark.thorough
def test_the_work_of_a_childs_child_is_seen() -> None:
    inner = "import os\nwhile os.times().user < 0.5: pass\nprint(flush=True)\ninput()"
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])"
    before = work_of_descendants()
    child = [sys.executable, "-c", outer]
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        after = work_of_descendants()
        process.communicate(b"\n")
    assert after.processor - before.processor >= 0.5
    assert after.read > before.read


HANGS = """#!/bin/sh
echo $$ > "$STARTED"
exec sleep 600
"""


@pytest.mark.thorough
def test_a_load_that_hangs_ends_the_container(tmp_path: Path, termination_log: Path) -> None:
    with launched(tmp_path, "--stall-seconds=1", script=HANGS) as process:
        process.communicate(timeout=patient(60))
    assert process.returncode == 1
    message = json.loads(termination_log.read_text())
    assert message["reason"] == "ModelLoadFailed"
    assert message["message"].startswith("the load hangs: for 1 s no process of Triton used")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)
