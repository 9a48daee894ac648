"""A watch that does not end by itself, and that gives the time to look in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Body, Cluster, read_json
from resnet_cli.paths import path

T = TypeVar("T")


def changes(
    cluster: Cluster, namespace: str | None, name: str, version: str
) -> Iterator[tuple[str, Body]]:
    """Yield what the API server tells, until it ends the watch, as it does every few minutes."""
    query = {"watch": "true", "resourceVersion": version}
    if name:
        query["fieldSelector"] = f"metadata.name={name}"
    for line in cluster.follow(path("ResNetService", namespace), query):
        if not line.strip():
            continue
        event = read_json(line)
        if event.get("type") == "ERROR":
            said = event.get("object") or {}
            if said.get("code") == EXPIRED:
                return  # the version is too old: whoever watches lists again
            raise CliError(f"the watch ended: {said.get('message', '')}", Exit.UNREACHABLE)
        yield event["type"], event["object"]


EXPIRED = 410


def with_ticks(source: Iterator[T], seconds: float) -> Iterator[T | None]:
    """Yield what the source yields, and None whenever it has been silent for so long."""
    found: queue.SimpleQueue[tuple[bool, T | BaseException | None]] = queue.SimpleQueue()

    def read() -> None:
        try:
            for one in source:
                found.put((True, one))
        except BaseException as error:  # handed on to whoever waits
            found.put((False, error))
        else:
            found.put((False, None))

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            goes_on, one = found.get(timeout=seconds)
        except queue.Empty:
            yield None
            continue
        if isinstance(one, BaseException):
            raise one
        if not goes_on:
            return
        yield one
