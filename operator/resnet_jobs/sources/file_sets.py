"""Calibration sets and datasets: a folder of a claim, an archive, or one file, into a folder.

Called by `fetch`. The digest of an archive or file is its own; that of a folder is over the list
that `sha256sum` prints for its files, in the order of their names.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from resnet_jobs.base.archive import SUFFIXES, is_archive, unpack
from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.base.files import Digest, copy_quietly, digest_file, require_space
from resnet_jobs.base.progress import Progress, say
from resnet_jobs.formats.external_data import combined_digest
from resnet_jobs.sources.one_file import Order, fetch_file, mounted_path, unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_jobs.sources.access import Access

FOLDER_DIGEST = (
    "cd <folder> && find -L . -type f -not -path '*/.*' -printf '%P\\n' | LC_ALL=C sort "
    "| xargs -d '\\n' sha256sum | sha256sum"
)


@dataclass(frozen=True)
class SetOrder:
    """`field` is the name of the block in the spec, for sentences."""

    order: Order
    sha256: str | None
    field: str


def fetch_set(wanted: SetOrder, folder: Path, *, access: Access) -> Digest:
    """Fills `folder`, which is emptied before: a container that starts again begins again."""
    order, monotonic = wanted.order, wanted.order.policy.clock.monotonic
    say(f"fetching {order.source.label}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if order.source.is_mounted:
        path = mounted_path(order.source, order.mount)
        try:
            digest_in_place = _from_mount(path, folder, wanted)
        except PermissionError as error:
            raise unreadable(order.source) from error
        if digest_in_place is not None:
            return digest_in_place
    arrived = folder.with_name(f".{folder.name}.arrived")
    try:
        digest, name = fetch_file(order, arrived, access=access)
        _check(wanted, digest)
        if is_archive(name):
            unpack(arrived, folder, name=order.source.label, monotonic=monotonic)
        else:
            arrived.replace(folder / _file_name(name))
    finally:
        arrived.unlink(missing_ok=True)
    return digest


def _file_name(name: str) -> str:
    """A name for the only file: an artifact's title may hold anything."""
    own = PurePosixPath(name).name
    return "file" if own in ("", ".", "..") or not own.isprintable() else own[-200:]


def _from_mount(path: Path, folder: Path, wanted: SetOrder) -> Digest | None:
    """What needs no copy first: a folder, and an archive, which is read where it lies."""
    order = wanted.order
    if path.is_dir():
        digest = _copy_folder(path, folder, order=order)
        _check(wanted, digest, is_folder=True)
        return digest
    if not is_archive(path.name):
        return None
    digest = digest_file(path)
    _check(wanted, digest)
    monotonic = order.policy.clock.monotonic
    unpack(path, folder, name=order.source.label, monotonic=monotonic)
    return digest


def _copy_folder(source: Path, folder: Path, *, order: Order) -> Digest:
    """Every file below; links that stay inside the volume are followed."""
    files = sorted(_files(source, order), key=str)
    if not files:
        raise JobError(
            Reason.MODEL_NOT_FOUND,
            f"{order.source.label} holds no files; put them there, or an archive "
            f"({', '.join(SUFFIXES)})",
        )
    total = sum((source / name).stat().st_size for name in files)
    require_space(folder, total)
    progress = Progress("copied", total=total, monotonic=order.policy.clock.monotonic)
    digests: dict[str, Digest] = {}
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digests[str(name)] = copy_quietly(source / name, target, progress=progress)
    progress.finish()
    return combined_digest(digests)


def _files(source: Path, order: Order) -> list[PurePosixPath]:
    """Relative paths. Hidden ones are left out: lost+found's neighbours, and editors' remains."""
    found, pending, top = [], [source], order.mount.resolve()
    seen: set[Path] = set()
    while pending:
        folder = pending.pop()
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        for entry in folder.iterdir():
            if entry.name.startswith(".") or entry.name == "lost+found":
                continue
            if entry.is_symlink() and not entry.resolve().is_relative_to(top):
                raise invalid(
                    f"{order.source.label} holds {entry.relative_to(source)}, a link that leads "
                    "out of the volume: put the file itself there"
                )
            if entry.is_dir():
                pending.append(entry)
            elif entry.is_file():
                found.append(PurePosixPath(entry.relative_to(source)))
    return found


def _check(wanted: SetOrder, digest: Digest, *, is_folder: bool = False) -> None:
    if wanted.sha256 is None or wanted.sha256 == digest.sha256:
        return
    raise JobError(
        Reason.CHECKSUM_MISMATCH,
        f"{wanted.field} has sha256 {digest.sha256[:12]}…, {wanted.field}.sha256 says "
        f"{wanted.sha256[:12]}…; correct one of them"
        + ("; that of a folder is made of the list of its files" if is_folder else ""),
        detail=f"the sha256 is {digest.sha256}; {wanted.field}.sha256 is {wanted.sha256}"
        + (f"; to see it: {FOLDER_DIGEST}" if is_folder else ""),
    )
