"""Command lines that need no cluster: render, check, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.exits import Exit
from resnet_cli.session import Connection, Format, line
from resnet_cli.show import Output, Screen

File = Annotated[str, typer.Option("--filename", "-f", help="A file, or - for standard input.")]
Model = Annotated[str | None, typer.Option("--model", help="The ONNX file, on this machine.")]
Settings = Annotated[
    str | None,
    typer.Option("--settings", help="The operator's settings as YAML; else stand-ins."),
]


@line
def render(
    where: Connection,
    file: File,
    model: Model = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="The class labels, on this machine.")
    ] = None,
    settings: Settings = None,
    output: Format = Output.TEXT,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="Only how the cluster differs.")] = False,
) -> Exit:
    """Print all children and config.pbtxt as the operator would make them, without a cluster."""
    from resnet_cli.commands import render as command

    if diff:
        cluster = where.open()
        return command.render_diff(cluster, Screen(), file=file, settings=settings)
    return command.render(
        Screen(),
        file=file,
        model=model,
        labels=labels,
        settings=settings,
        namespace=where.namespace or "default",
        output=output,
    )


@line
def check(
    where: Connection,
    file: File,
    model: Model = None,
    settings: Settings = None,
    output: Format = Output.TEXT,
    *,
    server: Annotated[
        bool, typer.Option("--server", help="Ask the API server too, by a dry run.")
    ] = False,
) -> Exit:
    """Say what admission, the operator and the inspection of the model would say."""
    from resnet_cli.commands.check import check as command

    cluster = where.open() if server else None
    return command(
        Screen(),
        file=file,
        model=model,
        settings=settings,
        namespace=cluster.namespace if cluster else where.namespace or "default",
        server=cluster,
        output=output,
    )


@line
def convert(
    file: File,
    model: Annotated[str, typer.Option("--model", help="The ONNX file, on this machine.")],
    out: Annotated[Path, typer.Option("--out", help="A folder for all that is made.")],
    image: Annotated[
        str | None, typer.Option("--image", help="A CANN image; default: conversion.image.")
    ] = None,
    settings: Settings = None,
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", help="Pictures for AMCT: a folder, an archive or a file."),
    ] = None,
    output: Format = Output.TEXT,
) -> Exit:
    """Convert by a container engine of this machine, or print the exact commands."""
    from resnet_cli.commands.convert import convert as command

    return command(
        Screen(),
        file=file,
        model=model,
        out=out,
        image=image,
        settings=settings,
        calibration=calibration,
        output=output,
    )
