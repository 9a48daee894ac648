"""s3:// and obs:// sources: an object of a bucket, by any server that speaks S3.

Requests are signed by the `minio` client and sent by `web`, which guards the addresses. Without
keys in the Secret the request is not signed: that is how public buckets are read.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.base.progress import say
from resnet_jobs.net.guarded import GuardedPool
from resnet_jobs.net.transfer import HttpStatusError, RetryPolicy, UnreachableError, download_by
from resnet_jobs.sources.http import unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import urllib3

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.files import Digest
    from resnet_jobs.sources.access import Access

AWS_HOST = "s3.amazonaws.com"
DEFAULT_REGION = "us-east-1"  # what servers that have no regions expect in a signature
OBS_HOST = re.compile(r"obs\.([a-z0-9-]+)\.my\w*huaweicloud\.(?:com|eu)")
REGION_TEXT = re.compile(
    rb"<Region>([a-z0-9-]{1,40})</Region>|<Endpoint>s3[.-]([a-z0-9-]+)\.amazon"
)
IN_SECRET = "in the Secret that spec.model.credentialsSecretRef names"  # noqa: S105

MISSING_KEY = ("NoSuchKey", "NoSuchVersion", "ResourceNotFound")
WRONG_REGION = (
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "PermanentRedirect",
    "Redirect",
    "TemporaryRedirect",
)
# The server's code, and what its user has to do.
BAD_LOGIN = {
    "ExpiredToken": "AWS_SESSION_TOKEN has expired: put new keys",
    "InvalidAccessKeyId": "the server does not know AWS_ACCESS_KEY_ID: correct it",
    "XAdminUserNotFound": "the server does not know AWS_ACCESS_KEY_ID: correct it",
    "InvalidToken": "AWS_SESSION_TOKEN does not belong to these keys: correct or remove it",
    "NotSignedUp": "the account is not signed up for this service: correct the keys",
    "RequestTimeTooSkewed": "the clocks of this node and of the server differ by more than 15 "
    "minutes: set the node's clock; the keys are",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID: "
    "correct it",
    "TokenRefreshRequired": "AWS_SESSION_TOKEN has to be renewed: put new keys",
}


@dataclass(frozen=True)
class Endpoint:
    """The server: `host` with an optional port."""

    host: str
    secure: bool
    region: str
    region_is_given: bool


def fetch_s3(source: SourceSpec, target: Path, *, access: Access, policy: RetryPolicy) -> Digest:
    """Downloads one object. A bucket in another region is found where no region was set."""
    endpoint = endpoint_of(source, access)
    try:
        try:
            return _download(source, target, access=access, policy=policy, endpoint=endpoint)
        except S3Error as error:
            region = _named_region(error)
            if region is None or endpoint.region_is_given or error.code not in WRONG_REGION:
                raise
            say(f"the bucket is in region {region}")
            endpoint = replace(endpoint, region=region, region_is_given=True)
            return _download(source, target, access=access, policy=policy, endpoint=endpoint)
    except S3Error as error:
        raise _refused(source, error, endpoint, signed=_is_signed(access)) from error
    except HttpStatusError as error:
        raise _busy(source, endpoint, f"HTTP {error.status}") from error
    except UnreachableError as error:
        raise unreachable(source, endpoint.host, error) from error
    except MinioException as error:
        raise JobError(
            Reason.DOWNLOAD_FAILED,
            f"{endpoint.host} does not answer like an S3 server: check AWS_ENDPOINT_URL",
            detail=str(error),
        ) from error
    except ValueError as error:  # what the client refuses by itself: the bucket's name, the host
        raise invalid(f"{source.label} cannot be read: {error}") from error


def _download(
    source: SourceSpec, target: Path, *, access: Access, policy: RetryPolicy, endpoint: Endpoint
) -> Digest:
    secrets = access.credentials
    if _is_signed(access) != (secrets.get("AWS_SECRET_ACCESS_KEY") is not None):
        raise JobError(
            Reason.ACCESS_DENIED,
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: put both {IN_SECRET}",
        )
    client = Minio(
        endpoint.host,
        access_key=secrets.get("AWS_ACCESS_KEY_ID"),
        secret_key=secrets.get("AWS_SECRET_ACCESS_KEY"),
        session_token=secrets.get("AWS_SESSION_TOKEN"),
        secure=endpoint.secure,
        region=endpoint.region,
        http_client=GuardedPool(access.web),
    )

    @contextlib.contextmanager
    def opened(headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """S3 knows If-Match, not If-Range: an object that has changed is then a 412."""
        wanted = {"If-Match" if name == "If-Range" else name: headers[name] for name in headers}
        try:
            response = client.get_object(
                bucket_name=source.host, object_name=source.path, request_headers=dict(wanted)
            )
        except S3Error as error:
            if error.response.status in (412, 416):
                yield error.response
                return
            if error.code == "SlowDown" or error.response.status >= 500:
                raise HttpStatusError(error.response.status) from error
            raise
        except ServerError as error:
            raise HttpStatusError(error.status_code) from error
        except InvalidResponseError as error:
            raise _no_s3(error) from error
        try:
            yield response
        finally:
            response.close()

    return download_by(opened, target, policy=policy)


def _no_s3(error: InvalidResponseError) -> Exception:
    """An answer that is no S3 error document: a gateway's page, or another kind of server."""
    status = getattr(error, "_code", 0)
    return HttpStatusError(status) if status >= 500 else error


