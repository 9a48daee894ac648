"""What the Dockerfile must do so that a release's layers can be made twice and start fast."""

from __future__ import annotations

import re

from tests.support.apiserver import ROOT

INSTALL = re.compile(r"(?P<before>\S+ )?pip install (?P<options>.*?--require-hashes.*)")


def test_bytecode_names_its_source_by_hash() -> None:
    """A release changes all times; bytecode by time would be left out, and compiled at each start.

    Either pip writes none, or SOURCE_DATE_EPOCH has it write bytecode by hash.
    """
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [found for line in text.splitlines() if (found := INSTALL.search(line))]
    assert len(installs) >= 5
    by_time = [
        found[0]
        for found in installs
        if "--no-compile" not in found["options"] and found["before"] != "SOURCE_DATE_EPOCH=1 "
    ]
    assert by_time == []


def test_bytecode_has_the_names_that_files_keep() -> None:
    """With --target pip compiles in a temporary folder, whose name is another one each time."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [line for line in text.splitlines() if "pip install" in line and "--target" in line]
    assert len(installs) >= 3
    assert [line for line in installs if "--no-compile" not in line] == []


def test_all_other_compiling_is_by_hash_too() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    compiles = [line for line in lines if "compileall" in line]
    assert compiles
    assert [line for line in compiles if "--invalidation-mode unchecked-hash" not in line] == []
