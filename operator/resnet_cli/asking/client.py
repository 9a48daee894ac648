"""The client library, for as long as a command asks a service by it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from resnet_cli.asking.endpoint import Endpoint, endpoint
from resnet_cli.asking.how import How
from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster

NEEDS = "install the package with its client: pipx install 'resnet-operator[cli]'"


def client_library() -> ModuleType:
    """Return `resnet_client`, which an installation without the extra lacks."""
    try:
        import resnet_client
    except ImportError as error:
        raise CliError(f"{error}; {NEEDS}", Exit.MISSING_HERE) from error
    return resnet_client


@contextmanager
def clients(cluster: Cluster, name: str, how: How) -> Iterator[tuple[Endpoint, Callable[..., Any]]]:
    """Give where is asked and what makes a client of it; a client's error ends the command."""
    library = client_library()
    with endpoint(cluster, name, how) as where:
        tls = None
        if how.tls or how.ca:
            tls = library.Tls(ca=how.ca, server_name=where.server_name or None)
        make = functools.partial(
            library.Client, where.url, where.model, protocol=how.protocol, tls=tls
        )
        try:
            yield where, make
        except library.ClientError as error:
            raise CliError(str(error), Exit.NO_ANSWER) from error
