"""Talks to a container registry, above all to push blobs and manifests.

Standard library and Python 3.8: it runs from the bundle, on a machine with nothing else.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import sys
import urllib.parse
from pathlib import Path
from typing import Any, BinaryIO

TIMEOUT_SECONDS = 300
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class PushError(Exception):
    """The registry refused; the message says what and what to do."""


def login_of(host: str) -> tuple[str, str] | None:
    """Return user and password from the files that docker, podman and helm log in to."""
    home = Path.home()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [os.environ.get("REGISTRY_AUTH_FILE")]
    places += [f"{runtime}/containers/auth.json"] if runtime else []
    places += [f"{os.environ.get('DOCKER_CONFIG', home / '.docker')}/config.json"]
    for place in filter(None, places):
        try:
            logins = json.loads(Path(str(place)).read_text(encoding="utf-8")).get("auths", {})
        except (OSError, ValueError):
            continue
        for name in (host, f"https://{host}", f"http://{host}"):
            if logins.get(name, {}).get("auth"):
                user, _, password = base64.b64decode(logins[name]["auth"]).decode().partition(":")
                return user, password
    return None


class Registry:
    """One registry, one connection; logs in by Basic or by a token, as the registry asks."""

    def __init__(
        self,
        host: str,
        *,
        login: tuple[str, str] | None = None,
        ca: str | None = None,
        plain_http: bool = False,
    ) -> None:
        self.host = host
        self.login = login
        self.scheme = "http" if plain_http else "https"
        self._context = None if plain_http else ssl.create_default_context(cafile=ca)
        self._authorization: dict[str, str] = {}

    def has(self, repository: str, digest: str) -> bool:
        path = f"/v2/{repository}/blobs/{digest}"
        return self._ask("HEAD", path, repository, allowed=(200, 404))[0] == 200

    def manifest(self, repository: str, tag: str) -> bytes:
        """Return what the registry has under a tag: an index of platforms if there are several."""
        path = f"/v2/{repository}/manifests/{tag}"
        return self._ask("GET", path, repository, allowed=(200,), accept=MANIFESTS)[2]

    def push_blob(self, repository: str, digest: str, file: Path) -> None:
        if self.has(repository, digest):
            return
        start = f"/v2/{repository}/blobs/uploads/"
        _, headers, _ = self._ask("POST", start, repository, allowed=(202,))
        where = urllib.parse.urlsplit(urllib.parse.urljoin(self._url(start), headers["location"]))
        query = "&".join(filter(None, (where.query, f"digest={urllib.parse.quote(digest)}")))
        with file.open("rb") as body:
            self._ask(
                "PUT",
                f"{where.path}?{query}",
                repository,
                body=body,
                size=file.stat().st_size,
                content_type="application/octet-stream",
                allowed=(201,),
            )

    def push_manifest(self, repository: str, tag: str, data: bytes, media_type: str) -> str:
        """Return the digest by which the registry has it."""
        _, headers, _ = self._ask(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            repository,
            body=data,
            size=len(data),
            content_type=media_type,
            allowed=(201,),
        )
        return headers.get("docker-content-digest", "")

    def _url(self, path: str) -> str:
        return f"{self.scheme}://{self.host}{path}"

    def _ask(
        self,
        method: str,
        path: str,
        repository: str,
        *,
        allowed: tuple[int, ...],
        body: bytes | BinaryIO | None = None,
        size: int = 0,
        content_type: str | None = None,
        accept: str = "*/*",
    ) -> tuple[int, dict[str, str], bytes]:
        for last in (False, True):
            headers = {"Content-Length": str(size), "Accept": accept}
            if content_type:
                headers["Content-Type"] = content_type
            if repository in self._authorization:
                headers["Authorization"] = self._authorization[repository]
            if last and body is not None and not isinstance(body, bytes):
                body.seek(0)
            status, answer, text = self._send(method, path, headers, body)
            if status == 401 and not last:
                self._authorize(repository, answer.get("www-authenticate", ""))
                continue
            if status not in allowed:
                raise PushError(self._refusal(method, path, status, text))
            return status, answer, text
        raise AssertionError("the second attempt returns or raises")

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | BinaryIO | None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self._connect(self.scheme, self.host)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        except ssl.SSLCertVerificationError as error:
            raise PushError(
                f"{self.host}: its certificate is not trusted here ({error.verify_message}); "
                "give the certificate authority's file as --ca"
            ) from error
        except ssl.SSLError as error:
            raise PushError(
                f"{self.host} does not speak TLS ({error.reason}); if it is meant to, correct "
                "the port, else add --plain-http"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise PushError(f"{self.host} cannot be reached: {error}") from error
        finally:
            connection.close()

    def _connect(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(host, timeout=TIMEOUT_SECONDS, context=self._context)

    def _authorize(self, repository: str, challenge: str) -> None:
        kind, _, parameters = challenge.partition(" ")
        asked = dict(CHALLENGE.findall(parameters))
        if kind.lower() == "basic" and self.login:
            self._authorization[repository] = self._basic()
        elif kind.lower() == "bearer" and "realm" in asked:
            self._authorization[repository] = f"Bearer {self._token(repository, asked)}"
        else:
            raise PushError(
                f"{self.host} wants a login: run `docker login {self.host}` (or podman, helm "
                "registry login), or give --username and --password-stdin"
            )

    def _basic(self) -> str:
        assert self.login
        return "Basic " + base64.b64encode(":".join(self.login).encode()).decode()

    def _token(self, repository: str, asked: dict[str, str]) -> str:
        query = {"service": asked.get("service", ""), "scope": f"repository:{repository}:pull,push"}
        where = urllib.parse.urlsplit(asked["realm"])
        path = f"{where.path}?{urllib.parse.urlencode(query)}"
        connection = self._connect(where.scheme, where.netloc)
        try:
            headers = {"Authorization": self._basic()} if self.login else {}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise PushError(f"{where.netloc} gives no token: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise PushError(self._refusal("GET", path, response.status, text))
        answer: dict[str, Any] = json.loads(text)
        return str(answer.get("token") or answer.get("access_token"))

    def _refusal(self, method: str, path: str, status: int, text: bytes) -> str:
        try:
            said = "; ".join(str(e.get("message")) for e in json.loads(text)["errors"])
        except (ValueError, KeyError, TypeError, AttributeError):
            said = text[:200].decode(errors="replace").strip()
        what = f"{method} {self._url(path.partition('?')[0])}: {status} {said}".rstrip()
        if status in (401, 403):
            return f"{what}; use a login that may push there"
        return what


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
