"""What README and quick start say of your cluster, word for word: nodes that pull from registries.

Nothing is loaded into this cluster. What differs from the pages: the host of the registry with a
login, the base images, which here are the devkit's own, because no registry of the internet can be
reached, and the port on this machine that a Service is forwarded to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
import yaml
from devkit import deploy
from devkit import place as demo_place
from devkit.cluster.cluster import Cluster
from devkit.demo import main
from devkit.images import build as image_build
from devkit.images.targets import IMAGES
from tests.support.apiserver import ROOT
from tests.support.pages import blocks, commands
from tests.support.registry import cluster_registry, trust
from tests.support.servers import free_port, registry_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.own_cluster
EXAMPLE = "registry.example.com"
# What the nodes ask docker.io for; there the open registry below answers.
STORE = "nginxinc/nginx-unprivileged:1.28"
BASES = {
    "PYTHON_IMAGE": "base",
    "SERVING_BASE_IMAGE": "base",
    "TRITON_IMAGE": "triton",
    "CANN_IMAGE": "cann",
}


@dataclass(frozen=True)
class Place:
    """A cluster, a registry with a login, and the environment of somebody who works with them."""

    cluster: Cluster
    registry: str
    authority: Path
    hub: str
    """A registry without a login, for what stands for others' registries."""
    environment: dict[str, str]

    def run(
        self, script: str, *, folder: Path = ROOT, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=self.environment | more,
            text=True,
            capture_output=True,
        )

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        told = self.cluster.kubectl("-n", namespace, "get", "pods", "-o", "json")
        items: list[dict[str, Any]] = json.loads(told)["items"]
        return items


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root")
    folder = tmp_path_factory.mktemp("your-cluster")
    for part in ("cluster", "images"):
        subprocess.run([str(ROOT / "devkit" / part / "install.sh")], check=True)
    builder = image_build.devkit_builder()
    with image_build.locked(builder.cache):
        bases = {name: builder.build(IMAGES[image]) for name, image in BASES.items()}
    with (
        Cluster.start(mode="full") as cluster,
        cluster_registry(folder / "closed", cluster) as registry,
        registry_server(folder / "open", host=cluster.host_ip) as hub,
    ):
        trust(cluster, "docker.io", f"http://{hub.name}")
        builder.push(IMAGES["store"], f"{hub.name}/{STORE}", verify_tls=False)
        login = {
            "USERNAME": registry.user,
            "PASSWORD": registry.password,
            "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
            "SSL_CERT_FILE": str(registry.authority),
        }
        environment = cluster.environment() | bases | login
        yield Place(cluster, registry.name, registry.authority, hub.name, environment)


def readme_block() -> str:
    section = (ROOT / "README.md").read_text().split("## On your cluster")[1]
    return str(re.findall(r"```\n(.*?)```", section, re.DOTALL)[0])


def test_the_readme_word_for_word(place: Place) -> None:
    script = readme_block()
    assert EXAMPLE in script
    with urllib3.PoolManager(ca_certs=str(place.authority)) as pool:
        assert pool.request("GET", f"https://{place.registry}/v2/").status == 401

    done = place.run(script.replace(EXAMPLE, place.registry))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{picture(place)}"

    version = re.findall(r"VERSION=(\S+)", script)[0]
    [serving] = [pod for pod in place.pods("default") if containers(pod)[0]["name"] == "triton"]
    used = {*images(place, "default"), *images(place, "resnet-system")}
    names = ("resnet-operator", "resnet-jobs", "resnet-fetch", "resnet-serving-cpu")
    ours = {f"{place.registry}/resnet/{name}:{version}" for name in names}
    assert ours <= used
    assert used - ours == {f"docker.io/{STORE}"}
    predict = [sys.executable, "samples/predict.py", "--url", f"{serving['status']['podIP']}:8000"]
    picture_file = "samples/digits/pictures/seven.png"
    answer = subprocess.run(
        [*predict, "--model", "digits-cpu", picture_file],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert "  1  seven" in answer.stdout, answer.stderr


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a pod's containers, and after them the init containers."""
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]


def images(place: Place, namespace: str) -> set[str]:
    """Return all images of a namespace's pods, those of init containers too."""
    return {one["image"] for pod in place.pods(namespace) for one in containers(pod)}


