"""Command lines that ask the service itself: predict, bench, top; and what its gate said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli.asking.how import How
from resnet_cli.exits import Exit
from resnet_cli.session import AllNamespaces, Connection, Format, Name, line
from resnet_cli.show import Output, Screen


@line
def predict(
    how: How,
    where: Connection,
    name: Name,
    pictures: Annotated[list[Path], typer.Argument(help="JPEG or PNG files.")],
    output: Format = Output.TEXT,
    top: Annotated[int, typer.Option("--top", help="Number of labels.", min=1)] = 3,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Mean, std and framing: digits or imagenet.")
    ] = None,
) -> Exit:
    """Ask what is on pictures: labels, scores and times."""
    from resnet_cli.commands.predict import predict as run

    return run(
        where.open(),
        Screen(),
        name=name,
        pictures=pictures,
        top=top,
        how=how,
        preset=preset,
        output=output,
    )


@line
def bench(
    how: How,
    where: Connection,
    name: Name,
    concurrency: Annotated[
        str,
        typer.Option("--concurrency", help="4, 1:64 (doubled each time), 1:64:8 or a list."),
    ] = "1:16",
    batch: Annotated[
        str, typer.Option("--batch", "-b", help="Images of a request: 1, 1:8 or a list.")
    ] = "1",
    seconds: Annotated[
        float, typer.Option("--seconds", help="Of one measurement.", min=0.1, max=600)
    ] = 3,
    requests: Annotated[
        int, typer.Option("--requests", help="The most of one measurement.", min=1)
    ] = 10_000,
    limit: Annotated[
        float, typer.Option("--limit", help="Seconds of all measurements.", min=1)
    ] = 300,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw throughput and latency into a file.")
    ] = None,
    output: Format = Output.TEXT,
) -> Exit:
    """Measure latency and throughput of the live service, by batch and concurrency."""
    from resnet_cli.bench.load import Bounds
    from resnet_cli.commands.bench import Options
    from resnet_cli.commands.bench import bench as run

    return run(
        where.open(),
        Screen(),
        name=name,
        options=Options(concurrency, batch, Bounds(seconds, requests), limit),
        how=how,
        svg_file=svg,
        output=output,
    )


@line
def top(
    where: Connection,
    output: Format = Output.TEXT,
    interval: Annotated[
        float, typer.Option("--interval", help="Seconds between two looks.", min=0.1, max=600)
    ] = 2,
    *,
    all_namespaces: AllNamespaces = False,
) -> Exit:
    """Show services by requests, errors, latency and chips, and chips by namespace."""
    from resnet_cli.commands.top import top as run

    cluster = where.open()
    return run(
        cluster,
        Screen(),
        namespace=None if all_namespaces else cluster.namespace,
        interval=interval,
        output=output,
    )


@line
def report(
    where: Connection,
    name: Name,
    file: Annotated[Path, typer.Option("--file", help="Where to write it.")] = Path("report.html"),
    result: Annotated[
        Path | None, typer.Option("--result", help="A result.json; else the evaluator's log.")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", help="The data set's folder: shows the worst pictures."),
    ] = None,
    output: Format = Output.TEXT,
) -> Exit:
    """Write what the gate has measured as one HTML file."""
    from resnet_cli.commands.report import report as run

    return run(
        where.open(),
        Screen(),
        name=name,
        file=file,
        result=result,
        pictures=pictures,
        output=output,
    )
