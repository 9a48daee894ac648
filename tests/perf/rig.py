"""The rig of the control plane benchmark: a bare API server, an operator process, and counters.

The API server is real, its etcd in memory, and nothing else runs: every write but the driver's
own is the operator's. What the server counted is what was really asked of it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from devkit.cluster.cluster import Cluster
from tests.component.client import Access, Api
from tests.component.objects import ENVIRONMENT
from tests.support.apiserver import wait_established

ROOT = Path(__file__).resolve().parents[2]
CRD_FILE = ROOT / "crds" / "resnetservices.yaml"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
METRIC = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
# All that the operator ever speaks of.
RESOURCES = {
    "configmaps",
    "deployments",
    "events",
    "jobs",
    "networkpolicies",
    "persistentvolumeclaims",
    "pods",
    "resnetservices",
    "services",
}
WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}

# verb, resource, subresource
Call = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Rig:
    kubeconfig: Path
    api: Api
    folder: Path
    profile: Path | None = None  # where the operator's profile goes, if one is wanted

    async def counts(self) -> dict[Call, int]:
        """Return how many requests the API server has answered so far."""
        text = (await self.api.send("GET", "/metrics", None)).decode()
        found: dict[Call, int] = {}
        for match in METRIC.finditer(text):
            labels = dict(LABEL.findall(match["labels"]))
            if labels["resource"] not in RESOURCES:
                continue  # the API server's own
            call = (labels["verb"], labels["resource"], labels["subresource"])
            found[call] = found.get(call, 0) + int(float(match["value"]))
        return found

    @asynccontextmanager
    async def operator(
        self,
        *,
        tree: Path = ROOT,
        program: Sequence[str] = ("resnet_operator",),
        **environment: str,
    ) -> AsyncIterator[Operator]:
        """Run the operator as a process of its own, with the settings that a chart would give.

        `tree` is where its sources are: another version is measured in the same run.
        """
        log = (self.folder / f"operator-{time.monotonic_ns()}.log").open("wb")
        variables = os.environ | ENVIRONMENT | environment
        sources = os.pathsep.join(map(str, (tree / "operator", tree)))
        variables |= {"KUBECONFIG": str(self.kubeconfig), "PYTHONPATH": sources}
        profiler = ["-m", "cProfile", "-o", str(self.profile)] if self.profile else []
        command = [sys.executable, *profiler, "-m", *program]
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        operator = Operator(process=process, log=log)
        try:
            yield operator
        finally:
            operator.stop()


@dataclass(frozen=True, kw_only=True)
class Operator:
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def stop(self) -> None:
        """End it as the kubelet does; a second time is as good."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=15)
        self.log.close()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def memory_megabytes(self, field: str = "VmRSS") -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)[1]) / 1024  # type: ignore[index]


@contextmanager
def bare_server(
    components: Sequence[str] = ("apiserver",), *, dual_stack: bool = False
) -> Iterator[Path]:
    """Boot etcd and a kube-apiserver and nothing else; yields the kubeconfig."""
    with Cluster.start(mode="api", components=components, dual_stack=dual_stack) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(CRD_FILE))
        wait_established(cluster.kubectl, "resnetservices.serving.resnet-operator.io")
        yield cluster.kubeconfig


@asynccontextmanager
async def rig(kubeconfig: Path, folder: Path) -> AsyncIterator[Rig]:
    async with Api(Access.from_kubeconfig(kubeconfig), connections=100) as api:
        yield Rig(kubeconfig=kubeconfig, api=api, folder=folder)


def difference(before: dict[Call, int], after: dict[Call, int]) -> dict[Call, int]:
    changed = {call: count - before.get(call, 0) for call, count in after.items()}
    return {call: count for call, count in changed.items() if count}


def is_write(call: Call) -> bool:
    return call[0] in WRITES
