"""The serving side: which revision should run, what differs, and how the pods are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Action, Apply, Create, Delete, Problem, applied
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.plan.revision import Revision, wanted_replicas
from resnet_operator.plan.serving.analysis.canary import Analysis, analyse
from resnet_operator.plan.serving.loading import Loading
from resnet_operator.plan.serving.memory import Memory, good_after, is_complete, said_revisions
from resnet_operator.plan.serving.pods import pods_say
from resnet_operator.plan.serving.rollout import DEADLINE, Choice, choose, roll_back
from resnet_operator.plan.serving.strategy import Way, choose_strategy
from resnet_operator.plan.store import plan_store
from resnet_operator.plan.trouble.pod import next_look
from resnet_operator.plan.trust import digests_said
from resnet_operator.render.canary import PLAIN, Traffic
from resnet_operator.render.network import network_service
from resnet_operator.render.serving import deployment
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import DeploymentObject
from resnet_operator.settings.operator import Settings

# Nothing changes on a pod when an end of one of its containers becomes old news.
COMPARE_AGAIN_SECONDS = 60.0
# What a rollout without a free device says until an old pod has made room.
INSUFFICIENT = {Reason.UNSCHEDULABLE, Reason.QUOTA_EXCEEDED}


@dataclass(frozen=True, kw_only=True)
class ServingPlan:
    """What the pods should be and are. `desired` and `target` are names of revisions.

    `revisions` and `rollout` are as the status says them; `note` is what a rollout waits for.
    """

    actions: tuple[Action, ...] = ()
    desired: str | None = None
    target: str | None = None
    complete: bool = False
    problem: Problem | None = None
    stalled: bool = False
    loading: str = ""
    wanted: int = 0
    requeue_after: float | None = None
    urgent: int = 0
    revisions: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    rollout: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    analysing: str = ""
    traffic: Traffic = PLAIN
    pinned: bool = False


def plan_serving(
    observed: Observed,
    resolved: Resolved,
    desired: Revision | None,
    gate: GatePlan,
    *,
    settings: Settings,
    now: datetime,
) -> ServingPlan:
    """Decide the revision, the children that differ, and what the pods say.

    What the gate holds gets no pods; the revision that is live serves on.
    """
    choice = choose(observed, resolved, desired, gate)
    problem, loading = pods_say(observed, resolved, choice.target, now=now)
    choice = roll_back(choice, observed, resolved, problem, now)
    watch = analyse(choice, observed, resolved, now)
    if watch.doing:
        # The target is the old revision again: what its pods say is told, nothing else.
        problem, loading = pods_say(observed, resolved, watch.choice.target, now=now)
    choice = watch.choice
    made, store = _made(desired, choice.target), plan_store(observed, settings=settings)
    if choice.target is None:
        actions = (*made, *watch.actions, *store) if desired else watch.actions
        plan = _without_pods(observed, resolved, desired, gate, choice)
        return replace(plan, actions=actions, urgent=len(made))
    live, target, wanted = observed.deployment, choice.target, wanted_replicas(resolved)
    name = desired.name if desired else None
    way = choose_strategy(observed, resolved, target.name, choice.memory, now)
    memory = replace(way.memory, good=good_after(observed, way.memory, target.name))
    body = deployment(
        service=observed.service.meta,
        resolved=resolved,
        template=target.template,
        replicas=_replicas(live, wanted, gate, is_desired=target.name == name),
        mode=way.mode,
        borrows=gate.borrows,
        memory=memory.text(),
    )
    # The revision and the Deployment come first: pods are what takes time.
    applied = _apply_deployment(observed, body, gate.borrows, memory)
    reached = _apply_network_service(observed, resolved, watch.traffic.only)
    # Whom the Service selects is decided before pods come or go: it must not miss those.
    first = bool(reached) and (bool(watch.traffic.only) or _selects_one(observed))
    pods = (*(reached if first else ()), *made, *applied, *watch.actions)
    if live is None:
        # The first pods ask the store at once; where some serve, a store that is refused waits.
        pods, store = (*pods, *store), ()
    complete = _is_done(live, choice, gate, wanted)
    over = live is not None and live.progressing == DEADLINE and not complete
    if choice.problem is not None:
        problem, loading = choice.problem, None
    problem = problem or watch.problem
    return ServingPlan(
        actions=(*pods, *(() if first else reached), *store),
        desired=name,
        target=target.name,
        complete=complete,
        problem=None if complete else _told(problem, way, choice, over=over),
        stalled=choice.problem is not None or over,
        loading=loading.message if loading else "",
        wanted=wanted,
        requeue_after=watch.requeue_after
        if complete
        else _soonest(observed, way, choice, loading, watch, now),
        urgent=len(pods),
        revisions=said_revisions(observed, memory, name),
        digests=digests_said(observed, **_digests(desired, target)),
        rollout=way.said() | ({"analysis": watch.said} if watch.said else {}),
        analysing=watch.doing,
        traffic=watch.traffic,
        note=way.note,
        pinned=choice.pinned,
    )


def _without_pods(
    observed: Observed,
    resolved: Resolved,
    desired: Revision | None,
    gate: GatePlan,
    choice: Choice,
) -> ServingPlan:
    """Return what is to be said when there is no revision that may run."""
    wanted, name = wanted_replicas(resolved), desired.name if desired else None
    return ServingPlan(
        wanted=wanted,
        desired=name,
        complete=gate.holds and not wanted and observed.deployment is None,
        problem=choice.problem,
        stalled=choice.problem is not None,
        revisions=said_revisions(observed, choice.memory, name),
        digests=digests_said(observed, **_digests(desired)),
    )


def _digests(*revisions: Revision | None) -> dict[str, str]:
    return {one.name: one.digest for one in revisions if one}


def _is_done(live: DeploymentObject | None, choice: Choice, gate: GatePlan, wanted: int) -> bool:
    """Tell whether the pods are all that the spec asks for."""
    target = choice.target
    if target is None or not is_complete(live, target.name, wanted):
        return False
    if gate.holds:
        return not wanted
    return not target.made and choice.done == target.name and choice.problem is None


def _told(problem: Problem | None, way: Way, choice: Choice, *, over: bool) -> Problem | None:
    """Return the cause to tell, if it is one: `over` says that the rollout's time is."""
    told = _cause(problem, way, over=over)
    if told is None or not choice.control:
        return told
    short = choice.control.rsplit("-", 1)[-1]
    held = f"it is not rolled back while pods of revision {short} fail on the same node too"
    return replace(told, message=f"{told.message}; {held}")


