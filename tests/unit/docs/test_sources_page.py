"""The layout of arrays that docs/sources.md shows is the one that is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.apiserver import ROOT
from tests.support.pages import blocks

from resnet_jobs.datasets.arrays import LABELS, SAMPLES
from resnet_jobs.datasets.open import open_dataset

PAGE = ROOT / "docs/sources.md"


def test_the_arrays_of_the_page_are_a_data_set(tmp_path: Path) -> None:
    (script,) = blocks(PAGE, "python")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    found = open_dataset(tmp_path, "Npy", labels=None, classes=10, sample_bytes=0)
    assert len(found) == 20
    assert found.labels == tuple(number % 10 for number in range(20))
    assert found.read(3).shape == (32, 32, 3)


def test_the_names_of_the_page_are_those_that_are_read() -> None:
    text = " ".join(PAGE.read_text().split())
    for names in (SAMPLES, LABELS):
        shown = ", ".join(f"`{name}`" for name in names[:-1]) + f" or `{names[-1]}`"
        assert shown in text, names
