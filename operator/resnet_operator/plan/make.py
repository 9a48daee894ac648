"""The plan of one reconcile: artifact, serving, housekeeping, status. One way, downwards."""

from __future__ import annotations

from datetime import datetime

from resnet_operator.api.reasons import Reason
from resnet_operator.artifact import Artifact
from resnet_operator.observed import Observed
from resnet_operator.plan.actions import Plan, Problem
from resnet_operator.plan.conditions import Situation
from resnet_operator.plan.conversion import ArtifactPlan, plan_artifact
from resnet_operator.plan.deadline import seconds_left
from resnet_operator.plan.housekeeping import plan_housekeeping
from resnet_operator.plan.serving import ServingPlan, plan_serving, wanted_replicas
from resnet_operator.plan.status import status_of, transitions
from resnet_operator.resolve import Resolved
from resnet_operator.settings import Settings

# Nobody tells when a stranger's object goes, or a policy changes: what was refused is tried again.
REFUSED_SECONDS = 60.0


def make_plan(
    observed: Observed, *, settings: Settings, now: datetime, problem: Problem | None = None
) -> Plan:
    """Return what to do and to say. `problem` is what kept the last try from being executed."""
    resolved = observed.service.resolved
    if resolved is None:
        refused = Problem(
            reason=Reason.INVALID_SPEC, message=observed.service.invalid or "", permanent=True
        )
        return _say(observed, Situation(observed=observed, problem=refused, stalled=True), now=now)
    if observed.labels_problem and problem is None:
        problem = Problem(reason=Reason.INVALID_SPEC, message=observed.labels_problem)
    if problem is not None:
        stuck = _stuck(observed, resolved, problem, now=now)
        return _say(observed, stuck, now=now, requeue_after=REFUSED_SECONDS)
    conversion = plan_artifact(observed, resolved, settings=settings, now=now)
    if conversion.again:
        return Plan(actions=conversion.actions, again=True)
    serving = plan_serving(observed, resolved, conversion.artifact, settings=settings, now=now)
    used = {serving.desired, serving.target, observed.deployment and observed.deployment.revision}
    tidy = plan_housekeeping(
        observed, resolved, keep={name for name in used if name}, settled=serving.complete
    )
    situation, left = _situation(observed, resolved, conversion, serving, now=now)
    # Pods first, as they take time; only a result that is not on record yet goes before them, for
    # a Deployment or Service that is refused must not keep it from there.
    if observed.record is not None and observed.record.immutable:
        actions, urgent = (*serving.actions, *conversion.actions, *tidy), serving.urgent
    else:
        actions, urgent = (*conversion.actions, *serving.actions, *tidy), 0
    waits = (conversion.requeue_after, serving.requeue_after, left)
    soonest = min((seconds for seconds in waits if seconds), default=None)
    plan = _say(observed, situation, now=now, requeue_after=soonest)
    return Plan(
        actions=actions,
        status=plan.status,
        events=plan.events,
        requeue_after=plan.requeue_after,
        urgent=urgent,
    )


def _stuck(observed: Observed, resolved: Resolved, problem: Problem, *, now: datetime) -> Situation:
    """Describe an object of which nothing can be written; what it has stays as it is."""
    record = observed.record
    deadline = resolved.progress_deadline_seconds
    left = seconds_left(problem, observed.service, deadline=deadline, now=now)
    return Situation(
        observed=observed,
        artifact=Artifact.from_record(record.data()) if record else None,
        problem=problem,
        stalled=problem.permanent or not left,
        wanted=wanted_replicas(resolved),
    )


def _situation(
    observed: Observed,
    resolved: Resolved,
    conversion: ArtifactPlan,
    serving: ServingPlan,
    *,
    now: datetime,
) -> tuple[Situation, float | None]:
    """Return all that is to be said, and the seconds until a problem makes it Stalled."""
    # Without an artifact the pods are those of an older spec: they are no news of this one.
    current = conversion.artifact is not None
    problem = conversion.problem or (serving.problem if current else None)
    left = None
    if problem:
        deadline = resolved.progress_deadline_seconds
        left = seconds_left(problem, observed.service, deadline=deadline, now=now)
    situation = Situation(
        observed=observed,
        artifact=conversion.artifact,
        stage=conversion.stage,
        doing=conversion.doing,
        artifact_problem=conversion.problem,
        serving_problem=serving.problem,
        problem=problem,
        stalled=conversion.stalled or (current and serving.stalled) or left == 0,
        complete=serving.complete,
        loading=serving.loading,
        desired=serving.desired,
        target=serving.target,
        wanted=serving.wanted,
        retry_handled=conversion.retry_handled,
    )
    return situation, None if situation.stalled else left


def _say(
    observed: Observed,
    situation: Situation,
    *,
    now: datetime,
    requeue_after: float | None = None,
) -> Plan:
    status = status_of(situation, now=now)
    events = transitions(observed.service.status, status)
    return Plan(status=status, events=events, requeue_after=requeue_after)
