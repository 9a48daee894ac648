"""The embedded cluster itself: what the other suites take for granted, seen to be true.

One full cluster serves the whole module. Pods run `devkit/cluster/probe`, a static program that
reports what it sees from inside.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit.cluster.cluster import HERE as CLUSTER_SCRIPTS
from devkit.cluster.cluster import Cluster, ClusterError, data_root, state_root
from devkit.cluster.pack_image import pack_image
from devkit.deviceplugin.deviceplugin import allocation, device_list, parse_resources
from devkit.storage import volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROBE = "localhost/resnet-devkit/probe:1"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root")


def parametrize(names: str, cases: list[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """The last field of each case is the reason, and names the test."""
    return pytest.mark.parametrize(
        names, [pytest.param(*case[:-1], id=case[-1].replace(" ", "-")) for case in cases]
    )


# ---- without a cluster


@parametrize(
    "texts, chips",
    [
        (["huawei.com/Ascend310P:2"], [("Ascend310P3", ("Ascend310P-0", "Ascend310P-1"))],
         "a known resource knows its chip"),
        (["huawei.com/Ascend310P:1", "huawei.com/Ascend310:1"],
         [("Ascend310P3", ("Ascend310P-0",)), ("Ascend310B4", ("Ascend310-1",))],
         "physical ids are unique on a node across resources"),
        (["huawei.com/Ascend910:1:Ascend910B3"], [("Ascend910B3", ("Ascend910-0",))],
         "a chip that is named on the command line is taken"),
        (["huawei.com/Ascend310P:1", "nvidia.com/gpu:2", "huawei.com/Ascend310:1"],
         [("Ascend310P3", ("Ascend310P-0",)), ("", ("gpu-0", "gpu-1")),
          ("Ascend310B4", ("Ascend310-1",))],
         "GPUs have numbers of their own"),
        (["huawei.com/Ascend310P:2x4", "huawei.com/Ascend310:1"],
         [("Ascend310P3", ("Ascend310P-0", "Ascend310P-1")), ("Ascend310B4", ("Ascend310-2",))],
         "shares are no chips"),
    ],
)  # fmt: skip
def test_resources_are_numbered(texts: list[str], chips: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(r.soc, r.chips) for r in parse_resources(texts)] == chips


@parametrize(
    "text",
    [
        ("huawei.com/Ascend910:1", "an unknown resource must say its chip"),
        ("huawei.com/Ascend310P", "a count is needed"),
        ("huawei.com/Ascend310P:many", "a count is a number"),
        ("huawei.com/Ascend310P:2x", "half a product"),
        ("huawei.com/Ascend310P:2x0", "a chip is offered once at least"),
        ("huawei.com/Ascend310P:2x101", "a hundred times at most, as MindCluster does"),
    ],
)
def test_bad_resources_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RESOURCE:COUNT"):
        parse_resources([text])


@parametrize(
    "text, taken, environment, devices",
    [
        ("huawei.com/Ascend310P:4", ["Ascend310P-3", "Ascend310P-1"],
         {"ASCEND_VISIBLE_DEVICES": "1,3", "SIMULATED_NPU_SOC": "Ascend310P3"},
         {"/dev/davinci1", "/dev/davinci3", "/dev/davinci_manager"},
         "as Huawei's plugin tells a container"),
        ("nvidia.com/gpu:2", ["gpu-1"], {"NVIDIA_VISIBLE_DEVICES": "GPU-simulated-1"},
         {"/dev/nvidia1", "/dev/nvidiactl"}, "as NVIDIA's does"),
    ],
)  # fmt: skip
def test_a_container_is_told_its_chips(
    text: str, taken: list[str], environment: dict[str, str], devices: set[str]
) -> None:
    answer = allocation(parse_resources([text])[0], taken)
    told = {entry.key: entry.value for entry in answer.envs}
    assert environment.items() <= told.items()
    assert devices <= {device.container_path for device in answer.devices}


def test_a_shared_chip_is_offered_several_times(tmp_path: Path) -> None:
    (resource,) = parse_resources(["example.com/a-b:2x3:Ascend310P3"])
    offered = [device.ID for device in device_list(resource, frozenset()).devices]
    assert offered == [f"a-b-{chip}-{share}" for chip in (0, 1) for share in (0, 1, 2)]
    for taken, ids in ((["a-b-1-2"], "1"), (["a-b-1-0", "a-b-1-2"], "1")):
        answer = allocation(resource, taken, shared=tmp_path)
        told = {entry.key: entry.value for entry in answer.envs}
        assert told["ASCEND_VISIBLE_DEVICES"] == ids, "two shares may be one chip"
        (mount,) = answer.mounts
        assert mount.host_path == str(tmp_path / ids)
        assert mount.container_path == f"{told['SIMULATED_NPU_SHARED_DIR']}/{ids}"
    whole = allocation(parse_resources(["huawei.com/Ascend310P:1"])[0], ["Ascend310P-0"])
    assert not whole.mounts, "a whole chip is shared with nobody"


@parametrize(
    "unhealthy",
    [("a-b-1", "by the name of the chip"), ("1", "by its physical id")],
)
def test_a_sick_chip_is_sick_for_all_who_share_it(unhealthy: str) -> None:
    (resource,) = parse_resources(["example.com/a-b:2x2:Ascend310P3"])
    listed = device_list(resource, frozenset({unhealthy})).devices
    assert {device.ID for device in listed if device.health == "Unhealthy"} == {
        "a-b-1-0",
        "a-b-1-1",
    }


@parametrize(
    "text, size",
    [
        ("1Mi", 2**20, "binary units"),
        ("2M", 2 * 10**6, "decimal units"),
        ("4096", 4096, "plain bytes"),
    ],
)
def test_tmpfs_sizes_are_read(text: str, size: int) -> None:
    assert volumes.parse_size(text) == size


@parametrize(
    "text",
    [
        ("lots", "a word is no size"),
        ("0", "an empty volume is no use"),
        ("1Mi,exec", "no further mount option comes in"),
    ],
)
def test_bad_tmpfs_sizes_are_refused(text: str) -> None:
    with pytest.raises(volumes.CannotProvisionError):
        volumes.parse_size(text)


# ---- one full cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root")
    subprocess.run([CLUSTER_SCRIPTS / "install.sh"], check=True)
    with Cluster.start(images=[build_probe(tmp_path_factory.mktemp("probe"))]) as cluster:
        yield cluster


def build_probe(directory: Path) -> Path:
    program, archive = directory / "probe", directory / "probe.tar"
    source = CLUSTER_SCRIPTS / "probe" / "probe.c"
    subprocess.run(["gcc", "-Os", "-static", "-o", program, source, "-lresolv"], check=True)
    pack_image(reference=PROBE, entrypoint=["/probe"], files={"/probe": program}, out=archive)
    return archive


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    yield name
    # Not waited for: with claims in it that takes ten seconds, and the cluster goes anyway.
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def claim(name: str, **metadata_or_spec: Any) -> dict[str, Any]:
    annotations = metadata_or_spec.pop("annotations", {})
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        | metadata_or_spec,
    }


def probe_pod(
    name: str, *actions: str, chips: dict[str, int] | None = None, claims: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A pod as strict as the operator's own, with each claim mounted at /<claim>."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": PROBE,
                    "args": list(actions),
                    "resources": {"limits": {k: str(v) for k, v in (chips or {}).items()}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": c, "mountPath": f"/{c}"} for c in claims],
                }
            ],
            "volumes": [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims],
        },
    }


def apply(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)


def run_probe(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> dict[str, str]:
    """What the probe said, by subject."""
    name = f"pod/{pod['metadata']['name']}"
    apply(cluster, namespace, pod)
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("wait", succeeded, name, "-n", namespace, "--timeout=60s")
    lines = cluster.kubectl("logs", name, "-n", namespace).splitlines()
    return dict(line.partition("=" if "=" in line else ": ")[::2] for line in lines)


def get(cluster: Cluster, *arguments: str) -> Any:
    return json.loads(cluster.kubectl("get", *arguments, "-o", "json"))


def eventually(claim: Callable[[], bool], *, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def wait_for_chips(cluster: Cluster, *, allocatable: int) -> None:
    path = r"{.status.allocatable.huawei\.com/Ascend310P}"
    condition = f"--for=jsonpath={path}={allocatable}"
    cluster.kubectl("wait", condition, f"node/{cluster.name}", "--timeout=30s")


@pytest.mark.e2e
def test_a_pod_gets_its_chips_and_its_volume(cluster: Cluster, namespace: str) -> None:
    apply(cluster, namespace, claim("models"))
    pod = probe_pod(
        "p",
        "env:ASCEND_VISIBLE_DEVICES",
        "env:SIMULATED_NPU_SOC",
        "open:/dev/davinci_manager",
        "write:/models/file:100000",
        chips={"huawei.com/Ascend310P": 2},
        claims=("models",),
    )
    said = run_probe(cluster, namespace, pod)
    ids = said["ASCEND_VISIBLE_DEVICES"].split(",")
    assert len(ids) == 2
    assert set(ids) < {"0", "1", "2", "3"}
    assert said["SIMULATED_NPU_SOC"] == "Ascend310P3"
    assert said["/dev/davinci_manager"] == "ok"
    assert said["/models/file"] == "ok", "user 1000 can write"
    volume = get(cluster, "pvc", "models", "-n", namespace)["spec"]["volumeName"]
    assert (cluster.data_dir / "volumes" / volume / "file").stat().st_size == 100000


@pytest.mark.e2e
def test_another_resource_is_another_chip(cluster: Cluster, namespace: str) -> None:
    pod = probe_pod(
        "p",
        "env:ASCEND_VISIBLE_DEVICES",
        "env:SIMULATED_NPU_SOC",
        "open:/dev/davinci4",
        "open:/dev/davinci0",
        chips={"huawei.com/Ascend310": 1},
    )
    assert run_probe(cluster, namespace, pod) == {
        "ASCEND_VISIBLE_DEVICES": "4",
        "SIMULATED_NPU_SOC": "Ascend310B4",
        "/dev/davinci4": "ok",
        "/dev/davinci0": "No such file or directory",
    }


@pytest.mark.e2e
def test_more_chips_than_there_are_stay_pending(cluster: Cluster, namespace: str) -> None:
    apply(cluster, namespace, probe_pod("greedy", chips={"huawei.com/Ascend310P": 5}))
    condition = "--for=condition=PodScheduled=false"
    cluster.kubectl("wait", condition, "pod/greedy", "-n", namespace, "--timeout=30s")
    conditions = get(cluster, "pod", "greedy", "-n", namespace)["status"]["conditions"]
    assert "Insufficient huawei.com/Ascend310P" in conditions[0]["message"]


@pytest.mark.e2e
def test_an_unhealthy_chip_lowers_allocatable_and_heals(cluster: Cluster) -> None:
    cluster.set_unhealthy("Ascend310P-2")
    wait_for_chips(cluster, allocatable=3)
    cluster.set_unhealthy()
    wait_for_chips(cluster, allocatable=4)


def kubelet_pid(cluster: Cluster) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            program, *arguments = (process / "cmdline").read_bytes().decode().split("\0")
            if program.endswith("/kubelet") and f"--hostname-override={cluster.name}" in arguments:
                return int(process.name)
    raise AssertionError("no kubelet is running")


@pytest.mark.e2e
def test_chips_come_back_after_a_kubelet_restart(cluster: Cluster, namespace: str) -> None:
    log = cluster.state_dir / "log" / "deviceplugin.log"
    registrations = log.read_text().count("registered 4 simulated")
    os.kill(kubelet_pid(cluster), 9)
    assert eventually(lambda: log.read_text().count("registered 4 simulated") > registrations)
    wait_for_chips(cluster, allocatable=4)
    said = run_probe(
        cluster,
        namespace,
        probe_pod("p", "env:SIMULATED_NPU_SOC", chips={"huawei.com/Ascend310P": 4}),
    )
    assert said == {"SIMULATED_NPU_SOC": "Ascend310P3"}


def ask_dns(server: str, name: str) -> tuple[int, list[str]]:
    """Return code and IPv4 addresses of one question by UDP."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(5)
        connection.sendto(struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + question, (server, 53))
        answer = connection.recv(4096)
    count = struct.unpack(">H", answer[6:8])[0]
    position, addresses = 12 + len(question), []
    for _ in range(count):
        while answer[position] and answer[position] < 0xC0:  # a name that is not a pointer
            position += answer[position] + 1
        position += 2 if answer[position] >= 0xC0 else 1
        kind, _, _, size = struct.unpack(">HHIH", answer[position : position + 10])
        if kind == 1:
            addresses.append(socket.inet_ntoa(answer[position + 10 : position + 14]))
        position += 10 + size
    return answer[3] & 15, addresses


