"""The artifact: whether it is there, a Job makes it, it failed, or may be tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Action, Apply, Create, Problem
from resnet_operator.plan.artifact.harvest import are_ending, pods_of, result_of
from resnet_operator.plan.artifact.outdated import conversion_job, is_outdated_conversion
from resnet_operator.plan.artifact.proof import failure_on_record, is_told
from resnet_operator.plan.artifact.recording import harvest, harvest_left
from resnet_operator.plan.artifact.repair import AGAIN, Repair, plan_repair, start_over
from resnet_operator.plan.artifact.stages import PUBLISH, running_step, stage_of
from resnet_operator.plan.artifact.state import ArtifactPlan, Case
from resnet_operator.plan.gate_result import stop
from resnet_operator.plan.results import failure_digest
from resnet_operator.plan.store import plan_missing_secret, plan_secret, plan_store
from resnet_operator.plan.times import left_of, seconds_since
from resnet_operator.plan.trouble.pod import (
    EXPECTED_SECONDS,
    next_look,
    pod_trouble,
)
from resnet_operator.plan.trouble.refusal import creation_failure
from resnet_operator.plan.trouble.retry import after
from resnet_operator.plan.trouble.sidecars import left_behind
from resnet_operator.record.artifact import Artifact, Failure
from resnet_operator.render.conversion import record_owner
from resnet_operator.render.objects import owner_reference
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.source_key import attempt_inputs_key
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import JobObject, Pod
from resnet_operator.settings.operator import Settings

POD_EXPECTED_SECONDS = EXPECTED_SECONDS


def plan_artifact(
    observed: Observed, resolved: Resolved, *, settings: Settings, now: datetime
) -> ArtifactPlan:
    """Decide the next step towards the artifact."""
    record = observed.record
    data = record.data() if record else {}
    join = _join(observed, resolved)
    case = Case(observed=observed, resolved=resolved, settings=settings, now=now, join=join)
    if artifact := Artifact.from_record(data):
        return (_have_artifact if observed.record_believed else _unproven)(case, artifact)
    failure = failure_on_record(observed, resolved, now=now)
    plan = _make(case, failure)
    plan = replace(plan, failure=failure_digest(data) if failure else "")
    if plan.doing and Repair.from_record(record):
        return replace(plan, doing=f"{plan.doing}: the store has lost the artifact")
    return plan


def _make(case: Case, failure: Failure | None) -> ArtifactPlan:
    observed = case.observed
    newest = max(jobs_of(observed), key=lambda item: item.attempt, default=None)
    if newest and newest.finished and (failure is None or failure.attempt < newest.attempt):
        return harvest(case, newest)
    if newest and not newest.finished and not newest.meta.deleting:
        if is_outdated_conversion(observed, case.resolved, newest, settings=case.settings):
            plan = _start(case, newest.attempt + 1)
            return replace(plan, actions=(stop(newest), *plan.actions))
        left = left_behind(pods_of(newest, observed), PUBLISH, case.now)
        if left is not None and not left.seconds_left:
            if failure is None or failure.attempt < newest.attempt:
                return harvest_left(case, newest, left)
            plan = _after_failure(case, failure)
            if not is_told(observed):
                return replace(plan, requeue_after=1)
            return replace(plan, actions=(stop(newest), *plan.actions))
        return _watch(case, newest)
    return _after_failure(case, failure) if failure else _start(case, 1)


def _unproven(case: Case, artifact: Artifact) -> ArtifactPlan:
    """Hold a record that nobody vouches for against the Job that made it; else make it again.

    The operator may have ended between the record and the status; or somebody has written it who
    has rights on ConfigMaps. The conversion is not done twice: the store knows what it made.
    """
    observed, resolved = case.observed, case.resolved
    record = observed.record
    if record is None:
        raise AssertionError("there is no record to prove")
    newest = max(jobs_of(observed), key=lambda item: item.attempt, default=None)
    if newest and not newest.finished and not newest.meta.deleting:
        return _make(case, None)
    if newest and newest.complete:
        pods = pods_of(newest, observed)
        if are_ending(pods):
            return harvest(case, newest)
        if result_of(newest, pods, resolved, now=case.now) == artifact:
            return ArtifactPlan(artifact=artifact, actions=case.join)
    if resolved.suspended:
        return ArtifactPlan(actions=case.join)
    return ArtifactPlan(
        actions=start_over(observed, resolved, record, {}),
        doing=f'ConfigMap "{record.meta.name}" cannot be proven to be ours; it is made again',
        requeue_after=1,
    )


def jobs_of(observed: Observed) -> list[JobObject]:
    """Return the Jobs of this very record: those of an earlier one of its name tell of another."""
    record = observed.record
    return [item for item in observed.jobs if record and item.meta.controller == record.meta.uid]


def _join(observed: Observed, resolved: Resolved) -> tuple[Action, ...]:
    """Own the record, by a field manager of our own."""
    service, record = observed.service.meta, observed.record
    if record and service.uid in record.meta.owners:
        return ()
    body = record_owner(
        key=resolved.source_key,
        service=service,
        owner=owner_reference(service, controller=False),
    )
    return (Apply(body=body, manager=names.owner_manager(service.uid)),)


def _have_artifact(case: Case, artifact: Artifact) -> ArtifactPlan:
    asked = retry_asked(case.observed)
    step = plan_repair(case, artifact, asked=asked)
    if step is None:
        return ArtifactPlan(artifact=artifact, actions=case.join, retry_handled=asked)
    if step.actions:
        return ArtifactPlan(
            actions=step.actions,
            doing=AGAIN,
            requeue_after=step.requeue_after,
            retry_handled=asked,
        )
    return ArtifactPlan(
        artifact=artifact,
        actions=case.join,
        problem=step.problem,
        stalled=step.stalled,
        requeue_after=step.requeue_after,
    )


def retry_asked(observed: Observed) -> bool:
    """Tell whether the retry annotation holds a value that was not acted on yet."""
    service = observed.service
    return bool(service.retry) and service.retry != service.status.get("lastHandledRetry", "")


def _watch(case: Case, running: JobObject) -> ArtifactPlan:
    """Say where a running Job stands and what it waits for."""
    observed, resolved, now = case.observed, case.resolved, case.now
    pods = pods_of(running, observed)
    age = max(seconds_since(running.meta.created, now), 0.0)
    expected = left_of(POD_EXPECTED_SECONDS, running.meta.created, now)
    if not pods and not expected and observed.warnings:
        problem: Problem | None = creation_failure(observed.warnings[-1])
    else:
        problem = next((found for pod in pods if (found := _pending_trouble(pod, observed))), None)
    stage, doing = stage_of(pods, resolved)
    left = resolved.progress_deadline_seconds - age
    wait = next_look(pods, now=now)
    if over := left_behind(pods, PUBLISH, now):
        return ArtifactPlan(
            actions=case.join,
            problem=over.problem(),
            stage=stage,
            doing=doing,
            requeue_after=max(over.seconds_left, 1.0),
            job=running.meta.name,
        )
    if not pods:
        wait = expected or POD_EXPECTED_SECONDS
    return ArtifactPlan(
        actions=(*case.join, *plan_missing_secret(observed, observed.warnings)),
        problem=problem,
        stalled=problem is not None and left <= 0,
        stage=stage,
        doing=doing,
        requeue_after=max(left, 1) if problem and left > 0 else wait,
        retry_handled=retry_asked(observed),
        job=running.meta.name,
        step=running_step(pods, resolved, observed),
    )


def _pending_trouble(pod: Pod, observed: Observed) -> Problem | None:
    # A container that failed is told by the Job's own end; here only what keeps it from starting.
    if any(container.exit_code for container in pod.containers):
        return None
    return pod_trouble(pod, warnings=observed.warnings)


def _after_failure(case: Case, failure: Failure) -> ArtifactPlan:
    """Try again at once when asked, later when that can help, else stay failed."""
    resolved = case.resolved
    untried = bool(failure.tried) and attempt_inputs_key(resolved.spec) not in failure.tried
    retry = after(
        failure,
        asked=retry_asked(case.observed) or untried,
        retries=resolved.retries,
        pauses=case.settings.retry_seconds,
        default=Reason.CONVERSION_FAILED,
        now=case.now,
    )
    if retry.now:
        return _start(case, failure.attempt + 1)
    return ArtifactPlan(
        actions=case.join,
        problem=retry.problem,
        stalled=retry.is_over,
        requeue_after=retry.seconds_left,
        next_attempt=retry.time,
        job=names.job_name(resolved.source_key, failure.attempt),
    )


def _start(case: Case, attempt: int) -> ArtifactPlan:
    """Make the Job of one attempt, once everything it needs is there."""
    observed, resolved, settings = case.observed, case.resolved, case.settings
    if resolved.suspended:
        return ArtifactPlan(actions=case.join)
    if observed.source_problem:
        problem = Problem(Reason.VOLUME_MOUNT_FAILED, observed.source_problem)
        return ArtifactPlan(actions=case.join, problem=problem, requeue_after=60)
    if observed.record is None:
        # The Job is owned by the record, so its uid is needed first.
        return ArtifactPlan(actions=case.join, again=True)
    wanted = conversion_job(observed, resolved, observed.record.meta, attempt, settings=settings)
    return ArtifactPlan(
        actions=(
            *case.join,
            *plan_store(observed, settings=settings),
            *plan_secret(observed),
            Create(body=wanted),
        ),
        stage="Pending",
        doing="the conversion's pod is starting",
        requeue_after=POD_EXPECTED_SECONDS,
        retry_handled=retry_asked(observed),
        job=names.job_name(resolved.source_key, attempt),
    )
