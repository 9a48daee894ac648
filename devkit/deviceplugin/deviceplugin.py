"""A SIMULATED device plugin for Ascend NPUs and NVIDIA GPUs: real kubelet protocol, no hardware.

Why: an operator's real trouble with NPUs (no free chip, a chip that turns unhealthy, partial
allocation) happens between scheduler, kubelet and device plugin. This plugin offers as many chips
as it is told to, so all of that is real; only the chips are not. `devkit/cluster` runs it as a
process, `daemonset.yaml` as a pod on other clusters.

    python -m devkit.deviceplugin.deviceplugin RESOURCE:COUNT[xSHARES][:SOC] ...

A container that asked for chips gets what Huawei's plugin gives it: ASCEND_VISIBLE_DEVICES with
the physical ids and /dev/davinciN (each of them the host's /dev/null). SIMULATED_NPU_SOC is the
devkit's own addition, for the simulated `acl` library, and does not exist on real nodes.
`huawei.com/Ascend310P:2x4` offers each of two chips four times, as MindCluster's -shareDevCount=4;
which of them a container gets is the kubelet's choice, and what its processes take of the
simulated memory they take from each other.
`nvidia.com/gpu:2` is as NVIDIA's plugin does it: NVIDIA_VISIBLE_DEVICES and /dev/nvidiaN.
"""

from __future__ import annotations

import argparse
import logging
import re
import signal
import threading
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from devkit.deviceplugin import kubelet_protocol as protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("simulated-ascend-device-plugin")

KUBELET_DIRECTORY = Path("/var/lib/kubelet/device-plugins")
SHARED_MEMORY = Path("/var/lib/simulated-npu")
SHARED_MOUNT = "/run/simulated-npu"
MOST_SHARES = 100  # MindCluster's
POLL_SECONDS = 0.5
# Which chip a resource's simulated devices claim to be, when the command line does not say.
DEFAULT_SOC = {"Ascend310P": "Ascend310P3", "Ascend310": "Ascend310B4"}
# Devices that every container with an NPU gets beside its own chips.
SHARED_DEVICES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
NVIDIA = "nvidia.com/"
NVIDIA_SHARED_DEVICES = ("/dev/nvidiactl", "/dev/nvidia-uvm")


@dataclass(frozen=True)
class Resource:
    """One extended resource; its chips are `<kind>-<physical id>`, unique on the node.

    GPUs have no soc; their numbers begin at 0 again. A shared chip is offered `shares` times, as
    `<kind>-<physical id>-<share>`.
    """

    name: str
    soc: str
    chips: tuple[str, ...]
    shares: int = 1

    @property
    def devices(self) -> tuple[str, ...]:
        if self.shares == 1:
            return self.chips
        return tuple(f"{chip}-{share}" for chip in self.chips for share in range(self.shares))

    @property
    def socket(self) -> str:
        return f"simulated-{self.name.replace('/', '-')}.sock"


def parse_resources(texts: list[str]) -> list[Resource]:
    """`huawei.com/Ascend310P:4` gives Ascend310P-0 to -3; the next NPU's resource goes on at 4."""
    resources: list[Resource] = []
    first = 0
    for text in texts:
        name, _, rest = text.partition(":")
        amount, _, soc = rest.partition(":")
        count, times, shares = amount.partition("x")
        shares = shares if times else "1"
        kind = name.rpartition("/")[2]
        soc = soc or DEFAULT_SOC.get(kind, "")
        is_gpu = name.startswith(NVIDIA)
        if not (soc or is_gpu) or not count.isdigit() or not _is_count(shares):
            raise ValueError(
                f"{text!r}: write RESOURCE:COUNT, or RESOURCE:COUNT:SOC for {kind!r}; COUNT may "
                "be 2x4 for two chips with four shares each"
            )
        start = 0 if is_gpu else first
        ids = range(start, start + int(count))
        chips = tuple(f"{kind}-{number}" for number in ids)
        resources.append(Resource(name=name, soc=soc, chips=chips, shares=int(shares)))
        first += 0 if is_gpu else int(count)
    return resources


