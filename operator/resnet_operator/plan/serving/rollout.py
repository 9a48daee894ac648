"""Which revision the pods get, and how they change to it. Pure; called by `serving`.

The revision of the spec, unless one is pinned, the gate holds it, or it was tried and failed: then
the last good one. The spec is never written. `docs/decisions/030-rollouts.md` says why it is so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.plan.revision import (
    Revision,
    live_revision,
    stored_revision,
    wanted_replicas,
)
from resnet_operator.plan.serving.comparison import fails_as_well
from resnet_operator.plan.serving.memory import Failed, Memory, good_revision
from resnet_operator.plan.times import to_text
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Container, Pod

# A fault of the revision itself, and how often a container must have ended with it: once more than
# bad luck would explain. Everything else has until the deadline.
ENDINGS = {
    Reason.MODEL_LOAD_FAILED: 2,
    Reason.CHIP_MISMATCH: 2,
    Reason.CRASH_LOOPING: 3,
    Reason.OUT_OF_MEMORY: 3,
}
# No fault of the revision: another one would not come up either, so the deadline changes nothing.
CLUSTERS_OWN = {
    "Unschedulable",
    "QuotaExceeded",
    "PodSecurityForbidden",
    "AdmissionDenied",
    "Rejected",
    "PodLost",
    "Evicted",
    "NodeLost",
    "ChipUnhealthy",
    "StoreUnavailable",
}
DEADLINE = ("False", "ProgressDeadlineExceeded")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The revision that the pods get; `problem` says why it is not the one that was asked for.

    `done` is the name of the revision that fulfils the spec when it is complete.
    """

    target: Revision | None
    memory: Memory
    done: str | None = None
    problem: Problem | None = None
    pinned: bool = False
    # An older revision that fails on the same node: no rollback while it does.
    control: str = ""


def choose(
    observed: Observed, resolved: Resolved, desired: Revision | None, gate: GatePlan
) -> Choice:
    """Decide by what is known already; `roll_back` looks at how the pods do."""
    memory, pin = Memory.of(observed), resolved.rollout.pin
    if memory.failed and memory.failed.name == good_revision(observed, memory):
        memory = replace(memory, failed=None)  # pinned, it came up after all
    asked = desired if desired and not gate.holds else live_revision(observed)
    if pin:
        return _pinned(observed, asked, desired, gate, memory, pin)
    mark = memory.failed
    stands = mark and asked and mark.name == asked.name and _stands(mark, observed, resolved)
    if mark and stands and (good := _good(observed, memory, but=asked)):
        return back_to(resolved, memory, good, mark)
    if mark and desired and not gate.holds:
        # The spec has moved on, or it is to be tried again.
        memory = replace(memory, failed=None)
    return Choice(target=asked, memory=memory, done=desired.name if desired else None)


def roll_back(
    choice: Choice, observed: Observed, resolved: Resolved, problem: Problem | None, now: datetime
) -> Choice:
    """Return the choice, or the last good revision when the target's pods have failed.

    `problem` is what the pods of the target say. What was complete once has not failed to roll out:
    its pods crash for another reason.
    """
    target, memory, options = choice.target, choice.memory, resolved.rollout
    if target is None or choice.pinned or not (options.rolls_back and wanted_replicas(resolved)):
        return choice
    found = fault_of(observed, target.name, problem)
    if found is None or good_revision(observed, memory) == target.name:
        return choice
    good = _good(observed, memory, but=target)
    if good is None:
        return choice
    if control := fails_as_well(observed, target.name, now):
        return replace(choice, control=control)
    mark = Failed(
        name=target.name,
        reason=found.reason.value,
        message=found.message,
        time=to_text(now),
        retry=observed.service.retry,
    )
    return back_to(resolved, replace(memory, failed=mark), good, mark)


def pods_of(observed: Observed, revision: str) -> list[Pod]:
    """Return the revision's pods that are to stay."""
    return [
        pod
        for pod in observed.pods
        if pod.meta.labels.get(names.REVISION) == revision and not pod.meta.deleting
    ]


def _good(observed: Observed, memory: Memory, *, but: Revision | None) -> Revision | None:
    """Return the newest good revision that is still there, other than one."""
    newest = good_revision(observed, memory)
    for name in memory.with_good(newest):
        if but is not None and name != but.name and (found := stored_revision(observed, name)):
            return found
    return None


def _stands(mark: Failed, observed: Observed, resolved: Resolved) -> bool:
    """Tell whether nobody has asked for another attempt since."""
    retry = observed.service.retry
    return resolved.rollout.rolls_back and retry in {"", mark.retry}


def back_to(resolved: Resolved, memory: Memory, good: Revision, mark: Failed) -> Choice:
    if not wanted_replicas(resolved):
        # There is nothing to complain of while scaled to zero; the mark stays.
        return Choice(target=good, memory=memory, done=good.name)
    short = mark.name.rsplit("-", 1)[-1]
    problem = Problem(
        Reason.ROLLED_BACK,
        f"revision {short} was rolled back: {mark.message}",
        detail=f"{mark.reason} at {mark.time}; revision {good.name} is the last good one",
        permanent=True,
    )
    return Choice(target=good, memory=memory, problem=problem)


def fault_of(observed: Observed, revision: str, problem: Problem | None) -> Problem | None:
    """Return why the revision has failed for good; None while it may still come up."""
    live = observed.deployment
    if live is None or live.revision != revision or live.observed_generation < live.generation:
        return None
    if problem is not None and problem.reason in ENDINGS:
        pods = pods_of(observed, revision)
        endings = max((_endings(c) for pod in pods for c in pod.containers), default=0)
        if endings >= ENDINGS[problem.reason]:
            return problem
    if live.progressing != DEADLINE:
        return None
    if problem is None:
        return Problem(
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            "its pods did not become ready within rollout.progressDeadlineSeconds",
        )
    return None if problem.reason.value in CLUSTERS_OWN else problem


def _endings(container: Container) -> int:
    """Return how often a container has ended badly."""
    if container.exit_code in {None, 0}:
        return 0
    return container.restarts + (0 if container.running else 1)


def _pinned(
    observed: Observed,
    asked: Revision | None,
    desired: Revision | None,
    gate: GatePlan,
    memory: Memory,
    pin: str,
) -> Choice:
    """Return the pinned revision, if it is there and may serve."""
    live = live_revision(observed)
    known = {one.name for one in (asked, live) if one}
    # What no gate has seen may not get traffic by this way.
    known |= set(memory.good) if gate.asked else set(observed.revisions)
    known &= {*observed.revisions, *([asked.name] if asked else [])}
    if pin in known:
        found = stored_revision(observed, pin)
        target = desired if desired and desired.name == pin else found
        return Choice(target=target, memory=memory, done=pin, pinned=True)
    there = ", ".join(sorted(known)) or "none"
    problem = Problem(
        Reason.REVISION_NOT_FOUND,
        f"rollout.pinRevision may be one of {there}",
        detail=f'there is no revision "{pin}" that may serve',
        permanent=True,
    )
    return Choice(target=live, memory=memory, problem=problem, pinned=True)


def names_device(text: str, resource: str) -> bool:
    """Tell whether a refusal names just this resource: Ascend310 is the beginning of Ascend310P."""
    return re.search(rf"{re.escape(resource)}(?![\w.-])", text) is not None
