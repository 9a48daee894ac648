"""Registers metrics-server and an adapter with the aggregation layer of the API server.

Both run on this machine, at the address that the cluster reaches. Used by test_autoscaling.py.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.apiserver import eventually
from tests.support.metrics import CUSTOM, RESOURCE, Host, Server
from tests.support.servers import Certificate, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.story import Story
    from tests.support.apiserver import ApiServer
    from tests.support.prometheus import Prometheus

# The Service of each group.
SERVICES = {RESOURCE: "metrics-server", CUSTOM: "custom-metrics"}


@dataclass(frozen=True)
class Registered:
    """What answers an autoscaler."""

    servers: tuple[Server, ...]
    namespace: str

    @property
    def asked(self) -> int:
        """How often an autoscaler has asked any of them."""
        return sum(server.asked(self.namespace) for server in self.servers)


@contextmanager
def registered(story: Story, folder: Path, prometheus: Prometheus) -> Iterator[Registered]:
    """Have the API server ask here for the metrics of the story's pods."""
    assert story.cluster is not None
    address = story.cluster.host_ip
    names = tuple(f"DNS:{name}.{story.namespace}.svc" for name in SERVICES.values())
    certificate = make_certificate(folder, names=names)
    host = Host(folder, address, story.cluster.kubeconfig, certificate)
    with host.metrics_server() as pods, host.adapter(prometheus) as custom:
        servers = (pods, custom)
        ports = {server.group: server.port for server in servers}
        with offered(story, address, certificate, ports):
            yield Registered(servers, story.namespace)


@contextmanager
def offered(
    story: Story, host: str, certificate: Certificate, ports: dict[str, int]
) -> Iterator[None]:
    """Have the API server offer each group, from a port of the host."""
    for version, port in ports.items():
        story.apply(*way_to(SERVICES[version], host, port))
    services = [api_service(version, story.namespace, certificate) for version in ports]
    names = [f"apiservice/{service['metadata']['name']}" for service in services]
    try:
        story.apply(*services)
        story.server.kubectl("wait", "--for=condition=Available", *names, "--timeout=60s")
        yield
    finally:
        # Groups that nobody answers for would hold up the deletion of every namespace.
        story.server.kubectl("delete", "--ignore-not-found", *names)
        eventually(lambda: not groups(story.server), what="the end of the groups", seconds=30)


def groups(server: ApiServer) -> set[str]:
    """Return which of the groups the API server offers."""
    found = {group["name"] for group in server.request("GET", "/apis").body["groups"]}
    return found & {version.partition("/")[0] for version in SERVICES}


def way_to(name: str, host: str, port: int) -> list[dict[str, Any]]:
    """Return a Service that leads out of the cluster."""
    label = {"kubernetes.io/service-name": name}
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": label},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    ]


def api_service(version: str, namespace: str, certificate: Certificate) -> dict[str, Any]:
    group, _, number = version.partition("/")
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{number}.{group}"},
        "spec": {
            "group": group,
            "version": number,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": SERVICES[version], "namespace": namespace, "port": 443},
            "caBundle": base64.b64encode(certificate.authority.read_bytes()).decode(),
        },
    }