def picture(place: Place) -> str:
    """Return what a person would look at."""
    parts = ("get pods,resnetservices -A -o wide", "get events -A --sort-by=.lastTimestamp")
    return "\n".join(place.cluster.kubectl(*part.split()) for part in parts)


def test_the_demo_with_a_registry(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make demo` with KUBECONFIG and REGISTRY: the names that it pushes are those it asks for."""
    for namespace in (deploy.NAMESPACE, demo_place.NAMESPACE):
        script = f"""
          kubectl create namespace {namespace} --dry-run=client -o yaml | kubectl apply -f -
          kubectl delete secret pull --namespace {namespace} --ignore-not-found
          kubectl create secret docker-registry pull --namespace {namespace} \\
            --docker-server={place.registry} \\
            --docker-username="$USERNAME" --docker-password="$PASSWORD"
          echo "$PASSWORD" | buildah login --username "$USERNAME" --password-stdin {place.registry}
        """
        done = place.run(script)
        assert done.returncode == 0, done.stderr
    for name, value in place.environment.items():
        if name not in BASES:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("REGISTRY", f"{place.registry}/demo")
    monkeypatch.setenv("PULL_SECRET", "pull")
    assert main() == 0, f"{capsys.readouterr().err}\n{picture(place)}"
    shown = capsys.readouterr().out
    assert shown.count("  1  seven") == 2, "on the simulated chip and on the CPU"
    assert f"helm uninstall {deploy.RELEASE}" in shown
    used = images(place, demo_place.NAMESPACE)
    assert {name.rpartition("/")[0] for name in used} == {f"{place.registry}/demo"}


QUICK_START = ROOT / "docs" / "quickstart.md"
QUICK_IMAGES = ("operator", "jobs", "fetch", "serving-cpu")


def typed(heading: str, port: int) -> str:
    """Return what a reader of the quick start types, and when: once the port is forwarded."""
    script = commands(QUICK_START)[heading]
    begun = f"{port}:8000 > forwarded &\nuntil grep -q Forwarding forwarded; do sleep 0.1; done"
    script = script.replace("8000:8000 &", begun).replace("localhost:8000", f"localhost:{port}")
    return f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"


def put_images(place: Place) -> None:
    """Fill the registry that the page names with what `make images` would push under the name."""
    chart = yaml.safe_load((ROOT / "charts/resnet-operator/Chart.yaml").read_text())
    builder = image_build.devkit_builder()
    with image_build.locked(builder.cache):
        for name in QUICK_IMAGES:
            pushed = f"{place.hub}/resnet/{IMAGES[name].repository}:{chart['appVersion']}"
            builder.push(IMAGES[name], pushed, verify_tls=False)
    trust(place.cluster, EXAMPLE, f"http://{place.hub}")


def test_the_quick_start_word_for_word(place: Place, tmp_path: Path) -> None:
    """In a namespace of its own, after what other pages' readers have installed is removed."""
    put_images(place)
    (tmp_path / "digits.yaml").write_text(blocks(QUICK_START, "yaml")[0])
    for name in ("charts", "samples"):
        (tmp_path / name).symlink_to(ROOT / name)
    reader = {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PATH": f"{Path(sys.executable).parent}:{place.environment['PATH']}",
    }
    before = f"""
      kubectl delete resnetservices --all --all-namespaces --ignore-not-found || true
      helm uninstall resnet-operator -n {deploy.NAMESPACE} --ignore-not-found --wait
      cp {place.cluster.kubeconfig} {reader["KUBECONFIG"]}
      kubectl create namespace quick
      KUBECONFIG={reader["KUBECONFIG"]} kubectl config set-context --current --namespace quick
    """
    done = place.run(before, PATH=reader["PATH"])
    assert done.returncode == 0, done.stderr
    for heading in ("On your cluster", "When it is not ready"):
        done = place.run(typed(heading, free_port()), folder=tmp_path, **reader)
        assert done.returncode == 0, f"{heading}: {done.stdout}\n{done.stderr}\n{picture(place)}"
        assert "digits" in done.stdout
        assert ("  1  seven" in done.stdout) == (heading == "On your cluster")
    used = {*images(place, "quick"), *images(place, deploy.NAMESPACE)} - {f"docker.io/{STORE}"}
    assert {name.rpartition("/")[0] for name in used} == {f"{EXAMPLE}/resnet"}
