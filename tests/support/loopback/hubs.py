"""Stand-ins for the two model hubs, with what fetch meets there: redirects to a storage server that
wants a signature and no login, private and gated repositories, and the hubs' own error codes.

Both were tried with the hubs' own clients: huggingface_hub and modelscope download from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.support.loopback.webserver import Handler, serving

TOKEN = "hf_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEXT_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
REVISIONS = ("main", "master", "v1", "refs/pr/1")
LARGE = 1024  # bytes from which on a file lies in the storage server, as with Git LFS


@dataclass
class Hub:
    """`files` of repositories at the newest commit; `private` and `gated` ones want the token, and
    `unwelcome` are those whose terms that token's account has not accepted.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    unwelcome: set[str] = field(default_factory=set)
    commit: str = COMMIT
    older: dict[str, dict[tuple[str, str], bytes]] = field(default_factory=dict)
    has_listings: bool = True  # some mirrors have none
    url: str = ""
    storage_url: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stored: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)  # where the storage server hangs up, once each
    signatures: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)  # of the storage server, by digest

    def push(self, changed: dict[tuple[str, str], bytes]) -> None:
        """Branches and tags move on to another commit; the one before stays."""
        self.older[self.commit] = dict(self.files)
        self.files.update(changed)
        self.commit = NEXT_COMMIT

    @property
    def downloads(self) -> list[tuple[str, dict[str, str]]]:
        """What was asked for but lists of files."""
        return [(path, headers) for path, headers in self.seen if not is_listing(path)]

    def hugging_face(self, handler: Handler) -> None:
        """`/<repository>/resolve/<revision>/<path>`; small files are served by the hub itself."""
        path = urlsplit(handler.path).path
        if is_listing(path):
            self._list_siblings(path, handler)
            return
        cached = path.removeprefix("/api/resolve-cache/models/")
        found = re.fullmatch(r"/((?:datasets/|spaces/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if cached != path:
            owner, name, revision, file = cached.split("/", 3)
            data = self._at(revision)[f"{owner}/{name}", unquote(file)]
            _send(handler, 200, data, ETag='"small"', X_Repo_Commit=revision)
            return
        assert found, path
        repository, revision, file = found[1], unquote(found[2]), unquote(found[3])
        if problem := self._problem(repository, revision, file, handler):
            status, code = problem
            text = "Invalid username or password." if status == 401 else "told"
            _send(handler, status, b"", X_Error_Code=code, X_Error_Message=text)
            return
        data = self._at(revision)[repository, file]
        commit = revision if revision in self.older else self.commit
        place = f"/api/resolve-cache/models/{repository}/{commit}/{quote(file)}"
        _send(
            handler,
            302 if len(data) >= LARGE else 307,
            b"",
            Location=self._signed(data) if len(data) >= LARGE else place,
            X_Repo_Commit=commit,
            X_Linked_Size=str(len(data)),
            X_Linked_Etag=f'"{hashlib.sha256(data).hexdigest()}"',
        )

    def model_scope(self, handler: Handler) -> None:
        """`/api/v1/models/<repository>/repo?Revision=&FilePath=`; errors are JSON."""
        parts = urlsplit(handler.path)
        if is_listing(parts.path):
            self._list_blobs(handler)
            return
        found = re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo", parts.path)
        assert found, handler.path
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        repository, file = found[1], query["FilePath"]
        if problem := self._problem(repository, query["Revision"], file, handler):
            text = json.dumps({"Code": 10010205001, "Message": problem[1], "Success": False})
            _send(handler, problem[0], text.encode(), Content_Type="application/json")
            return
        data = self._at(query["Revision"])[repository, file]
        if len(data) >= LARGE:
            _send(handler, 302, b"", Location=self._signed(data))
        else:
            _send(handler, 200, data)

    def storage(self, handler: Handler) -> None:
        """S3 refuses a signed address with a login besides, and each signature works once here."""
        parts = urlsplit(handler.path)
        query = parse_qs(parts.query)
        fresh = query.get("signature") == [str(self.signatures)]
        if "Authorization" in handler.headers or "Cookie" in handler.headers or not fresh:
            _send(handler, 403, b"SignatureDoesNotMatch")
            return
        data = self.blobs[parts.path.lstrip("/")]
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        begin = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if begin and handler.headers.get("If-Range") == f'"{tag}"':
            offset = int(begin[1])
            rest = f"bytes {offset}-{len(data) - 1}/{len(data)}"
            _send(handler, 206, data[offset:], ETag=f'"{tag}"', Content_Range=rest)
            return
        stop = self.cut.pop() if self.cut else None
        _send(handler, 200, data, stop=stop, ETag=f'"{tag}"')

    def _problem(
        self, repository: str, revision: str, file: str, handler: Handler
    ) -> tuple[int, str] | None:
        """Status and code of the refusal. To strangers a private repository does not exist."""
        given = handler.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            return 401, ""
        known = any(name == repository for name, _ in self.files)
        if not known or (repository in self.private and given is None):
            return (404 if given else 401), "RepoNotFound"
        if repository in self.gated and given is None:
            return 401, "GatedRepo"
        if repository in self.unwelcome:
            return 403, "GatedRepo"
        if not self._has_revision(revision):
            return 404, "RevisionNotFound"
        if (repository, file) not in self._at(revision):
            return 404, "EntryNotFound"
        return None

    def _has_revision(self, revision: str) -> bool:
        return revision in (*REVISIONS, self.commit, *self.older)

    def _at(self, revision: str) -> dict[tuple[str, str], bytes]:
        return self.older.get(revision, self.files)

    def _list_siblings(self, path: str, handler: Handler) -> None:
        """`/api/models/<repository>/revision/<revision>`: gated repositories may be listed."""
        found = re.fullmatch(r"/api/(?:models/|(?=datasets/))(.+)/revision/([^/]+)", path)
        if found is None or not self.has_listings:
            _send(handler, 404, b"no such interface")
            return
        repository, revision = found[1], unquote(found[2])
        names = self._names(repository, revision)
        problem = self._problem(repository, revision, next(iter(names), ""), handler)
        if problem and problem[1] != "GatedRepo":
            _send(handler, problem[0], b"{}", X_Error_Code=problem[1])
            return
        commit = revision if revision in self.older else self.commit
        gated = "manual" if repository in self.gated | self.unwelcome else False
        value = {
            "id": repository,
            "sha": commit,
            "gated": gated,
            "siblings": [{"rfilename": name} for name in (".gitattributes", *names)],
        }
        _send(handler, 200, json.dumps(value).encode(), Content_Type="application/json")

    def _list_blobs(self, handler: Handler) -> None:
        """`/api/v1/models/<repository>/repo/files`: no files, and no error, of a revision that is
        none; the commit by its first digits, and whole at the files that it changed.
        """
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        repository = parts.path.removeprefix("/api/v1/models/").removesuffix("/repo/files")
        revision = query["Revision"]
        names = self._names(repository, revision)
        problem = self._problem(repository, revision, next(iter(names), ""), handler)
        if not self.has_listings or (
            problem and problem[1] not in ("GatedRepo", "RevisionNotFound")
        ):
            text = json.dumps({"Code": 10010205001, "Message": "not exists", "Success": False})
            _send(handler, problem[0] if problem else 404, text.encode())
            return
        data: dict[str, object] = {"Files": None, "LatestCommitter": None}
        if problem is None or problem[1] == "GatedRepo":
            commit = revision if revision in self.older else self.commit
            blobs = [
                {"Path": name, "Name": name, "Type": "blob", "Size": 1, "Revision": commit}
                for name in names
            ]
            folders = {name.split("/")[0] for name in names if "/" in name}
            trees = [{"Path": name, "Type": "tree", "Size": 0} for name in folders]
            data = {"Files": [*trees, *blobs], "LatestCommitter": {"Id": "", "ShortId": commit[:8]}}
        value = {"Code": 200, "Success": True, "Data": data}
        _send(handler, 200, json.dumps(value).encode(), Content_Type="application/json")

    def _names(self, repository: str, revision: str) -> list[str]:
        return [file for name, file in self._at(revision) if name == repository]

    def _signed(self, data: bytes) -> str:
        self.signatures += 1
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return f"{self.storage_url}/{digest}?signature={self.signatures}"


def is_listing(path: str) -> bool:
    place = path.partition("?")[0]
    return "/revision/" in place or place.endswith("/repo/files")


def _send(
    handler: Handler, status: int, data: bytes, *, stop: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if stop is not None:
        handler.send_header("Connection", "close")
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data[:stop])


@contextlib.contextmanager
def hub_serving(
    kind: Callable[[Hub], Callable[[Handler], None]], *, host: str = "127.0.0.1"
) -> Iterator[Hub]:
    """A hub and its storage server, which is another host to whoever compares addresses."""
    hub = Hub()
    with (
        serving(hub.storage, host=host) as (storage, stored),
        serving(kind(hub), host=host) as (address, seen),
    ):
        hub.url, hub.storage_url, hub.seen, hub.stored = address, storage, seen, stored
        yield hub
