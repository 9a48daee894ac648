"""Where the demo runs: the embedded cluster, or the user's with images in a registry.

Builds what is missing, step by step, and brings the images.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devkit import deploy
from devkit.cluster import build as cluster_build
from devkit.cluster.cluster import Cluster
from devkit.images import build as image_build
from devkit.images.targets import DEMO, IMAGES, ON_DEMAND
from devkit.progress import Steps, steps

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = "demo"
NAMESPACE = "demo"
LAST_STEPS = {
    "install": "the operator, by helm",
    "serve": "the samples, until they are Ready",
    "predict": "predictions",
}


@dataclass
class Target:
    """The cluster that the demo runs on."""

    kubeconfig: Path
    bin_dir: Path
    values: dict[str, Any]
    embedded: bool

    def environment(self) -> dict[str, str]:
        path = f"{self.bin_dir}:{os.environ['PATH']}"
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def run(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=input,
            text=True,
            capture_output=True,
            env=self.environment(),
            check=False,
        )

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        done = self.run("kubectl", "-n", NAMESPACE, *arguments, input=input)
        if done.returncode != 0:
            raise deploy.DeployError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def plan_here() -> dict[str, str]:
    """The steps on the embedded cluster: only those with something to do."""
    programs = {part.name: part.text for part in cluster_build.missing()}
    to_do = image_build.devkit_builder().missing(IMAGES[name] for name in wanted())
    return {
        **programs,
        "boot": "a real one-node Kubernetes with simulated Ascend chips",
        **image_build.plan_of(to_do),
        "load": "the images into the cluster",
        **LAST_STEPS,
    }


def wanted() -> tuple[str, ...]:
    """Images that the demo builds: what it runs, or with IMAGES=all what any sample needs."""
    chosen = os.environ.get("IMAGES", "")
    if chosen not in ("", "all"):
        raise deploy.DeployError(
            f'IMAGES is "{chosen}"; set it to all for the images of quantization, PyTorch, '
            "TorchAIE and OneFlow too, or leave it out"
        )
    return (*DEMO, *ON_DEMAND) if chosen else DEMO


def target() -> tuple[Target, Steps]:
    """Boot the embedded cluster, or take the user's; build and bring the images."""
    foreign = os.environ.get("KUBECONFIG")
    if foreign:
        return on_foreign_cluster(Path(foreign), os.environ)
    if os.geteuid() != 0:
        raise deploy.DeployError("the embedded cluster needs root; or set KUBECONFIG and REGISTRY")
    for part in ("cluster", "images"):
        subprocess.run([str(ROOT / "devkit" / part / "install.sh")], check=True)
    names = wanted()
    told = steps(plan_here())
    cluster_build.build(told)
    with told.step("boot"):
        command = (sys.executable, str(ROOT / "devkit" / "cluster" / "cluster.py"), "up")
        subprocess.run([*command, "--name", CLUSTER], check=True, stdout=subprocess.DEVNULL)
    cluster = Cluster.attach(CLUSTER)
    tars = image_build.make(names, image_build.devkit_builder(), told)
    with told.step("load"):
        cluster.load(*tars)
    values = deploy.values_for(names)
    return Target(cluster.kubeconfig, cluster.bin_dir, values, embedded=True), told


def on_foreign_cluster(kubeconfig: Path, environment: Mapping[str, str]) -> tuple[Target, Steps]:
    """Push the images under the very names that the chart's values ask for."""
    registry = environment.get("REGISTRY", "").rstrip("/")
    if not registry:
        raise deploy.DeployError(
            "KUBECONFIG is set, so the images must come from a registry: set REGISTRY to one "
            "that this machine may push to and the cluster may pull from, for example "
            "REGISTRY=registry.example.com/resnet; or unset KUBECONFIG for the embedded cluster"
        )
    subprocess.run([str(ROOT / "devkit" / "images" / "install.sh")], check=True)
    bin_dir = cluster_build.build()
    builder, cann = image_build.devkit_builder(), environment.get("CANN_IMAGE", "")
    names = [name for name in wanted() if not (cann and name == "cann")]
    tag = image_build.content_tag(names, builder)
    secure = not environment.get("PLAIN_HTTP")
    image_build.push(names, builder, registry, tag, verify_tls=secure)
    values = deploy.values_for(names, registry=registry, tag=tag, cann=cann)
    if secret := environment.get("PULL_SECRET"):
        values["images"]["pullSecrets"] = [secret]
    return Target(kubeconfig, bin_dir, values, embedded=False), steps(LAST_STEPS)
