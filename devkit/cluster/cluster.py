#!/usr/bin/env python3
"""The embedded Kubernetes cluster: for tests as a context manager, for people as a command.

Why: the shell scripts beside this file do the work; this gives them one typed front. It needs
nothing but the standard library, because it runs before any virtual environment exists.
Called by `make cluster`, the demo, the benchmark and the test fixtures.

    with Cluster.start(mode="api") as cluster:
        print(cluster.kubectl("get", "namespaces"))
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

HERE = Path(__file__).resolve().parent
Mode = Literal["full", "api"]
_unnamed = itertools.count(1)


class ClusterError(RuntimeError):
    """A script or kubectl failed; the message is what it said."""


def state_root() -> Path:
    return Path(os.environ.get("KT_ROOT", "/run/resnet-devkit"))


def data_root() -> Path:
    return Path(os.environ.get("KT_DATA", "/var/lib/resnet-devkit"))


def build() -> Path:
    """Builds what is not built yet; the directory of kubectl, helm and the rest."""
    return Path(_run_script("build.sh").splitlines()[-1])


@dataclass(frozen=True)
class Cluster:
    """A running cluster. Everything about it follows from its name and index."""

    name: str
    index: int

    @classmethod
    def start(
        cls,
        *,
        name: str | None = None,
        mode: Mode = "full",
        images: Iterable[Path | str] = (),
        components: Iterable[str] = (),
        devices: Iterable[str] = (),
        dual_stack: bool = False,
        owned: bool = True,
        owner: int | None = None,
    ) -> Cluster:
        """Boots a cluster and loads images (docker-archive files).

        `components` are exactly those to run, in place of the mode's; `devices` are
        RESOURCE:COUNT[:SOC]. With `dual_stack` Services have addresses of both families. An owned
        otherwise) is ended by the next `start` of anybody.
        """
        name = name or f"test-{os.getpid()}-{next(_unnamed)}"
        settings: dict[str, str] = {"KT_MODE": mode}
        if components:
            settings["KT_COMPONENTS"] = " ".join(components)
        if devices:
            settings["KT_DEVICES"] = " ".join(devices)
        if dual_stack:
            settings["KT_DUAL_STACK"] = "1"
        if owned:
            settings["KT_OWNER"] = str(owner or os.getpid())
        _run_script("up.sh", name, settings=settings)
        cluster = cls.attach(name)
        try:
            cluster.load(*images)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def attach(cls, name: str) -> Cluster:
        """A cluster that is running already."""
        try:
            index = int((state_root() / name / "index").read_text())
        except (FileNotFoundError, ValueError):
            raise ClusterError(f"there is no cluster {name!r}") from None
        return cls(name=name, index=index)

    @property
    def state_dir(self) -> Path:
        """Logs, certificates, kubeconfig."""
        return state_root() / self.name

    @property
    def data_dir(self) -> Path:
        """Images, pod directories, volumes."""
        return data_root() / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.state_dir / "kubeconfig"

    @property
    def bin_dir(self) -> Path:
        """kubectl, helm and the components of this cluster's version."""
        return self.state_dir / "bin"

    @property
    def node_ip(self) -> str:
        """The node's, the API server's and the DNS server's address."""
        return f"10.250.{self.index}.2"

    @property
    def host_ip(self) -> str:
        """This machine's address as pods and the API server see it."""
        return f"10.250.{self.index}.1"

    def environment(self) -> dict[str, str]:
        """For programs that talk to this cluster: kubeconfig, path, and no proxy."""
        return os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{self.bin_dir}:{os.environ['PATH']}",
            "NO_PROXY": "*",
            "no_proxy": "*",
        }

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - the name that subprocess gives it
    ) -> str:
        """What kubectl prints. Raises ClusterError with what it complained about."""
        command = [str(self.bin_dir / "kubectl"), *arguments]
        return _run(command, text=input, env=self.environment())

    def load(self, *tars: Path | str) -> None:
        """Imports docker-archive files; pods use the names in them."""
        if tars:
            _run_script("load.sh", self.name, *map(str, tars))

    def set_unhealthy(self, *chips: str) -> None:
        """Which simulated chips are ill from now on, such as Ascend310P-2; none heals all."""
        (self.state_dir / "unhealthy-chips").write_text("\n".join(chips))

    def is_alive(self) -> bool:
        try:
            pid = (self.state_dir / "init.pid").read_text().strip()
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return str(self.state_dir) in command

    def stop(self) -> None:
        """Ends the cluster. Raises ClusterError if anything of it is left."""
        _run_script("down.sh", self.name)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def all_clusters() -> Iterator[Cluster]:
    for file in sorted(state_root().glob("*/index")):
        with contextlib.suppress(ClusterError):  # it went, or is only just coming
            yield Cluster.attach(file.parent.name)


