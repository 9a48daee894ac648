"""Of several operators of one installation the one that holds the Lease acts; the others look on.

The holder renews the Lease well within its time. If it cannot, it stops before another one may
begin: `holds` is false from then on, whatever the event loop is busy with, and no write is sent.
Times are of our own monotonic clock: what another machine calls now does not matter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from resnet_operator.cluster.connection import Connection
from resnet_operator.cluster.content import MOST_OF_ANSWER, whole
from resnet_operator.errors import Conflict, Gone, KubeError, Transient
from resnet_operator.telemetry.metrics import API_REQUESTS, LEADING

log = logging.getLogger(__name__)

MERGE = "application/merge-patch+json"


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds; whoever holds stops at `deadline`, and nobody else begins before `duration`."""

    duration: int = 10
    deadline: float = 7.0
    renew: float = 2.5
    retry: float = 1.0
    # How often the others look whether it is their turn.
    look: float = 2.0


TIMES = Times()


@dataclass(kw_only=True)
class Leadership:
    """Takes the Lease, keeps it and gives it back; without a name there is nobody to share with."""

    connection: Connection
    namespace: str
    name: str
    identity: str
    # Who does not see the cluster does not want to lead.
    may_lead: Callable[[], bool]
    began: Callable[[], None]
    ended: Callable[[], None]
    times: Times = TIMES
    clock: Callable[[], float] = time.monotonic
    # Why the Lease cannot be read or taken; empty while all is well.
    trouble: str = ""
    _until: float = -1.0
    _is_acting: bool = False
    _version: str = ""
    _seen: tuple[str, str] = ("", "")
    _seen_at: float = field(default=0.0)

    @property
    def holds(self) -> bool:
        """Tell whether a write may be sent now."""
        return not self.name or self.clock() < self._until

    async def run(self) -> None:
        """Lead whenever it is our turn, for ever."""
        if not self.name:
            self._begin()
            await asyncio.get_running_loop().create_future()
        LEADING.set(0)
        while True:
            try:
                async with asyncio.timeout(self._patience()):
                    await self._turn()
                self.trouble = ""
            except (TimeoutError, KubeError) as error:
                self.trouble = str(error) or "the API server does not answer"
            if self._is_acting and not self.holds:
                self._end(f"the Lease was not renewed: {self.trouble}")
            await asyncio.sleep(self._pause())

    async def release(self) -> None:
        """Let another one begin at once; called when nothing is being written any more."""
        if not self.name or not self._is_acting:
            return
        self._end("this operator ends")
        try:
            async with asyncio.timeout(self.times.look):
                spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._patch(spec | {"renewTime": _now()})
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease was not given back", extra={"error": str(error)})

    def _patience(self) -> float:
        return self._within(self.times.renew) if self._is_acting else self.times.deadline

    def _pause(self) -> float:
        if not self._is_acting:
            return self.times.look
        return self._within(self.times.retry if self.trouble else self.times.renew)

    def _within(self, seconds: float) -> float:
        return max(min(seconds, self._until - self.clock()), 0.1)

    async def _turn(self) -> None:
        asked_at = self.clock()
        if self._is_acting and self.holds:
            try:
                await self._patch({"renewTime": _now()})
            except Conflict:
                if not await self._is_free():
                    self._end("another operator has taken the Lease")
                    return
                await self._take()
            except Gone:
                self._version = ""
                await self._take()
            self._until = asked_at + self.times.deadline
        elif await self._is_free() and self.may_lead():
            await self._take()
            self._until = asked_at + self.times.deadline
            self._begin()

    async def _is_free(self) -> bool:
        try:
            lease = await self._get()
        except Gone:
            # Whoever was seen to hold it may not know yet that somebody has deleted it.
            self._version, duration = "", self.times.duration
        else:
            duration = self._look_at(lease)
        is_ours = self._seen[0] in {"", self.identity}
        return is_ours or self.clock() - self._seen_at > duration

    def _look_at(self, lease: dict[str, Any]) -> int:
        """Note who holds the Lease, and since when it was not renewed; returns its duration."""
        spec = lease.get("spec") or {}
        seen = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        self._version = lease["metadata"]["resourceVersion"]
        if seen != self._seen:
            self._seen, self._seen_at = seen, self.clock()
        duration = spec.get("leaseDurationSeconds")
        return duration if isinstance(duration, int) else self.times.duration

    async def _take(self) -> None:
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.times.duration,
            "acquireTime": _now(),
            "renewTime": _now(),
        }
        if self._version:
            await self._patch(spec)
            return
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }
        lease = await self._call("POST", self._path().rsplit("/", 1)[0], body)
        self._version = lease["metadata"]["resourceVersion"]

    async def _get(self) -> dict[str, Any]:
        return await self._call("GET", self._path())

    async def _patch(self, spec: dict[str, Any]) -> None:
        """Change the Lease if nobody else has since we saw it; Conflict otherwise."""
        metadata = {"resourceVersion": self._version}
        lease = await self._call("PATCH", self._path(), {"metadata": metadata, "spec": spec})
        self._version = lease["metadata"]["resourceVersion"]

    def _path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{self.name}"

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        API_REQUESTS.labels(method=method, resource="leases").inc()
        kind = MERGE if method == "PATCH" else "application/json"
        response = await self.connection.open(method, path, body=body, content_type=kind)
        try:
            async with response:
                answer = orjson.loads(await whole(response, MOST_OF_ANSWER))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Transient(0, f"the API server's answer broke off: {error}") from error
        return _lease(answer)

    def _begin(self) -> None:
        self._is_acting = True
        LEADING.set(1)
        log.info("leading", extra={"identity": self.identity})
        self.began()

    def _end(self, why: str) -> None:
        self._is_acting, self._until = False, -1.0
        LEADING.set(0)
        log.warning("no longer leading", extra={"identity": self.identity, "why": why})
        self.ended()


def _lease(answer: Any) -> dict[str, Any]:
    """Return what is a Lease; a proxy may answer with anything and 200."""
    meta = answer.get("metadata") if isinstance(answer, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get("resourceVersion"), str):
        raise Transient(0, "the API server's answer is no Lease")
    spec = answer.get("spec")
    found: dict[str, Any] = answer | {"spec": spec if isinstance(spec, dict) else {}}
    return found


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
