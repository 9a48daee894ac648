"""Where an init container writes an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def artifact_folder(environment: Mapping[str, str]) -> Path:
    """The one folder that the init container writes an artifact to; tests move it."""
    return Path(environment.get("RESNET_ARTIFACT") or "/artifact")
