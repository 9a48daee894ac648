"""`python3 -m resnet_jobs publish`: the artifact into the store, its manifest last."""

from __future__ import annotations

import contextlib
import json
import platform
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from resnet_contract.report.messages import Published
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.left_files import is_regular
from resnet_jobs.base.progress import say
from resnet_jobs.base.workspace import read_json
from resnet_jobs.driver.outcome import content_key, host_part
from resnet_jobs.store.base import Manifest, Store, blob_path, from_document, parse_manifest
from resnet_jobs.store.facts import store_facts
from resnet_jobs.store.known import NAME as KNOWN
from resnet_jobs.store.known import index
from resnet_jobs.store.sweep import Keep, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace

NO_COMPILER = "none"
VERSION = re.compile(r"[\x20-\x7e]{1,200}")
MOST_MEMORY = 2**44
ARCHITECTURES = ("x86_64", "aarch64")
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
    told = read_json(workspace.convert_result) if spec.format == "OM" else prepared
    result = store_facts(workspace, told, result, store=store)
    key = str(result.content_key)
    with _tolerated():
        store.touch(key)
        index(prepared["contentInputs"], key, store=store)
    tidy(store, keep, job_seconds=job_seconds)
    return result.to_json()


@contextlib.contextmanager
def _tolerated() -> Iterator[None]:
    """A note that cannot be made fails no Job: the artifact is there, and that is what counts."""
    try:
        yield
    except JobError as error:
        say(f"the use of the artifact could not be noted: {error.message}")


def _publish(
    spec: JobSpec, workspace: Workspace, prepared: Mapping[str, Any], *, store: Store
) -> Published:
    content = prepared["contentInputs"]
    build: dict[str, Any]
    if not spec.is_compiled:
        # Served as it came: nothing compiles it here. Of an OM the driver has read the contract.
        told = read_json(workspace.convert_result) if spec.format == "OM" else prepared
        source, file = _as_it_came(spec, workspace)
        build = {
            "contentKey": content_key(content, NO_COMPILER),
            "compiler": NO_COMPILER,
            "argv": [],
            "arch": architecture(told.get("arch")),
            "file": file,
            "memoryBytes": memory(told.get("memoryBytes")),
            "origin": "Copied",
        }
        return _store(source, build, told, content, store=store, chip=spec.chip)
    told = read_json(workspace.convert_result)
    compiled = workspace.compiled_model
    build = {
        "contentKey": compiled_key(spec, workspace, content, told),
        "compiler": version(told.get("compiler")),
        "argv": read_json(workspace.convert_plan)["argv"],
        "arch": architecture(told.get("arch")),
        "file": compiled.name,
        "memoryBytes": memory(told.get("memoryBytes")),
        "origin": "Converted",
    }
    if told.get("hit") is True:
        return _reuse(build["contentKey"], workspace, store=store)
    return _store(compiled, build, prepared, content, store=store, chip=spec.chip)


def compiled_key(
    spec: JobSpec, workspace: Workspace, content: Mapping[str, Any], told: Mapping[str, Any]
) -> str:
    """The content key, from what `prepare` found out; the driver says no more than versions.

    An image of the object's own is a part of `content`: whatever version it claims, its artifacts
    have keys of their own.
    """
    inputs = dict(content)
    if spec.quantization:
        tool = read_json(workspace.scratch / "quant" / "quantize.json").get("tool")
        inputs["quantizer"] = version(tool)
    inputs |= host_part(spec.host_architecture, platform.machine())
    return content_key(inputs, version(told.get("compiler")))


def version(value: object) -> str:
    if isinstance(value, str) and VERSION.fullmatch(value):
        return value
    raise JobError(
        Reason.CONVERSION_FAILED,
        "the conversion image does not say which version of its tools it has in 1 to 200 printable "
        "characters: use a CANN toolkit image",
    )


def architecture(value: object) -> str | None:
    return value if isinstance(value, str) and value in ARCHITECTURES else None


def memory(value: object) -> int | None:
    """What a foreign image says that the model takes of a chip, if it may be true."""
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_MEMORY
    return value if is_size and isinstance(value, int) else None


def _as_it_came(spec: JobSpec, workspace: Workspace) -> tuple[Path, str]:
    """The file to store, and what serving pods call it."""
    if spec.format == "OneFlow":
        return workspace.packed_folder, workspace.packed_folder.name
    if spec.format == "OM":
        return workspace.fetched, workspace.compiled_model.name
    if spec.compiles_at_load:
        torch_script = spec.format == "TorchScript"
        return workspace.fetched, "model.torchscript" if torch_script else "model.pth"
    return workspace.model, workspace.model.name


def _reuse(key: str, workspace: Workspace, *, store: Store) -> Published:
    """Takes what `prepare` has found. A sweep may have taken the manifest since, not the blob."""
    found = parse_manifest(json.dumps(read_json(workspace.conf / KNOWN).get(key)).encode(), key)
    with _tolerated():
        store.touch(key)  # before the look: what is used from now on is kept
    there = store.named(key)
    if there is not None:
        return _result(store.confirm(there), origin="Reused")
    if found is None or store.size(blob_path(found.sha256)) != found.size:
        raise JobError(
            Reason.RESULT_LOST,
            "the store has lost the artifact since it was found: the Job has to run again",
        )
    return _result(store.commit(found), origin="Reused")


def _store(
    artifact: Path,
    build: Mapping[str, Any],
    prepared: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    store: Store,
    chip: str,
) -> Published:
    key = build["contentKey"]
    there = store.find(key)
    if there is not None:
        say("the store has this artifact already")
        return _result(store.confirm(there), origin="Reused")
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
            "model": content["model"],
            "compiler": build["compiler"],
            "argv": build["argv"],
            "arch": build["arch"],
            **({"memoryBytes": build["memoryBytes"]} if build["memoryBytes"] else {}),
            **{name: prepared[name] for name in CONTRACT if name in prepared},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    store.put_blob(artifact, digest)
    winner = store.commit(mine)
    made_here = winner.sha256 == mine.sha256
    return _result(winner, origin=build["origin"] if made_here else "Reused")


def _result(manifest: Manifest, *, origin: str) -> Published:
    say(f"{origin}: sha256 {manifest.sha256}")
    return Published(
        content_key=manifest.content_key,
        sha256=manifest.sha256,
        size_bytes=manifest.size,
        file=manifest.file,
        origin=origin,
    )
