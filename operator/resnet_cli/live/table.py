"""The table of `get`: one line for each ResNetService. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from resnet_cli.live.progress import Going, Key, key_of
from resnet_cli.parts import Body, condition, name_of, since
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_contract.progress import KIB, MIB

COLUMNS = (
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
TONES = {"Ready": Tone.GOOD, "Failed": Tone.BAD, "Degraded": Tone.BAD, "Suspended": Tone.PLAIN}
CACHE = {"Reused": "hit", "Copied": "hit", "Converted": "miss"}


def table_of(
    found: Sequence[Body],
    going: Mapping[Key, Going],
    now: datetime,
    *,
    all_namespaces: bool,
) -> Table:
    first = 0 if all_namespaces else 1
    rows = []
    for body in sorted(found, key=key_of):
        row = row_of(body, going.get(key_of(body)), now)
        tone = TONES.get(row["phase"], Tone.WAITS)
        at_work = going.get(key_of(body))
        shown = row | {
            "stage": stage_text(at_work, now),
            "done": done_text(at_work),
            "chips": chips_text(row),
        }
        texts = [str(shown[column.title.lower()] or "") for column in COLUMNS[first:]]
        rows.append(
            [
                Cell(text, tone if COLUMNS[first + at].title == "PHASE" else Tone.PLAIN)
                for at, text in enumerate(texts)
            ]
        )
    return Table(COLUMNS[first:], rows)


def row_of(body: Body, going: Going | None, now: datetime) -> dict[str, Any]:
    """Return what a line says of an object, by the titles of the columns."""
    status, spec = body.get("status") or {}, body.get("spec") or {}
    revisions, artifact = status.get("revisions") or {}, status.get("artifact") or {}
    revision = str(revisions.get("serving") or revisions.get("desired") or "")
    ready = condition(body, "Ready")
    accelerator = spec.get("accelerator") or {}
    return {
        "namespace": body["metadata"].get("namespace", ""),
        "name": name_of(body),
        "phase": status.get("phase") or "Unknown",
        "stage": going.stage if going else "",
        "progress": _progress(going, now),
        "ready": status.get("ready") or "",
        "chip": status.get("chip") or accelerator.get("chip", ""),
        "chipsPerPod": accelerator.get("count", 1),
        "revision": revision.removeprefix(f"{name_of(body)}-"),
        "cache": CACHE.get(artifact.get("origin", ""), ""),
        "for": since(status.get("phaseStartTime") or "", now),
        "age": since(body["metadata"].get("creationTimestamp") or "", now),
        "message": ready.get("message") or "no operator has looked at it yet",
    }


def news_of(body: Body, going: Going | None, now: datetime) -> dict[str, Any]:
    """Return what of a line is news: ages alone are none."""
    row = row_of(body, going, now)
    progress = dict(row.pop("progress") or {})
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
