"""What an artifact's file may be called: a closed list, for a name decides where a pod writes it.

The operator has the same list (`resnet_operator.record.artifact`); a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAMES = ("model.om", "model.onnx", "model.pth", "model.torchscript", "model.tar")


def artifact_folder(environment: Mapping[str, str]) -> Path:
    """The one folder that the init container writes an artifact to; tests move it."""
    return Path(environment.get("RESNET_ARTIFACT") or "/artifact")