def endpoint_of(source: SourceSpec, access: Access, *, secret: str = IN_SECRET) -> Endpoint:
    """From the Secret, else from the operator's settings, else the public service."""
    region = access.setting("AWS_REGION")
    url = access.credentials.get("AWS_ENDPOINT_URL")
    if source.scheme == "obs":
        url = url or access.settings.get("OBS_ENDPOINT")
        if not url and region:
            url = f"https://obs.{region}.myhuaweicloud.com"
        if not url:
            raise invalid(
                f"{source.label}: which OBS? Put AWS_ENDPOINT_URL (https://obs.<region>."
                f"myhuaweicloud.com) or AWS_REGION {secret}"
            )
    else:
        url = url or access.settings.get("AWS_ENDPOINT_URL") or f"https://{AWS_HOST}"
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise invalid(
            f"the S3 endpoint must be http(s)://<host>[:<port>] without a path; correct "
            f"AWS_ENDPOINT_URL or OBS_ENDPOINT {secret}, or in the operator's settings"
        )
    named = OBS_HOST.fullmatch(parts.hostname)
    region = region or (named.group(1) if named else None)
    return Endpoint(
        host=parts.netloc.rpartition("@")[2],
        secure=parts.scheme == "https",
        region=region or DEFAULT_REGION,
        region_is_given=region is not None,
    )


def _is_signed(access: Access) -> bool:
    return access.credentials.get("AWS_ACCESS_KEY_ID") is not None


def _named_region(error: S3Error) -> str | None:
    """Where the server says the bucket is."""
    header = error.response.headers.get("x-amz-bucket-region")
    found = REGION_TEXT.search(error.response.data or b"")
    return header or ((found.group(1) or found.group(2)).decode() if found else None)


def _refused(source: SourceSpec, error: S3Error, endpoint: Endpoint, *, signed: bool) -> JobError:
    """The server's code as a sentence."""
    code, bucket = error.code or "", source.host
    if code in MISSING_KEY:
        return JobError(
            Reason.MODEL_NOT_FOUND,
            f"{source.label} does not exist: bucket {bucket} at {endpoint.host} has no object "
            f"{source.path}; check the key",
        )
    if code == "NoSuchBucket":
        return JobError(
            Reason.MODEL_NOT_FOUND,
            f"{source.label}: {endpoint.host} has no bucket {bucket}; check its name and "
            "AWS_ENDPOINT_URL",
        )
    if code in BAD_LOGIN:
        return JobError(Reason.ACCESS_DENIED, f"{source.label}: {BAD_LOGIN[code]} {IN_SECRET}")
    if code in WRONG_REGION:
        there = _named_region(error)
        where = f"is in region {there}" if there else "is in another region"
        return JobError(
            Reason.ACCESS_DENIED,
            f"{source.label}: the bucket {where}, asked was {endpoint.region}; set AWS_REGION"
            f"{f' to {there}' if there else ''} {IN_SECRET}",
            detail=error.message or "",
        )
    if error.response.status in (401, 403):
        return JobError(Reason.ACCESS_DENIED, _denied(source, code, signed=signed))
    return JobError(
        Reason.INVALID_SPEC if error.response.status == 400 else Reason.DOWNLOAD_FAILED,
        f"{source.label}: {endpoint.host} answers {code} ({error.message})",
    )


def _denied(source: SourceSpec, code: str, *, signed: bool) -> str:
    if code == "InvalidObjectState":
        return f"{source.label} is archived: restore the object to a class that can be read"
    if not signed:
        return (
            f"{source.label} is not public: put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            f"{IN_SECRET}"
        )
    return (
        f"{source.label}: the keys give no right to read it, or it does not exist ({code}); allow "
        "s3:GetObject on it"
    )


def _busy(source: SourceSpec, endpoint: Endpoint, what: str) -> JobError:
    return JobError(
        Reason.DOWNLOAD_FAILED,
        f"{source.label}: {endpoint.host} cannot give the object now ({what}); it is tried again "
        "later",
    )
