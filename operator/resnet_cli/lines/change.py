"""Command lines that change an object: rollout, suspend, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_cli import session
from resnet_cli.session import Context, Format, Kubeconfig, Name, Namespace
from resnet_cli.show import Output, Screen

rollout = typer.Typer(no_args_is_help=True, help="Look at revisions, go back, pin, try again.")


@rollout.command("status")
def status(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is Ready or has failed.")] = False,
) -> None:
    """Say how far the current spec is; the code is 0 when it is Ready."""
    from resnet_cli.commands.rollout import rollout_status

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(rollout_status(cluster, Screen(), name=name, wait=wait))


@rollout.command("history")
def history(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = Output.TEXT,
) -> None:
    """Show the revisions that are kept: which one serves, is wanted, has failed."""
    from resnet_cli.commands.rollout import rollout_history

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(rollout_history(cluster, Screen(), name=name, now=session.now(), output=output))


@rollout.command("undo")
def undo(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Pin the revision that served before this one."""
    from resnet_cli.commands.rollout import rollout_undo

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(rollout_undo(cluster, Screen(), name=name))


@rollout.command("pin")
def pin(
    name: Name,
    revision: Annotated[str, typer.Argument(help="Its name or its last ten digits.")] = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="Follow the spec again.")] = False,
) -> None:
    """Serve a revision whatever the spec says, or follow the spec again."""
    from resnet_cli.commands.rollout import rollout_pin

    if off == bool(revision):
        raise typer.BadParameter("write a revision, or --off")
    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(rollout_pin(cluster, Screen(), name=name, revision=revision))


@rollout.command("retry")
def retry(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Try again what has failed: a conversion, a measurement or a revision."""
    from resnet_cli.commands.rollout import rollout_retry

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(rollout_retry(cluster, Screen(), name=name, now=session.now()))


def suspend(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """End the pods and free the chips; the artifact is kept."""
    from resnet_cli.commands.rollout import set_suspended

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(set_suspended(cluster, Screen(), name=name, suspended=True))


def resume(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Serve again what was suspended."""
    from resnet_cli.commands.rollout import set_suspended

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(set_suspended(cluster, Screen(), name=name, suspended=False))
