"""What an autoscaler asks: a real metrics-server, and an adapter of Prometheus.

`devkit/ecosystem/build.py` makes the programs, once. They run on the address of this machine that
the cluster reaches, and end with the block.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from devkit.ecosystem.build import build
from tests.support.apiserver import ROOT
from tests.support.servers import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.prometheus import Prometheus
    from tests.support.servers import Certificate

RESOURCE, CUSTOM = "metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"
SECONDS = 10  # metrics-server refuses to look more often
# What docs/scaling.md averages over, and what a test has time for.
WINDOW, SHORT_WINDOW = "[1m]", "[20s]"


@dataclass(frozen=True)
class Server:
    """A process that answers for one group."""

    group: str
    port: int
    log: Path

    def asked(self, namespace: str) -> int:
        """Return how often somebody has asked for the pods of a namespace."""
        path = f"/apis/{self.group}/namespaces/{namespace}/pods"
        return self.log.read_text(encoding="utf-8").count(path)


def rules() -> str:
    """Return the adapter's rules of docs/scaling.md."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    return "rules:\n" + text.partition("```yaml\nrules:\n")[2].partition("```")[0]


def shortened(text: str) -> str:
    found = yaml.safe_load(text)
    for rule in found["rules"]:
        assert WINDOW in rule["metricsQuery"]
        rule["metricsQuery"] = rule["metricsQuery"].replace(WINDOW, SHORT_WINDOW)
    return yaml.safe_dump(found)


@dataclass(frozen=True)
class Host:
    """Where the servers run, and how the cluster and they know one another."""

    folder: Path
    address: str
    kubeconfig: Path
    certificate: Certificate

    @contextlib.contextmanager
    def run(self, program: str, group: str, *options: str) -> Iterator[Server]:
        port, log = free_port(self.address), self.folder / f"{program}.log"
        common = (
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            f"--bind-address={self.address}",
            f"--secure-port={port}",
            f"--tls-cert-file={self.certificate.certificate}",
            f"--tls-private-key-file={self.certificate.key}",
            "--v=3",  # a line for each request
        )
        command: list[str | Path] = [build() / program, *common, *options]
        with running(command, log, host=self.address, port=port):
            yield Server(group, port, log)

    @contextlib.contextmanager
    def metrics_server(self) -> Iterator[Server]:
        options = (
            f"--kubeconfig={self.kubeconfig}",
            f"--metric-resolution={SECONDS}s",
            f"--kubelet-request-timeout={SECONDS - 1}s",  # the one has to be the longer one
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-insecure-tls",
        )
        with self.run("metrics-server", RESOURCE, *options) as server:
            yield server

    @contextlib.contextmanager
    def adapter(self, prometheus: Prometheus) -> Iterator[Server]:
        config = self.folder / "adapter.yaml"
        config.write_text(shortened(rules()), encoding="utf-8")
        options = (
            f"--lister-kubeconfig={self.kubeconfig}",
            f"--config={config}",
            f"--prometheus-url={prometheus.url}",
        )
        with self.run("adapter", CUSTOM, *options) as server:
            yield server
