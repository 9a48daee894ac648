"""http:// and https:// sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.net.transfer import HttpStatusError, RetryPolicy, UnreachableError, download_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import urllib3

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.files import Digest
    from resnet_jobs.sources.access import Access


def fetch_web(source: SourceSpec, target: Path, *, access: Access, policy: RetryPolicy) -> Digest:
    """Logs in with `token` or `username` and `password` of the Secret."""
    secrets = access.credentials.http_headers()

    def opened(headers: Mapping[str, str]) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        return access.web.open(source.uri, headers, secrets=secrets)

    try:
        return download_by(opened, target, policy=policy)
    except HttpStatusError as error:
        reason, what = _meaning(error.status, logged_in=bool(secrets))
        raise JobError(reason, f"{source.label} answers HTTP {error.status}: {what}") from error
    except UnreachableError as error:
        raise unreachable(source, source.host, error) from error


def unreachable(source: SourceSpec, host: str, error: UnreachableError) -> JobError:
    """No answer, or one that broke off, from whichever kind of server."""
    remedy = (
        "a CA goes into model.caBundleConfigMapKeyRef"
        if error.untrusted
        else "check the address, and that pods of this namespace may reach that host"
    )
    return JobError(
        Reason.DOWNLOAD_FAILED,
        f"{host}: {error}; {remedy} (cannot download {source.label})",
        detail=str(error.__cause__ or ""),
    )


LOGIN_REFUSED = (
    "the login in the Secret of credentialsSecretRef is not accepted, or gives no right to this "
    "file"
)
LOGIN_NEEDED = (
    "the server wants a login; put `token`, or `username` and `password`, into the Secret that "
    "spec.model.credentialsSecretRef names"
)


def _meaning(status: int, *, logged_in: bool) -> tuple[Reason, str]:
    if status in (404, 410):
        return Reason.MODEL_NOT_FOUND, "there is no such file; check the address"
    if status in (401, 403, 407):
        return Reason.ACCESS_DENIED, LOGIN_REFUSED if logged_in else LOGIN_NEEDED
    return Reason.DOWNLOAD_FAILED, "the server cannot give the file now; it is tried again later"
