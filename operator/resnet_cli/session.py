"""What the command lines have in common: options as kubectl has them, and the cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from resnet_cli.exits import Exit
from resnet_cli.kube import Cluster, LiveCluster
from resnet_cli.show import Output

Name = Annotated[str, typer.Argument(help="Name of the ResNetService.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Default: KUBECONFIG, then ~/.kube/config.")
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
]
Format = Annotated[Output, typer.Option("--output", "-o", help="text, json or yaml.")]


def connect(*, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """Return the cluster; tests put another one in its place."""
    return LiveCluster(kubeconfig=kubeconfig, context=context, namespace=namespace)


def now() -> datetime:
    return datetime.now(UTC)


def ended(code: Exit) -> None:
    """End with a code; 0 just returns."""
    if code is not Exit.DONE:
        raise typer.Exit(code)
