"""From the last release to this tree and back, under load: nobody who serves notices.

The commands are those of docs/upgrade.md and docs/removal.md, word for word, on a cluster of its
own: the suite's other clusters have one operator each, and it is not the earlier one.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit import deploy
from devkit.cluster.cluster import Cluster
from devkit.images.targets import DEMO
from tests.e2e import earlier
from tests.e2e.load import load
from tests.e2e.snapshot import Snapshot, differences
from tests.e2e.story import Story
from tests.e2e.test_gate import PASSES, gate, pinned_model, put_all, recipe
from tests.e2e.test_om import compile_om
from tests.e2e.test_oneflow import archive, oneflow
from tests.support import needs
from tests.support.apiserver import ROOT, ApiServer, proxied
from tests.support.pages import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clients import Load

VERSION, COMMIT = "0.1.0", "71996aa"
# CANN and AMCT are of that time too, as nobody upgrades them by the way: what the newer simulator
# compiles, the older one does not load.
RELEASED = ("operator", "jobs", "serving", "serving-cpu", "cann", "amct")
NAMESPACE = "models"
UPGRADE, REMOVAL = ROOT / "docs" / "upgrade.md", ROOT / "docs" / "removal.md"
CPU = {"chip": "CPU"}
DEVICES = ("huawei.com/Ascend310P:8", "nvidia.com/gpu:1")
# As an administrator writes them; the tag is left to each chart's own appVersion.
VALUES: dict[str, Any] = {
    "images": {
        "registry": "localhost",
        "converter": {"Ascend310P": f"localhost/cann-simulator:{VERSION}"},
        "amct": f"localhost/amct-simulator:{VERSION}",
        "serving": {"OneFlow": "localhost/resnet-serving-oneflow:dev"},
    },
    "store": {"image": "localhost/resnet-store:dev", "size": "1Gi"},
    "resyncSeconds": 5,
    "log": {"format": "plain"},
}


@pytest.fixture
def release(tmp_path: Path) -> earlier.Earlier:
    found = earlier.find(VERSION, commit=COMMIT)
    revision = needs.need_history(found, f"the tag v{VERSION} or the commit {COMMIT}")
    return earlier.export(VERSION, revision, tmp_path)


@pytest.fixture
def story(release: earlier.Earlier) -> Iterator[Story]:
    """A cluster of its own with the images of both versions, and the namespace of the pages."""
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root")
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resnet-operator"
    images = [
        *deploy.build_images((*DEMO, "serving-oneflow")),
        *release.images(cache / "images", *RELEASED),
    ]
    with (
        Cluster.start(mode="full", images=images, devices=DEVICES) as cluster,
        proxied(kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True) as server,
    ):
        for name in (NAMESPACE, deploy.NAMESPACE):
            server.kubectl("create", "namespace", name)
            label = "pod-security.kubernetes.io/enforce=restricted"
            server.kubectl("label", "namespace", name, label)
        operator = deploy.Operator(run=server.run)
        yield Story(server=server, cluster=cluster, operator=operator, namespace=NAMESPACE)


class Reader:
    """Somebody who types what a page says, with the chart of this tree at hand."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        package = ["package", str(ROOT / "charts" / "resnet-operator"), "-d", str(folder)]
        server.helm(*package, "--version", "9.9.9", "--app-version", "dev")
        self.chart = folder / "resnet-operator-9.9.9.tgz"

    def types(self, page: Path, heading: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands(page)[heading]],
            env=self.server.environment() | {"CHART": str(self.chart)},
            cwd=self.folder,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, f"{page.name}, {heading}: {done.stdout}{done.stderr}"
        return done.stdout


