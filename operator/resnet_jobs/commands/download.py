"""`download`: the artifact for a serving pod, with its digest checked.

Run by the init container `artifact` of serving pods. The digest on the command line is the
Deployment's: what was validated and rolled out is what gets loaded, or the pod does not start. A
file on a shared claim is copied too: there it could become another one after the check.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import IO, TYPE_CHECKING, Any

from resnet_contract.report.messages import Fetched
from resnet_jobs.base.archive import unpack
from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock, backoff_delays
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import CHUNK_BYTES, FULL, Digest, digest_file, no_space_explained
from resnet_jobs.base.left_files import is_regular
from resnet_jobs.base.progress import say
from resnet_jobs.net.transfer import HttpStatusError, RetryPolicy, UnreachableError
from resnet_jobs.net.transfer import download as transfer
from resnet_jobs.store.base import blob_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from resnet_contract.store import StoreSpec

TRANSFER_SECONDS = 3600.0


def download(
    url: str, sha256: str, output: Path, *, wait_seconds: float, clock: Clock = SYSTEM_CLOCK
) -> dict[str, Any]:
    """Fetches the blob. A container that starts again finds its file and is done."""
    if found := _there(output, sha256):
        return found
    policy = RetryPolicy(backoff_delays(wait_seconds), TRANSFER_SECONDS, clock)
    try:
        address = f"{url.rstrip('/')}/{blob_path(sha256)}"
        return _checked(output, sha256, lambda path: transfer(address, path, policy=policy))
    except HttpStatusError as error:
        raise _refused(error.status, url, sha256) from error
    except UnreachableError as error:
        raise JobError(
            Reason.STORE_UNAVAILABLE,
            f"the store {url} does not answer ({error}): look at the pod of Deployment "
            "resnet-store in this namespace",
            detail=str(error.__cause__ or ""),
        ) from error


def download_from_bucket(
    bucket: StoreSpec, sha256: str, output: Path, *, wait_seconds: float
) -> dict[str, Any]:
    """The same from a bucket; the keys come from the Secret mounted beside it."""
    from resnet_jobs.store.s3 import S3Store

    if found := _there(output, sha256):
        return found
    output.parent.mkdir(parents=True, exist_ok=True)
    store = S3Store(bucket, wait_seconds=wait_seconds)

    def save(path: Path) -> Digest:
        with no_space_explained(output):
            digest = store.save(blob_path(sha256), path)
        if digest is None:
            raise _missing(sha256)
        return digest

    return _checked(output, sha256, save)


def copy_from_claim(claim: Path, sha256: str, output: Path) -> dict[str, Any]:
    """Copies the blob from the store's claim, and compares what was copied."""

    def copy(path: Path) -> Digest:
        with no_space_explained(output), _blob(claim, sha256) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        return digest_file(path)

    return _checked(output, sha256, copy)


def _there(output: Path, sha256: str) -> dict[str, Any] | None:
    """The message of a container that starts again; None where the file is another or missing."""
    if not output.is_file() or digest_file(output).sha256 != sha256:
        return None
    say(f"{output} is there already")
    return _result(Digest(sha256=sha256, size=output.stat().st_size))


def _checked(output: Path, sha256: str, bring: Callable[[Path], Digest]) -> dict[str, Any]:
    """Has the file brought beside its place, and there only when it is what it should be."""
    unchecked = output.with_name(f".{output.name}.unchecked")
    try:
        digest = bring(unchecked)
        _check(digest, sha256)
        unchecked.replace(output)
    finally:
        unchecked.unlink(missing_ok=True)
    return _result(digest)


@contextlib.contextmanager
def _blob(claim: Path, sha256: str) -> Iterator[IO[bytes]]:
    path = claim / blob_path(sha256)
    if not is_regular(path):
        raise _missing(sha256)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        if error.errno in FULL:
            raise
        raise JobError(
            Reason.STORE_UNAVAILABLE, f"the artifact on the store's claim cannot be read: {error}"
        ) from error


def unpack_artifact(path: Path, folder: Path) -> None:
    """Unpacks a checked artifact that is a folder; a container that starts again begins again."""
    shutil.rmtree(folder, ignore_errors=True)
    unpack(path, folder, name=path.name, monotonic=SYSTEM_CLOCK.monotonic)
    path.unlink()


def _check(digest: Digest, sha256: str) -> None:
    """Another content is as good as none: the operator has the artifact made again."""
    if digest.sha256 != sha256:
        raise JobError(
            Reason.ARTIFACT_MISSING,
            f"the store's copy of artifact {sha256} is damaged; the operator has it made again",
            detail=f"what is there has sha256 {digest.sha256}",
        )


def _refused(status: int, url: str, sha256: str) -> JobError:
    if status in (404, 410):
        return _missing(sha256)
    return JobError(
        Reason.STORE_UNAVAILABLE,
        f"the store {url} answers HTTP {status}: see the log of Deployment resnet-store",
    )


def _missing(sha256: str) -> JobError:
    return JobError(
        Reason.ARTIFACT_MISSING,
        f"the store has no artifact {sha256}; the operator has it made again",
    )


def _result(digest: Digest) -> dict[str, Any]:
    say(f"sha256 {digest.sha256} is right")
    return Fetched(sha256=digest.sha256, size_bytes=digest.size).to_json()
