"""`make demo`: the main job from a plain machine to a prediction, with every step shown.

Boots the embedded cluster (or uses KUBECONFIG with images in REGISTRY), builds the images,
installs the operator with helm, applies samples/, waits, and predicts a real picture.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devkit import deploy
from devkit.cluster.cluster import Cluster, build

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "demo"
CLUSTER = "demo"
PICTURE = ROOT / "samples" / "digits" / "pictures" / "seven.png"
LABELS = ROOT / "samples" / "digits" / "labels.txt"
RESOURCE = "huawei.com/Ascend310P"
WAIT_SECONDS = 180


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


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show(command: str, output: str) -> None:
    print(f"$ {command}\n{output.rstrip()}\n", flush=True)


def target() -> Target:
    """Boot the embedded cluster, or take the user's; build and bring the images."""
    foreign = os.environ.get("KUBECONFIG")
    if foreign:
        registry = os.environ.get("REGISTRY")
        if not registry:
            raise deploy.DeployError(
                "KUBECONFIG is set, so the images must come from a registry: set REGISTRY to one "
                "that this machine may push to and the cluster may pull from, for example "
                "REGISTRY=registry.example.com/resnet; or unset KUBECONFIG for the embedded cluster"
            )
        say(f"images: building and pushing to {registry}")
        push = [str(ROOT / "devkit" / "images" / "build.sh"), "--push", registry]
        subprocess.run(push, check=True, stdout=sys.stderr)
        values = deploy.merge(
            deploy.EMBEDDED,
            {
                "images": {
                    "registry": registry,
                    **deploy.converters(
                        os.environ.get("CANN_IMAGE") or f"{registry}/cann-simulator:dev"
                    ),
                },
                "store": {"image": f"{registry}/resnet-store:dev"},
            },
        )
        return Target(Path(foreign), build(), values, embedded=False)
    if os.geteuid() != 0:
        raise deploy.DeployError("the embedded cluster needs root; or set KUBECONFIG and REGISTRY")
    say("cluster: a real one-node Kubernetes with simulated Ascend chips")
    subprocess.run([str(ROOT / "devkit" / "cluster" / "install.sh")], check=True)
    up = [sys.executable, str(ROOT / "devkit" / "cluster" / "cluster.py"), "up", "--name", CLUSTER]
    subprocess.run(up, check=True, stdout=subprocess.DEVNULL)
    cluster = Cluster.attach(CLUSTER)
    say("images: operator, jobs, serving, store, and the CANN simulator")
    tars = deploy.build_images()
    print("loading them into the cluster ...", flush=True)
    cluster.load(*tars)
    return Target(cluster.kubeconfig, cluster.bin_dir, deploy.EMBEDDED, embedded=True)


def install(where: Target) -> deploy.Operator:
    """Install the operator from the chart."""
    say("operator: helm upgrade --install resnet-operator charts/resnet-operator")
    operator = deploy.Operator(run=where.run, base=where.values)
    operator.install({})
    show(
        "kubectl -n resnet-system get deployment",
        operator.check("kubectl", "-n", deploy.NAMESPACE, "get", "deployment"),
    )
    return operator


def apply_samples(where: Target, operator: deploy.Operator) -> list[str]:
    """Put the model where the samples expect it, apply them, and return the objects' names."""
    say("samples: the model into a claim, its labels into a ConfigMap, then the ResNetServices")
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    operator.check("kubectl", "apply", "-f", "-", input=json.dumps(namespace))
    for name, file in (("digits-labels", LABELS), ("digits-model", deploy.SAMPLE)):
        key = "labels.txt" if file == LABELS else file.name
        make = ("create", "configmap", name, f"--from-file={key}={file}")
        body = where.kubectl(*make, "--dry-run=client", "-o", "json")
        where.kubectl("apply", "--server-side", "-f", "-", input=body)
    if "models" not in where.kubectl("get", "pvc", "-o", "name"):
        items = {"apiVersion": "v1", "kind": "List", "items": operator.claim_with_sample("models")}
        where.kubectl("apply", "-f", "-", input=json.dumps(items))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        where.kubectl("wait", done, "pod/loader", "--timeout=120s")
        where.kubectl("delete", "pod", "loader", "--wait=false")
    names = ["digits-cpu"]
    if RESOURCE in where.kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.allocatable}"):
        names.insert(0, "digits")
    else:
        print(f"no node has {RESOURCE}: only the CPU sample is applied")
    for name in names:
        sample = "samples/digits-npu.yaml" if name == "digits" else "samples/digits-cpu.yaml"
        show(f"kubectl apply -f {sample}", where.kubectl("apply", "-f", str(ROOT / sample)))
    return names


