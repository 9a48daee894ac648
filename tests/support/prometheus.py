"""A real Prometheus that scrapes a cluster as docs/metrics.md says, with the rules of the chart.

Debian's package (devkit/servers/install.sh) has no discovery by Kubernetes, so the test writes down
what that would find, pod by pod and port by port; the relabelling is that of the docs. It runs in a
folder of the test and ends with it.
Only time is shortened: it scrapes every other second, alerts hold for two seconds, not minutes, and
outlive a silence of forty-five. How fast the machine is fires nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from monitoring.expressions import GAP, LATENCY_SECONDS
from monitoring.rules import rules_for_chart, with_defaults
from tests.support.apiserver import ROOT, eventually
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Pods = Callable[[], list[dict[str, Any]]]

OPERATOR_JOB: dict[str, Any] = {
    "job_name": "resnet-operator",
    "honor_labels": True,
    "relabel_configs": [
        {
            "source_labels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
            "regex": "resnet-operator",
            "action": "keep",
        },
        {
            "source_labels": ["__meta_kubernetes_pod_container_port_name"],
            "regex": "http",
            "action": "keep",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ],
}

SLOW_SECONDS = "60"


@dataclass(frozen=True)
class Prometheus:
    """What a person asks it."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def history(
        self, expression: str, *, seconds: int, step: int, now: float
    ) -> list[dict[str, Any]]:
        """Return each series of the last seconds, as a panel of Grafana draws them."""
        times = {"start": now - seconds, "end": now, "step": step}
        found: list[dict[str, Any]] = self._ask("query_range", query=expression, **times)["result"]
        return found

    def firing(self, namespace: str) -> dict[tuple[str, str], dict[str, str]]:
        """Return the annotations of what fires in a namespace, by alert and object."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("name", "")): alert["annotations"]
            for alert in self.alerts()
            if alert["labels"].get("namespace") == namespace
        }

    def alerts(self) -> list[dict[str, Any]]:
        """Return all that fires, whoever it concerns."""
        return [alert for alert in self._ask("alerts")["alerts"] if alert["state"] == "firing"]

    def _ask(self, what: str, **query: Any) -> dict[str, Any]:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data


@contextlib.contextmanager
def prometheus(folder: Path, *, pods: Pods) -> Iterator[Prometheus]:
    """Run Prometheus on loopback until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yaml").write_text(sooner(rules_for_chart()), "utf-8")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_config(folder)), "utf-8")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    _write(folder, pods)
    over = threading.Event()
    finder = threading.Thread(target=_find, args=(folder, pods, over))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    finder.start()
    try:
        served = Prometheus(f"http://127.0.0.1:{port}")
        eventually(
            lambda: _is_ready(served, process), what=f"Prometheus, see {folder}/log", seconds=60
        )
        yield served
    finally:
        over.set()
        finder.join()
        process.terminate()
        process.wait(30)


def sooner(rules: str) -> str:
    """Return the rules for a test that has no minutes, on a machine that may be slow."""
    held = f"[{GAP}]"
    assert held in rules
    rules = with_defaults(rules.replace(LATENCY_SECONDS, SLOW_SECONDS))
    return re.sub(r"for: '?\w+'?", "for: 2s", rules).replace(held, "[45s]")


def _find(folder: Path, pods: Pods, over: threading.Event) -> None:
    while not over.wait(1):
        with contextlib.suppress(OSError, KeyError):  # next time, then
            _write(folder, pods)


def _write(folder: Path, pods: Pods) -> None:
    """Write what discovery of role pod finds; Prometheus looks at the file when it is replaced."""
    found = [
        {"targets": [f"{pod['status']['podIP']}:{port['containerPort']}"], "labels": labels}
        for pod in pods()
        if pod["status"].get("podIP")
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if (labels := _labels(pod, port))
    ]
    new = folder / "targets.new"
    new.write_text(json.dumps(found), encoding="utf-8")
    new.replace(folder / "targets.json")


def _labels(pod: dict[str, Any], port: dict[str, Any]) -> dict[str, str]:
    meta = pod["metadata"]
    given = {
        f"pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}": value
        for key, value in meta.get("labels", {}).items()
    }
    known = {
        "namespace": meta["namespace"],
        "pod_name": meta["name"],
        "pod_container_port_name": port.get("name", ""),
    }
    return {f"__meta_kubernetes_{key}": value for key, value in (given | known).items()}


def _config(folder: Path) -> dict[str, Any]:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    (serving,) = documented["scrape_configs"]
    assert serving.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    found = {"file_sd_configs": [{"files": [str(folder / "targets.json")]}]}
    return {
        "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            OPERATOR_JOB | found,
            serving | found,
        ],
    }


def _is_ready(served: Prometheus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Prometheus has ended"
    try:
        with urllib.request.urlopen(f"{served.url}/-/ready", timeout=2):
            return True
    except OSError:
        return False
