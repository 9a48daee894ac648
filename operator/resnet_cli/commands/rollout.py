"""`rollout`, `suspend`, `resume`: revisions, and the few fields that people change by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, get, items, read_json
from resnet_cli.parts import Body, condition, controlled, is_true, label_of, name_of, since
from resnet_cli.paths import path
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_cli.show import Output, Screen
from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import RECORD_CHARS, read_object

MERGE = "application/merge-patch+json"
MANAGER = "kubectl-resnet"
COLUMNS = (
    Column("REVISION"),
    Column("IS"),
    Column("AGE", rank=1),
    Column("ARTIFACT", rank=2),
    Column("MESSAGE", rank=3, grows=True),
)


def rollout_status(
    cluster: Cluster, screen: Screen, *, name: str, wait: bool, output: Output = Output.TEXT
) -> Exit:
    body = get(cluster, "ResNetService", cluster.namespace, name)
    _say(screen, body, output)
    if wait and not _is_settled(body):
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": body["metadata"].get("resourceVersion", ""),
        }
        for line in cluster.follow(path("ResNetService", cluster.namespace), query):
            event = read_json(line) if line.strip() else {}
            if event.get("type") not in {"ADDED", "MODIFIED"}:
                continue
            body = event["object"]
            _say(screen, body, output)
            if _is_settled(body):
                break
    return Exit.DONE if _is_ready(body) else Exit.NOT_WELL


def _say(screen: Screen, body: Body, output: Output) -> None:
    ready, status = condition(body, "Ready"), body.get("status") or {}
    tone = Tone.GOOD if _is_ready(body) else Tone.WAITS
    text = f"{status.get('phase', 'Unknown')} {status.get('ready', '')}: {ready.get('message', '')}"
    value = {
        "namespace": body["metadata"].get("namespace", ""),
        "name": name_of(body),
        "phase": status.get("phase"),
        "ready": _is_ready(body),
        "settled": _is_settled(body),
        "pods": status.get("ready") or "",
        "reason": ready.get("reason") or "",
        "message": ready.get("message") or "",
    }
    screen.result(
        text.strip(), value, output, tone=Tone.BAD if condition(body, "Stalled") else tone
    )


def _is_current(body: Body) -> bool:
    generation = body["metadata"].get("generation", 0)
    return bool((body.get("status") or {}).get("observedGeneration") == generation)


def _is_ready(body: Body) -> bool:
    return _is_current(body) and is_true(body, "Ready")


def _is_settled(body: Body) -> bool:
    stalled = is_true(body, "Stalled")
    return _is_ready(body) or (_is_current(body) and stalled)


def rollout_history(
    cluster: Cluster, screen: Screen, *, name: str, now: datetime, output: Output
) -> Exit:
    body = get(cluster, "ResNetService", cluster.namespace, name)
    rows = history_of(body, _revisions(cluster, body), now)
    if output is not Output.TEXT:
        screen.data(rows, output)
    elif not rows:
        screen.line(f"{name} has no revisions yet")
    else:
        table = [[Cell(str(row[c.title.lower()])) for c in COLUMNS] for row in rows]
        screen.table(Table(COLUMNS, table))
    return Exit.DONE


def _revisions(cluster: Cluster, service: Body) -> list[Body]:
    """Return the revisions that the very object controls, for labels can be anybody's."""
    labels = f"{names.COMPONENT}={names.REVISION_COMPONENT},{names.INSTANCE}={name_of(service)}"
    found = items(cluster, "ConfigMap", cluster.namespace, labelSelector=labels)
    return controlled(found, [service])


def history_of(body: Body, revisions: list[Body], now: datetime) -> list[dict[str, Any]]:
    """Return the kept revisions, the newest first, and what each is."""
    said = (body.get("status") or {}).get("revisions") or {}
    failed = said.get("failed") or {}
    pinned = ((body.get("spec") or {}).get("rollout") or {}).get("pinRevision")
    roles = {
        "serving": said.get("serving"),
        "desired": said.get("desired"),
        "previous": said.get("previous"),
        "failed": failed.get("name"),
        "pinned": pinned,
    }
    newest = sorted(revisions, key=lambda one: one["metadata"]["creationTimestamp"], reverse=True)
    return [
        {
            "revision": name_of(one),
            "is": ", ".join(role for role, name in roles.items() if name == name_of(one)),
            "age": since(one["metadata"].get("creationTimestamp") or "", now),
            "artifact": _artifact(one),
            "message": failed.get("message", "") if failed.get("name") == name_of(one) else "",
        }
        for one in newest
    ]


def _artifact(revision: Body) -> str:
    for text in (revision.get("data") or {}).values():
        try:
            found = read_object(text, max_chars=RECORD_CHARS)
        except Misfit:
            continue
        if isinstance(found.get("sha256"), str):
            return str(found["sha256"])[:12]
    return label_of(revision, names.ARTIFACT)


def rollout_undo(
    cluster: Cluster, screen: Screen, *, name: str, output: Output = Output.TEXT
) -> Exit:
    body = get(cluster, "ResNetService", cluster.namespace, name)
    previous = ((body.get("status") or {}).get("revisions") or {}).get("previous")
    if not previous:
        raise CliError(
            f"{name} has no revision that served before; see: kubectl resnet rollout history "
            f"{name}",
            Exit.NOT_FOUND,
        )
    return rollout_pin(cluster, screen, name=name, revision=str(previous), output=output)


def rollout_pin(
    cluster: Cluster, screen: Screen, *, name: str, revision: str, output: Output = Output.TEXT
) -> Exit:
    """Pin a revision by its name or its last digits; "" follows the spec again."""
    if revision:
        service = get(cluster, "ResNetService", cluster.namespace, name)
        known = [name_of(one) for one in _revisions(cluster, service)]
        found = next((one for one in known if revision in {one, one.rpartition("-")[2]}), None)
        if found is None:
            there = ", ".join(sorted(known)) or "none"
            raise CliError(f"{name} has no revision {revision}; there are: {there}", Exit.NOT_FOUND)
        revision = found
    _change(cluster, name, {"spec": {"rollout": {"pinRevision": revision or None}}})
    done = f"pinned to {revision}" if revision else "follows its spec again"
    value = _named(cluster, name) | {"pinRevision": revision or None}
    screen.result(f"resnetservice {name} {done}", value, output)
    return Exit.DONE


def rollout_retry(
    cluster: Cluster, screen: Screen, *, name: str, now: datetime, output: Output = Output.TEXT
) -> Exit:
    value = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    _change(cluster, name, {"metadata": {"annotations": {names.RETRY: value}}})
    said = f"resnetservice {name} is tried again; see: kubectl resnet why {name}"
    screen.result(said, _named(cluster, name) | {"retry": value}, output)
    return Exit.DONE


def set_suspended(
    cluster: Cluster, screen: Screen, *, name: str, suspended: bool, output: Output = Output.TEXT
) -> Exit:
    _change(cluster, name, {"spec": {"suspend": suspended}})
    said = f"resnetservice {name} {'suspended' if suspended else 'resumed'}"
    screen.result(said, _named(cluster, name) | {"suspend": suspended}, output)
    return Exit.DONE


def _named(cluster: Cluster, name: str) -> Body:
    return {"namespace": cluster.namespace, "name": name}


def _change(cluster: Cluster, name: str, change: Body) -> None:
    where = f"{path('ResNetService', cluster.namespace, name)}?fieldManager={MANAGER}"
    cluster.write("PATCH", where, change, content_type=MERGE)
