"""Surge, or one pod at a time: how the Deployment changes its pods. Pure; called by `serving`.

A new pod that waits for a device which an old pod holds would wait for ever. A switch of the
strategy restarts nobody: the pod that waits is the one that starts when the old one has gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.rollout import Strategy
from resnet_operator.plan.serving.memory import Memory, is_complete
from resnet_operator.plan.serving.rollout import names_device, pods_of
from resnet_operator.plan.times import left_of
from resnet_operator.plan.trouble.scheduling import INSUFFICIENT
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Pod

# Of Volcano and of HAMi, by what their users report; neither was run here.
UNNAMED = (
    "pod group is not ready",
    "tasks in gang unschedulable",
    "all node scores do not meet",
    "CardInsufficient",
)


@dataclass(frozen=True, kw_only=True)
class Way:
    """The strategy in force and why. `expected` tells that the lack of a device is no news."""

    mode: Strategy
    memory: Memory
    expected: bool = False
    waits_for: str = ""
    requeue_after: float | None = None

    @property
    def reason(self) -> str:
        return f"no free {self.memory.lacking}" if self.memory.lacking else ""

    @property
    def note(self) -> str:
        """Return what the rollout waits for, in words for the Ready condition."""
        if self.mode is Strategy.REPLACE and self.reason:
            return f"replacing pods one at a time: {self.reason}"
        return self.waits_for

    def said(self) -> dict[str, str]:
        """Return what `status.rollout` says."""
        return {"mode": self.mode.value} | ({"reason": self.reason} if self.reason else {})


def choose_strategy(
    observed: Observed, resolved: Resolved, target: str, memory: Memory, now: datetime
) -> Way:
    """Return how the Deployment gets its pods to the target."""
    options = resolved.rollout
    if options.strategy is not Strategy.AUTO:
        return Way(mode=options.strategy, memory=replace(memory, lacking=""))
    live = observed.deployment
    if memory.lacking and live is not None:
        # Kept when all is done, for a switch back would be a write and a rollout of nothing.
        moving = not is_complete(live, live.revision, live.wanted)
        if live.revision == target or moving:
            expected = live.revision != target or _makes_room(observed, target)
            return Way(mode=Strategy.REPLACE, memory=memory, expected=expected)
    memory = replace(memory, lacking="")
    if live is None or live.revision != target:
        return Way(mode=Strategy.SURGE, memory=memory)
    since = lacks_device_since(observed, resolved, target)
    old = _old_pods(observed, target)
    if since is None or not old:
        return Way(mode=Strategy.SURGE, memory=memory)
    # Who holds a device and serves nobody makes room at once.
    serves = any(pod.ready for pod in old)
    left = left_of(options.surge_wait_seconds, since, now) if serves else 0.0
    if left:
        return Way(
            mode=Strategy.SURGE,
            memory=memory,
            expected=True,
            waits_for=f"waiting for a free {resolved.resource}",
            requeue_after=left,
        )
    lacking = replace(memory, lacking=resolved.resource or "")
    return Way(mode=Strategy.REPLACE, memory=lacking, expected=True)


def lacks_device(words: str, resource: str) -> bool:
    """Tell whether a scheduler says that it is the device that no node has.

    Volcano and HAMi do not always name what is lacking. A pod that asks for a device and of which
    they say nothing else waits for that.
    """
    lacking = set(INSUFFICIENT.findall(words))
    if lacking & {resource, f"{resource}-memory"}:
        return True
    return not lacking and any(phrase in words for phrase in UNNAMED) and "node(s)" not in words


def lacks_device_since(observed: Observed, resolved: Resolved, target: str) -> str | None:
    """Return since when a pod of the target waits for a device; None when none does."""
    resource, live = resolved.resource, observed.deployment
    if resource is None or live is None:
        return None
    waiting = [
        pod.meta.created
        for pod in pods_of(observed, target)
        if lacks_device(pod.unschedulable, resource)
    ]
    if "exceeded quota" in live.failure and names_device(live.failure, resource):
        waiting.append(live.failure_since)
    return min((since for since in waiting if since), default=None)


def _makes_room(observed: Observed, target: str) -> bool:
    """Tell whether an old pod is about to go, or is going."""
    live, old = observed.deployment, _old_pods(observed, target)
    if live is None or live.observed_generation < live.generation:
        return True
    going = any(pod.meta.deleting for pod in observed.pods)
    return going or len(old) >= max(live.wanted, 1)


def _old_pods(observed: Observed, target: str) -> list[Pod]:
    return [
        pod
        for pod in observed.pods
        if pod.meta.labels.get(names.REVISION) != target
        and not pod.meta.deleting
        and pod.phase in {"Pending", "Running"}
    ]