def services(story: Story) -> list[dict[str, Any]]:
    """An object of every kind that this machine can run; names say what is special."""
    failing = {"inputShapes": {"image": [3, 32, 32]}}
    exposed = {
        "replicas": 2,
        "ingress": {"host": "exposed.example.com"},
        "networkPolicy": {},
        "configOverrides": "dynamic_batching { max_queue_delay_microseconds: 0 }",
    }
    pictures = {"pipeline": {"mean": [78], "std": [96]}}
    pinned: dict[str, Any] = {"model": pinned_model(), "conversion": {"batchSizes": [4]}}
    return [
        story.service("resnet50"),
        story.service("cpu", accelerator=CPU),
        story.service("pinned", **pinned),
        story.service("pinned-too", **pinned),
        story.service("exposed", accelerator=CPU, serving=exposed),
        story.service("pictures", accelerator=CPU, serving=pictures),
        story.service("suspended", accelerator=CPU, suspend=True),
        story.service("zero", accelerator=CPU, serving={"replicas": 0}),
        story.service("older", accelerator=CPU),
        story.service("failing", conversion=failing),
        recipe(story, gate(PASSES), name="quantized"),
        story.service("om", model={"uri": "configmap://files/digits.om"}),
        oneflow(story, "oneflow", model={"uri": "configmap://files/graph.tar.gz"}),
    ]


def make_all(story: Story, release: earlier.Earlier, scratch: Path) -> None:
    put_all(story)
    om = compile_om(scratch, release.cann)
    files = {"digits.om": om.read_bytes(), "graph.tar.gz": archive()}
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    story.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "binaryData": data}
    )
    made = services(story)
    story.apply(*made)
    names = [item["metadata"]["name"] for item in made]
    for name in names:
        if name == "failing":
            wait_phase(story, "Failed", name)
        else:
            story.wait_ready(name, seconds=300)
    # One has a history, and was sent back to it by hand.
    first = story.get("resnetservice", "older")["status"]["revisions"]["serving"]
    batching = {"serving": {"batching": {"maxBatchSize": 2}}}
    story.patch("resnetservice", "older", {"spec": batching})
    story.wait_ready("older")
    story.patch("resnetservice", "older", {"spec": {"rollout": {"pinRevision": first}}})
    assert story.wait_ready("older")["revisions"]["serving"] == first
    story.eventually(lambda: not going(story), lambda: f"pods do not end: {going(story)}")


def wait_phase(story: Story, phase: str, name: str) -> None:
    story.eventually(
        lambda: story.get("resnetservice", name).get("status", {}).get("phase") == phase,
        lambda: f"{name} is never {phase}: {story.ready_condition(name)}",
        seconds=120,
    )


def going(story: Story) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in story.items("pods")
        if "deletionTimestamp" in pod["metadata"]
    ]


def looks_at_everything(story: Story, *, times: int = 3) -> None:
    """Wait until the operator that runs now has looked at each object several times."""
    wanted = times * len(story.items("resnetservices"))

    def reconciles() -> float:
        counted = re.findall(r"reconciles_total{[^}]*} (\d+)", story.operator.metrics())
        return sum(map(float, counted))

    story.eventually(lambda: reconciles() >= wanted, lambda: f"{reconciles()} of {wanted}", 90)


def unchanged(story: Story, before: Snapshot, loads: list[Load], when: str) -> None:
    looks_at_everything(story)
    for one in loads:
        one.goes_on(40)
        one.check(when)
    story.eventually(
        lambda: not differences(before, Snapshot.take(story)),
        lambda: f"{when}: {differences(before, Snapshot.take(story))}",
        seconds=15,
    )
    answers = sum(sum(one.answered.values()) for one in loads)
    print(f"{when}: 0 of {answers} requests failed; {len(before.pods)} pods, 0 restarted; "
          f"{len(before.specs)} objects read the same; no new Job")  # fmt: skip


def operators_image(story: Story) -> str:
    found = story.server.kubectl(
        *("-n", deploy.NAMESPACE, "get", "deployment", deploy.RELEASE, "-o"),
        "jsonpath={.spec.template.spec.containers[0].image}",
    )
    return found.rpartition(":")[2]


