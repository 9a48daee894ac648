"""`get`: one line for each ResNetService and ResNetBatch; once, or as it changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, read_json, read_target
from resnet_cli.live.events import Listed, seen, with_ticks
from resnet_cli.live.progress import Key, key_of, progress_of
from resnet_cli.live.table import is_moving, news_of, row_of, tables_of
from resnet_cli.parts import Body
from resnet_cli.paths import BATCH, SERVICE, path
from resnet_cli.show import Output, Screen

TICK_SECONDS = 2.0

# Prints the objects: all of them, and those that are new to whoever reads.
Show = Callable[[Sequence[Body], Sequence[Body]], None]


def get_objects(
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
        lists = _first(cluster, screen, namespace, name)
        found = [body for one in lists for body in one.bodies]
        show(found, found)
        if watch:
            only = found[0]["metadata"]["name"] if name else ""
            sources = [
                seen(
                    cluster,
                    one,
                    lambda kind: _list(cluster, kind, namespace, only),
                    namespace=namespace,
                    name=only,
                    goes_on=goes_on,
                    rest=lambda: pause(TICK_SECONDS),
                )
                for one in lists
            ]
            _watch(with_ticks(sources, TICK_SECONDS), {key_of(body): body for body in found}, show)
    return Exit.DONE


def _watch(
    events: Iterator[Listed | tuple[str, Body] | None], known: dict[Key, Body], show: Show
) -> None:
    """Show what changes; ages and what is left change by themselves."""
    for event in events:
        if event is None:
            if any(is_moving(body) for body in known.values()):
                show(list(known.values()), [])
            continue
        if isinstance(event, Listed):
            there = {key_of(body): body for body in event.bodies}
            changed = [body for key, body in there.items() if known.get(key) != body]
            gone = [key for key in known if key[0] == event.kind and key not in there]
        else:
            kind, body = event
            changed = [] if kind == "DELETED" else [body]
            gone = [key_of(body)] if kind == "DELETED" else []
        for key in gone:
            known.pop(key, None)
        known |= {key_of(body): body for body in changed}
        if changed or gone:
            show(list(known.values()), changed)


def _first(cluster: Cluster, screen: Screen, namespace: str | None, name: str) -> list[Listed]:
    if name:
        one = read_target(cluster, namespace, name)
        return [Listed(one["kind"], [one], one["metadata"].get("resourceVersion", ""))]
    services = _list(cluster, SERVICE, namespace, "")
    try:
        return [services, _list(cluster, BATCH, namespace, "")]
    except CliError as error:
        if error.exit_code is Exit.FORBIDDEN:
            screen.note("not readable with these rights: ResNetBatch")
        elif error.exit_code is not Exit.NOT_FOUND:
            raise
        return [services]


def _list(cluster: Cluster, kind: str, namespace: str | None, name: str) -> Listed:
    query = {"fieldSelector": f"metadata.name={name}"} if name else {}
    found = read_json(cluster.read(path(kind, namespace), query))
    # The items of a list do not say their kind.
    bodies = [{**body, "kind": kind} for body in found.get("items") or ()]
    return Listed(kind, bodies, (found.get("metadata") or {}).get("resourceVersion", ""))


@contextmanager
def shower(
    screen: Screen,
    clock: Callable[[], datetime],
    output: Output,
    *,
    all_namespaces: bool,
    live: bool,
) -> Iterator[Show]:
    """Give how to print: data and pipes get what has changed, a terminal the tables in place."""
    printed: dict[Key, object] = {}
    titled = ""

    def data(found: Sequence[Body], changed: Sequence[Body]) -> None:
        if found and not changed:
            return
        going, now = progress_of(changed), clock()
        screen.data([row_of(body, going.get(key_of(body)), now) for body in changed], output)

    def lines(found: Sequence[Body], changed: Sequence[Body]) -> None:
        nonlocal titled
        if not found and not printed:
            screen.line("no ResNetServices and no ResNetBatches here")
        going, now = progress_of(changed), clock()
        news = {key_of(body): news_of(body, going.get(key_of(body)), now) for body in changed}
        new = [body for body in changed if printed.get(key_of(body)) != news[key_of(body)]]
        for kind, table in tables_of(new, going, now, all_namespaces=all_namespaces):
            if titled not in {"", kind}:
                screen.line("")
            screen.table(table, titles=titled != kind)
            titled = kind
        printed.update(news)

    if output is not Output.TEXT:
        yield data
    elif not (live and screen.console.is_terminal):
        yield lines
    else:
        with screen.replaced() as replace:

            def tables(found: Sequence[Body], _: Sequence[Body]) -> None:
                shown = tables_of(found, progress_of(found), clock(), all_namespaces=all_namespaces)
                replace([table for _, table in shown])

            yield tables