@pytest.mark.e2e
def test_dns_answers_for_a_service(cluster: Cluster, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    apply(cluster, namespace, service)
    address = get(cluster, "service", "web", "-n", namespace)["spec"]["clusterIP"]
    full = f"web.{namespace}.svc.cluster.local"
    assert eventually(lambda: ask_dns(cluster.node_ip, full) == (0, [address]))
    assert ask_dns(cluster.node_ip, f"nothing.{namespace}.svc.cluster.local")[0] == 3
    assert ask_dns(cluster.node_ip, "example.com") == (3, []), "and nothing leaves the machine"

    names = ["web", f"web.{namespace}", f"web.{namespace}.svc", full, "example.com"]
    names.append("host.resnet-devkit.internal")
    said = run_probe(cluster, namespace, probe_pod("p", *(f"resolve:{name}" for name in names)))
    expected = dict.fromkeys(names, address)
    expected |= {"example.com": "unknown", "host.resnet-devkit.internal": cluster.host_ip}
    assert said == expected


@pytest.mark.e2e
def test_services_exec_and_port_forward_reach_a_pod(cluster: Cluster, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    }
    apply(cluster, namespace, service, probe_pod("web", "serve:8080"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "-n", namespace, "--timeout=60s")
    spec = get(cluster, "service", "web", "-n", namespace)["spec"]
    pod_ip = get(cluster, "pod", "web", "-n", namespace)["status"]["podIP"]
    for address, reason in (
        (f"{pod_ip}:8080", "a pod by its address"),
        (f"{spec['clusterIP']}:80", "a Service by its cluster address"),
        (f"{cluster.node_ip}:{spec['ports'][0]['nodePort']}", "a Service by the node's port"),
    ):
        assert eventually(lambda a=address: fetch(a) == "hello"), reason  # type: ignore[misc]
    probe = ("--", "/probe", "env:KUBERNETES_SERVICE_PORT")
    said = cluster.kubectl("exec", "web", "-n", namespace, *probe)
    assert said == "KUBERNETES_SERVICE_PORT=443\n"

    kubectl = str(cluster.bin_dir / "kubectl")
    forward = [kubectl, "port-forward", "pod/web", "-n", namespace, ":8080"]
    with subprocess.Popen(
        forward, stdout=subprocess.PIPE, text=True, env=cluster.environment()
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        assert fetch(address) == "hello"
        process.terminate()


def fetch(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/", timeout=5) as response:
            return str(response.read().decode())
    except OSError as error:
        return str(error)


@pytest.mark.e2e
def test_a_tmpfs_volume_gets_full(cluster: Cluster, namespace: str) -> None:
    tiny = {volumes.TMPFS_ANNOTATION: "1Mi"}
    apply(cluster, namespace, claim("tiny", annotations=tiny))
    pod = probe_pod("p", "write:/tiny/a:900000", "write:/tiny/b:900000", claims=("tiny",))
    said = run_probe(cluster, namespace, pod)
    assert said == {"/tiny/a": "ok", "/tiny/b": "No space left on device"}
    assert_volume_goes_with_claim(cluster, namespace, claim="tiny", pod="p")


@pytest.mark.e2e
def test_a_class_can_have_tiny_volumes(cluster: Cluster, namespace: str) -> None:
    tiny_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": namespace},
        "provisioner": volumes.PROVISIONER,
        "parameters": {"tmpfs": "64Ki"},
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    apply(cluster, namespace, tiny_class, claim("tiny", storageClassName=namespace))
    try:
        pod = probe_pod("p", "write:/tiny/a:65537", claims=("tiny",))
        assert run_probe(cluster, namespace, pod) == {"/tiny/a": "No space left on device"}
    finally:
        cluster.kubectl("delete", "storageclass", namespace)


@pytest.mark.e2e
def test_every_access_mode_binds(cluster: Cluster, namespace: str) -> None:
    modes = {"rwo": "ReadWriteOnce", "rwx": "ReadWriteMany", "rox": "ReadOnlyMany"}
    apply(cluster, namespace, *(claim(n, accessModes=[mode]) for n, mode in modes.items()))
    run_probe(cluster, namespace, probe_pod("p", "env:PATH", claims=tuple(modes)))
    bound = get(cluster, "pvc", "-n", namespace)["items"]
    assert {c["metadata"]["name"]: c["status"]["accessModes"] for c in bound} == {
        name: [mode] for name, mode in modes.items()
    }
    assert_volume_goes_with_claim(cluster, namespace, claim="rwo", pod="p")


def assert_volume_goes_with_claim(
    cluster: Cluster, namespace: str, *, claim: str, pod: str
) -> None:
    volume = get(cluster, "pvc", claim, "-n", namespace)["spec"]["volumeName"]
    cluster.kubectl("delete", f"pod/{pod}", f"pvc/{claim}", "-n", namespace)
    assert eventually(lambda: not (cluster.data_dir / "volumes" / volume).exists())
    cluster.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=30s")


@pytest.mark.e2e
@parametrize(
    "metadata_or_spec, message",
    [
        ({"volumeMode": "Block"}, "only volumeMode Filesystem", "raw block devices are not made"),
        ({"annotations": {volumes.TMPFS_ANNOTATION: "lots"}}, "not a size", "a bad size is told"),
    ],
)  # fmt: skip
def test_an_impossible_claim_says_why(
    cluster: Cluster, namespace: str, metadata_or_spec: dict[str, Any], message: str
) -> None:
    pod = probe_pod("p", claims=("odd",))
    if "volumeMode" in metadata_or_spec:
        container = pod["spec"]["containers"][0]
        container["volumeDevices"] = [{"name": "odd", "devicePath": "/dev/odd"}]
        del container["volumeMounts"]
    apply(cluster, namespace, claim("odd", **metadata_or_spec), pod)

    def told() -> bool:
        events = get(cluster, "events", "-n", namespace)["items"]
        failed = [e["message"] for e in events if e["reason"] == "ProvisioningFailed"]
        return any(message in text for text in failed)

    assert eventually(told)


@pytest.mark.e2e
def test_pod_security_is_enforced(cluster: Cluster, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, label)
    apply(cluster, namespace, probe_pod("strict"))
    lax = probe_pod("lax")
    lax["spec"]["securityContext"] = {}
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        apply(cluster, namespace, lax)


@pytest.mark.e2e
def test_the_daemonset_for_other_clusters_is_valid(cluster: Cluster) -> None:
    manifest = CLUSTER_SCRIPTS.parent / "deviceplugin" / "daemonset.yaml"
    text = manifest.read_text().replace("DEVICE_PLUGIN_IMAGE", PROBE)
    cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=text)


# ---- coming and going


def leftovers(name: str, index: int) -> list[str]:
    """What is there of a cluster: directories, cgroups, links, routes, processes.

    Its index is free once it has gone, and another worker's cluster may have taken it.
    """
    found = [str(path) for path in (state_root() / name, data_root() / name) if path.exists()]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/kt-{name}")]
    for command in (["ip", "-brief", "link"], ["ip", "route"], ["ps", "-eo", "args"]):
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        marks = [str(state_root() / name) + "/"]
        if not is_taken(index, but=name):
            marks += [f"kt{index}@", f"10.250.{index}."]
        found += [line for line in output.splitlines() if any(mark in line for mark in marks)]
    return found


def is_taken(index: int, *, but: str) -> bool:
    claim = Path("/run/resnet-devkit-index") / str(index)
    return claim.is_symlink() and claim.readlink().name != but


@needs_root
@pytest.mark.e2e
def test_clusters_live_side_by_side_and_leave_nothing(cluster: Cluster) -> None:
    second = Cluster.start(mode="api", components=["apiserver"])
    try:
        assert second.index != cluster.index
        assert second.kubectl("get", "nodes") == ""
        assert cluster.name in cluster.kubectl("get", "nodes")
        copy = second.state_dir.parent / f"{second.name}.kubeconfig"
        shutil.copy(second.kubeconfig, copy)
        try:
            assert "default" in second.kubectl("get", "ns", "--kubeconfig", str(copy))
        finally:
            copy.unlink()
        assert leftovers(second.name, second.index), "the search finds a running cluster"
        with pytest.raises(ClusterError):
            Cluster.start(name=second.name, mode="api")
        assert second.is_alive(), "a second start leaves the first alone"
    finally:
        second.stop()
    assert leftovers(second.name, second.index) == []
    second.stop()  # once more is no error


@needs_root
@pytest.mark.e2e
def test_a_cluster_that_died_is_cleared_by_the_next_start() -> None:
    first = Cluster.start(mode="api", components=["apiserver"])
    os.kill(int((first.state_dir / "init.pid").read_text()), 9)
    assert eventually(lambda: not first.is_alive())
    with Cluster.start(name=first.name, mode="api", components=["apiserver"]) as second:
        assert "default" in second.kubectl("get", "namespaces")


@needs_root
@pytest.mark.e2e
def test_a_cluster_does_not_outlive_its_owner_for_long() -> None:
    """Whoever boots next ends it: perhaps another worker, as soon as the owner has gone."""
    program = (
        "from devkit.cluster.cluster import Cluster\n"
        "print(Cluster.start(mode='api', components=['apiserver']).name, flush=True)\n"
        "input()"
    )
    root = CLUSTER_SCRIPTS.parent.parent
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert owner.stdout is not None
    orphan = Cluster.attach(owner.stdout.readline().strip())
    with Cluster.start(mode="api", components=["apiserver"]):
        assert orphan.is_alive(), "its owner lives"
    owner.communicate("\n")
    with Cluster.start(mode="api", components=["apiserver"]):
        assert not orphan.is_alive()
        assert not orphan.state_dir.exists()
