"""The metrics APIs that an autoscaler asks, for clusters that have no metrics-server.

It stands where metrics-server and the adapter of Prometheus stand: behind the aggregation layer of
the API server. It measures as they do: CPU from two readings of the kubelet, and the time that
requests wait from two scrapes of each pod's Triton, by the rule of docs/scaling.md. It runs in the
test's process; aggregation.py has the API server ask it. Used by test_autoscaling.py.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

QUEUE = "triton_queue_microseconds"
RESOURCE = "metrics.k8s.io/v1beta1"
CUSTOM = "custom.metrics.k8s.io/v1beta2"
RESOURCES = {
    RESOURCE: {"name": "pods", "kind": "PodMetrics", "verbs": ["list"]},
    CUSTOM: {"name": f"pods/{QUEUE}", "kind": "MetricValueList", "verbs": ["get"]},
}
SECONDS_BETWEEN_READINGS = 5.0
# As clamp_min in docs/scaling.md: a pod that nobody asks has no requests to divide by.
FEWEST_REQUESTS = 0.1


@dataclass(frozen=True)
class Reading:
    """Counters of one pod at one moment, by the clock of who counted."""

    at: float
    counters: tuple[float, ...]


@dataclass(frozen=True)
class Rates:
    """How fast the counters grew between two readings."""

    at: float
    window: float
    per_second: tuple[float, ...]


class History:
    """The last two readings of each pod."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Reading, ...]] = {}

    def add(self, pod: str, new: Reading) -> None:
        readings = self._of.get(pod, ())
        if readings and new.at <= readings[-1].at:
            return  # the kubelet reads a container every ten seconds or so, we ask more often
        self._of[pod] = (*readings, new)[-2:]

    def rates(self, pod: str) -> Rates | None:
        readings = self._of.get(pod, ())
        if len(readings) < 2:
            return None
        old, new = readings
        window = new.at - old.at
        grown = zip(old.counters, new.counters, strict=True)
        return Rates(new.at, window, tuple((to - since) / window for since, to in grown))


class MetricsApi:
    """Reads the pods of one namespace and answers an autoscaler; `asked` counts its questions."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.asked = 0
        self._server = server
        self._namespace = namespace
        self._cpu, self._queue = History(), History()
        self._over = threading.Event()

    # -- measuring -------------------------------------------------------------------------

    def read_until_over(self) -> None:
        while not self._over.is_set():
            for read in (self._read_kubelets, self._read_tritons):
                with suppress(OSError, http.client.HTTPException, ValueError):  # next time, then
                    read()
            self._over.wait(SECONDS_BETWEEN_READINGS)

    def stop(self) -> None:
        self._over.set()

    def _read_kubelets(self) -> None:
        for node in self._items("/api/v1/nodes"):
            path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
            for pod in self._server.request("GET", path).body.get("pods", ()):
                if pod["podRef"]["namespace"] == self._namespace:
                    for container in pod.get("containers", ()):
                        self._add_cpu(pod["podRef"]["name"], container)

    def _add_cpu(self, pod: str, container: dict[str, Any]) -> None:
        cpu = container.get("cpu", {})
        if container["name"] != "triton" or "usageCoreNanoSeconds" not in cpu:
            return  # not yet measured
        at = datetime.fromisoformat(cpu["time"]).timestamp()
        self._cpu.add(pod, Reading(at, (cpu["usageCoreNanoSeconds"] / 1e9,)))

    def _read_tritons(self) -> None:
        for pod in self._pods("app.kubernetes.io/component=serving"):
            address = pod["status"].get("podIP")
            with suppress(OSError, http.client.HTTPException):  # a pod that starts or ends
                if address:
                    text = scraped(address)
                    names = ("nv_inference_queue_duration_us", "nv_inference_request_success")
                    counters = tuple(counter(text, name) for name in names)
                    self._queue.add(pod["metadata"]["name"], Reading(time.time(), counters))

    def _pods(self, selector: str) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self._namespace}/pods?labelSelector={quote(selector)}"
        return self._items(path)

    def _items(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._server.request("GET", path).body.get("items", [])
        return items

    # -- answering -------------------------------------------------------------------------

    def answer(self, url: str) -> dict[str, Any] | None:
        """Return what an API server of these groups answers, or None: not found."""
        parts = urlsplit(url)
        path = unquote(parts.path).removeprefix("/apis/")
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        if path in RESOURCES:
            return discovery(path)
        if path == f"{RESOURCE}/namespaces/{self._namespace}/pods":
            kind, of = "PodMetricsList", self._cpu_of
        elif path == f"{CUSTOM}/namespaces/{self._namespace}/pods/*/{QUEUE}":
            kind, of = "MetricValueList", self._queue_of
        else:
            return None
        self.asked += 1
        found = (of(pod["metadata"]["name"]) for pod in self._pods(selector))
        version = RESOURCE if kind == "PodMetricsList" else CUSTOM
        items = [item for item in found if item]
        return {"apiVersion": version, "kind": kind, "metadata": {}, "items": items}

    def _cpu_of(self, pod: str) -> dict[str, Any] | None:
        if not (rates := self._cpu.rates(pod)):
            return None
        cpu = f"{rates.per_second[0] * 1e9:.0f}n"
        return {
            "metadata": {"name": pod, "namespace": self._namespace},
            "timestamp": written(rates.at),
            "window": f"{rates.window:.3f}s",
            "containers": [{"name": "triton", "usage": {"cpu": cpu, "memory": "0"}}],
        }

    def _queue_of(self, pod: str) -> dict[str, Any] | None:
        if not (rates := self._queue.rates(pod)):
            return None
        waited, requests = rates.per_second
        kind = {"apiVersion": "/v1", "kind": "Pod"}
        return {
            "describedObject": {**kind, "namespace": self._namespace, "name": pod},
            "metric": {"name": QUEUE},
            "timestamp": written(rates.at),
            "windowSeconds": round(rates.window),
            "value": f"{waited / max(requests, FEWEST_REQUESTS):.0f}",
        }


def scraped(address: str) -> str:
    connection = http.client.HTTPConnection(address, 8002, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def counter(text: str, name: str) -> float:
    """Return the sum over the models of a pod."""
    return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.MULTILINE))


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def discovery(version: str) -> dict[str, Any]:
    resource = {"singularName": "", "namespaced": True, **RESOURCES[version]}
    kind = {"apiVersion": "v1", "kind": "APIResourceList"}
    return {**kind, "groupVersion": version, "resources": [resource]}
