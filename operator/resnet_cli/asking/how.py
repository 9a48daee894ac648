"""By what way a service is asked, as a command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class How:
    """Without `url` a port is forwarded."""

    url: Annotated[
        str | None, typer.Option("--url", help="host:port to ask; else a port is forwarded.")
    ] = None
    model: Annotated[str | None, typer.Option("--model", help="Another model of the service.")] = (
        None
    )
    ca: Annotated[
        str | None, typer.Option("--ca", help="Certificate authorities; implies --tls.")
    ] = None
    grpc: Annotated[bool, typer.Option("--grpc", help="Ask by gRPC; default: HTTP.")] = False
    tls: Annotated[bool, typer.Option("--tls", help="The service speaks TLS.")] = False

    @property
    def protocol(self) -> str:
        return "grpc" if self.grpc else "http"
