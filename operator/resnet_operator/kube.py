"""The API server: plain dicts in and out, with the credentials and TLS of `kubernetes.aio`.

No typed models, and the library's session without the layers above it: importing and parsing
models costs more than all else the operator does. Errors of the libraries end here and become
ours. Every call is counted, for the metrics and for the tests.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from resnet_operator import names
from resnet_operator.errors import Conflict, Gone, KubeError, Rejected, Transient
from resnet_operator.metrics import API_REQUESTS

APPLY_TYPE = "application/apply-patch+yaml"
TIMEOUT_SECONDS = 30.0
# No object has this version. An apply that states it is refused where there is an object of the
# name, and creates one where there is none; without it, an apply that happens to contradict
# nothing would take over a stranger's object.
NOBODYS_VERSION = "1"

# The plural of every kind that we write.
PLURALS: Mapping[str, str] = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Event": "events",
    "HTTPRoute": "httproutes",
    "Ingress": "ingresses",
    "Job": "jobs",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ResNetService": "resnetservices",
    "Service": "services",
}


class Kube:
    """One shared client. Methods raise KubeError's children and nothing of the library."""

    def __init__(self, settings: Configuration) -> None:
        self._settings = settings
        connector = aiohttp.TCPConnector(
            ssl=RESTClientObject(settings).ssl_context, limit=settings.connection_pool_maxsize
        )
        # `trust_env`: looking up netrc and proxies for each request costs twice the request itself.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            trust_env=False,
        )
        self._extras: dict[str, Any] = {}
        if settings.tls_server_name:
            self._extras["server_hostname"] = settings.tls_server_name
        if settings.proxy:
            self._extras |= {"proxy": settings.proxy, "proxy_headers": settings.proxy_headers}

    @classmethod
    async def connect(cls) -> Kube:
        """Connect as the pod's service account, or by KUBECONFIG outside a cluster."""
        configuration = Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            # The library would read the variable when it is imported.
            path = os.environ.get("KUBECONFIG")
            await config.load_kube_config(path, client_configuration=configuration)
        return cls(configuration)

    async def close(self) -> None:
        await self._session.close()

    async def apply(
        self, body: dict[str, Any], *, manager: str, subresource: str = ""
    ) -> dict[str, Any]:
        """Server-side apply by force: what we state is so afterwards."""
        query = {"fieldManager": manager, "force": "true"}
        path = _path(body) + (f"/{subresource}" if subresource else "")
        resource = PLURALS[body["kind"]] + (f"/{subresource}" if subresource else "")
        API_REQUESTS.labels(method="PATCH", resource=resource).inc()
        return await self._call("PATCH", path, query, body=body, content_type=APPLY_TYPE)

    async def apply_new(self, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        """Server-side apply of an object that must not be there yet; Conflict when it is."""
        metadata = body["metadata"] | {"resourceVersion": NOBODYS_VERSION}
        return await self.apply(body | {"metadata": metadata}, manager=manager)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST; Conflict when an object of the name is there."""
        path = _path(body).rsplit("/", 1)[0]
        API_REQUESTS.labels(method="POST", resource=PLURALS[body["kind"]]).inc()
        return await self._call("POST", path, {"fieldManager": names.MANAGER}, body=body)

    async def delete(self, body: dict[str, Any], *, uid: str, version: str | None = None) -> None:
        """Delete the very object that was seen; Gone when it is not there any more."""
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        API_REQUESTS.labels(method="DELETE", resource=PLURALS[body["kind"]]).inc()
        await self._call("DELETE", _path(body), {}, body=options)

    async def list_one(
        self, api_version: str, kind: str, namespace: str, *, field_selector: str
    ) -> list[dict[str, Any]]:
        """List what fits a field selector: a read that needs no right to `get`."""
        path = _path({"apiVersion": api_version, "kind": kind}, namespace=namespace)
        API_REQUESTS.labels(method="LIST", resource=PLURALS[kind]).inc()
        found = await self._call("GET", path, {"fieldSelector": field_selector}, body=None)
        items: list[dict[str, Any]] = found.get("items") or []
        return items

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        *,
        body: dict[str, Any] | None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        url = f"{self._settings.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        await self._authenticate(headers)
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=None if body is None else orjson.dumps(body),
                **self._extras,
            ) as response:
                content = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Transient(0, f"the API server cannot be reached: {error}") from error
        if response.status >= 400:
            raise _from_status(response.status, content, response.headers)
        value: dict[str, Any] = orjson.loads(content)
        return value

    async def _authenticate(self, headers: dict[str, str]) -> None:
        # The projected token is renewed on disk; the hook reads it again when it is due.
        for auth in (await _auth_settings(self._settings)).values():
            if auth.get("in") == "header" and auth.get("value"):
                headers[auth["key"]] = auth["value"]


async def _auth_settings(settings: Configuration) -> dict[str, Any]:
    value = settings.auth_settings()
    if asyncio.iscoroutine(value):
        value = await value
    return dict(value)


def _path(body: Mapping[str, Any], *, namespace: str | None = None) -> str:
    """Return the path of an object, or of all of its kind in `namespace`."""
    version, meta = body["apiVersion"], body.get("metadata") or {}
    prefix = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    where = f"{prefix}/namespaces/{namespace or meta['namespace']}/{PLURALS[body['kind']]}"
    return where if namespace else f"{where}/{meta['name']}"


def _from_status(status: int, content: bytes, headers: Mapping[str, str]) -> KubeError:
    text = content.decode(errors="replace")
    try:
        message = orjson.loads(content).get("message") or text
    except (ValueError, AttributeError):
        message = text
    if status in {0, 408, 429} or status >= 500:
        after = headers.get("Retry-After")
        return Transient(status, message, retry_after=float(after) if after else None)
    kinds: dict[int, type[KubeError]] = {404: Gone, 409: Conflict}
    return kinds.get(status, Rejected)(status, message)
