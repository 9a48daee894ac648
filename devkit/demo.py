"""`make demo`: the main job from a plain machine to a prediction, with every step shown.

Boots the embedded cluster (or uses KUBECONFIG with images in REGISTRY), builds the images that it
runs, installs the operator with helm, applies samples/, waits, and predicts a real picture.
Settings, by environment: IMAGES=all builds every image of the devkit; with KUBECONFIG also
REGISTRY, CANN_IMAGE (a real one), PULL_SECRET (its name), PLAIN_HTTP=1 (a registry without TLS).
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devkit import deploy
from devkit.cluster.build import BuildError as ClusterBuildError
from devkit.images.tools import BuildError
from devkit.place import NAMESPACE, Target, target
from devkit.progress import spoken

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "samples" / "digits" / "pictures" / "seven.png"
LABELS = ROOT / "samples" / "digits" / "labels.txt"
RESOURCE = "huawei.com/Ascend310P"
WAIT_SECONDS = 180


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show(command: str, output: str) -> None:
    print(f"$ {command}\n{output.rstrip()}\n", flush=True)


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
    say("samples: the model and its labels into ConfigMaps, then the ResNetServices")
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
    names = ["digits-cpu"]
    if RESOURCE in where.kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.allocatable}"):
        names.insert(0, "digits")
        fill_claim(where, operator)
    else:
        print(f"no node has {RESOURCE}: only the CPU sample is applied")
    for name in names:
        sample = "samples/digits-npu.yaml" if name == "digits" else "samples/digits-cpu.yaml"
        show(f"kubectl apply -f {sample}", where.kubectl("apply", "-f", str(ROOT / sample)))
    return names


def fill_claim(where: Target, operator: deploy.Operator) -> None:
    """Put the model into the claim that the sample for NPUs names."""
    if "models" not in where.kubectl("get", "pvc", "-o", "name"):
        items = {"apiVersion": "v1", "kind": "List", "items": operator.claim_with_sample("models")}
        where.kubectl("apply", "-f", "-", input=json.dumps(items))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        where.kubectl("wait", done, "pod/loader", "--timeout=120s")
        where.kubectl("delete", "pod", "loader", "--wait=false")


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


def plugin(folder: Path) -> Path:
    """Put `kubectl resnet` of this clone into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "kubectl-resnet"
    home, python = (shlex.quote(str(path)) for path in (ROOT / "operator", sys.executable))
    start.write_text(f'#!/bin/sh\nPYTHONPATH={home} exec {python} -m resnet_cli "$@"\n')
    start.chmod(0o755)
    return folder


def farewell(where: Target) -> None:
    say("use it by hand")
    bins = f"{where.bin_dir}:{plugin(ROOT / 'build' / 'bin')}"
    print(f"  export KUBECONFIG={where.kubeconfig} PATH={bins}:$PATH")
    print(f"  kubectl -n {NAMESPACE} get resnetservices --watch")
    print(f"  kubectl resnet why digits -n {NAMESPACE}")
    print(f"  kubectl -n {NAMESPACE} scale resnetservice digits-cpu --replicas=2")
    print("  kubectl explain resnetservice.spec")
    if where.embedded:
        print("\nRemove all of it: make demo-down")
        print("Images of quantization, PyTorch, TorchAIE and OneFlow too: make demo IMAGES=all")
        print("No NPU is here: the chips, ATC and pyACL are simulated, all else is real.")
    else:
        print(f"\nRemove it: kubectl delete namespace {NAMESPACE}; "
              f"helm uninstall {deploy.RELEASE} -n {deploy.NAMESPACE}")  # fmt: skip


def main() -> int:
    begun = time.monotonic()
    try:
        where, told = target()
        with told.step("install"):
            operator = install(where)
        with told.step("serve"):
            names = apply_samples(where, operator)
            wait_ready(where, names)
        with told.step("predict"):
            present(where, names)
        farewell(where)
        say(f"from the command to the last prediction: {spoken(time.monotonic() - begun)}")
    except (
        deploy.DeployError,
        subprocess.CalledProcessError,
        BuildError,
        ClusterBuildError,
    ) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
