"""The plan of one reconcile: artifact, serving, housekeeping, status. One way, downwards."""

from __future__ import annotations

from datetime import datetime

from resnet_operator.api.reasons import Reason
from resnet_operator.observed import Observed
from resnet_operator.plan.actions import Plan, Problem
from resnet_operator.plan.conditions import Situation
from resnet_operator.plan.conversion import ArtifactPlan, plan_artifact
from resnet_operator.plan.housekeeping import plan_housekeeping
from resnet_operator.plan.serving import ServingPlan, plan_serving
from resnet_operator.plan.status import status_of, transitions
from resnet_operator.settings import Settings


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
        stuck = Situation(observed=observed, problem=problem, stalled=problem.permanent)
        return _say(observed, stuck, now=now, requeue_after=60)
    conversion = plan_artifact(observed, resolved, settings=settings, now=now)
    if conversion.again:
        return Plan(actions=conversion.actions, again=True)
    serving = plan_serving(observed, resolved, conversion.artifact, settings=settings)
    used = {serving.desired, serving.target, observed.deployment and observed.deployment.revision}
    tidy = plan_housekeeping(
        observed, resolved, keep={name for name in used if name}, settled=serving.complete
    )
    situation = _situation(observed, conversion, serving)
    # Pods first, as they take time; only a result that is not on record yet goes before them, for
    # a Deployment or Service that is refused must not keep it from there.
    if observed.record is not None and observed.record.immutable:
        actions = (*serving.actions, *conversion.actions, *tidy)
    else:
        actions = (*conversion.actions, *serving.actions, *tidy)
    plan = _say(observed, situation, now=now, requeue_after=conversion.requeue_after)
    return Plan(
        actions=actions,
        status=plan.status,
        events=plan.events,
        requeue_after=plan.requeue_after,
    )


def _situation(observed: Observed, conversion: ArtifactPlan, serving: ServingPlan) -> Situation:
    problem = conversion.problem or serving.problem
    return Situation(
        observed=observed,
        artifact=conversion.artifact,
        stage=conversion.stage,
        doing=conversion.doing,
        artifact_problem=conversion.problem,
        serving_problem=serving.problem,
        problem=problem,
        stalled=conversion.stalled or serving.stalled,
        complete=serving.complete,
        loading=serving.loading,
        desired=serving.desired,
        target=serving.target,
        wanted=serving.wanted,
        retry_handled=conversion.retry_handled,
    )


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
