"""`python3 -m resnet_jobs fetch`: the model and the driver into the Job's scratch volume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.external_data import combined_digest, external_files
from resnet_jobs.progress import say
from resnet_jobs.sources import fetch_source
from resnet_jobs.workspace import install_driver

if TYPE_CHECKING:
    from resnet_jobs.clock import Clock
    from resnet_jobs.files import Digest
    from resnet_jobs.spec import JobSpec
    from resnet_jobs.workspace import Workspace


def fetch(spec: JobSpec, workspace: Workspace, *, clock: Clock) -> dict[str, Any]:
    """Success message with the digest of what came; `ChecksumMismatch` when it is another one."""
    install_driver(workspace)
    say(f"fetching {spec.source.label}")
    digest = fetch_source(spec, mount=workspace.source, target=workspace.model, clock=clock)
    beside = external_files(workspace.model)
    if beside:
        digest = _fetch_beside(spec, workspace, names=beside, model=digest, clock=clock)
    _check(spec, digest, beside)
    say(f"sha256 {digest.sha256}")
    return {"ok": True, "sha256": digest.sha256, "sizeBytes": digest.size}


def _fetch_beside(
    spec: JobSpec, workspace: Workspace, *, names: tuple[str, ...], model: Digest, clock: Clock
) -> Digest:
    """Brings the files with the weights; the digest is then that of the list of all files."""
    if spec.source.scheme != "pvc":
        raise JobError(
            Reason.UNSUPPORTED_MODEL,
            f"the model keeps its weights in other files ({', '.join(names[:3])}): put all of them "
            "on a claim, or save the model as one file, onnx.save(onnx.load(path), new_path)",
        )
    folder = PurePosixPath(spec.source.path)
    digests = {folder.name: model}
    for name in names:
        path = str(folder.parent / name)
        source = replace(spec.source, path=path, uri=f"pvc://{spec.source.host}/{path}")
        digests[name] = fetch_source(
            replace(spec, source=source),
            mount=workspace.source,
            target=workspace.model.parent / name,
            clock=clock,
        )
    return combined_digest(digests)


def _check(spec: JobSpec, digest: Digest, beside: tuple[str, ...]) -> None:
    if spec.sha256 is None or spec.sha256 == digest.sha256:
        return
    how = ""
    if beside:
        files = " ".join(sorted((PurePosixPath(spec.source.path).name, *beside)))
        how = f"; with weights in other files it is that of `sha256sum {files} | sha256sum`"
    raise JobError(
        Reason.CHECKSUM_MISMATCH,
        f"the file has sha256 {digest.sha256[:12]}…, spec.model.sha256 says {spec.sha256[:12]}…; "
        f"correct one of them{how}",
        detail=f"the file's sha256 is {digest.sha256}; spec.model.sha256 is {spec.sha256}",
    )