def _is_count(text: str) -> bool:
    return text.isdigit() and 1 <= int(text) <= MOST_SHARES


def physical_id(device: str) -> str:
    """`Ascend310P-3` and `Ascend310P-3-0` are both of chip 3; a kind may have dashes itself."""
    found = re.search(r"-(\d+)(-\d+)?$", device)
    return found[1] if found else ""


def chip_of(device: str, resource: Resource) -> str:
    return device if resource.shares == 1 else device.rpartition("-")[0]


def read_unhealthy(file: Path | None) -> frozenset[str]:
    """Chip names (or bare physical ids), separated by white space; no file means all are well."""
    try:
        return frozenset(file.read_text().split()) if file else frozenset()
    except FileNotFoundError:
        return frozenset()


def device_list(resource: Resource, unhealthy: frozenset[str]) -> Any:
    devices = [
        protocol.MESSAGES["Device"](
            ID=device,
            health=protocol.UNHEALTHY
            if {chip_of(device, resource), physical_id(chip_of(device, resource))} & unhealthy
            else protocol.HEALTHY,
        )
        for device in resource.devices
    ]
    return protocol.MESSAGES["ListAndWatchResponse"](devices=devices)


def allocation(resource: Resource, devices: list[str], *, shared: Path = SHARED_MEMORY) -> Any:
    """What one container gets: environment, device files, and the memory of a shared chip."""
    answer = protocol.MESSAGES["ContainerAllocateResponse"]()
    chips = {chip_of(device, resource) for device in devices}
    ids = sorted((physical_id(chip) for chip in chips), key=int)
    if resource.name.startswith(NVIDIA):
        uuids = ",".join(f"GPU-simulated-{number}" for number in ids)
        answer.envs.add(key="NVIDIA_VISIBLE_DEVICES", value=uuids)
        for path in (*(f"/dev/nvidia{number}" for number in ids), *NVIDIA_SHARED_DEVICES):
            answer.devices.add(container_path=path, host_path="/dev/null", permissions="rw")
        return answer
    answer.envs.add(key="ASCEND_VISIBLE_DEVICES", value=",".join(ids))
    answer.envs.add(key="ASCEND_RUNTIME_OPTIONS", value="")
    answer.envs.add(key="SIMULATED_NPU_SOC", value=resource.soc)
    for path in (*(f"/dev/davinci{i}" for i in ids), *SHARED_DEVICES):
        answer.devices.add(container_path=path, host_path="/dev/null", permissions="rw")
    if resource.shares > 1:
        answer.envs.add(key="SIMULATED_NPU_SHARED_DIR", value=SHARED_MOUNT)
        for number in ids:
            place = f"{SHARED_MOUNT}/{number}"
            answer.mounts.add(container_path=place, host_path=str(shared / number))
    return answer


