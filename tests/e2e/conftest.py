"""A whole cluster with nodes, simulated chips, our images, and the operator installed by helm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from devkit import deploy
from devkit.cluster.cluster import Cluster, build
from devkit.images.targets import DEMO
from tests.apiserver import ROOT, ApiServer, proxied
from tests.e2e.files import FileServer
from tests.e2e.story import Story, new_story

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def full_cluster() -> Iterator[tuple[ApiServer, Cluster | None]]:
    """A cluster with nodes and images: the embedded one, or the one of RESNET_TEST_KUBECONFIG.

    RESNET_TEST_CLUSTER names a running embedded cluster, which saves half a minute while one
    writes a test.
    """
    if foreign := os.environ.get("RESNET_TEST_KUBECONFIG"):
        with proxied(kubeconfig=Path(foreign), bin_dir=build(), embedded=False) as server:
            yield server, None
        return
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root; or set RESNET_TEST_KUBECONFIG")
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    images = deploy.build_images()
    if running := os.environ.get("RESNET_TEST_CLUSTER"):
        cluster = Cluster.attach(running)
        cluster.load(*images)
        kubeconfig, bin_dir = cluster.kubeconfig, cluster.bin_dir
        with proxied(kubeconfig=kubeconfig, bin_dir=bin_dir, embedded=True) as server:
            yield server, cluster
        return
    with (
        Cluster.start(mode="full", images=images) as cluster,
        proxied(kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True) as server,
    ):
        yield server, cluster


@pytest.fixture(scope="session")
def loaded_images() -> set[str]:
    """Names of the images in the cluster; those of the demo are in it from the start."""
    return set(DEMO)


@pytest.fixture(autouse=True)
def needed_images(request: pytest.FixtureRequest, loaded_images: set[str]) -> None:
    """Build and load what a test's mark `images` asks for, before its first story."""
    asked = {str(name) for mark in request.node.iter_markers("images") for name in mark.args}
    if new := asked - loaded_images:
        _, cluster = request.getfixturevalue("full_cluster")
        if cluster is not None:
            cluster.load(*deploy.build_images(sorted(new)))
        loaded_images |= new


@pytest.fixture(scope="session")
def operator(full_cluster: tuple[ApiServer, Cluster | None]) -> deploy.Operator:
    """The operator, installed with helm from the chart into a restricted namespace."""
    server, _ = full_cluster
    installed = deploy.Operator(run=server.run)
    installed.install(values={"retrySeconds": [2, 3600], "log": {"format": "plain"}})
    if os.environ.get("RESNET_TEST_CLUSTER"):
        installed.kill()  # the image of the same name may be a new one
        installed.restart()
    return installed


@pytest.fixture
def story(
    full_cluster: tuple[ApiServer, Cluster | None], operator: deploy.Operator
) -> Iterator[Story]:
    """A fresh namespace that enforces restricted Pod Security, and verbs to tell a story in it."""
    server, cluster = full_cluster
    with new_story(server, cluster, operator) as made:
        yield made


@pytest.fixture
def files(full_cluster: tuple[ApiServer, Cluster | None]) -> Iterator[FileServer]:
    """An HTTP server on the test's host that pods reach."""
    _, cluster = full_cluster
    if cluster is None:
        pytest.skip("pods of a foreign cluster cannot reach this host")
    with FileServer.start(cluster.host_ip) as server:
        yield server
