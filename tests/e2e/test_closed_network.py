"""From the bundle to a prediction in a cluster that reaches nothing but its own registry.

The release is made from the working tree; nothing is loaded into the nodes, so each image has to
come from the bundle.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from devkit import deploy
from devkit.cluster.cluster import Cluster
from tests.support.apiserver import ROOT, proxied
from tests.e2e.story import PICTURES, new_story
from tests.support.registry import ClusterRegistry, cluster_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.apiserver import ApiServer

LOGIN = "mirror-login"


@pytest.fixture(scope="module")
def bundle(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    [packed] = dist.glob("*-bundle.tar")
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder / packed.stem


def inside(cluster: Cluster, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the cluster's network, as its nodes see it."""
    pid = (cluster.state_dir / "init.pid").read_text().strip()
    return subprocess.run(
        ["nsenter", "--target", pid, "--net", *command], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def closed() -> Iterator[tuple[ApiServer, Cluster]]:
    """Boot a cluster without images and take its way out: only this machine's link is left."""
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    with (
        Cluster.start(mode="full") as cluster,
        proxied(kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True) as server,
    ):
        assert inside(cluster, "ip", "route", "del", "default").returncode == 0
        assert "unreachable" in inside(cluster, "ip", "route", "get", "192.0.2.1").stderr.lower()
        yield server, cluster


@pytest.fixture(scope="module")
def registry(
    closed: tuple[ApiServer, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterRegistry]:
    with cluster_registry(tmp_path_factory.mktemp("registry"), closed[1]) as running:
        yield running


def test_from_the_bundle_to_a_prediction(
    closed: tuple[ApiServer, Cluster], registry: ClusterRegistry, bundle: Path
) -> None:
    server, _ = closed
    mirror = f"{registry.name}/mirror"
    login = ("--username", registry.user, "--password-stdin")
    pushed = subprocess.run(
        [sys.executable, bundle / "bundle", "push", mirror, "--ca", registry.authority, *login],
        input=f"{registry.password}\n",
        capture_output=True,
        text=True,
    )
    assert pushed.returncode == 0, pushed.stderr

    operator = deploy.Operator(run=server.run)
    server.kubectl("create", "namespace", deploy.NAMESPACE)
    secret = json.dumps(registry.pull_secret(LOGIN))
    server.kubectl("-n", deploy.NAMESPACE, "apply", "-f", "-", input=secret)
    # The line as it is printed, with what this cluster has beside it.
    more = f"--set images.pullSecrets={{{LOGIN}}} --set store.size=1Gi --wait --timeout=180s"
    done = server.run("bash", "-c", f"{pushed.stdout.rstrip()} {more}")
    assert done.returncode == 0, done.stderr + operator.logs()

    with new_story(server, None, operator) as story:
        story.apply(registry.pull_secret(LOGIN))
        story.put_sample()
        labels = {
            "classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}}
        }
        story.apply(story.service("digits-cpu", accelerator={"chip": "CPU"}, model=labels))
        story.wait_ready("digits-cpu", seconds=240)
        picture = PICTURES[0]
        assert story.top(picture, "digits-cpu")[0] == picture.stem
        pods = json.loads(server.kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]
        assert foreign_images(pods, mirror) == set()
        assert len(pods) >= 3, "operator, store and serving pod"


def foreign_images(pods: list[dict[str, Any]], mirror: str) -> set[str]:
    """Return the images of the pods' containers that are not in the mirror or not by digest."""
    pinned = re.compile(re.escape(mirror) + r"/[^@]+@sha256:[0-9a-f]{64}")
    containers = (
        container
        for pod in pods
        for kind in ("initContainers", "containers")
        for container in pod["spec"].get(kind, ())
    )
    return {c["image"] for c in containers if not pinned.fullmatch(c["image"])}


def test_what_is_not_in_the_mirror_says_so(
    closed: tuple[ApiServer, Cluster], registry: ClusterRegistry
) -> None:
    """An image that an object names is pulled as it is written: not redirected, and told."""
    server, _ = closed
    with new_story(server, None, deploy.Operator(run=server.run)) as story:
        story.apply(registry.pull_secret(LOGIN))
        story.put_sample()
        serving = {"image": "quay.io/team/triton:1"}
        story.apply(story.service("own", accelerator={"chip": "CPU"}, serving=serving))
        story.eventually(
            lambda: "quay.io/team/triton:1" in story.ready_condition("own").get("message", ""),
            lambda: f"nobody says it: {story.ready_condition('own')}",
            120,
        )
