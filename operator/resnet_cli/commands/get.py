"""`get`: one line for each ResNetService, with the stage it is at; once, or as it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from resnet_cli.exits import Exit
from resnet_cli.kube import Cluster, get, read_json
from resnet_cli.live.events import changes, with_ticks
from resnet_cli.live.progress import Key, key_of, progress_of
from resnet_cli.live.table import news_of, row_of, table_of
from resnet_cli.parts import Body
from resnet_cli.paths import path
from resnet_cli.show import Output, Screen

TICK_SECONDS = 2.0


# Prints the objects: all of them, and those that are new to whoever reads.
Show = Callable[[Sequence[Body], Sequence[Body]], None]


def get_services(
    cluster: Cluster,
    screen: Screen,
    *,
    namespace: str | None,
    name: str,
    clock: Callable[[], datetime],
    output: Output,
    watch: bool,
    goes_on: Callable[[], bool] = lambda: True,
    pause: Callable[[float], None] = time.sleep,
) -> Exit:
    """Print the objects, of `namespace` None those of all namespaces; watch while `goes_on`."""
    with shower(screen, clock, output, all_namespaces=namespace is None, live=watch) as show:
        found, version = _list(cluster, namespace, name)
        show(found, found)
        if not watch:
            return Exit.DONE
        known = {key_of(body): body for body in found}
        while goes_on():
            if not _watch(cluster, namespace, name, version, known, show):
                pause(TICK_SECONDS)
            found, version = _list(cluster, namespace, name)
            changed = [body for body in found if known.get(key_of(body)) != body]
            known = {key_of(body): body for body in found}
            if changed:
                show(found, changed)
    return Exit.DONE


def _watch(
    cluster: Cluster,
    namespace: str | None,
    name: str,
    version: str,
    known: dict[Key, Body],
    show: Show,
) -> bool:
    """Show what changes until the API server ends the watch; ages change by themselves.

    Returns whether it told anything: a server that ends a watch at once is not asked again at once.
    """
    told = False
    for event in with_ticks(changes(cluster, namespace, name, version), TICK_SECONDS):
        if event is None:
            moving = [body for body in known.values() if (body.get("status") or {}).get("progress")]
            if moving:
                show(list(known.values()), [])
            continue
        told = True
        kind, body = event
        if kind == "DELETED":
            known.pop(key_of(body), None)
        else:
            known[key_of(body)] = body
        show(list(known.values()), [] if kind == "DELETED" else [body])
    return told


def _list(cluster: Cluster, namespace: str | None, name: str) -> tuple[list[Body], str]:
    if name:
        one = get(cluster, "ResNetService", namespace, name)
        return [one], one["metadata"].get("resourceVersion", "")
    found = read_json(cluster.read(path("ResNetService", namespace), {}))
    return found.get("items") or [], (found.get("metadata") or {}).get("resourceVersion", "")


@contextmanager
def shower(
    screen: Screen,
    clock: Callable[[], datetime],
    output: Output,
    *,
    all_namespaces: bool,
    live: bool,
) -> Iterator[Show]:
    """Give how to print: data and pipes get what has changed, a terminal the table in its place."""
    printed: dict[Key, object] = {}

    def data(found: Sequence[Body], changed: Sequence[Body]) -> None:
        if found and not changed:
            return
        going, now = progress_of(changed), clock()
        screen.data([row_of(body, going.get(key_of(body)), now) for body in changed], output)

    def lines(found: Sequence[Body], changed: Sequence[Body]) -> None:
        if not found and not printed:
            screen.line("no ResNetServices here")
        going, now = progress_of(changed), clock()
        news = {key_of(body): news_of(body, going.get(key_of(body)), now) for body in changed}
        new = [body for body in changed if printed.get(key_of(body)) != news[key_of(body)]]
        if new:
            table = table_of(new, going, now, all_namespaces=all_namespaces)
            screen.table(table, titles=not printed)
        printed.update(news)

    if output is not Output.TEXT:
        yield data
    elif not (live and screen.console.is_terminal):
        yield lines
    else:
        with screen.replaced() as replace:

            def table(found: Sequence[Body], _: Sequence[Body]) -> None:
                going = progress_of(found)
                replace(table_of(found, going, clock(), all_namespaces=all_namespaces))

            yield table
