"""What is in a hub's repository, and at which commit: the interfaces that the hubs' own clients
ask (huggingface_hub's `model_info`, modelscope's `get_model_files`). Called by `fetch`.

All files of one run then come from that one commit, whatever is pushed meanwhile.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from resnet_contract.address import HF_REPOSITORY_KINDS
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.net.transfer import HttpStatusError, RetryPolicy, UnreachableError
from resnet_jobs.sources.http import unreachable
from resnet_jobs.sources.hub import endpoint, read_small, refused, secrets_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.address import SourceSpec
    from resnet_jobs.sources.access import Access

COMMIT = re.compile(r"[0-9a-f]{40}")
MOST_BYTES = 32 * 2**20
MOST_FILES = 50_000
MOST_CHARACTERS = 512
LISTED = 5


@dataclass(frozen=True)
class Snapshot:
    """`files` are paths from the top of the repository, in order; `commit` is None where the hub
    does not tell it.
    """

    commit: str | None
    files: tuple[str, ...]

    def shown(self) -> str:
        """Some of the files, for a sentence."""
        more = len(self.files) - LISTED
        names = ", ".join(self.files[:LISTED]) or "nothing"
        return f"{names} and {more} more" if more > 0 else names


def is_commit(revision: str | None) -> bool:
    return COMMIT.fullmatch(revision or "") is not None


def find_snapshot(source: SourceSpec, *, access: Access, policy: RetryPolicy) -> Snapshot | None:
    """The repository as it is now. For an address that names a file, None where the hub (a mirror,
    say) cannot tell: the file alone is enough then.
    """
    try:
        answer = _ask(source, access, policy)
        snapshot = READERS[source.scheme](answer)
    except HttpStatusError as error:
        if source.path and error.status < 500:
            return None
        has_token = bool(secrets_of(source, access))
        raise refused(source, error, has_token=has_token) from error
    except UnreachableError as error:
        host = urlsplit(endpoint(source, access)).hostname or ""
        raise unreachable(source, host, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if source.path:
            return None
        raise JobError(
            Reason.DOWNLOAD_FAILED,
            f"{source.label}: the hub's list of files cannot be read; write the path of the file "
            "behind the repository, for example /model.safetensors",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    if snapshot is None:
        raise JobError(
            Reason.MODEL_NOT_FOUND,
            f"{source.label}: {source.host} has no revision {source.revision}; check its branches "
            "and tags",
        )
    return snapshot


def at_commit(source: SourceSpec, snapshot: Snapshot | None) -> SourceSpec:
    """The same file at the commit, so that nothing pushed meanwhile comes between."""
    if snapshot is None or snapshot.commit is None:
        return source
    return replace(source, revision=snapshot.commit)


def _ask(source: SourceSpec, access: Access, policy: RetryPolicy) -> Any:
    """The hub's answer, of a bounded size."""
    url = _address(source, access)
    data = read_small(url, source, most=MOST_BYTES, access=access, policy=policy)
    if len(data) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    return json.loads(data)


def _address(source: SourceSpec, access: Access) -> str:
    base, revision = endpoint(source, access), source.revision or ""
    if source.scheme == "hf":
        is_other_kind = source.host.split("/")[0] in HF_REPOSITORY_KINDS
        place = source.host if is_other_kind else f"models/{source.host}"
        return f"{base}/api/{place}/revision/{quote(revision, safe='')}"
    query = urlencode({"Revision": revision, "Recursive": "True"})
    return f"{base}/api/v1/models/{source.host}/repo/files?{query}"


def _of_hugging_face(answer: Mapping[str, Any]) -> Snapshot | None:
    """`sha` and `siblings`; an unknown revision is a 404 already."""
    commit = answer.get("sha")
    return Snapshot(
        commit=commit if isinstance(commit, str) and is_commit(commit) else None,
        files=_paths([entry["rfilename"] for entry in answer["siblings"]]),
    )


def _of_model_scope(answer: Mapping[str, Any]) -> Snapshot | None:
    """Of an unknown revision the files are null, with HTTP 200. The commit's whole name stands
    nowhere but at the files that it changed: only its first digits are told.
    """
    data = answer["Data"]
    if data["Files"] is None:
        return None
    blobs = [entry for entry in data["Files"] if entry.get("Type") != "tree"]
    last = data.get("LatestCommitter") or {}
    short = str(last.get("ShortId") or "")
    known = [str(last.get("Id") or ""), *(str(entry.get("Revision")) for entry in blobs)]
    commits = (name for name in known if is_commit(name) and len(short) > 6)
    return Snapshot(
        commit=next((name for name in commits if name.startswith(short)), None),
        files=_paths([entry["Path"] for entry in blobs]),
    )


READERS = {"hf": _of_hugging_face, "modelscope": _of_model_scope}


def _paths(names: list[Any]) -> tuple[str, ...]:
    """Those that can be asked for again; strangers may call a file what they like."""
    if len(names) > MOST_FILES:
        raise ValueError(f"more than {MOST_FILES} files")
    good = {name for name in names if isinstance(name, str) and _is_usable(name)}
    return tuple(sorted(good))


def _is_usable(name: str) -> bool:
    return (
        0 < len(name) <= MOST_CHARACTERS
        and name.isprintable()
        and not {"", ".", ".."} & set(name.split("/"))
    )
