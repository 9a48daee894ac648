"""From the bundle to predictions in a cluster that reaches nothing but its own registry.

The release is made from the working tree; nothing is loaded into the nodes, so every image has to
come from that registry: the bundle's, and CANN's, which an administrator copies as the page says.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from devkit import deploy
from devkit.cluster.build import PAUSE_IMAGE
from devkit.cluster.cluster import Cluster
from devkit.images import build as image_build
from devkit.images.targets import IMAGES
from devkit.release.pusher.references import mirrored
from tests.e2e.story import PICTURES, Story, new_story
from tests.support.apiserver import ROOT, proxied
from tests.support.registry import ClusterRegistry, cluster_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.apiserver import ApiServer

pytestmark = pytest.mark.own_cluster
LOGIN = "mirror-login"
NOT_IN_BUNDLES = {
    r"quay\.io/ascend/cann:.*310p.*": "cann",
    r"resnet-serving:.*": "serving",
}
"""Of images.txt -> the devkit's stand-in for it, by its name in the table of images."""

KINDS = {"resnet-operator", "resnet-operator-test", "store", "conversion", "serving"}


@dataclass(frozen=True)
class Closed:
    """A cluster whose only way out ends at a registry on this machine."""

    server: ApiServer
    cluster: Cluster
    registry: ClusterRegistry

    @property
    def mirror(self) -> str:
        return f"{self.registry.name}/mirror"

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the cluster's node would."""
        pid = (self.cluster.state_dir / "init.pid").read_text().strip()
        sandbox = ("nsenter", "--target", pid, "--mount", "--net", "--")
        return subprocess.run([*sandbox, *command], capture_output=True, text=True)

    def story(self) -> Any:
        return new_story(self.server, None, deploy.Operator(run=self.server.run))


@pytest.fixture(scope="module")
def bundle(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    [packed] = dist.glob("*-bundle.tar")
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder / packed.stem


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """Boot a cluster without images and take its way out: only this machine's link is left."""
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    with (
        Cluster.start(mode="full") as cluster,
        proxied(kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True) as server,
        cluster_registry(tmp_path_factory.mktemp("registry"), cluster) as registry,
    ):
        place = Closed(server, cluster, registry)
        assert place.inside("ip", "route", "del", "default").returncode == 0
        beyond = place.inside("ip", "route", "get", "192.0.2.1")
        assert "unreachable" in beyond.stderr.lower()
        yield place


def push_bundle(closed: Closed, bundle: Path) -> str:
    """Return the helm line that `bundle push` prints."""
    registry = closed.registry
    options = ("--ca", registry.authority, "--username", registry.user, "--password-stdin")
    pushed = subprocess.run(
        [sys.executable, bundle / "bundle", "push", closed.mirror, *options],
        input=f"{registry.password}\n",
        capture_output=True,
        text=True,
    )
    assert pushed.returncode == 0, pushed.stderr
    return pushed.stdout.rstrip()


def push_what_is_not_in_it(
    closed: Closed, bundle: Path, folder: Path, patch: pytest.MonkeyPatch
) -> None:
    """Copy what licences keep out of bundles, under the names that images.txt and the rule give."""
    patch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))
    patch.setenv("SSL_CERT_FILE", str(closed.registry.authority))
    (folder / "auth.json").write_text(closed.registry.docker_config)
    builder = image_build.devkit_builder()
    lines = (bundle / "images.txt").read_text().splitlines()
    for pattern, name in NOT_IN_BUNDLES.items():
        [line] = [line for line in lines if re.match(pattern, line)]
        reference, _, archive = line.split()
        assert archive == "-"
        with image_build.locked(builder.cache):
            builder.push(IMAGES[name], mirrored(reference, closed.mirror), verify_tls=True)


def test_from_the_bundle_to_predictions(
    closed: Closed, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = push_bundle(closed, bundle)
    push_what_is_not_in_it(closed, bundle, tmp_path, monkeypatch)
    server = closed.server
    operator = deploy.Operator(run=server.run)
    server.kubectl("create", "namespace", deploy.NAMESPACE)
    secret = json.dumps(closed.registry.pull_secret(LOGIN))
    server.kubectl("-n", deploy.NAMESPACE, "apply", "-f", "-", input=secret)
    # The line as it is printed, with what this cluster has beside it.
    more = f"--set images.pullSecrets={{{LOGIN}}} --set store.size=1Gi --wait --timeout=180s"
    done = server.run("bash", "-c", f"{line} {more}")
    assert done.returncode == 0, done.stderr + operator.logs()
    done = server.run("helm", "test", deploy.RELEASE, "--namespace", deploy.NAMESPACE)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    with closed.story() as story:
        story.apply(closed.registry.pull_secret(LOGIN))
        story.put_sample()
        story.apply(labelled(story, "on-cpu", "CPU"), labelled(story, "on-chip", "Ascend310P3"))
        for name in ("on-cpu", "on-chip"):
            story.wait_ready(name, seconds=240)
            picture = PICTURES[0]
            assert story.top(picture, name)[0] == picture.stem
        pods = json.loads(server.kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]
    assert KINDS - {part_of(pod) for pod in pods} == set()
    without_digest = {name for name in images_of(pods) if "@sha256:" not in name}
    kept = {name for name in without_digest if re.search(r"/(ascend/cann|resnet-serving):", name)}
    assert without_digest == kept, "only what is not in the bundle comes by its tag"
    assert beside_the_mirror(closed) == set()


def labelled(story: Story, name: str, chip: str) -> dict[str, Any]:
    labels = {"classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}}}
    return story.service(name, accelerator={"chip": chip}, model=labels)


def part_of(pod: dict[str, Any]) -> str:
    """Return which of the chart's and the operator's pods it is."""
    labels = pod["metadata"]["labels"]
    return str(labels.get("app.kubernetes.io/component") or labels.get("app.kubernetes.io/name"))


def images_of(pods: list[dict[str, Any]]) -> set[str]:
    kinds = ("initContainers", "containers")
    return {c["image"] for pod in pods for kind in kinds for c in pod["spec"].get(kind, ())}


def beside_the_mirror(closed: Closed) -> set[str]:
    """Return what the node's containerd has had from elsewhere, whoever asked for it."""
    listed = closed.inside("ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
    assert closed.mirror in listed.stdout, listed.stderr
    ours = (f"{closed.mirror}/", "sha256:")
    return {name for name in listed.stdout.split() if not name.startswith(ours)} - {PAUSE_IMAGE}


def test_what_is_not_in_the_mirror_says_so(closed: Closed) -> None:
    """An image that an object names is pulled as it is written: not redirected, and told."""
    with closed.story() as story:
        story.apply(closed.registry.pull_secret(LOGIN))
        story.put_sample()
        serving = {"image": "quay.io/team/triton:1"}
        story.apply(story.service("own", accelerator={"chip": "CPU"}, serving=serving))
        story.eventually(
            lambda: "quay.io/team/triton:1" in story.ready_condition("own").get("message", ""),
            lambda: f"nobody says it: {story.ready_condition('own')}",
            120,
        )
