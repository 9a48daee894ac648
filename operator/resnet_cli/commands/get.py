"""`get`: one line for each ResNetService, with the stage it is at; once, or as it changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, get
from resnet_cli.parts import Body, condition, name_of, since
from resnet_cli.paths import path
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_cli.show import Output, Screen

COLUMNS = (
    Column("NAMESPACE"),
    Column("NAME"),
    Column("PHASE"),
    Column("STAGE", rank=1),
    Column("READY"),
    Column("CHIP", rank=4),
    Column("REVISION", rank=5),
    Column("CACHE", rank=6),
    Column("FOR", rank=2),
    Column("AGE", rank=7),
    Column("MESSAGE", rank=3, grows=True),
)
TONES = {"Ready": Tone.GOOD, "Failed": Tone.BAD, "Degraded": Tone.BAD, "Suspended": Tone.PLAIN}
CACHE = {"Reused": "hit", "Copied": "hit", "Converted": "miss"}


def get_services(
    cluster: Cluster,
    screen: Screen,
    *,
    namespace: str | None,
    name: str,
    clock: Callable[[], datetime],
    output: Output,
    watch: bool,
) -> Exit:
    """Print the objects; of `namespace` None those of all namespaces."""
    found, version = _list(cluster, namespace, name)
    if not watch:
        _print(screen, found, clock(), output, all_namespaces=namespace is None)
        return Exit.DONE
    known = {_key(body): body for body in found}
    _print(screen, list(known.values()), clock(), output, all_namespaces=namespace is None)
    for kind, body in _changes(cluster, namespace, name, version):
        if kind == "DELETED":
            known.pop(_key(body), None)
        else:
            known[_key(body)] = body
        _print(screen, [body], clock(), output, all_namespaces=namespace is None, titles=False)
    return Exit.DONE


def _list(cluster: Cluster, namespace: str | None, name: str) -> tuple[list[Body], str]:
    if name:
        one = get(cluster, "ResNetService", namespace, name)
        return [one], one["metadata"].get("resourceVersion", "")
    found = json.loads(cluster.read(path("ResNetService", namespace), {}))
    return found.get("items") or [], (found.get("metadata") or {}).get("resourceVersion", "")


def _key(body: Body) -> tuple[str, str]:
    return body["metadata"].get("namespace", ""), name_of(body)


def _changes(
    cluster: Cluster, namespace: str | None, name: str, version: str
) -> Iterator[tuple[str, Body]]:
    """Yield what the API server tells, until it or the user ends it."""
    query = {"watch": "true", "resourceVersion": version}
    if name:
        query["fieldSelector"] = f"metadata.name={name}"
    for line in cluster.follow(path("ResNetService", namespace), query):
        if not line.strip():
            continue
        event = json.loads(line)
        if event.get("type") == "ERROR":
            said = (event.get("object") or {}).get("message", "")
            raise CliError(f"the watch ended: {said}; start it again", Exit.UNREACHABLE)
        yield event["type"], event["object"]


def _print(
    screen: Screen,
    found: Sequence[Body],
    now: datetime,
    output: Output,
    *,
    all_namespaces: bool,
    titles: bool = True,
) -> None:
    if output is not Output.TEXT:
        screen.data([row_of(body, now) for body in found], output)
    elif not found:
        screen.line("no ResNetServices here")
    else:
        screen.table(table_of(found, now, all_namespaces=all_namespaces), titles=titles)


def table_of(found: Sequence[Body], now: datetime, *, all_namespaces: bool) -> Table:
    first = 0 if all_namespaces else 1
    rows = []
    for body in sorted(found, key=_key):
        row = row_of(body, now)
        tone = TONES.get(row["phase"], Tone.WAITS)
        texts = [str(row[column.title.lower()] or "") for column in COLUMNS[first:]]
        rows.append(
            [
                Cell(text, tone if COLUMNS[first + at].title == "PHASE" else Tone.PLAIN)
                for at, text in enumerate(texts)
            ]
        )
    return Table(COLUMNS[first:], rows)


def row_of(body: Body, now: datetime) -> dict[str, Any]:
    """Return what a line says of an object, by the titles of the columns."""
    status, spec = body.get("status") or {}, body.get("spec") or {}
    revisions, artifact = status.get("revisions") or {}, status.get("artifact") or {}
    revision = str(revisions.get("serving") or revisions.get("desired") or "")
    ready = condition(body, "Ready")
    return {
        "namespace": body["metadata"].get("namespace", ""),
        "name": name_of(body),
        "phase": status.get("phase") or "Unknown",
        "stage": stage_text(status),
        "ready": status.get("ready") or "",
        "chip": status.get("chip") or (spec.get("accelerator") or {}).get("chip", ""),
        "revision": revision.removeprefix(f"{name_of(body)}-"),
        "cache": CACHE.get(artifact.get("origin", ""), ""),
        "for": since(status.get("phaseStartTime") or "", now),
        "age": since(body["metadata"].get("creationTimestamp") or "", now),
        "message": ready.get("message") or "no operator has looked at it yet",
    }


def stage_text(status: Body) -> str:
    """Return the stage, and how much of it is done where that is known."""
    progress = status.get("progress") or {}
    stage = str(progress.get("stage") or "")
    percent = progress.get("percent")
    return f"{stage} {percent}%" if stage and percent is not None else stage
