"""The command line: what each command is called with. What they do is in `commands`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, LiveCluster
from resnet_cli.show import Output, Screen

HELP = "Ask, show and check ResNetServices: kubectl resnet COMMAND --help"
app = typer.Typer(
    name="kubectl-resnet",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="Name of the ResNetService.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Default: KUBECONFIG, then ~/.kube/config.")
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


@app.command("get")
def get_command(
    name: Annotated[str, typer.Argument(help="Only this ResNetService.")] = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = Output.TEXT,
    *,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on as they change.")] = False,
) -> None:
    """Show a line for each ResNetService: phase, stage, chip, revision, cache hit or not."""
    from resnet_cli.commands.get import get_services

    if name and all_namespaces:
        raise typer.BadParameter("a name and --all-namespaces exclude each other")
    cluster = connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    where = None if all_namespaces else cluster.namespace
    ended(
        get_services(
            cluster, Screen(), namespace=where, name=name, clock=now, output=output, watch=watch
        )
    )


@app.command("why")
def why_command(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = Output.TEXT,
) -> None:
    """Say what a ResNetService is doing, and why not: the object at fault and what to do."""
    from resnet_cli.commands.why import why

    cluster = connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    ended(why(cluster, Screen(), namespace=cluster.namespace, name=name, now=now(), output=output))


@app.command("logs")
def logs_command(
    name: Name,
    stage: Annotated[
        str | None,
        typer.Option(help="fetch, export, prepare, quantize, convert, publish, gate or serve."),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    tail: Annotated[int | None, typer.Option(help="Only the last lines.", min=0)] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the container before the last restart.")
    ] = False,
) -> None:
    """Print the log of a stage, by default of the one that matters now."""
    from resnet_cli.commands.logs import Stage, logs

    if stage is not None and stage not in set(Stage):
        raise typer.BadParameter(f"--stage is one of {', '.join(Stage)}")
    cluster = connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    ended(
        logs(
            cluster,
            Screen(),
            namespace=cluster.namespace,
            name=name,
            stage=Stage(stage) if stage else None,
            follow=follow,
            previous=previous,
            tail=tail,
            now=now(),
        )
    )


def main() -> None:
    """Run the command line; what goes wrong is one line on standard error."""
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(Exit.DONE)
