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


def on_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command line kubectl's options; it takes them as one argument, `where`."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != WHERE]
    shared = inspect.signature(_shared, eval_str=True).parameters.values()

    def run(**options: Any) -> None:
        connection = Connection(**{one.name: options.pop(one.name) for one in shared})
        command(**options, where=connection)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared)]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


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


def ended(code: Exit) -> None:
    """End with a code; 0 just returns."""
    if code is not Exit.DONE:
        raise typer.Exit(code)
