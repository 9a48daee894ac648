"""Two that want the same material on a fresh machine: one makes it, the other one finds it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from devkit.images.materials import made_once
from tests.support.patience import patient

if TYPE_CHECKING:
    from pathlib import Path


def test_who_comes_second_waits_and_finds_it(tmp_path: Path) -> None:
    under_way, both_came = threading.Event(), threading.Event()

    def first() -> bool:
        with made_once(tmp_path, "triton-1", "Triton") as (_, new):
            assert new is not None
            under_way.set()
            assert both_came.wait(patient(10))
            (new / "file").write_text("whole")
        return True

    def second() -> tuple[bool, str]:
        assert under_way.wait(patient(10))
        both_came.set()
        with made_once(tmp_path, "triton-1", "Triton") as (folder, new):
            return new is None, (folder / "file").read_text()

    with ThreadPoolExecutor(2) as pool:
        makes, finds = pool.submit(first), pool.submit(second)
        assert makes.result(patient(20))
        assert finds.result(patient(20)) == (True, "whole")


def test_who_fails_leaves_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "materials" / "triton-1"

    def fail() -> None:
        with made_once(tmp_path, folder.name, "Triton"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not folder.exists()
    with made_once(tmp_path, "triton-1", "Triton") as (_, new):
        assert new is not None
    with made_once(tmp_path, "triton-1", "Triton") as (_, new):
        assert (new, folder.is_dir()) == (None, True)
