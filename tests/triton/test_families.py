"""A pod with IPv4, with IPv6 or with both: who may ask it there, in a network of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.patience import patient
from tests.triton.server import Pod, digits_on_cpu, pod

if TYPE_CHECKING:
    from collections.abc import Iterator

IPV4, IPV6 = "10.99.0.9", "fd00:99::9"
LOOPBACKS = {4: "127.0.0.1", 6: "[::1]"}
HTTP, GRPC, METRICS = "http", "grpc", "metrics"
# Asks as a client, a kubelet and Prometheus do; says who did not get an answer.
ASK = """
import sys, urllib.request
import tritonclient.grpc
for what in sys.argv[1:]:
    kind, address = what.split("=", 1)
    try:
        if kind == "grpc":
            client = tritonclient.grpc.InferenceServerClient(address)
            assert client.is_server_ready(client_timeout=5)
        else:
            path = {"http": "/v2/health/ready", "metrics": "/metrics"}[kind]
            urllib.request.urlopen(f"http://{address}{path}", timeout=5).read()
    except Exception as error:
        print(what, type(error).__name__, str(error)[:200])
"""


@dataclass(frozen=True)
class Case:
    reason: str
    addresses: tuple[str, ...]


CASES = (
    Case("IPv4 alone", (IPV4,)),
    Case("IPv6 alone", (IPV6,)),
    Case("dual stack", (IPV4, IPV6)),
)


@contextmanager
def network(addresses: tuple[str, ...]) -> Iterator[list[str]]:
    """Make a network of these addresses and the loopback; gives what runs a command in it."""
    if os.geteuid() or not Path("/proc/net/if_inet6").exists():
        pytest.skip("needs root, and a kernel with IPv6")
    name = f"resnet-families-{os.getpid()}"
    lengths = {IPV4: "24", IPV6: "64"}
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        # As in a pod, but that both ends are here: not every kernel has a dummy.
        pair = ["link", "add", "eth0", "type", "veth", "peer", "name", "node0"]
        subprocess.run(["ip", "-n", name, *pair], check=True)
        for link in ("eth0", "node0"):
            subprocess.run(["ip", "-n", name, "link", "set", link, "up"], check=True)
        for one in addresses:
            further = ["nodad"] if one == IPV6 else []
            address = ["addr", "add", f"{one}/{lengths[one]}", "dev", "eth0", *further]
            subprocess.run(["ip", "-n", name, *address], check=True)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def ports(running: Pod) -> dict[str, str]:
    told = {HTTP: running.http, GRPC: running.grpc, METRICS: running.metrics}
    return {kind: address.rpartition(":")[2] for kind, address in told.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_who_asks_where(tmp_path: Path, case: Case) -> None:
    hosts = [f"[{one}]" if one == IPV6 else one for one in case.addresses]
    hosts.append(LOOPBACKS[4])  # what is in the pod asks there, whatever its family
    with (
        network(case.addresses) as inside,
        pod(tmp_path, digits_on_cpu(), inside=inside) as running,
    ):
        asked = [f"{kind}={host}:{port}" for host in hosts for kind, port in ports(running).items()]
        command = [*inside, sys.executable, "-c", ASK, *asked]
        deadline = time.monotonic() + patient(60)
        while unanswered := subprocess.run(command, capture_output=True, text=True).stdout:
            assert running.process.poll() is None, running.log[-4000:]
            assert time.monotonic() < deadline, unanswered + running.log[-3000:]
