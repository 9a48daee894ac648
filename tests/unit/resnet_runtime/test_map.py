"""The map of the folder names each module once."""

from __future__ import annotations

import re
from pathlib import Path

RUNTIME = Path(__file__).parents[3] / "operator" / "resnet_runtime"


def test_the_map_names_each_module_once() -> None:
    rows = [line for line in (RUNTIME / "README.md").read_text().splitlines() if "| `" in line]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])]
    assert sorted(named) == sorted(p.stem for p in RUNTIME.glob("*.py") if p.stem != "__init__")
