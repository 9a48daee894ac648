"""What the command lines have in common: options as kubectl has them, and the cluster."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from resnet_cli.exits import Exit
from resnet_cli.kube import Cluster, LiveCluster
from resnet_cli.show import Output

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

    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
    ] = None
    context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = (
        None
    )
    kubeconfig: Annotated[
        str | None, typer.Option("--kubeconfig", help="Default: KUBECONFIG, then ~/.kube/config.")
    ] = None

    def open(self) -> Cluster:
        return connect(kubeconfig=self.kubeconfig, context=self.context, namespace=self.namespace)


def connect(*, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """Return the cluster; tests put another one in its place."""
    return LiveCluster(kubeconfig=kubeconfig, context=context, namespace=namespace)


def line(command: Callable[..., Exit]) -> Callable[..., None]:
    """Make a command line; the options of a group, such as Connection, come behind its own.

    It ends with the code that the command returns; 0 just returns.
    """
    own = _parameters(command)
    groups: dict[str, type] = {
        one.name: one.annotation
        for one in own
        if isinstance(one.annotation, type) and is_dataclass(one.annotation)
    }
    members = {name: _parameters(group) for name, group in groups.items()}

    def run(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{one.name: options.pop(one.name) for one in members[name]})
        code = command(**options)
        if code is not Exit.DONE:
            raise typer.Exit(code)

    shown = [one for one in own if one.name not in groups]
    shown += [one for group in members.values() for one in group]
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in shown]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _parameters(command: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def now() -> datetime:
    return datetime.now(UTC)
