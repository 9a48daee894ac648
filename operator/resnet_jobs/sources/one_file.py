"""One file from where a URI says: a claim, a ConfigMap, or any kind of server.

Called by `fetch` for the model and what lies beside it, and by `file_sets`. The operator mounts
claims and ConfigMaps read-only; everything else is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resnet_contract.address import BUCKET_SCHEMES, HUB_REVISIONS
from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.base.files import Digest, copy_file
from resnet_jobs.net.transfer import RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.sources.access import Access

SOURCE_DELAYS = (1.0, 2.0, 4.0)
LISTED_SIBLINGS = 5


@dataclass(frozen=True)
class Order:
    """What to bring. `suffixes` choose among the files of an OCI artifact."""

    source: SourceSpec
    mount: Path
    suffixes: tuple[str, ...]
    policy: RetryPolicy

    def of(self, source: SourceSpec) -> Order:
        return replace(self, source=source)


def source_policy(seconds: float, clock: Clock) -> RetryPolicy:
    return RetryPolicy(SOURCE_DELAYS, total_seconds=seconds, clock=clock)


def fetch_file(order: Order, target: Path, *, access: Access) -> tuple[Digest, str]:
    """Copies or downloads to `target`; the file's name at its source comes with the digest."""
    source, policy = order.source, order.policy
    if source.is_mounted:
        return _copy(order, target), source.name
    if source.is_web:
        from resnet_jobs.sources.http import fetch_web

        return fetch_web(source, target, access=access, policy=policy), source.name
    if source.scheme in HUB_REVISIONS:
        from resnet_jobs.sources.hub import fetch_hub

        return fetch_hub(source, target, access=access, policy=policy), source.name
    if source.scheme in BUCKET_SCHEMES:
        from resnet_jobs.sources.s3 import fetch_s3

        return fetch_s3(source, target, access=access, policy=policy), source.name
    from resnet_jobs.sources.oci import fetch_oci

    return fetch_oci(source, target, suffixes=order.suffixes, access=access, policy=policy)


def _copy(order: Order, target: Path) -> Digest:
    path = mounted_file(order.source, order.mount)
    try:
        return copy_file(path, target, monotonic=order.policy.clock.monotonic)
    except PermissionError as error:
        raise unreadable(order.source) from error


def mounted_file(source: SourceSpec, mount: Path) -> Path:
    """The file inside the mounted volume; a link that leads out of it is refused."""
    path = mounted_path(source, mount)
    if path.is_file():
        return path
    raise JobError(Reason.MODEL_NOT_FOUND, f"{source.label} {_what_is_there(path, mount)}")


def mounted_path(source: SourceSpec, mount: Path) -> Path:
    """A file or a folder inside the mounted volume."""
    path = mount / source.path
    try:
        inside = path.resolve().is_relative_to(mount.resolve())
        if inside and (path.is_file() or path.is_dir()):
            return path
    except PermissionError as error:
        raise unreadable(source) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise JobError(Reason.MODEL_NOT_FOUND, f"{source.label} cannot be read: {error}") from error
    if inside and path.exists():
        raise invalid(f"{source.label} is neither a file nor a folder: put the file itself there")
    if not inside:
        raise invalid(
            f"{source.label} is a link that leads out of the volume: put the file itself there"
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


def unreadable(source: SourceSpec) -> JobError:
    return JobError(
        Reason.ACCESS_DENIED,
        f"{source.label} exists, but user 1000 may not read it: allow it with chmod a+rX",
    )
