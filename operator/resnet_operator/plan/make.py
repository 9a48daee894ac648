"""The plan of one reconcile: artifact, serving, housekeeping, status. One way, downwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.actions import Event, Plan, Problem
from resnet_operator.plan.artifact.contract import labels_problem, settle
from resnet_operator.plan.artifact.conversion import plan_artifact
from resnet_operator.plan.artifact.state import ArtifactPlan
from resnet_operator.plan.gate.gate import plan_gate
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.plan.gate.tuning import tuned
from resnet_operator.plan.housekeeping import plan_housekeeping
from resnet_operator.plan.revision import Revision, desired_revision, wanted_replicas
from resnet_operator.plan.serving.network import with_network
from resnet_operator.plan.serving.serving import ServingPlan, plan_serving
from resnet_operator.plan.status.conditions import Situation
from resnet_operator.plan.status.status import status_of, transitions
from resnet_operator.plan.trouble.deadline import seconds_left
from resnet_operator.plan.trust import with_believed
from resnet_operator.record.artifact import Artifact
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.settings.operator import Settings

# Nobody tells when a stranger's object goes, or a policy changes: what was refused is tried again.
REFUSED_SECONDS = 60.0


def make_plan(
    observed: Observed, *, settings: Settings, now: datetime, problem: Problem | None = None
) -> Plan:
    """Return what to do and to say. `problem` is what kept the last try from being executed."""
    observed = with_believed(observed, settings)
    resolved = observed.service.resolved
    if resolved is None:
        refused = Problem(observed.service.refusal, observed.service.invalid or "", permanent=True)
        return _say(observed, Situation(observed=observed, problem=refused, stalled=True), now=now)
    if observed.labels_problem and problem is None:
        problem = Problem(
            Reason.INVALID_SPEC, observed.labels_problem, permanent=observed.labels_wrong
        )
    problem = problem or _misfit(observed)
    if problem is not None:
        stuck = _stuck(observed, resolved, problem, now=now)
        return _say(observed, stuck, now=now, requeue_after=REFUSED_SECONDS)
    conversion = plan_artifact(observed, resolved, settings=settings, now=now)
    if conversion.again:
        return Plan(actions=conversion.actions, again=True)
    artifact = conversion.artifact
    if artifact is not None:
        try:
            resolved = settle(resolved, artifact)
            observed = _with(observed, resolved)
            misfit = labels_problem(observed, artifact)
        except InvalidSpec as error:
            misfit = Problem(error.reason, error.message, permanent=True)
        if misfit is not None:
            stuck = _stuck(observed, resolved, misfit, now=now, artifact=artifact)
            plan = _say(observed, stuck, now=now, requeue_after=REFUSED_SECONDS)
            return replace(plan, actions=conversion.actions)
    desired = _desired(observed, resolved, artifact, settings)
    gate = plan_gate(observed, resolved, artifact, desired, settings=settings, now=now)
    if gate.again:
        return Plan(actions=(*conversion.actions, *gate.actions), again=True)
    observed, desired = _as_tuned(observed, gate, desired, artifact, settings)
    resolved = observed.service.resolved or resolved
    serving = plan_serving(observed, resolved, desired, gate, settings=settings, now=now)
    serving = with_network(serving, observed, resolved, settings=settings)
    used = {serving.desired, serving.target, observed.deployment and observed.deployment.revision}
    used.add(serving.revisions.get("serving"))
    used |= observed.batch_revisions
    tidy = plan_housekeeping(
        observed,
        resolved,
        keep={name for name in used if name},
        previous=serving.revisions.get("previous"),
        settled=serving.complete and not gate.holds,
    )
    situation, left = _situation(observed, resolved, conversion, gate, serving, now=now)
    # The candidate after what it mounts.
    pods = (*serving.actions[: serving.urgent], *gate.actions)
    rest = serving.actions[serving.urgent :]
    # Pods first, as they take time; only a result that is not on record yet goes before them, for
    # a Deployment or Service that is refused must not keep it from there.
    if observed.record is not None and observed.record.immutable:
        actions, urgent = (*pods, *rest, *conversion.actions, *tidy), len(pods)
    else:
        actions, urgent = (*conversion.actions, *pods, *rest, *tidy), 0
    waits = (conversion.requeue_after, gate.requeue_after, serving.requeue_after, left)
    soonest = min((seconds for seconds in waits if seconds), default=None)
    plan = _say(observed, situation, now=now, requeue_after=soonest)
    return Plan(
        actions=actions,
        status=plan.status,
        events=plan.events,
        requeue_after=plan.requeue_after,
        urgent=urgent,
        notices=_notices(desired),
    )


def _desired(
    observed: Observed, resolved: Resolved, artifact: Artifact | None, settings: Settings
) -> Revision | None:
    if artifact is None:
        return None
    return desired_revision(observed, resolved, artifact, settings=settings)


def _as_tuned(
    observed: Observed,
    gate: GatePlan,
    desired: Revision | None,
    artifact: Artifact | None,
    settings: Settings,
) -> tuple[Observed, Revision | None]:
    """Return what is looked at and wanted with the settings that apply: Auto gives to pods."""
    resolved = observed.service.resolved
    found = tuned(resolved, gate) if resolved else None
    if found is None or not found.tuned:
        return observed, desired
    observed = _with(observed, found)
    return observed, _desired(observed, found, artifact, settings)


def _misfit(observed: Observed) -> Problem | None:
    """Say which of our own ConfigMaps cannot be read; its deletion brings us back."""
    result = observed.gate.result if observed.gate else None
    for found in (observed.record, result):
        if found is not None and found.misfit:
            return Problem(
                Reason.RECORD_INVALID,
                f'ConfigMap "{found.meta.name}" cannot be read; delete it, and what it '
                "held is made again",
                detail=found.misfit,
            )
    return None


def _notices(desired: Revision | None) -> tuple[Event, ...]:
    if desired is None or not desired.replaces:
        return ()
    reason = Reason.REVISION_REPLACED.value
    return (Event(type="Warning", reason=reason, message=desired.replaces),)


def _with(observed: Observed, resolved: Resolved) -> Observed:
    """Put what was settled or tuned in the place of what is declared."""
    if observed.service.resolved is resolved:
        return observed
    return replace(observed, service=replace(observed.service, resolved=resolved))


def _stuck(
    observed: Observed,
    resolved: Resolved,
    problem: Problem,
    *,
    now: datetime,
    artifact: Artifact | None = None,
) -> Situation:
    """Describe an object of which nothing can be written; what it has stays as it is."""
    known = observed.record if observed.record_believed else None
    deadline = resolved.progress_deadline_seconds
    left = seconds_left(problem, observed.service, deadline=deadline, now=now)
    artifact = artifact or (Artifact.from_record(known.data()) if known else None)
    return Situation(
        observed=observed,
        conversion=ArtifactPlan(artifact=artifact),
        serving=ServingPlan(wanted=wanted_replicas(resolved)),
        problem=problem,
        stalled=problem.permanent or not left,
    )


def _situation(
    observed: Observed,
    resolved: Resolved,
    conversion: ArtifactPlan,
    gate: GatePlan,
    serving: ServingPlan,
    *,
    now: datetime,
) -> tuple[Situation, float | None]:
    """Return all that is to be said, and the seconds until a problem makes it Stalled."""
    # Before the artifact is there and good, the pods are those of an older spec: no news of this.
    current = conversion.artifact is not None and not gate.holds
    problem = conversion.problem or gate.problem or (serving.problem if current else None)
    left = None
    if problem:
        deadline = resolved.progress_deadline_seconds
        left = seconds_left(problem, observed.service, deadline=deadline, now=now)
    situation = Situation(
        observed=observed,
        conversion=conversion,
        gate=gate if gate.asked else None,
        serving=serving,
        problem=problem,
        stalled=conversion.stalled or gate.stalled or (current and serving.stalled) or left == 0,
        results={
            names.record_name(resolved.source_key): conversion.failure,
            gate.result: gate.digest,
        },
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
