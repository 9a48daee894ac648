"""Registers the metrics APIs of metrics_api.py with the API server's aggregation layer.

They run in the test's process, on the machine's address that the cluster reaches. Used by
test_autoscaling.py.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.e2e.metrics_api import RESOURCES, MetricsApi
from tests.support.apiserver import eventually
from tests.support.servers import Certificate, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.story import Story
    from tests.support.apiserver import ApiServer

SERVICE = "metrics-api"


@contextmanager
def served(api: MetricsApi, *, host: str, certificate: Certificate, clients: Path) -> Iterator[int]:
    """Answer whom the authority `clients` vouches for, as the API server; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = api.answer(self.path)
            body = json.dumps(found or {"kind": "Status", "apiVersion": "v1"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    # The handshake is the handler's: one client that says nothing holds up nobody.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threads = [
        threading.Thread(target=work) for work in (server.serve_forever, api.read_until_over)
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.server_port
    finally:
        api.stop()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()


@contextmanager
def registered(story: Story, folder: Path) -> Iterator[MetricsApi]:
    """Measure the story's namespace, and have the API server ask for it here."""
    assert story.cluster is not None
    host = story.cluster.host_ip
    certificate = make_certificate(folder, names=(f"DNS:{SERVICE}.{story.namespace}.svc",))
    api = MetricsApi(story.server, story.namespace)
    clients = story.cluster.state_dir / "pki" / "ca.crt"
    with served(api, host=host, certificate=certificate, clients=clients) as port:
        story.apply(*way_to(host, port))
        services = [api_service(version, story.namespace, certificate) for version in RESOURCES]
        names = [f"apiservice/{service['metadata']['name']}" for service in services]
        try:
            story.apply(*services)
            story.server.kubectl("wait", "--for=condition=Available", *names, "--timeout=60s")
            yield api
        finally:
            # Groups that nobody answers for would hold up the deletion of every namespace.
            story.server.kubectl("delete", "--ignore-not-found", *names)
            eventually(lambda: not groups(story.server), what="the end of the groups", seconds=30)


def groups(server: ApiServer) -> set[str]:
    """Return which of the groups the API server offers."""
    offered = {group["name"] for group in server.request("GET", "/apis").body["groups"]}
    return offered & {version.partition("/")[0] for version in RESOURCES}


def way_to(host: str, port: int) -> list[dict[str, Any]]:
    """Return a Service that leads out of the cluster."""
    label = {"kubernetes.io/service-name": SERVICE}
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE},
            "spec": {"ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": SERVICE, "labels": label},
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
            "service": {"name": SERVICE, "namespace": namespace, "port": 443},
            "caBundle": base64.b64encode(certificate.authority.read_bytes()).decode(),
        },
    }
