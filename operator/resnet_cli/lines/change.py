"""Command lines that change an object: rollout, suspend, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_cli import session
from resnet_cli.exits import Exit
from resnet_cli.session import Connection, Format, Name, line
from resnet_cli.show import Output, Screen

rollout = typer.Typer(no_args_is_help=True, help="Look at revisions, go back, pin, try again.")


@rollout.command("status")
@line
def status(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is Ready or has failed.")] = False,
) -> Exit:
    """Say how far the current spec is; the code is 0 when it is Ready."""
    from resnet_cli.commands.rollout import rollout_status

    return rollout_status(where.open(), Screen(), name=name, wait=wait, output=output)


@rollout.command("history")
@line
def history(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
) -> Exit:
    """Show the revisions that are kept: which one serves, is wanted, has failed."""
    from resnet_cli.commands.rollout import rollout_history

    return rollout_history(where.open(), Screen(), name=name, now=session.now(), output=output)


@rollout.command("undo")
@line
def undo(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
) -> Exit:
    """Pin the revision that served before this one."""
    from resnet_cli.commands.rollout import rollout_undo

    return rollout_undo(where.open(), Screen(), name=name, output=output)


@rollout.command("pin")
@line
def pin(
    where: Connection,
    name: Name,
    revision: Annotated[str, typer.Argument(help="Its name or its last ten digits.")] = "",
    output: Format = Output.TEXT,
    *,
    off: Annotated[bool, typer.Option("--off", help="Follow the spec again.")] = False,
) -> Exit:
    """Serve a revision whatever the spec says, or follow the spec again."""
    from resnet_cli.commands.rollout import rollout_pin

    if off == bool(revision):
        raise typer.BadParameter("write a revision, or --off")
    return rollout_pin(where.open(), Screen(), name=name, revision=revision, output=output)


@rollout.command("retry")
@line
def retry(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
) -> Exit:
    """Try again what has failed: a conversion, a measurement or a revision."""
    from resnet_cli.commands.rollout import rollout_retry

    return rollout_retry(where.open(), Screen(), name=name, now=session.now(), output=output)


@line
def suspend(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
) -> Exit:
    """End the pods and free the chips; the artifact is kept."""
    from resnet_cli.commands.rollout import set_suspended

    return set_suspended(where.open(), Screen(), name=name, suspended=True, output=output)


@line
def resume(
    where: Connection,
    name: Name,
    output: Format = Output.TEXT,
) -> Exit:
    """Serve again what was suspended."""
    from resnet_cli.commands.rollout import set_suspended

    return set_suspended(where.open(), Screen(), name=name, suspended=False, output=output)
