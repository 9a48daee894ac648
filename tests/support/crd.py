"""CRDs as files, read by the parser of C: Python's takes a second for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support import yamls

if TYPE_CHECKING:
    from pathlib import Path


def read_crd(path: Path) -> dict[str, Any]:
    """Return a CRD that the caller may change."""
    read: dict[str, Any] = yamls.read(path.read_text(encoding="utf-8"))
    return read