def wait_ready(where: Target, names: list[str]) -> None:
    """Wait until all objects are Ready, printing each step that they go through."""
    begun, last = time.monotonic(), ""
    while True:
        items = json.loads(where.kubectl("get", "resnetservices", "-o", "json"))["items"]
        lines, ready = [], 0
        for item in items:
            status = item.get("status", {})
            conditions = {c["type"]: c for c in status.get("conditions", ())}
            condition = conditions.get("Ready", {})
            ready += condition.get("status") == "True"
            name, phase = item["metadata"]["name"], status.get("phase", "Pending")
            lines.append(f"{name}: {phase} - {condition.get('message', 'seen soon')}")
        text = "; ".join(lines)
        if text != last:
            print(f"  {time.monotonic() - begun:5.1f} s  {text}", flush=True)
            last = text
        if ready == len(names):
            return
        if time.monotonic() - begun > WAIT_SECONDS:
            raise deploy.DeployError(f"not Ready after {WAIT_SECONDS} s: {text}")
        time.sleep(0.5)


@contextmanager
def forwarded(where: Target, name: str) -> Iterator[int]:
    """Forward a local port to the Service of an object."""
    command = ["kubectl", "-n", NAMESPACE, "port-forward", f"service/{name}", ":8000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=where.environment())
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        if not found:
            raise deploy.DeployError(f"kubectl port-forward service/{name} did not start")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


def present(where: Target, names: list[str]) -> None:
    """Show what a user looks at: the list, the config, the command line, the endpoint."""
    say("what there is now")
    show("kubectl get resnetservices", where.kubectl("get", "resnetservices"))
    first = names[0]
    status = json.loads(where.kubectl("get", "resnetservice", first, "-o", "json"))["status"]
    config_map = status["repositoryConfigMap"]
    config = where.kubectl("get", "configmap", config_map, "-o", r"jsonpath={.data.config\.pbtxt}")
    show(f"kubectl get configmap {config_map} -o jsonpath='{{.data.config\\.pbtxt}}'", config)
    artifact = status["artifact"]
    if "command" in artifact:
        print(f"The conversion's command line, by {artifact['compiler']}:")
        print("  " + " ".join(artifact["command"]) + "\n")
    for name in names:
        with forwarded(where, name) as port:
            url = f"http://127.0.0.1:{port}/v2/health/ready"
            done = where.run("curl", "-sS", "-i", url)
            show(f"kubectl port-forward service/{name} {port}:8000 &  curl -i {url}", done.stdout)
            predict = ["samples/predict.py", "--url", f"127.0.0.1:{port}", "--model", name]
            answer = where.run(sys.executable, *predict, str(PICTURE.relative_to(ROOT)))
            if answer.returncode != 0:
                raise deploy.DeployError(answer.stderr.strip())
            show(f"python {' '.join(predict)} {PICTURE.relative_to(ROOT)}", answer.stdout)


def farewell(where: Target) -> None:
    say("use it by hand")
    print(f"  export KUBECONFIG={where.kubeconfig} PATH={where.bin_dir}:$PATH")
    print(f"  kubectl -n {NAMESPACE} get resnetservices --watch")
    print(f"  kubectl -n {NAMESPACE} scale resnetservice digits-cpu --replicas=2")
    print("  kubectl explain resnetservice.spec")
    if where.embedded:
        print("\nRemove all of it: make demo-down")
        print("No NPU is here: the chips, ATC and pyACL are simulated, all else is real.")
    else:
        print(f"\nRemove it: kubectl delete namespace {NAMESPACE}; "
              f"helm uninstall {deploy.RELEASE} -n {deploy.NAMESPACE}")  # fmt: skip


def main() -> int:
    try:
        where = target()
        operator = install(where)
        names = apply_samples(where, operator)
        wait_ready(where, names)
        present(where, names)
        farewell(where)
    except (deploy.DeployError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
