"""Command lines that ask the service itself: predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_cli import session
from resnet_cli.session import Context, Format, Kubeconfig, Name, Namespace
from resnet_cli.show import Output, Screen

Url = Annotated[
    str | None, typer.Option("--url", help="host:port to ask; else a port is forwarded.")
]
Model = Annotated[str | None, typer.Option("--model", help="Another model of the service.")]
Grpc = Annotated[bool, typer.Option("--grpc", help="Ask by gRPC; default: HTTP.")]


def predict(
    name: Name,
    pictures: Annotated[list[Path], typer.Argument(help="JPEG or PNG files.")],
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Format = Output.TEXT,
    top: Annotated[int, typer.Option("--top", help="Number of labels.", min=1)] = 3,
    url: Url = None,
    model: Model = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Mean, std and framing: digits or imagenet.")
    ] = None,
    ca: Annotated[
        str | None, typer.Option("--ca", help="Certificate authorities; implies --tls.")
    ] = None,
    *,
    grpc: Grpc = False,
    tls: Annotated[bool, typer.Option("--tls", help="The service speaks TLS.")] = False,
) -> None:
    """Ask what is on pictures: labels, scores and times."""
    from resnet_cli.commands.predict import predict as run

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(
        run(
            cluster,
            Screen(),
            name=name,
            pictures=pictures,
            top=top,
            grpc=grpc,
            tls=tls,
            ca=ca,
            url=url,
            model=model,
            preset=preset,
            output=output,
        )
    )


def report(
    name: Name,
    file: Annotated[Path, typer.Option("--file", help="Where to write it.")] = Path("report.html"),
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Write what the gate has measured as one HTML file."""
    from resnet_cli.commands.report import report as run

    cluster = session.connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    session.ended(run(cluster, Screen(), name=name, file=file))
