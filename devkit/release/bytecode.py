"""Python's bytecode in a layer whose times are changed: what would no longer be looked at.

Bytecode names its source by hash or by time. With another time Python compiles the source at each
start, because it cannot write to an image; and whether such bytecode is there depends on who ran
what before the build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_HASH = 0b01
HEAD_BYTES = 12


def source_of(name: str) -> str:
    """Return the module that a file in __pycache__ was compiled from."""
    folder, _, compiled = name.rpartition("__pycache__/")
    return f"{folder}{compiled.partition('.')[0]}.py"


def is_stale(name: str, head: bytes, times: Mapping[str, int]) -> bool:
    """Tell whether bytecode is of no use, by its first bytes and the times of all files."""
    if not name.endswith(".pyc") or "__pycache__/" not in name:
        return False
    flags, time = (int.from_bytes(head[start : start + 4], "little") for start in (4, 8))
    return not flags & BY_HASH and times.get(source_of(name)) != time
