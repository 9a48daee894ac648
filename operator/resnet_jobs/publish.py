"""`python3 -m resnet_jobs publish`: the artifact into the store, its manifest last."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from resnet_jobs.driver.outcome import content_key
from resnet_jobs.errors import JobError, Reason
from resnet_jobs.files import digest_file
from resnet_jobs.known import index
from resnet_jobs.left_files import is_regular
from resnet_jobs.progress import say
from resnet_jobs.store import Manifest, Store, blob_path, from_document
from resnet_jobs.sweep import Keep, tidy
from resnet_jobs.torch_model import file_name
from resnet_jobs.workspace import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from resnet_jobs.spec import JobSpec
    from resnet_jobs.workspace import Workspace

NO_COMPILER = "none"
CONTRACT = ("opset", "inputs", "outputs", "batchSizes")  # an OM tells no opset


def publish(
    spec: JobSpec, workspace: Workspace, *, store: Store, keep: Keep | None = None
) -> dict[str, Any]:
    """Success message; `origin` tells whether this Job made what the store now holds.

    Without room in the store, what nobody uses is removed at once; else once a day.
    """
    prepared = read_json(workspace.prepared)
    job_seconds = float(spec.timeout_seconds)
    try:
        result = _publish(spec, workspace, prepared, store=store)
    except JobError as error:
        if error.reason != Reason.STORE_FULL or keep is None:
            raise
        say(f"{error.message}; looking for what nobody uses")
        tidy(store, keep, job_seconds=job_seconds, urgent=True)
        result = _publish(spec, workspace, prepared, store=store)
    with _tolerated():
        store.touch(result["contentKey"])
        index(prepared["contentInputs"], result["contentKey"], store=store)
    tidy(store, keep, job_seconds=job_seconds)
    return result


@contextlib.contextmanager
def _tolerated() -> Iterator[None]:
    """A note that cannot be made fails no Job: the artifact is there, and that is what counts."""
    try:
        yield
    except JobError as error:
        say(f"the use of the artifact could not be noted: {error.message}")


def _publish(
    spec: JobSpec, workspace: Workspace, prepared: Mapping[str, Any], *, store: Store
) -> dict[str, Any]:
    build: dict[str, Any]
    if not spec.is_compiled:
        # Served as it came: nothing compiles it here. Of an OM the driver has read the contract.
        told = read_json(workspace.convert_result) if spec.format == "OM" else prepared
        key = content_key(prepared["contentInputs"], NO_COMPILER)
        build = {"compiler": NO_COMPILER, "argv": [], "arch": told.get("arch"), "contentKey": key}
        source, file = _as_it_came(spec, workspace)
        build |= {"file": file, "origin": "Copied"}
        return _store(source, build, told, store=store, chip=spec.chip)
    build = read_json(workspace.convert_result)
    if build["hit"]:
        return _reuse(from_document(build["manifest"]), store=store)
    compiled = workspace.compiled_model
    build |= {"file": compiled.name, "origin": "Converted"}
    return _store(compiled, build, prepared, store=store, chip=spec.chip)


def _as_it_came(spec: JobSpec, workspace: Workspace) -> tuple[Path, str]:
    """The file to store, and what serving pods call it."""
    if spec.format == "OneFlow":
        return workspace.packed_folder, workspace.packed_folder.name
    if spec.format == "OM":
        return workspace.fetched, workspace.compiled_model.name
    if spec.compiles_at_load:
        return workspace.fetched, file_name(spec)
    return workspace.model, workspace.model.name


def _reuse(found: Manifest, *, store: Store) -> dict[str, Any]:
    """Takes what the driver has found. A sweep may have taken the manifest since, not the blob."""
    with _tolerated():
        store.touch(found.content_key)  # before the look: what is used from now on is kept
    there = store.named(found.content_key)
    if there is None:
        if store.size(blob_path(found.sha256)) != found.size:
            raise JobError(
                Reason.RESULT_LOST,
                "the store has lost the artifact since it was found: the Job has to run again",
            )
        there = store.commit(found)
    return _result(there, origin="Reused")


def _store(
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
    if not is_regular(artifact):
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
            "file": build["file"],
            "chip": chip,
            "compiler": build["compiler"],
            "argv": build["argv"],
            "arch": build["arch"],
            **{name: prepared[name] for name in CONTRACT if name in prepared},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    store.put_blob(artifact, digest)
    winner = store.commit(mine)
    made_here = winner.sha256 == mine.sha256
    return _result(winner, origin=build["origin"] if made_here else "Reused")


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
