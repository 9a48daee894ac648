"""Installs the operator from the chart, as a platform engineer does. For the demo and e2e tests."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from devkit.images.targets import DEMO, IMAGES

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "resnet-system"
RELEASE = "resnet-operator"
SAMPLE = ROOT / "samples" / "digits" / "digits-resnet.onnx"


def converters(image: str) -> dict[str, Any]:
    """Return the chart's values that have every chip converted by one image."""
    return {"replace": ["converter"], "converter": {"": image}}


def values_for(
    images: Iterable[str], *, registry: str = "localhost", tag: str = "dev", cann: str = ""
) -> dict[str, Any]:
    """Return the chart's values for images of the devkit that are in `registry` under `tag`.

    `cann` is a real CANN image in place of the simulator. What is not among the images stays as
    the chart has it.
    """
    built = {name: IMAGES[name].repository for name in images}
    optional: dict[str, Any] = {
        key: built[name] for key, name in (("amct", "amct"), ("export", "export")) if name in built
    }
    runtimes = (("OneFlow", "serving-oneflow"), ("TorchAIE", "serving-torch"))
    serving = {runtime: built[name] for runtime, name in runtimes if name in built}
    return {
        "images": {
            "registry": registry,
            "tag": tag,
            **converters(cann or f"{registry}/{IMAGES['cann'].repository}:{tag}"),
            "serving": serving,
            **optional,
        },
        "store": {"image": f"{registry}/{IMAGES['store'].repository}:{tag}", "size": "1Gi"},
    }


# All images of the devkit, as they are called in the embedded cluster.
EMBEDDED: dict[str, Any] = values_for(IMAGES)


class Run(Protocol):
    """Runs kubectl or helm against the cluster; never raises."""

    def __call__(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002
    ) -> subprocess.CompletedProcess[str]: ...


class DeployError(RuntimeError):
    """A command failed; the text is what it said."""


def build_images(names: Iterable[str] = DEMO) -> list[Path]:
    """Build what is not built yet and return the tar files; progress goes to stderr."""
    command = [str(ROOT / "devkit" / "images" / "build.sh"), "--only", ",".join(names)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines() if line.endswith(".tar")]


def merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `more` laid over it, maps into maps, as helm merges values."""
    merged = copy.deepcopy(dict(base))
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@dataclass
class Operator:
    """The installed operator, and what a test does to it."""

    run: Run
    base: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(EMBEDDED))
    values: dict[str, Any] = field(default_factory=dict)

    def check(self, *command: str, input: str | None = None) -> str:  # noqa: A002
        done = self.run(*command, input=input)
        if done.returncode != 0:
            raise DeployError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def install(self, values: dict[str, Any]) -> None:
        """Install or upgrade by helm and wait until the operator runs."""
        self.base = merge(self.base, values)
        self.check("kubectl", "apply", "-f", "-", input=json.dumps(_namespace()))
        self.upgrade({})

    def upgrade(self, more: dict[str, Any]) -> None:
        """Upgrade the release to the base values and `more`; {} goes back."""
        self.values = merge(self.base, more)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.values, file)
            file.flush()
            chart = str(ROOT / "charts" / "resnet-operator")
            arguments = ["upgrade", "--install", RELEASE, chart, "-n", NAMESPACE, "-f", file.name]
            self.check("helm", *arguments, "--wait", "--timeout=90s")

    def scale(self, replicas: int) -> None:
        scale = ("scale", f"deployment/{RELEASE}", f"--replicas={replicas}")
        self.check("kubectl", "-n", NAMESPACE, *scale)

    def kill(self) -> None:
        """End the operator at once, without a chance to say goodbye."""
        self.scale(0)
        selector = f"app.kubernetes.io/name={RELEASE}"
        kill = ("delete", "pods", "-l", selector, "--grace-period=0", "--force")
        self.check("kubectl", "-n", NAMESPACE, *kill)

    def restart(self) -> None:
        self.scale(1)
        self.check(
            "kubectl",
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            f"deployment/{RELEASE}",
            "--timeout=90s",
        )

    def metrics(self) -> str:
        """Return the operator's metrics, through the API server."""
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{RELEASE}-metrics:http/proxy/metrics"
        return self.check("kubectl", "get", "--raw", path)

    def is_synced(self) -> bool:
        """Tell whether the running operator has looked at every object at least once."""
        done = re.search(r'reconciles_total{result="ok"} (\d+)', self.metrics())
        return done is not None and float(done[1]) > 0

    def logs(self, *, tail: int = 100) -> str:
        logs = ("logs", f"deployment/{RELEASE}", f"--tail={tail}")
        return self.run("kubectl", "-n", NAMESPACE, *logs).stdout

    def image(self, name: str) -> str:
        images = self.values["images"]
        return f"{images['registry']}/{name}:{images['tag']}"

    def claim_with_sample(self, name: str) -> list[dict[str, Any]]:
        """Return a claim and a pod that copies the ConfigMap digits-model into it."""
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "100Mi"}},
            },
        }
        secrets = self.values["images"].get("pullSecrets", ())
        return [claim, loader_pod(name, self.image("resnet-jobs"), secrets)]


def loader_pod(claim: str, image: str, pull_secrets: Iterable[str] = ()) -> dict[str, Any]:
    """Return a pod that copies the sample model into a claim."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loader"},
        "spec": {
            "restartPolicy": "Never",
            "imagePullSecrets": [{"name": secret} for secret in pull_secrets],
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "copy",
                    "image": image,
                    "command": ["cp", "-L", f"/in/{SAMPLE.name}", "/models/"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "models", "mountPath": "/models"},
                        {"name": "in", "mountPath": "/in"},
                    ],
                }
            ],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": claim}},
                {"name": "in", "configMap": {"name": "digits-model"}},
            ],
        },
    }


def _namespace() -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