class Plugin:
    """The gRPC server of one resource, and its registration with the kubelet."""

    def __init__(
        self,
        *,
        resource: Resource,
        directory: Path,
        unhealthy_file: Path | None,
        shared: Path = SHARED_MEMORY,
    ) -> None:
        self.resource = resource
        self._shared = shared
        self._kubelet = directory / protocol.KUBELET_SOCKET
        self._socket = directory / resource.socket
        self._unhealthy_file = unhealthy_file
        self._server: Any = None
        self._stopping = threading.Event()
        self._registered_with = 0

    def list_and_watch(self, _request: Any, context: Any) -> Iterator[Any]:
        last: frozenset[str] | None = None
        while context.is_active() and not self._stopping.is_set():
            unhealthy = read_unhealthy(self._unhealthy_file)
            if unhealthy != last:
                last = unhealthy
                log.info("devices of %s; unhealthy: %s", self.resource.name, sorted(unhealthy))
                yield device_list(self.resource, unhealthy)
            self._stopping.wait(POLL_SECONDS)

    def allocate(self, request: Any, _context: Any) -> Any:
        answer = protocol.MESSAGES["AllocateResponse"]()
        for container in request.container_requests:
            chips = list(container.devices_ids)
            log.info("allocated simulated chips %s", chips)
            answer.container_responses.append(allocation(self.resource, chips, shared=self._shared))
        return answer

    def _handlers(self) -> Any:
        messages = protocol.MESSAGES

        def unary(function: Any, request: str) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                function, messages[request].FromString, protocol.serialize
            )

        methods = {
            "GetDevicePluginOptions": unary(
                lambda _request, _context: messages["DevicePluginOptions"](), "Empty"
            ),
            "PreStartContainer": unary(lambda _request, _context: messages["Empty"](), "Empty"),
            "Allocate": unary(self.allocate, "AllocateRequest"),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self.list_and_watch, messages["Empty"].FromString, protocol.serialize
            ),
        }
        return grpc.method_handlers_generic_handler(protocol.SERVICE, methods)

    def start(self) -> None:
        """Serves and registers. Raises grpc.RpcError or OSError while the kubelet is away."""
        self.stop()
        kubelet = self._kubelet.stat().st_ino
        self._stopping = threading.Event()
        self._socket.unlink(missing_ok=True)
        for chip in self.resource.chips if self.resource.shares > 1 else ():
            folder = self._shared / physical_id(chip)
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # containers run as any user
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self._server.add_insecure_port(f"unix://{self._socket}")
        self._server.start()
        request = protocol.MESSAGES["RegisterRequest"](
            version=protocol.API_VERSION,
            endpoint=self._socket.name,
            resource_name=self.resource.name,
        )
        with grpc.insecure_channel(f"unix://{self._kubelet}") as channel:
            register = channel.unary_unary(
                protocol.REGISTER,
                request_serializer=protocol.serialize,
                response_deserializer=protocol.MESSAGES["Empty"].FromString,
            )
            register(request, timeout=10)
        self._registered_with = kubelet
        log.info("registered %d simulated %s", len(self.resource.devices), self.resource.name)

    def is_registered(self) -> bool:
        """False after a kubelet restart, which makes a new socket and removes ours."""
        try:
            return self._socket.exists() and self._kubelet.stat().st_ino == self._registered_with
        except FileNotFoundError:
            return False

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.stop(grace=0).wait()
            self._server = None
        self._registered_with = 0


def keep_registered(plugins: list[Plugin], *, directory: Path, until: threading.Event) -> None:
    """Registers whenever a kubelet without us is there; silent while none is."""
    kubelet = directory / protocol.KUBELET_SOCKET
    while not until.is_set():
        for plugin in plugins:
            if plugin.is_registered() or not kubelet.exists():
                continue
            try:
                plugin.start()
            except (grpc.RpcError, OSError) as error:
                reason = error.code().name if isinstance(error, grpc.RpcError) else error
                log.warning("not registered yet: %s: %s", plugin.resource.name, reason)
        until.wait(POLL_SECONDS)
    for plugin in plugins:
        plugin.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="SIMULATED device plugin: no hardware.")
    parser.add_argument("resources", nargs="+", metavar="RESOURCE:COUNT[xSHARES][:SOC]")
    parser.add_argument("--directory", type=Path, default=KUBELET_DIRECTORY)
    parser.add_argument("--unhealthy-file", type=Path, help="chips to report as unhealthy")
    parser.add_argument(
        "--shared-memory", type=Path, default=SHARED_MEMORY, help="a folder for shared chips"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        resources = parse_resources(arguments.resources)
    except ValueError as error:
        parser.error(str(error))
    log.info("this is a SIMULATOR: the chips it offers do not exist; waiting for the kubelet")
    until = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: until.set())
    plugins = [
        Plugin(
            resource=resource,
            directory=arguments.directory,
            unhealthy_file=arguments.unhealthy_file,
            shared=arguments.shared_memory,
        )
        for resource in resources
    ]
    keep_registered(plugins, directory=arguments.directory, until=until)


if __name__ == "__main__":
    main()
