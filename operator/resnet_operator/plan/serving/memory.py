"""What of earlier rollouts must outlive the operator: one annotation of the Deployment.

It is written in the patch that changes the template, so it costs no write of its own, and nothing
can see the one without the other. An object that has had one revision only has no annotation.
Called by `rollout`, `serving` and `status`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import decode, read_object
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import DeploymentObject

GOOD_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The revision that was tried and failed; `retry` is the retry annotation of that time."""

    name: str
    reason: str
    message: str
    time: str
    retry: str = ""


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """The revision whose analysis is over, and how it ended: Passed or Skipped."""

    name: str
    result: str
    message: str
    time: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """`good` revisions were complete once, the newest first.

    `lacking` is the device for whose lack the rollout under way goes replacing pods one at a time.
    """

    good: tuple[str, ...] = ()
    failed: Failed | None = None
    lacking: str = ""
    analysed: Analysed | None = None

    @classmethod
    def of(cls, observed: Observed) -> Memory:
        """Return what the Deployment remembers; without a Deployment, what the status says."""
        live = observed.deployment
        return cls.read(live.memory) if live else _from_status(observed)

    @classmethod
    def read(cls, text: str) -> Memory:
        """Return the memory of an annotation; what somebody wrote there by hand is nothing."""
        try:
            return decode(MEMORY, read_object(text)) if text else cls()
        except Misfit:
            return cls()

    def text(self) -> str:
        """Return the annotation; nothing is no annotation."""
        value = {
            "good": list(self.good),
            "failed": asdict(self.failed) if self.failed else None,
            "lacking": self.lacking,
            "analysed": asdict(self.analysed) if self.analysed else None,
        }
        value = {key: item for key, item in value.items() if item}
        return names.canonical_json(value) if value else ""

    def with_good(self, name: str | None) -> tuple[str, ...]:
        """Return the good revisions, with `name` as the newest."""
        others = [one for one in self.good if one != name]
        return (*([name] if name else []), *others)[:GOOD_KEPT]


MEMORY = TypeAdapter(Memory)


def good_revision(observed: Observed, memory: Memory) -> str | None:
    """Return the newest revision that was complete: all its pods were ready at one time."""
    live = observed.deployment
    if live is not None:
        if live.wanted > 0 and is_complete(live, live.revision, live.wanted):
            return live.revision
        # A pod may be away at this moment; we have seen them all.
        revisions = observed.service.status.get("revisions") or {}
        if live.revision and revisions.get("serving") == live.revision:
            return live.revision
    return memory.good[0] if memory.good else None


def good_after(observed: Observed, memory: Memory, target: str) -> tuple[str, ...]:
    """Return the good revisions to remember beside a target: what it replaces is one of them."""
    live = observed.deployment
    if live is None or live.revision == target:
        return memory.good
    return memory.with_good(good_revision(observed, memory))


def said_revisions(observed: Observed, memory: Memory, desired: str | None) -> dict[str, Any]:
    """Return what `status.revisions` says."""
    serving = good_revision(observed, memory)
    failed = memory.failed
    said: dict[str, Any] = {
        "desired": desired,
        "serving": serving,
        "previous": next((name for name in memory.good if name != serving), None),
        "failed": failed
        and {
            "name": failed.name,
            "reason": failed.reason,
            "message": failed.message,
            "time": failed.time,
        },
    }
    return {key: value for key, value in said.items() if value}


def is_complete(live: DeploymentObject | None, target: str, wanted: int) -> bool:
    """Tell whether the controller has done all, as `kubectl rollout status` does."""
    return (
        live is not None
        and live.revision == target
        and live.wanted == wanted
        and live.observed_generation >= live.generation
        and live.updated == live.replicas == wanted
        and live.available >= wanted
    )


def _from_status(observed: Observed) -> Memory:
    """Somebody has deleted the Deployment: what failed need not be tried on all pods at once."""
    status = observed.service.status
    revisions: dict[str, Any] = status.get("revisions") or {}
    found = (revisions.get("serving"), revisions.get("previous"))
    told = revisions.get("failed") or {}
    failed = None
    if told.get("name"):
        failed = Failed(
            name=told["name"],
            reason=told.get("reason") or "",
            message=told.get("message") or "it did not become ready",
            time=told.get("time") or "",
            retry=status.get("lastHandledRetry") or "",
        )
    return Memory(good=tuple(name for name in found if name), failed=failed)