def _run_script(script: str, *arguments: str, settings: dict[str, str] | None = None) -> str:
    return _run([str(HERE / script), *arguments], env=os.environ | (settings or {}), quiet=False)


def _run(
    command: list[str], *, env: dict[str, str], text: str | None = None, quiet: bool = True
) -> str:
    """Standard output; standard error is shown as it comes unless `quiet`."""
    result = subprocess.run(
        command,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
        env=env,
    )
    if result.returncode != 0:
        said = (result.stderr or "see its messages above").strip()
        raise ClusterError(f"{shlex.join(command)} ended with {result.returncode}: {said}")
    return result.stdout


def _command_up(arguments: argparse.Namespace) -> None:
    running = next((c for c in all_clusters() if c.name == arguments.name and c.is_alive()), None)
    if running is None:
        _run_script("install.sh")
        cluster = Cluster.start(
            name=arguments.name,
            mode=arguments.mode,
            images=arguments.image,
            components=arguments.components.replace(",", " ").split(),
            devices=arguments.device,
            owned=False,
        )
    else:
        print(f"the cluster {arguments.name!r} is running already")
        cluster = running
        cluster.load(*arguments.image)
    print(f"""
The cluster {cluster.name!r} is ready. Its kubeconfig:  {cluster.kubeconfig}

  use it       export KUBECONFIG={cluster.kubeconfig}
               export PATH={cluster.bin_dir}:$PATH        # kubectl and helm
               kubectl get nodes
  add images   python3 {HERE / "cluster.py"} load --name {cluster.name} IMAGE.tar
  remove it    python3 {HERE / "cluster.py"} down --name {cluster.name}

Chips, if it offers any, are simulated. Pods reach this machine as {cluster.host_ip}
(host.resnet-devkit.internal); this machine reaches pods and Services by their addresses.""")


def _command_down(arguments: argparse.Namespace) -> None:
    _run_script("down.sh", arguments.name)
    print(f"the cluster {arguments.name!r} is gone")


def _command_load(arguments: argparse.Namespace) -> None:
    Cluster.attach(arguments.name).load(*arguments.tars)


def _command_list(_arguments: argparse.Namespace) -> None:
    for cluster in all_clusters():
        state = "running" if cluster.is_alive() else "dead"
        print(f"{cluster.name:20} {state:8} {cluster.node_ip:14} {cluster.kubeconfig}")


def main() -> int:
    parser = argparse.ArgumentParser(description="A real one-node Kubernetes on this machine.")
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="install, build and boot what is not there yet")
    up.add_argument("--name", default="demo")
    up.add_argument("--mode", choices=["full", "api"], default="full", help="api: no node")
    up.add_argument("--components", default="", help="exactly these, such as apiserver alone")
    up.add_argument("--image", action="append", default=[], help="docker-archive file to load")
    up.add_argument(
        "--device", action="append", default=[], metavar="RESOURCE:COUNT[xSHARES][:SOC]"
    )
    up.set_defaults(command=_command_up)
    down = commands.add_parser("down", help="end a cluster; leaves nothing behind")
    down.add_argument("--name", default="demo")
    down.set_defaults(command=_command_down)
    load = commands.add_parser("load", help="import docker-archive files")
    load.add_argument("--name", default="demo")
    load.add_argument("tars", nargs="+")
    load.set_defaults(command=_command_load)
    commands.add_parser("list", help="the clusters of this machine").set_defaults(
        command=_command_list
    )
    arguments = parser.parse_args()
    try:
        arguments.command(arguments)
    except ClusterError as error:
        print(f"cluster.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
