"""`python3 -m resnet_jobs publish`: the artifact into the store, its manifest last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from resnet_jobs.driver.outcome import content_key
from resnet_jobs.errors import JobError, Reason
from resnet_jobs.files import digest_file
from resnet_jobs.progress import say
from resnet_jobs.store import Manifest, Store, from_document
from resnet_jobs.workspace import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from resnet_jobs.spec import JobSpec
    from resnet_jobs.workspace import Workspace

NO_COMPILER = "none"


def publish(spec: JobSpec, workspace: Workspace, *, store: Store) -> dict[str, Any]:
    """Success message; `origin` tells whether this Job made what the store now holds."""
    prepared = read_json(workspace.prepared)
    build: dict[str, Any]
    if spec.is_cpu:
        key = content_key(prepared["contentInputs"], NO_COMPILER)
        build = {"compiler": NO_COMPILER, "argv": [], "arch": None, "contentKey": key}
        return _publish(workspace.model, build, prepared, store=store, chip=spec.chip)
    build = read_json(workspace.convert_result)
    if build["hit"]:
        return _result(from_document(build["manifest"]), origin="Reused")
    return _publish(workspace.compiled_model, build, prepared, store=store, chip=spec.chip)


def _publish(
    artifact: Path,
    build: Mapping[str, Any],
    prepared: Mapping[str, Any],
    *,
    store: Store,
    chip: str,
) -> dict[str, Any]:
    key = build["contentKey"]
    there = store.find(key)
    if there is not None:
        say("the store has this artifact already")
        return _result(there, origin="Reused")
    if not artifact.is_file():
        raise JobError(
            Reason.RESULT_LOST,
            f"the step before left no {artifact.name}: the Job has to run again",
        )
    digest = digest_file(artifact)
    mine = from_document(
        {
            "contentKey": key,
            "sha256": digest.sha256,
            "sizeBytes": digest.size,
            "file": artifact.name,
            "chip": chip,
            "compiler": build["compiler"],
            "argv": build["argv"],
            "arch": build["arch"],
            **{name: prepared[name] for name in ("opset", "inputs", "outputs", "batchSizes")},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    store.put_blob(artifact, digest)
    winner = store.commit(mine)
    made_here = winner.sha256 == mine.sha256
    origin = "Copied" if chip == "CPU" else "Converted"
    return _result(winner, origin=origin if made_here else "Reused")


def _result(manifest: Manifest, *, origin: str) -> dict[str, Any]:
    say(f"{origin}: sha256 {manifest.sha256}")
    return {
        "ok": True,
        "contentKey": manifest.content_key,
        "sha256": manifest.sha256,
        "sizeBytes": manifest.size,
        "file": manifest.file,
        "origin": origin,
    }
