"""A whole cluster with nodes, simulated chips, our images, and the operator installed by helm."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from devkit import deploy
from devkit.cluster.cluster import Cluster, build
from devkit.images.targets import DEMO
from devkit.release.make import Release, make
from tests.e2e.files import FileServer
from tests.e2e.story import FOUR_CHIPS, SHARED_CHIPS, Story, new_story
from tests.support import record, shared
from tests.support.apiserver import ROOT, ApiServer, proxied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
VALUES = {"retrySeconds": [2, 3600], "log": {"format": "plain"}}
MAIN = record.files_of("stories")
ONLY_ONE = {"RESNET_TEST_KUBECONFIG", "RESNET_TEST_CLUSTER"}
# A worker has its next story before it has ended one, so the last ones should be short.
LONGEST = {"test_upgrade", "test_your_cluster", "test_closed_network", "test_rollouts"}
LONG = {"test_export", "test_gate", "test_pipeline", "test_publisher", "test_quantized"}
LONG |= {"test_sharing", "test_sources"}
# Enough for stories side by side. What a story about scarce chips counts is a kind of its own.
DEVICES = (
    "huawei.com/Ascend310P:32",
    "huawei.com/Ascend310:1",
    f"{FOUR_CHIPS}:4:Ascend310P3",
    "nvidia.com/gpu:2",
    f"{SHARED_CHIPS}:2x4:Ascend310P3",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and group the stories; first the longest row of them, which nobody else may watch."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        if f"tests/e2e/{item.path.name}" in MAIN:
            item.add_marker(pytest.mark.main)
        if is_alone(item):
            item.add_marker(pytest.mark.xdist_group("alone"))
        elif shares_a_fixture(item.path):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if ours:
        items.sort(key=turn)


@functools.cache
def shares_a_fixture(path: Path) -> bool:
    """Tell whether tests of the file would each make again, in other workers, what they share."""
    return 'scope="module"' in path.read_text() or 'scope="session"' in path.read_text()


def turn(item: pytest.Item) -> int:
    """Return when a story is told: a long one that begins last is waited for."""
    if is_alone(item):
        return 0
    return next((turn for turn, stems in ((1, LONGEST), (2, LONG)) if item.path.stem in stems), 3)


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@dataclass(frozen=True)
class Place:
    """A cluster with nodes and images, and the operator installed in it."""

    name: str
    server: ApiServer
    cluster: Cluster | None

    @functools.cached_property
    def operator(self) -> deploy.Operator:
        """The operator, installed with helm from the chart into a restricted namespace."""
        base = deploy.merge(deploy.EMBEDDED, VALUES)
        installed = deploy.Operator(run=self.server.run, base=base, values=base)

        def install() -> None:
            installed.install(values={})
            if os.environ.get("RESNET_TEST_CLUSTER"):
                installed.kill()  # the image of the same name may be a new one
                installed.restart()

        shared.once(f"operator-{self.name}", install)
        return installed

    def load(self, image: str) -> None:
        """Build an image and load it, if nobody has."""
        if self.cluster is not None:
            cluster = self.cluster
            shared.once(
                f"image-{image}-{self.name}", lambda: cluster.load(*deploy.build_images([image]))
            )


@contextmanager
def opened(name: str) -> Iterator[Place]:
    """Open the embedded cluster of a name, or the one of RESNET_TEST_KUBECONFIG.

    RESNET_TEST_CLUSTER names a running embedded cluster, which saves half a minute while one
    writes a test; boot it with the chips of DEVICES (`cluster.py up --device`).
    """
    if foreign := os.environ.get("RESNET_TEST_KUBECONFIG"):
        with proxied(kubeconfig=Path(foreign), bin_dir=build(), embedded=False) as server:
            yield Place(name, server, None)
        return
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root; or set RESNET_TEST_KUBECONFIG")
    if running := os.environ.get("RESNET_TEST_CLUSTER"):
        cluster = Cluster.attach(running)
        shared.once("loaded", lambda: cluster.load(*deploy.build_images()))
    else:
        cluster = shared.cluster(name, boot)
    with proxied(kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True) as server:
        yield Place(name, server, cluster)


def boot(owner: int) -> Cluster:
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    images = deploy.build_images()
    return Cluster.start(mode="full", images=images, devices=DEVICES, owner=owner)


@pytest.fixture(scope="session")
def places() -> Iterator[Callable[[str], Place]]:
    """What opens a place, once for this process."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(opened(name)))


@pytest.fixture
def place(request: pytest.FixtureRequest, places: Callable[[str], Place]) -> Iterator[Place]:
    """Where a story is told: side by side with others, but those marked `alone` by themselves.

    They have a cluster of their own, or where there is only one wait for the others.
    """
    alone = is_alone(request.node)
    if not ONLY_ONE & os.environ.keys():
        yield places("alone" if alone else "e2e")
        return
    with shared.lock("stories", exclusive=alone):
        yield places("e2e")


@pytest.fixture
def full_cluster(place: Place) -> tuple[ApiServer, Cluster | None]:
    return place.server, place.cluster


@pytest.fixture(autouse=True)
def needed_images(request: pytest.FixtureRequest) -> None:
    """Build and load what a test's mark `images` asks for, before its first story.

    Those of the demo are in the cluster from the start.
    """
    asked = {str(name) for mark in request.node.iter_markers("images") for name in mark.args}
    if new := asked - set(DEMO):
        place = request.getfixturevalue("place")
        for name in sorted(new):
            place.load(name)


@pytest.fixture
def operator(place: Place) -> deploy.Operator:
    return place.operator


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


@pytest.fixture(scope="session")
def release() -> Release:
    """What the tests release: the working tree, under a version that nothing else has."""
    return Release(version="9.8.7-test.1", commit="test", epoch=1_700_000_000, out=Path("dist"))


@pytest.fixture(scope="session")
def dist(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of that release; large, and gone at the end."""
    folder = tmp_path_factory.mktemp("release")
    make(replace(release, out=folder / "dist"))
    yield folder / "dist"
    shutil.rmtree(folder)
