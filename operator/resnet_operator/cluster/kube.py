"""The API server: plain dicts in and out, over the connection that the watches use too.

No typed models: importing and parsing them costs more than all else the operator does. Every call
is counted, for the metrics and for the tests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
from prometheus_client import Counter

from resnet_operator import names
from resnet_operator.cluster.connection import Connection
from resnet_operator.cluster.content import MOST_OF_ANSWER, first, whole
from resnet_operator.errors import Held, NotLeading, Transient
from resnet_operator.telemetry.metrics import API_REQUESTS

APPLY_TYPE = "application/apply-patch+yaml"
# No object has this version. An apply that states it is refused where there is an object of the
# name, and creates one where there is none; without it, an apply that happens to contradict
# nothing would take over a stranger's object.
NOBODYS_VERSION = "1"

# A log comes from the node, which may be slow or gone; nobody waits for it.
LOG_TIMEOUT = aiohttp.ClientTimeout(total=5, sock_connect=5)

# The plural of every kind that we write.
PLURALS: Mapping[str, str] = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Event": "events",
    "HTTPRoute": "httproutes",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Ingress": "ingresses",
    "Job": "jobs",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ReplicaSet": "replicasets",
    "ResNetBatch": "resnetbatches",
    "ResNetService": "resnetservices",
    "ScaledObject": "scaledobjects",
    "Secret": "secrets",
    "Service": "services",
}


class Kube:
    """What we write, and the few reads beside the watches; raises KubeError's children."""

    def __init__(
        self,
        connection: Connection,
        *,
        may_write: Callable[[], bool] = lambda: True,
        may_decide: Callable[[], bool] = lambda: True,
    ) -> None:
        self.connection = connection
        self.may_write = may_write
        # Whether what was decided was decided by what is.
        self.may_decide = may_decide

    async def apply(
        self, body: dict[str, Any], *, manager: str, subresource: str = ""
    ) -> dict[str, Any]:
        """Server-side apply by force: what we state is so afterwards."""
        query = {"fieldManager": manager, "force": "true"}
        path = _path(body) + (f"/{subresource}" if subresource else "")
        resource = PLURALS[body["kind"]] + (f"/{subresource}" if subresource else "")
        _counter("PATCH", resource).inc()
        return await self._call("PATCH", path, query, body=body, content_type=APPLY_TYPE)

    async def apply_new(self, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        """Server-side apply of an object that must not be there yet; Conflict when it is."""
        metadata = body["metadata"] | {"resourceVersion": NOBODYS_VERSION}
        return await self.apply(body | {"metadata": metadata}, manager=manager)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST; Conflict when an object of the name is there."""
        path = _path(body).rsplit("/", 1)[0]
        _counter("POST", PLURALS[body["kind"]]).inc()
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
        _counter("DELETE", PLURALS[body["kind"]]).inc()
        await self._call("DELETE", _path(body), {}, body=options)

    async def list_one(
        self, api_version: str, kind: str, namespace: str, *, field_selector: str
    ) -> list[dict[str, Any]]:
        """List what fits a field selector: a read that needs no right to `get`."""
        return await self._list(api_version, kind, namespace, fieldSelector=field_selector)

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, *, label_selector: str
    ) -> list[dict[str, Any]]:
        """List what fits a label selector, as it is now: the watches may be behind."""
        return await self._list(api_version, kind, namespace, labelSelector=label_selector)

    async def _list(
        self, api_version: str, kind: str, namespace: str, **selector: str
    ) -> list[dict[str, Any]]:
        path = _path({"apiVersion": api_version, "kind": kind}, namespace=namespace)
        _counter("LIST", PLURALS[kind]).inc()
        found = await self._call("GET", path, selector, body=None)
        items: list[dict[str, Any]] = found.get("items") or []
        return items

    async def read_log(
        self, namespace: str, pod: str, *, container: str, tail_lines: int, limit_bytes: int
    ) -> str:
        """Return the end of a container's log; whatever the kubelet sends, no more than asked."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {
            "container": container,
            "tailLines": str(tail_lines),
            "limitBytes": str(limit_bytes),
        }
        _counter("GET", "pods/log").inc()
        try:
            response = await self.connection.open(
                "GET", path, query, accept="*/*", timeout=LOG_TIMEOUT
            )
            async with response:
                return (await first(response.content, limit_bytes)).decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Transient(0, f"the log broke off: {error}") from error

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        *,
        body: dict[str, Any] | None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        if method != "GET" and not self.may_write():
            raise NotLeading
        if method != "GET" and not self.may_decide():
            raise Held
        response = await self.connection.open(
            method, path, query, body=body, content_type=content_type
        )
        try:
            async with response:
                value = orjson.loads(await whole(response, MOST_OF_ANSWER))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Transient(0, f"the API server's answer broke off: {error}") from error
        if not isinstance(value, dict):
            raise Transient(0, "the API server's answer is no object")
        return value


@functools.cache
def _counter(method: str, resource: str) -> Counter:
    """Return the counter of one kind of request; to look it up costs ten times the counting."""
    return API_REQUESTS.labels(method=method, resource=resource)


def _path(body: Mapping[str, Any], *, namespace: str | None = None) -> str:
    """Return the path of an object, or of all of its kind in `namespace`."""
    version, meta = body["apiVersion"], body.get("metadata") or {}
    prefix = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    where = f"{prefix}/namespaces/{namespace or meta['namespace']}/{PLURALS[body['kind']]}"
    return where if namespace else f"{where}/{meta['name']}"
