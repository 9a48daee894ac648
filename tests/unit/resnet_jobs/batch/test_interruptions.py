"""The runner as its container runs it, ended three times in the midst of its pictures.

A real process, a server that speaks Triton's protocol, real files; where it is ended is seeded.
With the operator and 100,000 pictures: tests/component/test_batch_preempted.py.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.apiserver import ROOT
from tests.unit.resnet_jobs import fake_triton
from tests.unit.resnet_jobs.batch.bench import CLASSES, Bench

PICTURES, IN_PART = 10_000, 100
# The kubelet asks first, and kills who does not listen; a node that loses power does not ask.
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


class Ending:
    """A model that ends who asks, once it has answered so many pictures."""

    def __init__(self) -> None:
        self.answered = 0
        self.left: int | None = None
        self.sent = signal.SIGKILL
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, batch: Any) -> Any:
        self.answered += len(batch)
        if self.left is not None and self.process:
            self.left -= len(batch)
            if self.left < 0:
                self.left = None
                os.kill(self.process.pid, self.sent)
        numbers = np.rint(batch[:, 0, 0, 0]).astype(np.int64)
        return np.eye(CLASSES, dtype=np.float32)[numbers * 7919 % CLASSES]


def start(bench: Bench, address: str) -> subprocess.Popen[str]:
    (bench.root / "eval" / "done").unlink(missing_ok=True)
    environment = os.environ | bench.environment | {"RESNET_TRITON": address}
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_jobs", "batch"],
        env=environment | {"PYTHONPATH": str(ROOT / "operator")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_program_tells_what_it_did_and_lets_triton_go(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(25)
    with fake_triton.running(Ending()) as server:
        process = start(bench, server.address)
        text, _ = process.communicate()
    assert process.returncode == 0, text
    assert "classified 25 of 25 pictures (100 %)" in text
    said = bench.told()
    assert (said["ok"], said["pictures"], said["failed"], said["parts"]) == (True, 25, 0, 3)
    assert (bench.root / "eval" / "done").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_thousand_pictures_survive_three_preemptions(tmp_path: Path, seed: int) -> None:
    bench = Bench(tmp_path)
    bench.order = {"output": {"picturesPerPart": IN_PART}}
    bench.fill(PICTURES)
    rng, ending = random.Random(seed), Ending()
    there: list[int] = []
    with fake_triton.running(ending) as server:
        for sent in ENDS:
            ending.sent, ending.left = sent, rng.randrange(500, 2_800)
            ending.process = process = start(bench, server.address)
            text, _ = process.communicate()
            assert process.returncode in {-signal.SIGKILL, 128 + signal.SIGTERM}, text
            assert not (bench.output / "manifest.json").exists()
            there.append(len(bench.whole_parts()))
        ending.left, ending.process = None, start(bench, server.address)
        text, _ = ending.process.communicate()
    assert ending.process.returncode == 0, text
    assert there == sorted(set(there))
    assert there[0] > 0
    assert f"{IN_PART * there[-1]} of {PICTURES} pictures are classified already" in text
    rows = bench.rows()
    assert [int(row["index"]) for row in rows] == list(range(PICTURES))
    assert [int(row["label1"]) for row in rows] == [i * 7919 % CLASSES for i in range(PICTURES)]
    assert bench.manifest()["pictures"] == PICTURES
    # Only what was under way is asked for twice: of each end the parts that were not whole yet.
    assert ending.answered < PICTURES + len(ENDS) * 8 * IN_PART
