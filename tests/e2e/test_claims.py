"""What docs/sources.md says of a file onto a claim, typed as it stands there."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

from tests.e2e.story import MODEL
from tests.support.apiserver import ROOT
from tests.support.pages import commands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.story import Story

TITLE = "A file onto a claim"


def test_a_file_goes_onto_a_claim_and_is_served(story: Story, tmp_path: Path) -> None:
    typed = commands(ROOT / "docs/sources.md")[TITLE]
    assert "image: busybox:1.37" in typed
    own = story.operator.image("resnet-jobs")  # the nodes have no other one
    typed = typed.replace("busybox:1.37", own).replace("storage: 1Gi", "storage: 100Mi")
    (tmp_path / "model.onnx").write_bytes(MODEL.read_bytes())
    typed = typed.replace("kubectl ", f"kubectl -n {story.namespace} ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed],
        cwd=tmp_path,
        env=story.server.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert f"{digest}  /models/model.onnx" in done.stdout
    model = {"uri": "pvc://models/model.onnx", "sha256": digest}
    story.apply(story.service(model=model, accelerator={"chip": "CPU"}))
    status = story.wait_ready()
    assert status["model"]["sha256"] == digest
