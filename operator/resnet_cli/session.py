"""What the command lines have in common: options as kubectl has them, and the cluster."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from resnet_cli.exits import Exit
from resnet_cli.kube import Cluster, LiveCluster
from resnet_cli.show import Output

WHERE = "where"
Name = Annotated[str, typer.Argument(help="Name of the ResNetService.")]
Target = Annotated[
    str, typer.Argument(help="Name of the ResNetService, or batch/NAME for a ResNetBatch.")
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
]
Format = Annotated[Output, typer.Option("--output", "-o", help="text, json or yaml.")]


@dataclass(frozen=True)
class Connection:
    """What a command line says of the cluster; `open` reads the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def open(self) -> Cluster:
        return connect(kubeconfig=self.kubeconfig, context=self.context, namespace=self.namespace)


def connect(*, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """Return the cluster; tests put another one in its place."""
    return LiveCluster(kubeconfig=kubeconfig, context=context, namespace=namespace)


def on_cluster(command: Callable[..., Exit]) -> Callable[..., None]:
    """Give a command line kubectl's options; it takes them as one argument, `where`."""
    own = [one for one in _parameters(command) if one.name != WHERE]
    shared = _parameters(_shared)

    def run(**options: Any) -> Exit:
        connection = Connection(**{one.name: options.pop(one.name) for one in shared})
        return command(**options, where=connection)

    return _ending(run, command, [*own, *shared])


def off_cluster(command: Callable[..., Exit]) -> Callable[..., None]:
    """Make a command line of what asks no cluster."""
    return _ending(command, command, _parameters(command))


def _parameters(command: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def _ending(
    run: Callable[..., Exit], command: Callable[..., Exit], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Return what ends with the code that a command returns; 0 just returns."""

    def line(**options: Any) -> None:
        code = run(**options)
        if code is not Exit.DONE:
            raise typer.Exit(code)

    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    line.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    line.__name__, line.__doc__ = command.__name__, command.__doc__
    return line


def _shared(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig.")
    ] = None,
    kubeconfig: Annotated[
        str | None, typer.Option("--kubeconfig", help="Default: KUBECONFIG, then ~/.kube/config.")
    ] = None,
) -> None:
    """The options of every command that may ask a cluster."""


def now() -> datetime:
    return datetime.now(UTC)
