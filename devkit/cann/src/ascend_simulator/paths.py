"""What ATC says about paths on the command line. Used by order.py, choices.py and atc.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ascend_simulator.errors import AtcError

MAX_PATH = 4096
_PATH = re.compile(r"[A-Za-z0-9_./\-\u4e00-\u9fa5]+")


def input_path(name: str, text: str) -> Path:
    if len(text) > MAX_PATH:
        raise AtcError("E10021", name, MAX_PATH)
    if not _PATH.fullmatch(text):
        reason = "Use letters, digits, '_', '.', '-' and '/' only."
        raise AtcError("E13026", text, reason)
    if not Path(text).exists():
        raise AtcError("E13000", text, "No such file or directory")
    return Path(text)


def output_path(name: str, text: str) -> Path:
    if len(text) > MAX_PATH:
        raise AtcError("E10021", name, MAX_PATH)
    if text.endswith(("/", "\\")):
        raise AtcError("E10022", text, name)
    folder = Path(text).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "Permission denied" if folder.is_dir() else "No such file or directory"
        raise AtcError("E13026", text, reason)
    return Path(text)
