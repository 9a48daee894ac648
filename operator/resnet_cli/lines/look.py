"""Command lines that only look: get, why, logs, bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli import session
from resnet_cli.exits import Exit
from resnet_cli.session import AllNamespaces, Connection, Format, Target, line
from resnet_cli.show import Output, Screen


@line
def get(
    where: Connection,
    name: Annotated[str, typer.Argument(help="Only this one: NAME, or batch/NAME.")] = "",
    output: Format = Output.TEXT,
    *,
    all_namespaces: AllNamespaces = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on as they change.")] = False,
) -> Exit:
    """Show a line for each ResNetService and ResNetBatch: phase, and how far it is."""
    from resnet_cli.commands.get import get_objects

    if name and all_namespaces:
        raise typer.BadParameter("a name and --all-namespaces exclude each other")
    cluster = where.open()
    return get_objects(
        cluster,
        Screen(),
        namespace=None if all_namespaces else cluster.namespace,
        name=name,
        clock=session.now,
        output=output,
        watch=watch,
    )


@line
def why(
    where: Connection,
    name: Target,
    output: Format = Output.TEXT,
) -> Exit:
    """Say what an object is doing, and why not: what is at fault, and what to do."""
    from resnet_cli.commands.why import why as run

    cluster = where.open()
    return run(
        cluster,
        Screen(),
        namespace=cluster.namespace,
        name=name,
        now=session.now(),
        output=output,
    )


@line
def logs(
    where: Connection,
    name: Target,
    stage: Annotated[
        str | None,
        typer.Option(
            help="fetch, export, prepare, quantize, convert, publish, gate, serve or batch."
        ),
    ] = None,
    tail: Annotated[int | None, typer.Option(help="Only the last lines.", min=0)] = None,
    output: Format = Output.TEXT,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the container before the last restart.")
    ] = False,
) -> Exit:
    """Print the log of a stage, by default of the one that matters now."""
    from resnet_cli.commands.logs import Stage
    from resnet_cli.commands.logs import logs as run

    if stage is not None and stage not in set(Stage):
        raise typer.BadParameter(f"--stage is one of {', '.join(Stage)}")
    if follow and output is not Output.TEXT:
        raise typer.BadParameter("--follow prints lines as they come: leave --output out")
    cluster = where.open()
    return run(
        cluster,
        Screen(),
        namespace=cluster.namespace,
        name=name,
        stage=Stage(stage) if stage else None,
        follow=follow,
        previous=previous,
        tail=tail,
        now=session.now(),
        output=output,
    )


@line
def bundle(
    where: Connection,
    name: Annotated[str, typer.Argument(help="Say why of this one only.")] = "",
    file: Annotated[Path, typer.Option("--file", help="Where to write it.")] = Path(
        "resnet-bundle.tar.gz"
    ),
    output: Format = Output.TEXT,
) -> Exit:
    """Write an archive for support: objects, events, logs, versions; without secrets."""
    from resnet_cli.commands.bundle import bundle as run

    return run(where.open(), Screen(), name=name, file=file, now=session.now(), output=output)
