"""What the demo leaves behind for the hand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from devkit.demo import plugin


def test_kubectl_finds_the_plugin_of_the_clone(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "with a blank")
    found = subprocess.run(
        ["kubectl-resnet", "why", "--help"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--context" in found.stdout
