"""hf:// and modelscope:// sources: a file of a repository at a revision.

Both hubs redirect to a storage server with a signed address that expires, so every attempt starts
at the hub again; the token stays with the hub. Addresses, headers and error codes are those that
the hubs' own clients use (huggingface_hub 2.4, modelscope 1.40).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.net.transfer import (
    HttpStatusError,
    RetryPolicy,
    UnreachableError,
    download_by,
    with_retries,
)
from resnet_jobs.sources.http import unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import urllib3

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.files import Digest
    from resnet_jobs.sources.access import Access

# By scheme: the operator's setting for a mirror, and the hub itself.
ENDPOINTS = {
    "hf": ("HF_ENDPOINT", "https://huggingface.co"),
    "modelscope": ("MODELSCOPE_ENDPOINT", "https://modelscope.cn"),
}
TOKENS = {"hf": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}


def fetch_hub(source: SourceSpec, target: Path, *, access: Access, policy: RetryPolicy) -> Digest:
    """Downloads one file; failures say whether repository, revision or file is missing."""
    url, secrets = address_of(source, access), secrets_of(source, access)

    def opened(headers: Mapping[str, str]) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        return access.web.open(url, headers, secrets=secrets)

    try:
        return download_by(opened, target, policy=policy)
    except HttpStatusError as error:
        raise refused(source, error, has_token=bool(secrets)) from error
    except UnreachableError as error:
        raise unreachable(source, urlsplit(url).hostname or "", error) from error


def read_small(
    url: str, source: SourceSpec, *, most: int, access: Access, policy: RetryPolicy
) -> bytes:
    """A short answer of the hub, of at most `most` + 1 bytes; raises `TransferError`."""
    secrets = secrets_of(source, access)

    def call() -> bytes:
        with access.web.open(url, {}, secrets=secrets) as response:
            if response.status != 200:
                raise HttpStatusError(response.status, response.headers)
            data: bytes = response.read(most + 1, decode_content=True)
            return data

    return with_retries(call, policy)


def read_file(
    source: SourceSpec, *, most: int, access: Access, policy: RetryPolicy
) -> bytes | None:
    """A small file; None where the repository has none of that name."""
    url = address_of(source, access)
    try:
        return read_small(url, source, most=most, access=access, policy=policy)
    except HttpStatusError as error:
        failure = refused(source, error, has_token=bool(secrets_of(source, access)))
        if failure.reason == Reason.MODEL_NOT_FOUND:
            return None
        raise failure from error
    except UnreachableError as error:
        raise unreachable(source, urlsplit(url).hostname or "", error) from error


def endpoint(source: SourceSpec, access: Access) -> str:
    """The hub, or the mirror of it that the operator's settings name."""
    setting, usual = ENDPOINTS[source.scheme]
    return (access.settings.get(setting) or usual).rstrip("/")


def secrets_of(source: SourceSpec, access: Access) -> dict[str, str]:
    """The headers with the token, empty without one. ModelScope knows its users by a cookie; its
    newer interfaces take the token as a bearer.
    """
    token = access.credentials.get(TOKENS[source.scheme])
    if token is None:
        return {}
    cookie = {"Cookie": f"m_session_id={token}"} if source.scheme == "modelscope" else {}
    return {"Authorization": f"Bearer {token}", **cookie}


def address_of(source: SourceSpec, access: Access) -> str:
    base, revision = endpoint(source, access), source.revision or ""
    if source.scheme == "hf":
        return f"{base}/{source.host}/resolve/{quote(revision, safe='')}/{quote(source.path)}"
    query = urlencode({"Revision": revision, "FilePath": source.path})
    return f"{base}/api/v1/models/{source.host}/repo?{query}"


def refused(source: SourceSpec, error: HttpStatusError, *, has_token: bool) -> JobError:
    token = TOKENS[source.scheme]
    code = error.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return JobError(
            Reason.ACCESS_DENIED,
            _gated(source, token, has_token=has_token),
        )
    if error.status == 401 and has_token:
        return JobError(
            Reason.ACCESS_DENIED,
            f"the hub does not accept {token} of the credentials Secret: it is wrong or has "
            "expired; make a new one",
        )
    if error.status in (401, 403):
        return JobError(
            Reason.ACCESS_DENIED,
            f"{source.host} is private or does not exist (HTTP {error.status}): check the name, or "
            f"put a {token} that may read it into the Secret of spec.model.credentialsSecretRef",
        )
    if error.status in (404, 410):
        return JobError(Reason.MODEL_NOT_FOUND, f"{source.label}: {_missing(source, code)}")
    return JobError(
        Reason.DOWNLOAD_FAILED,
        f"{source.label} answers HTTP {error.status}: the hub cannot give the file now; it is "
        "tried again later",
    )


def _gated(source: SourceSpec, token: str, *, has_token: bool) -> str:
    if has_token:
        return (
            f"{source.host} is gated, and the account of {token} may not read it: accept its terms "
            "on the hub with that account, then ask for another attempt"
        )
    return (
        f"{source.host} is gated: accept its terms on the hub, and put the {token} of that "
        "account into the Secret that spec.model.credentialsSecretRef names"
    )


def _missing(source: SourceSpec, code: str) -> str:
    if code == "RepoNotFound":
        return f"there is no repository {source.host} that you may see; check its name"
    if code == "RevisionNotFound":
        return f"{source.host} has no revision {source.revision}; check its branches and tags"
    return (
        f"{source.host} has no file {source.path} at revision {source.revision}; check path and "
        "revision"
    )
