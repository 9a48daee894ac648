"""hf:// and modelscope:// sources: a file of a repository at a revision.

Both hubs redirect to a storage server with a signed address that expires, so every attempt starts
at the hub again; the token stays with the hub. Addresses, headers and error codes are those that
the hubs' own clients use (huggingface_hub 2.4, modelscope 1.40).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.source_web import unreachable
from resnet_jobs.transfer import HttpStatusError, Patience, UnreachableError, download_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import urllib3

    from resnet_jobs.access import Access
    from resnet_jobs.files import Digest
    from resnet_jobs.source_spec import SourceSpec

HF_ENDPOINT = "https://huggingface.co"
MODELSCOPE_ENDPOINT = "https://modelscope.cn"
TOKENS = {"hf": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}


def fetch_hub(source: SourceSpec, target: Path, *, access: Access, patience: Patience) -> Digest:
    """Downloads one file; failures say whether repository, revision or file is missing."""
    token = access.credentials.get(TOKENS[source.scheme])
    url, secrets = _request(source, access, token)

    def opened(headers: Mapping[str, str]) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        return access.web.open(url, headers, secrets=secrets)

    try:
        return download_by(opened, target, patience=patience)
    except HttpStatusError as error:
        raise _refused(source, error, has_token=token is not None) from error
    except UnreachableError as error:
        raise unreachable(source, urlsplit(url).hostname or "", error) from error


def _request(source: SourceSpec, access: Access, token: str | None) -> tuple[str, dict[str, str]]:
    """(address, headers with the token)."""
    revision = source.revision or ""
    if source.scheme == "hf":
        endpoint = (access.settings.get("HF_ENDPOINT") or HF_ENDPOINT).rstrip("/")
        path = f"{source.host}/resolve/{quote(revision, safe='')}/{quote(source.path)}"
        return f"{endpoint}/{path}", {"Authorization": f"Bearer {token}"} if token else {}
    endpoint = (access.settings.get("MODELSCOPE_ENDPOINT") or MODELSCOPE_ENDPOINT).rstrip("/")
    query = urlencode({"Revision": revision, "FilePath": source.path})
    url = f"{endpoint}/api/v1/models/{source.host}/repo?{query}"
    # ModelScope knows its users by a cookie; its newer interfaces take the token as a bearer.
    return url, (
        {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {}
    )


def _refused(source: SourceSpec, error: HttpStatusError, *, has_token: bool) -> JobError:
    token = TOKENS[source.scheme]
    code = error.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return JobError(
            Reason.ACCESS_DENIED,
            f"{source.host} is gated: accept its terms on the hub, and put the {token} of that "
            "account into the Secret that spec.model.credentialsSecretRef names",
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


def _missing(source: SourceSpec, code: str) -> str:
    if code == "RepoNotFound":
        return f"there is no repository {source.host} that you may see; check its name"
    if code == "RevisionNotFound":
        return f"{source.host} has no revision {source.revision}; check its branches and tags"
    return (
        f"{source.host} has no file {source.path} at revision {source.revision}; check path and "
        "revision"
    )
