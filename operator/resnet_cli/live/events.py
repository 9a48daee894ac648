"""Watches that do not end by themselves, and that give the time to look in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Body, Cluster, read_json
from resnet_cli.paths import path

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """All objects of a kind, with their kind, at a version."""

    kind: str
    bodies: list[Body]
    version: str


def seen(
    cluster: Cluster,
    first: Listed,
    listed: Callable[[str], Listed],
    *,
    namespace: str | None,
    name: str,
    goes_on: Callable[[], bool],
    rest: Callable[[], None],
) -> Iterator[Listed | tuple[str, Body]]:
    """Yield what changes after `first`, and a new list whenever the API server ends the watch.

    A server that ends a watch at once is not asked again at once.
    """
    known = first
    while goes_on():
        told = False
        for event in changes(cluster, first.kind, namespace, name, known.version):
            told = True
            yield event
        if not told:
            rest()
        known = listed(first.kind)
        yield known


def changes(
    cluster: Cluster, kind: str, namespace: str | None, name: str, version: str
) -> Iterator[tuple[str, Body]]:
    """Yield what the API server tells, until it ends the watch, as it does every few minutes."""
    query = {"watch": "true", "resourceVersion": version}
    if name:
        query["fieldSelector"] = f"metadata.name={name}"
    for line in cluster.follow(path(kind, namespace), query):
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


def with_ticks(sources: Sequence[Iterator[T]], seconds: float) -> Iterator[T | None]:
    """Yield what the sources yield, and None whenever all have been silent for so long."""
    found: queue.SimpleQueue[tuple[bool, T | BaseException | None]] = queue.SimpleQueue()

    def read(source: Iterator[T]) -> None:
        try:
            for one in source:
                found.put((True, one))
        except BaseException as error:  # handed on to whoever waits
            found.put((False, error))
        else:
            found.put((False, None))

    for source in sources:
        threading.Thread(target=read, args=(source,), daemon=True).start()
    left = len(sources)
    while left:
        try:
            goes_on, one = found.get(timeout=seconds)
        except queue.Empty:
            yield None
            continue
        if isinstance(one, BaseException):
            raise one
        if goes_on:
            yield one
        else:
            left -= 1
