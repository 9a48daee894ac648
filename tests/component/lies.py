"""What no status may say, in any moment: a witness reads every version of every object.

A status that is behind the world for a moment is no lie; one that contradicts itself is, and one
that tells of a change that was none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.component.objects import path
from tests.component.world import World

Body = dict[str, Any]
SWITCHED_OFF = {"Suspended", "ScaledToZero"}


def lies(body: Body, before: Body | None = None) -> list[str]:
    """Return what of a status cannot be true together, or as the version after `before`."""
    status = body.get("status") or {}
    said = {one["type"]: one for one in status.get("conditions") or ()}
    if not said:
        return []
    found = [
        f"{kind} speaks of generation {one.get('observedGeneration')}"
        for kind, one in said.items()
        if one.get("observedGeneration") != status.get("observedGeneration")
    ]
    if status["observedGeneration"] > body["metadata"]["generation"]:
        found.append("it tells of a spec that is still to come")
    found += [f"{kind} has no reason" for kind, one in said.items() if not one.get("reason")]
    found += [f"{kind} has no message" for kind, one in said.items() if not one.get("message")]
    if _is(said, "Ready"):
        found += _lies_of_ready(status, said)
    if _is(said, "Stalled") and _is(said, "Reconciling"):
        found.append("it is stalled and at work")
    if _is(said, "Available") and not status.get("readyReplicas"):
        found.append("it is available without a ready pod")
    return found + _lies_of_times(said, before)


def _lies_of_ready(status: Body, said: dict[str, Body]) -> list[str]:
    found = [f"it is Ready and {kind}" for kind in ("Stalled", "Reconciling") if _is(said, kind)]
    if status.get("phase") not in {"Ready", "Suspended"}:
        found.append(f"it is Ready in phase {status.get('phase')}")
    if said["Ready"]["reason"] in SWITCHED_OFF:
        return found
    ready, wanted = status["ready"].split("/")
    if ready != wanted:
        found.append(f"it is Ready with {status['ready']} pods")
    if not _is(said, "Available"):
        found.append("it is Ready and not available")
    if not (status.get("artifact") or {}).get("sha256"):
        found.append("it is Ready without an artifact")
    return found


def _lies_of_times(said: dict[str, Body], before: Body | None) -> list[str]:
    old = {one["type"]: one for one in ((before or {}).get("status") or {}).get("conditions") or ()}
    return [
        f"{kind} has another time of the same status"
        for kind, one in said.items()
        if kind in old
        and old[kind]["status"] == one["status"]
        and old[kind].get("lastTransitionTime") != one.get("lastTransitionTime")
    ]


def _is(said: dict[str, Body], kind: str) -> bool:
    return bool(said.get(kind, {}).get("status") == "True")


@dataclass
class Witness:
    """All lies that were told, each with the object's version, and how much was read."""

    lies: list[str] = field(default_factory=list)
    read: int = 0
    _last: dict[str, Body] = field(default_factory=dict)

    def sees(self, body: Body) -> None:
        meta = body["metadata"]
        self.read += 1
        about = f"{meta['name']} at version {meta['resourceVersion']}"
        self.lies += [f"{about}: {lie}" for lie in lies(body, self._last.get(meta["uid"]))]
        self._last[meta["uid"]] = body


@contextlib.asynccontextmanager
async def a_witness(world: World) -> AsyncIterator[Witness]:
    """Have every version of every object of the namespace read, until the block ends."""
    witness = Witness()
    where = path("ResNetService", world.namespace)
    listed = await world.api.request("GET", where)
    since = listed["metadata"]["resourceVersion"]

    async def read() -> None:
        async with contextlib.aclosing(world.api.watch(where, since=since)) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] in {"ADDED", "MODIFIED"}:
                    witness.sees(event["object"])

    task = asyncio.create_task(read())
    try:
        yield witness
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