@pytest.mark.own_cluster
def test_an_upgrade_and_the_way_back_change_nothing_that_serves(
    story: Story, release: earlier.Earlier, tmp_path: Path
) -> None:
    values = tmp_path / "first.json"
    values.write_text(json.dumps(VALUES), encoding="utf-8")
    install = ["install", deploy.RELEASE, str(release.chart), "-n", deploy.NAMESPACE]
    story.server.helm(*install, "-f", str(values), "--wait", "--timeout=2m")
    assert operators_image(story) == VERSION
    reader = Reader(story.server, tmp_path)
    make_all(story, release, tmp_path)
    before = Snapshot.take(story)

    with ExitStack() as stack:
        loads = [stack.enter_context(load(story, name)) for name in ("resnet50", "cpu")]
        for one in loads:
            one.goes_on()
        reader.types(UPGRADE, "Upgrade the release")
        assert operators_image(story) == "dev"
        unchanged(story, before, loads, f"upgraded from {VERSION}")
        assert "resnet50" in reader.types(UPGRADE, "Look at it")

        reader.types(UPGRADE, "Go back")
        assert operators_image(story) == VERSION
        unchanged(story, before, loads, f"back at {VERSION}")

        reader.types(UPGRADE, "Upgrade the release")
        unchanged(story, before, loads, "upgraded again")
        for one in loads:
            one.check("in the end")
    what_was_made_before_lives_on(story, before)
    removal(story, reader)


def what_was_made_before_lives_on(story: Story, before: Snapshot) -> None:
    """Pods of an old revision start again from the store; a change rolls without converting."""
    pods = story.items("pods", "app.kubernetes.io/instance=exposed")
    story.kubectl("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")
    story.kubectl("scale", "resnetservice", "pinned", "--replicas=2")
    assert story.wait_ready("pinned")["ready"] == "2/2"
    story.eventually(
        lambda: (
            story.get("deployment", "exposed")["status"].get("readyReplicas") == 2
            and pods[0]["metadata"]["uid"] not in Snapshot.take(story).pods
        ),
        lambda: "the deleted pod is not replaced",
        seconds=90,
    )
    story.patch("resnetservice", "cpu", {"spec": {"serving": {"podAnnotations": {"a": "b"}}}})
    story.patch("resnetservice", "resnet50", {"spec": {"serving": {"podAnnotations": {"a": "b"}}}})
    for name in ("cpu", "resnet50"):
        after = story.wait_ready(name, seconds=120)
        old = before.statuses[name]
        assert after["revisions"]["serving"] != old["revisions"]["serving"]
        assert after["artifact"]["sha256"] == old["artifact"]["sha256"]
    assert not Snapshot.take(story).jobs - before.jobs, "a change after the upgrade converts again"


def removal(story: Story, reader: Reader) -> None:
    reader.types(REMOVAL, "One service")
    left = "app.kubernetes.io/instance=resnet50"
    story.eventually(
        lambda: not story.items("deployments,pods,services", left), lambda: "it does not go", 90
    )
    before = Snapshot.take(story)
    with load(story, "cpu") as clients:
        clients.goes_on()
        reader.types(REMOVAL, "The operator, while services keep serving")
        clients.goes_on(40)
        clients.check("without an operator")
    assert not differences(before, Snapshot.take(story))

    reader.types(REMOVAL, "Everything")
    story.eventually(
        lambda: not leftovers(story), lambda: f"left behind: {leftovers(story)}", seconds=90
    )
    assert not reader.types(REMOVAL, "Look for what is left")


def leftovers(story: Story) -> list[str]:
    """Return what of ours is in the cluster, whatever its kind."""
    namespaced = story.server.kubectl(
        "api-resources", "--namespaced", "--verbs=list,delete", "-o", "name"
    )
    kinds = ",".join(sorted(set(namespaced.split()) - {"events", "events.events.k8s.io"}))
    ours = ("-A", "-l", "app.kubernetes.io/managed-by=resnet-operator", "-o", "name")
    found = story.server.kubectl("get", kinds, *ours).split()
    cluster_wide = "clusterroles,clusterrolebindings,customresourcedefinitions"
    everything = story.server.kubectl("get", cluster_wide, "-o", "name").split()
    return found + [name for name in everything if "resnet" in name]
