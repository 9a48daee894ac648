"""A registry of OCI images and artifacts: logging in, manifests, blobs.

By hand on `web`, because the libraries for it bring their own connections, which would go past the
address guard. Specification: opencontainers/distribution-spec 1.1 and the token authentication of
distribution. Used by `oci`, and by `oci_push`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.net.transfer import HttpStatusError, UnreachableError, explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import urllib3

    from resnet_jobs.sources.access import Access
    from resnet_jobs.sources.credentials import Login

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.artifact.manifest.v1+json",
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MAX_MANIFEST_BYTES = 4 * 1024 * 1024  # what the specification asks registries to accept
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
PLAIN_HTTP = "RESNET_PLAIN_HTTP_REGISTRIES"  # registries without TLS, separated by commas
DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


class Registry:
    """One repository of one registry. Logs in when the registry asks for it."""

    actions = "pull"

    def __init__(self, host: str, repository: str, *, access: Access) -> None:
        self._host = host
        self._repository = repository
        if host in DOCKER_HUB and "/" not in repository:
            self._repository = f"library/{repository}"
        plain = host in (access.settings.get(PLAIN_HTTP) or "").replace(" ", "").split(",")
        scheme = "http" if plain else "https"
        self._base = f"{scheme}://{DOCKER_HUB.get(host, host)}/v2/{self._repository}"
        self._web = access.web
        self._login = access.credentials.registry_login(host)
        self._authorization: dict[str, str] = {}

    @property
    def has_login(self) -> bool:
        return self._login is not None

    def manifest(self, reference: str) -> dict[str, Any]:
        """The manifest or index of a tag or digest; one asked for by digest is checked."""
        headers = {"Accept": ", ".join(MANIFEST_TYPES + INDEX_TYPES)}
        with explained(), self.open(f"manifests/{reference}", headers) as response:
            if response.status != 200:
                raise HttpStatusError(response.status, response.headers)
            data = response.read(MAX_MANIFEST_BYTES)
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if reference.startswith("sha256:") and found != reference:
            raise wrong_digest(self._host, reference, found)
        try:
            document = json.loads(data)
        except ValueError as error:
            raise strange(self._host, "a manifest that is not JSON") from error
        if not isinstance(document, dict):
            raise strange(self._host, "a manifest that is not an object")
        return document

    @contextlib.contextmanager
    def open(self, path: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to GET. A 401 is followed by one login: tokens expire within minutes."""
        url = f"{self._base}/{path}"
        with self._web.open(url, headers, secrets=self._authorization) as response:
            if response.status != 401:
                yield response
                return
            challenge = response.headers.get("WWW-Authenticate", "")
        self._authorization = self._authorize(challenge)
        with self._web.open(url, headers, secrets=self._authorization) as response:
            yield response

    def _authorize(self, challenge: str) -> dict[str, str]:
        """The header that answers WWW-Authenticate: empty when there is nothing to answer with."""
        kind, _, rest = challenge.partition(" ")
        fields = dict(CHALLENGE.findall(rest))
        if kind.lower() == "bearer" and fields.get("realm"):
            return {"Authorization": f"Bearer {self._token(fields)}"}
        if kind.lower() == "basic" and self._login:
            return {"Authorization": self._login.basic}
        return {}

    def _token(self, fields: Mapping[str, str]) -> str:
        realm = fields["realm"]
        if urlsplit(realm).scheme != "https" and self._base.startswith("https://"):
            raise strange(self._host, "a login without TLS")
        query = {"scope": fields.get("scope") or f"repository:{self._repository}:{self.actions}"}
        if fields.get("service"):
            query["service"] = fields["service"]
        with explained(), _token_request(self._web, realm, query, login=self._login) as response:
            if response.status != 200:
                raise HttpStatusError(response.status, response.headers)
            data = response.read(MAX_MANIFEST_BYTES)
        try:
            answer = json.loads(data)
            return str(answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise strange(self._host, "a login without a token") from error


@contextlib.contextmanager
def _token_request(
    web: Any, realm: str, query: dict[str, str], *, login: Login | None
) -> Iterator[urllib3.BaseHTTPResponse]:
    """GET with Basic, or POST with the refresh token that `docker login` got for some registries.
    The realm is another host by design; it gets the login only if it is reached without redirects.
    """
    if login is None or login.identity_token is None:
        secrets = {"Authorization": login.basic} if login else {}
        joint = "&" if urlsplit(realm).query else "?"
        with web.open(f"{realm}{joint}{urlencode(query)}", {}, secrets=secrets) as response:
            yield response
        return
    form = query | {
        "grant_type": "refresh_token",
        "client_id": "resnet-operator",
        "refresh_token": login.identity_token,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = web.send("POST", realm, headers, body=urlencode(form).encode())
    try:
        yield response
    finally:
        response.close()


def wrong_digest(host: str, wanted: str, found: str) -> JobError:
    return JobError(
        Reason.CHECKSUM_MISMATCH,
        f"{host} gave a blob with digest {found[:19]}…, asked for was {wanted[:19]}…: the registry "
        "or a proxy before it is damaged; push the artifact again",
        detail=f"got {found}, wanted {wanted}",
    )


def strange(host: str, what: str) -> UnreachableError:
    """An answer that breaks the protocol: asking again would bring the same."""
    return UnreachableError(f"{host} answers with {what}", may_pass=False)
