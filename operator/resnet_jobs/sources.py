"""The model's file from where `spec.model.uri` says: a claim, a ConfigMap, or http(s).

Called by `fetch`. The operator mounts the claim or the ConfigMap at /source, read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.files import Digest, copy_file
from resnet_jobs.transfer import HttpStatusError, Patience, UnreachableError, download

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_jobs.clock import Clock
    from resnet_jobs.spec import JobSpec, SourceSpec

SOURCE_DELAYS = (1.0, 2.0, 4.0)
LISTED_SIBLINGS = 5


def fetch_source(spec: JobSpec, *, mount: Path, target: Path, clock: Clock) -> Digest:
    """Copies or downloads the model to `target`."""
    if spec.source.scheme in ("http", "https"):
        patience = Patience(SOURCE_DELAYS, total_seconds=spec.timeout_seconds, clock=clock)
        return _from_web(spec.source, target, patience)
    path = mounted_file(spec.source, mount)
    try:
        return copy_file(path, target, monotonic=clock.monotonic)
    except PermissionError as error:
        raise _unreadable(spec.source) from error


def mounted_file(source: SourceSpec, mount: Path) -> Path:
    """The file inside the mounted volume; a link that leads out of it is refused."""
    path = mount / source.path
    try:
        inside = path.resolve().is_relative_to(mount.resolve())
        if inside and path.is_file():
            return path
    except PermissionError as error:
        raise _unreadable(source) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise JobError(Reason.MODEL_NOT_FOUND, f"{source.label} cannot be read: {error}") from error
    if not inside:
        raise JobError(
            Reason.INVALID_SPEC,
            f"{source.label} is a link that leads out of the volume: put the file itself there",
        )
    raise JobError(Reason.MODEL_NOT_FOUND, f"{source.label} {_what_is_there(path, mount)}")


def _what_is_there(path: Path, mount: Path) -> str:
    """The sentence for a path with no file: what the nearest folder holds instead."""
    if path.is_dir():
        return f"is a folder, not a file: write one of its files; {_listing(path, mount)}"
    folder = path.parent
    while folder != mount and not folder.is_dir():
        folder = folder.parent
    return f"does not exist: {_listing(folder, mount)}"


def _listing(folder: Path, mount: Path) -> str:
    place = f"folder {folder.relative_to(mount)}" if folder != mount else "the volume"
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return f"{place} cannot be listed"
    names = [entry.name + "/" * entry.is_dir() for entry in entries if entry.name[0] != "."]
    if not names:
        return f"{place} is empty"
    more = f" and {len(names) - LISTED_SIBLINGS} more" if len(names) > LISTED_SIBLINGS else ""
    return f"{place} holds: {', '.join(names[:LISTED_SIBLINGS])}{more}"


def _unreadable(source: SourceSpec) -> JobError:
    return JobError(
        Reason.ACCESS_DENIED,
        f"{source.label} exists, but user 1000 may not read it: allow it with chmod a+rX",
    )


def _from_web(source: SourceSpec, target: Path, patience: Patience) -> Digest:
    try:
        return download(source.uri, target, patience=patience)
    except HttpStatusError as error:
        reason, what = _meaning(error.status)
        raise JobError(reason, f"{source.label} answers HTTP {error.status}: {what}") from error
    except UnreachableError as error:
        raise JobError(
            Reason.DOWNLOAD_FAILED,
            f"cannot download {source.label} from {source.host}: {error}; check spec.model.uri, "
            "and that pods of this namespace may reach that host",
            detail=str(error.__cause__ or ""),
        ) from error


def _meaning(status: int) -> tuple[Reason, str]:
    if status in (404, 410):
        return Reason.MODEL_NOT_FOUND, "there is no such file; check spec.model.uri"
    if status in (401, 403, 407):
        return Reason.ACCESS_DENIED, "the server wants a login; use a public or signed address"
    return Reason.DOWNLOAD_FAILED, "the server cannot give the file now; it is tried again later"
