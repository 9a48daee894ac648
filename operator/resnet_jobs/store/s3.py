"""The store in a bucket of an object store that speaks S3 (AWS, MinIO, Ceph, OBS, …).

Each request has an address signed for it alone (a presigned URL), so it goes the same patient way
as those to our own server, and If-None-Match can be added: a signature covers no such header. The
first commit wins by that header; where the server does not know it, by a look before the write.
"""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.progress import Progress, say, size_text
from resnet_jobs.net.transfer import UnreachableError, explained
from resnet_jobs.net.trust import trusting
from resnet_jobs.store.base import Entry
from resnet_jobs.store.http import (
    FULL_STATUS,
    RETRIED_STATUS,
    STORED,
    HttpStore,
    Response,
    counted,
    new_pool,
)

if TYPE_CHECKING:
    import ssl

    from resnet_contract.store import StoreSpec
    from resnet_jobs.base.files import Digest

CREDENTIALS, CA = Path("/store-credentials"), Path("/store-ca/ca.crt")
DEFAULT_REGION = "us-east-1"  # what servers that have no regions expect in a signature
LIFETIME = timedelta(hours=1)
# What the servers call a quota that is used up or a disk without room; MinIO, Ceph and OBS.
FULL_CODES = (
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioStorageFull",
    "InsufficientStorageSpace",
    "StorageFull",
)
NO_CERTIFICATE = (
    "the ConfigMap of store.s3.caBundleConfigMap has no certificate in ca.crt: put PEM text there"
)
NOT_CONDITIONAL = (400, 405, 501)
ONLY_NEW = {"If-None-Match": "*"}


class S3Store(HttpStore):
    """The part of a bucket that belongs to one namespace."""

    # 409: another write of the same name is under way. 500: "InternalError, please try again".
    retried_status = (*RETRIED_STATUS, 409, 500)
    # Where the Secret, the bucket and the address are written, for sentences.
    secret_field, bucket_field, endpoint_field = (
        "store.s3.secretName",
        "store.s3.bucket",
        "store.s3 in the operator's settings",
    )

    def __init__(
        self,
        spec: StoreSpec,
        *,
        wait_seconds: float,
        clock: Clock = SYSTEM_CLOCK,
        credentials: Path | None = None,
        ca: Path | None = None,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        pool = pool or new_pool(ca=_trust(ca or CA))
        super().__init__(wait_seconds=wait_seconds, clock=clock, pool=pool)
        self._spec = spec
        self._client = _client(spec, pool, credentials or CREDENTIALS, self.secret_field)

    def address(self, method: str, place: str) -> str:
        name = self._name(place)
        return self._client.get_presigned_url(method, self._spec.bucket, name, expires=LIFETIME)

    def is_missing(self, response: Response) -> bool:
        return response.status == 404 and _code(response) != "NoSuchBucket"

    def upload(self, place: str, path: Path, digest: Digest) -> None:
        progress = Progress("uploaded", total=digest.size, monotonic=self._clock.monotonic)
        body = counted(path, digest, progress)
        response = self.send("PUT", place, body=body, size=digest.size)
        if response.status not in STORED:
            raise self._failure("PUT", response.status, _code(response), size=digest.size)
        progress.finish()

    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        headers = {} if overwrite else ONLY_NEW
        response = self._put(place, data, headers)
        if not overwrite and response.status in NOT_CONDITIONAL:
            say("the object store has no conditional writes; looking first")
            if self.size(place) is not None:
                return False
            response = self._put(place, data, {})
        if response.status == 412 and not overwrite:
            return False
        self.expect(response, "PUT", *STORED)
        return True

    def entries(self, folder: str) -> list[Entry]:
        prefix = f"{self._name(folder)}/"

        def attempt() -> list[Entry]:
            with explained():
                try:
                    found = list(self._client.list_objects(self._spec.bucket, prefix=prefix))
                except S3Error as error:
                    status = error.response.status if error.response else 0
                    raise self._failure("LIST", status, error.code or "") from error
                except MinioException as error:
                    raise UnreachableError(str(error)) from error
            return [
                Entry(item.object_name.removeprefix(prefix), item.last_modified.timestamp())
                for item in found
                if item.object_name and item.last_modified
            ]

        return self.patiently(attempt)

    def remove(self, place: str) -> None:
        response = self.send("DELETE", place)
        self.expect(response, "DELETE", *STORED, 404)

    def refused(self, method: str, response: Response) -> JobError:
        return self._failure(method, response.status, _code(response))

    def unreachable(self, what: str) -> JobError:
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"the object store {self._spec.location} does not answer ({what}): check "
            f"{self.endpoint_field} and the network policies of this namespace",
        )

    def _name(self, place: str) -> str:
        return f"{self._spec.prefix}/{place}" if self._spec.prefix else place

    def _put(self, place: str, data: bytes, headers: dict[str, str]) -> Response:
        return self.send(
            "PUT", place, body=lambda: io.BytesIO(data), size=len(data), headers=headers
        )

    def _failure(self, method: str, status: int, code: str, *, size: int = 0) -> JobError:
        bucket = f"bucket {self._spec.bucket} at {self._spec.location}"
        if status == FULL_STATUS or code in FULL_CODES:
            return JobError(
                Reason.STORE_FULL,
                f"{bucket} has no room for {size_text(size)} ({code or status}): raise its quota, "
                "or delete services whose artifacts are no longer needed",
            )
        if code == "NoSuchBucket":
            text = f"{bucket} does not exist: create it, or correct {self.bucket_field}"
        elif status in (401, 403) or code in ("AccessDenied", "InvalidAccessKeyId"):
            text = (
                f"{bucket} refuses {method} ({code or status}): check the keys in the Secret of "
                f"{self.secret_field} and their rights to read, write, list and delete"
            )
        else:
            text = f"{bucket} answers {method} with {code or 'an error'} (HTTP {status})"
        return JobError(Reason.STORE_UNAVAILABLE, text)


def _client(spec: StoreSpec, pool: urllib3.PoolManager, credentials: Path, field: str) -> Minio:
    parts = urlsplit(spec.location)
    client = Minio(
        parts.netloc,
        access_key=_credential(credentials, "AWS_ACCESS_KEY_ID", field),
        secret_key=_credential(credentials, "AWS_SECRET_ACCESS_KEY", field),
        session_token=_credential(credentials, "AWS_SESSION_TOKEN", field, optional=True) or None,
        secure=parts.scheme == "https",
        region=spec.region or DEFAULT_REGION,
        http_client=pool,
    )
    if (parts.hostname or "").endswith(".myhuaweicloud.com"):
        client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]  # OBS knows no other
    return client


def _credential(folder: Path, name: str, field: str, *, optional: bool = False) -> str:
    try:
        value = (folder / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        value = ""
    if not value and not optional:
        raise JobError(
            Reason.STORE_UNAVAILABLE,
            f"the Secret of {field} has no {name} in this namespace: it needs "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return value


def _trust(ca: Path) -> ssl.SSLContext | None:
    if not ca.is_file():
        return None
    return trusting(ca, reason=Reason.STORE_UNAVAILABLE, advice=NO_CERTIFICATE)


def _code(response: Response) -> str:
    """The word for people and programs in an error's XML; HEAD has no body to hold one."""
    found = re.search(rb"<Code>([A-Za-z0-9]+)</Code>", response.data or b"")
    return found[1].decode() if found else ""
