"""A Kubernetes client of the standard library alone: list, get, create, delete, watch.

Why: the provisioner runs with whatever Python the machine has, before any virtual environment
exists. Only `provisioner.py` uses this; the operator has a client of its own.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class KubeClient:
    """Talks to one API server with a client certificate; goes through no proxy."""

    def __init__(self, *, server: str, ca: Path, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(certfile=str(certificate), keyfile=str(key))
        self._server = server
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def _open(self, method: str, path: str, *, body: Object | None, timeout: float) -> Any:
        request = urllib.request.Request(
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            try:
                message = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                message = text
            raise ApiError(error.code, message) from error

    def request(self, method: str, path: str, *, body: Object | None = None) -> Object:
        """One request and its answer. Raises ApiError, or OSError with no connection."""
        with self._open(method, path, body=body, timeout=10) as response:
            answer: Object = json.load(response)
        return answer

    def list(self, path: str) -> list[Object]:
        items: list[Object] = self.request("GET", path)["items"]
        return items

    def watch(self, path: str) -> Iterator[Object]:
        """Events of a collection, the objects that exist first; ends after five minutes."""
        query = f"{path}?watch=true&timeoutSeconds=300"
        with self._open("GET", query, body=None, timeout=330) as response:
            for line in response:
                yield json.loads(line)
