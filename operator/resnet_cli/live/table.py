"""The tables of `get`: one line for each ResNetService and ResNetBatch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from resnet_cli.live.progress import Going, Key, key_of
from resnet_cli.parts import Body, condition, moment, name_of, since, span
from resnet_cli.paths import BATCH, SERVICE
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_contract.progress import KIB, MIB

SERVICES = (
    Column("NAMESPACE"),
    Column("NAME"),
    Column("PHASE"),
    Column("STAGE", rank=1),
    Column("DONE", rank=2),
    Column("READY"),
    Column("CHIPS", rank=4),
    Column("REVISION", rank=5),
    Column("CACHE", rank=6),
    Column("FOR", rank=2),
    Column("AGE", rank=7),
    Column("MESSAGE", rank=3, grows=True),
)
BATCHES = (
    Column("NAMESPACE"),
    Column("NAME"),
    Column("SERVICE", rank=4),
    Column("PHASE"),
    Column("DONE"),
    Column("TOTAL"),
    Column("RATE", rank=2),
    Column("ETA", rank=1),
    Column("AGE", rank=5),
    Column("MESSAGE", rank=3, grows=True),
)
COLUMNS = {SERVICE: SERVICES, BATCH: BATCHES}
TONES = {
    "Ready": Tone.GOOD,
    "Succeeded": Tone.GOOD,
    "Failed": Tone.BAD,
    "Degraded": Tone.BAD,
    "Suspended": Tone.PLAIN,
}
CACHE = {"Reused": "hit", "Copied": "hit", "Converted": "miss"}


def tables_of(
    found: Sequence[Body],
    going: Mapping[Key, Going],
    now: datetime,
    *,
    all_namespaces: bool,
) -> Iterator[tuple[str, Table]]:
    """Return a table of each kind that is there, the services' first."""
    for kind, columns in COLUMNS.items():
        shown = columns[0 if all_namespaces else 1 :]
        rows = [
            _cells(shown, body, going.get(key_of(body)), now)
            for body in sorted(found, key=key_of)
            if body["kind"] == kind
        ]
        if rows:
            yield kind, Table(shown, rows)


def _cells(columns: Sequence[Column], body: Body, going: Going | None, now: datetime) -> list[Cell]:
    row = row_of(body, going, now)
    shown = row | (
        {"eta": time_left(row, now), "rate": row["picturesPerSecond"]}
        if body["kind"] == BATCH
        else {"stage": stage_text(going, now), "done": done_text(going), "chips": chips_text(row)}
    )
    tones = {"PHASE": TONES.get(row["phase"], Tone.WAITS)}
    return [
        Cell(_text(shown[one.title.lower()]), tones.get(one.title, Tone.PLAIN)) for one in columns
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def row_of(body: Body, going: Going | None, now: datetime) -> dict[str, Any]:
    """Return what a line says of an object, by the titles of the columns."""
    status = body.get("status") or {}
    of_kind = _batch(body, status) if body["kind"] == BATCH else _service(body, status, going, now)
    return {
        "kind": body["kind"],
        "namespace": body["metadata"].get("namespace", ""),
        "name": name_of(body),
        "phase": status.get("phase") or "Unknown",
        **of_kind,
        "age": since(body["metadata"].get("creationTimestamp") or "", now),
        "message": condition(body, "Ready").get("message") or "no operator has looked at it yet",
    }


def _service(body: Body, status: Body, going: Going | None, now: datetime) -> dict[str, Any]:
    revisions, artifact = status.get("revisions") or {}, status.get("artifact") or {}
    revision = str(revisions.get("serving") or revisions.get("desired") or "")
    accelerator = (body.get("spec") or {}).get("accelerator") or {}
    return {
        "stage": going.stage if going else "",
        "progress": _progress(going, now),
        "ready": status.get("ready") or "",
        "chip": status.get("chip") or accelerator.get("chip", ""),
        "chipsPerPod": accelerator.get("count", 1),
        "revision": revision.removeprefix(f"{name_of(body)}-"),
        "cache": CACHE.get(artifact.get("origin", ""), ""),
        "for": since(status.get("phaseStartTime") or "", now),
    }


def _batch(body: Body, status: Body) -> dict[str, Any]:
    pictures = status.get("pictures") or {}
    return {
        "service": ((body.get("spec") or {}).get("service") or {}).get("name", ""),
        "done": pictures.get("done"),
        "total": pictures.get("total"),
        "failed": pictures.get("failed"),
        "picturesPerSecond": status.get("picturesPerSecond"),
        "estimatedCompletionTime": status.get("estimatedCompletionTime"),
    }


def is_moving(body: Body) -> bool:
    """Tell whether a line of it changes by the mere time."""
    status = body.get("status") or {}
    return bool(status.get("progress") or status.get("estimatedCompletionTime"))


def time_left(row: Mapping[str, Any], now: datetime) -> str:
    """Return in how long a batch is done, as it says."""
    end = moment(str(row["estimatedCompletionTime"] or ""))
    return span((end - now).total_seconds()) if end else ""


def news_of(body: Body, going: Going | None, now: datetime) -> dict[str, Any]:
    """Return what of a line is news: ages alone are none."""
    row = row_of(body, going, now)
    progress = dict(row.pop("progress", None) or {})
    for ages in (row, progress):
        ages.pop("for", None)
        ages.pop("age", None)
    return row | progress


def _progress(going: Going | None, now: datetime) -> dict[str, Any] | None:
    if going is None:
        return None
    return {
        "stage": going.stage,
        "for": since(going.began, now),
        "percent": going.percent,
        "stagePercent": going.stage_percent,
        "bytes": going.done,
        "totalBytes": going.total,
    }


def chips_text(row: Mapping[str, Any]) -> str:
    """Return the chip, and how many of it all pods want where that is not one."""
    pods = str(row["ready"]).rpartition("/")[2]
    count = int(pods) * int(row["chipsPerPod"] or 1) if pods.isdigit() else 1
    return f"{count} {row['chip']}" if count > 1 else str(row["chip"])


def stage_text(going: Going | None, now: datetime) -> str:
    """Return the stage and how much of it is done; of a compiler that tells nothing, how long."""
    if going is None:
        return ""
    if going.done is None:
        return f"{going.stage} {since(going.began, now)}".strip()
    if going.total is None:
        return f"{going.stage} {size(going.done)}"
    return f"{going.stage} {going.stage_percent or 0}% of {size(going.total)}"


def done_text(going: Going | None) -> str:
    """Return how much of the whole conversion is done."""
    return "" if going is None or going.percent is None else f"{going.percent}%"


def size(count: int) -> str:
    name, unit = ("KiB", KIB) if count < MIB else ("MiB", MIB)
    return f"{count / unit:.0f} {name}"