def _cause(problem: Problem | None, way: Way, *, over: bool) -> Problem | None:
    if problem and problem.reason in INSUFFICIENT and way.expected and not over:
        return None
    if problem is None and over:
        return Problem(
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            "the new pods did not become ready within rollout.progressDeadlineSeconds",
        )
    return problem


def _soonest(
    observed: Observed,
    way: Way,
    choice: Choice,
    loading: Loading | None,
    watch: Analysis,
    now: datetime,
) -> float | None:
    held = COMPARE_AGAIN_SECONDS if choice.control else None
    more = loading.requeue_after if loading else None
    waits = (next_look(observed.pods, now=now), way.requeue_after, held, more, watch.requeue_after)
    return min((seconds for seconds in waits if seconds), default=None)


def _made(*revisions: Revision | None) -> tuple[Action, ...]:
    """Return what makes the revisions, each thing once: two of them may need one runtime."""
    made = (item for one in revisions if one for item in one.made)
    found = {(type(item), _name_of(item)): item for item in made}
    return tuple(found.values())


def _name_of(item: Create | Delete) -> str:
    return item.name if isinstance(item, Delete) else str(item.body["metadata"]["name"])


def _replicas(
    live: DeploymentObject | None, wanted: int, gate: GatePlan, *, is_desired: bool
) -> int:
    """Return how many pods may run: one less while its chip is borrowed for a candidate."""
    if gate.borrows:
        return max(wanted - 1, 0)
    # Nothing of it has ever served: it was scaled to zero when it came.
    idle = live is not None and live.wanted == 0 and not live.borrowed
    return 0 if gate.holds and is_desired and idle else wanted


def _apply_deployment(
    observed: Observed, body: dict[str, Any], borrows: str, memory: Memory
) -> tuple[Action, ...]:
    live, uid = observed.deployment, observed.service.meta.uid
    # What we state no longer is no part of the comparison.
    if live and (live.borrowed != borrows or Memory.read(live.memory) != memory):
        return (Apply(body=body, adopt=live.meta.controller in {None, uid}),)
    return applied(body, live, uid=uid)


def _selects_one(observed: Observed) -> bool:
    """Tell whether the Service selects the pods of one revision alone."""
    live = observed.network_service
    spec = live.live.unpack()["spec"] if live else {}
    return names.REVISION in (spec.get("selector") or {})


def _apply_network_service(observed: Observed, resolved: Resolved, only: str) -> tuple[Action, ...]:
    service = observed.service.meta
    body = network_service(service=service, resolved=resolved, only=only)
    return applied(body, observed.network_service, uid=service.uid)
