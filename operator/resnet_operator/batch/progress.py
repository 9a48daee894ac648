"""How far a batch is, from its pods' last words; what was told once is kept in the status. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from resnet_contract.batch.progress import Classified
from resnet_contract.report.messages import BatchDone, read
from resnet_operator.plan.times import to_text
from resnet_operator.plan.trouble.pod import message_of
from resnet_operator.render.batch import BATCH
from resnet_operator.seen.workload import Pod

INDEX = "batch.kubernetes.io/job-completion-index"
MOST_PREEMPTED = 100
MOST_PICTURES = 10**12


@dataclass(frozen=True)
class Share:
    """Of one pod: `total` pictures, of which `done` are written."""

    index: int
    total: int
    done: int
    failed: int = 0
    rate: float | None = None
    manifest: str | None = None


def told_by_pods(pods: Iterable[Pod], lines: Mapping[str, Classified]) -> dict[int, Share]:
    """Return the furthest that a pod of each share has told of, in its log or as last words."""
    found: dict[int, Share] = {}
    for pod in pods:
        share = _share_in_log(pod, lines.get(pod.meta.uid)) or _share_of(pod)
        if share and (share.index not in found or share.done >= found[share.index].done):
            found[share.index] = share
    return found


def _share_in_log(pod: Pod, said: Classified | None) -> Share | None:
    index = pod.meta.labels.get(INDEX, "0")
    if said is None or not index.isdecimal():
        return None
    return Share(int(index), said.total, said.done, rate=said.rate)


def _share_of(pod: Pod) -> Share | None:
    ended = next((c for c in pod.containers if c.name == BATCH and not c.init), None)
    said = read(BatchDone, message_of(ended)) if ended else None
    index = pod.meta.labels.get(INDEX, "0")
    if said is None or not index.isdecimal():
        return None
    done, total, failed = _count(said.pictures), _count(said.total), _count(said.failed) or 0
    if done is None or total is None or not failed <= done <= total:
        return None
    rate = said.pictures_per_second
    sha256 = said.manifest_sha256
    return Share(
        index=int(index),
        total=total,
        done=done,
        failed=failed,
        rate=float(rate) if isinstance(rate, int | float) and 0 < rate < MOST_PICTURES else None,
        manifest=sha256 if isinstance(sha256, str) and len(sha256) == 64 else None,
    )


def merged(status: Mapping[str, Any], told: Mapping[int, Share], shares: int) -> dict[str, Any]:
    """Return the status's part about pictures: nothing that was told before is taken back."""
    known = {
        entry["index"]: Share(entry["index"], entry["total"], entry["done"], entry.get("failed", 0))
        for entry in status.get("pods") or ()
        if entry.keys() >= {"index", "total", "done"}
    }
    for index, share in told.items():
        if index < shares and (index not in known or share.done >= known[index].done):
            before = known[index].failed if index in known else 0
            known[index] = replace(share, failed=max(share.failed, before))
    if not known:
        return {}
    all_told = len(known) == shares
    pictures = {
        **({"total": sum(share.total for share in known.values())} if all_told else {}),
        "done": sum(share.done for share in known.values()),
        "failed": sum(share.failed for share in known.values()),
    }
    pods = [
        {"index": one.index, "total": one.total, "done": one.done, "failed": one.failed}
        for one in sorted(known.values(), key=lambda share: share.index)
    ]
    return {"pictures": pictures, "pods": pods}


def speed(
    pictures: Mapping[str, Any], told: Mapping[int, Share], *, running: bool, now: datetime
) -> dict[str, Any]:
    """Return the rate of all pods, and when all will be done if it stays."""
    rates = [share.rate for share in told.values() if share.rate]
    if not rates:
        return {}
    rate = sum(rates)
    found: dict[str, Any] = {"picturesPerSecond": round(rate, 1)}
    left = pictures.get("total", 0) - pictures.get("done", 0)
    if running and left > 0:
        end = (now + timedelta(seconds=left / rate)).replace(second=0, microsecond=0)
        found["estimatedCompletionTime"] = to_text(end + timedelta(minutes=1))
    return found


def preempted(status: Mapping[str, Any], pods: Sequence[Pod]) -> dict[str, Any]:
    """Return how many pods gave way, and which of them have been counted, by their UIDs.

    Who is there is kept in the list, so that nobody counts twice; who is gone makes room. A pod
    for which there is no room is not counted: the number is never too large.
    """
    known = [entry for entry in status.get("preempted") or () if isinstance(entry, Mapping)]
    counted = {entry.get("uid") for entry in known}
    there = {pod.meta.uid for pod in pods}
    new = [
        {"name": pod.meta.name, "uid": pod.meta.uid}
        for pod in sorted(pods, key=lambda pod: (pod.meta.created, pod.meta.name))
        if _gave_way(pod) and pod.meta.uid not in counted
    ][: max(MOST_PREEMPTED - len(counted & there), 0)]
    count = (status.get("preemptions") or 0) + len(new)
    gone = [entry for entry in known if entry.get("uid") not in there]
    dropped = gone[: max(len(known) + len(new) - MOST_PREEMPTED, 0)]
    kept = [*(entry for entry in known if entry not in dropped), *new]
    return {"preemptions": count, "preempted": kept} if count else {}


def _gave_way(pod: Pod) -> bool:
    """Tell whether the control plane ended it; what it only meant to end may live on."""
    return bool(pod.disruption[0]) and (pod.meta.deleting or pod.phase == "Failed")


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < MOST_PICTURES else None
