"""The gate: whether an artifact may get traffic, and the next step towards knowing it.

Numbers are in the result's ConfigMap, thresholds in the spec; they meet here and nowhere else.
Called by `make` before `serving`, which deploys nothing that the gate holds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.api.validation import OnNoFreeChip
from resnet_operator.plan.actions import Action, Apply, Create, Problem
from resnet_operator.plan.artifact.conversion import POD_EXPECTED_SECONDS, retry_asked
from resnet_operator.plan.artifact.outdated import has_begun, is_outdated_candidate
from resnet_operator.plan.artifact.recording import (
    FAILED_TTL_SECONDS,
    SUCCEEDED_TTL_SECONDS,
    job_ttl,
)
from resnet_operator.plan.gate.candidate import (
    failure_of,
    measurement_of,
    pending_trouble,
    pods_of,
    seconds_until_told,
    step_of,
)
from resnet_operator.plan.gate.proof import gate_on_record, is_over
from resnet_operator.plan.gate.state import Gate, GatePlan
from resnet_operator.plan.gate_result import data_on_record, measured_elsewhere, put_result, stop
from resnet_operator.plan.results import result_digest
from resnet_operator.plan.revision import Revision, wanted_replicas
from resnet_operator.plan.store import plan_missing_secret, plan_secret
from resnet_operator.plan.times import left_of
from resnet_operator.plan.trouble.pod import next_look
from resnet_operator.plan.trouble.retry import after
from resnet_operator.record.artifact import Artifact, Failure
from resnet_operator.record.latency import serving_at_load
from resnet_operator.record.measurement import Measurement, shortfalls, validation_key
from resnet_operator.record.tuning import tuning_at_key
from resnet_operator.render.triton.picture_defaults import pictures_of_gate
from resnet_operator.render.validation import validation_job
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import JobObject
from resnet_operator.settings.operator import Settings


def wanted_validation(service: ServiceObject, artifact: Artifact) -> str | None:
    """Return the key of the validation that an object asks for now; None without pods to be."""
    resolved = service.resolved
    if resolved is None or resolved.spec.validation is None or not wanted_replicas(resolved):
        return None
    return key_of(service, artifact)


def key_of(service: ServiceObject, artifact: Artifact) -> str | None:
    """Return the key of the validation that an object declares."""
    resolved = service.resolved
    if resolved is None or resolved.spec.validation is None:
        return None
    return validation_key(
        validation=resolved.spec.validation,
        artifact=artifact,
        uid=service.meta.uid,
        refetch=resolved.spec.model.refetch,
        serving=serving_at_load(resolved.spec) | tuning_at_key(resolved.spec),
        pictures=pictures_of_gate(resolved, artifact),
    )


def plan_gate(
    observed: Observed,
    resolved: Resolved,
    artifact: Artifact | None,
    revision: Revision | None,
    *,
    settings: Settings,
    now: datetime,
) -> GatePlan:
    """Decide whether the artifact may serve; `revision` is the one that the spec asks for."""
    asked, record = resolved.spec.validation, observed.record
    if asked is None:
        return GatePlan()
    key = key_of(observed.service, artifact) if artifact else None
    if artifact is None or revision is None or record is None or key is None:
        return GatePlan(asked=True, holds=True, doing="there is no artifact to validate yet")
    if observed.gate is None:
        # The artifact is put on record in this round: what is known of it is seen in the next.
        return GatePlan(asked=True, holds=True, again=True)
    gate = Gate(
        observed=observed,
        there=observed.gate,
        resolved=resolved,
        artifact=artifact,
        asked=asked,
        record=record.meta,
        revision=revision,
        key=key,
        settings=settings,
        now=now,
    )
    return _decide(gate)


def _decide(gate: Gate) -> GatePlan:
    """Bring a result in or take one over; else go by what is on record."""
    known = measured_elsewhere(gate.there, gate.key, gate.observed.vouched_results)
    data = _believed(gate, known)
    measured, failure = Measurement.from_record(data), Failure.from_record(data)
    told = measured.attempt if measured else failure.attempt if failure else 0
    jobs = [job for job in gate.there.jobs if job.meta.controller == gate.record.uid]
    newest = max(jobs, key=lambda job: job.attempt, default=None)
    running = newest if newest and newest.attempt > told and not newest.meta.deleting else None
    if (
        running
        and seconds_until_told(running, pods_of(running, gate.there.pods), now=gate.now) == 0
    ):
        return _harvest(gate, running)
    if not data and not running and known:
        return gate.holding(actions=tuple(_put(gate, known, immutable=True)), again=True)
    return _judged(gate, data, told, newest, running)


def _believed(gate: Gate, known: dict[str, str]) -> dict[str, str]:
    data = data_on_record(gate.there, gate.record)
    return gate_on_record(gate.there, data, observed=gate.observed, known=known, now=gate.now)


def _judged(
    gate: Gate,
    data: dict[str, str],
    told: int,
    newest: JobObject | None,
    running: JobObject | None,
) -> GatePlan:
    """Say what follows from what is on record, and end what has told it."""
    plan = _next(gate, data, told, newest, running)
    if not data:
        return plan
    ours = (job for job in gate.there.jobs if job.meta.controller == gate.record.uid)
    past = (job for job in ours if job.attempt <= told)
    over = [job for job in past if is_over(job, gate.there, now=gate.now)]
    digest = result_digest(data)
    if over and (gate.name, digest) not in gate.observed.vouched_results:
        return replace(plan, digest=digest, requeue_after=1)
    return replace(plan, digest=digest, actions=(*map(stop, over), *plan.actions))


def _next(
    gate: Gate,
    data: dict[str, str],
    told: int,
    newest: JobObject | None,
    running: JobObject | None,
) -> GatePlan:
    """Take the first of: open, wait, tell, start."""
    measured, failure = Measurement.from_record(data), Failure.from_record(data)
    short = shortfalls(measured, gate.asked) if measured else ()
    if measured and not short:
        return GatePlan(asked=True, measurement=measured, result=gate.name)
    if not wanted_replicas(gate.resolved):
        doing = "validation begins when pods are wanted"
        return gate.holding(measurement=measured, shortfalls=short, doing=doing)
    if running:
        return _watch(gate, running)
    attempt = max(told, newest.attempt if newest else 0) + 1
    if measured and not retry_asked(gate.observed):
        return _failed(gate, measured, short)
    if failure and not measured:
        return _after_failure(gate, failure, attempt)
    return _start(gate, attempt)


def _harvest(gate: Gate, done: JobObject) -> GatePlan:
    """Bring the numbers, or why there are none, on record; then let the Job go."""
    pods = pods_of(done, gate.there.pods)
    found = measurement_of(done, pods) or failure_of(done, pods, now=gate.now)
    good = isinstance(found, Measurement)
    actions = _put(gate, found.to_record(), immutable=good)
    if done.finished:
        ttl = SUCCEEDED_TTL_SECONDS if good else FAILED_TTL_SECONDS
        actions.append(Apply(body=job_ttl(done, ttl)))
    return gate.holding(actions=tuple(actions), again=True)


def _put(gate: Gate, data: dict[str, str], *, immutable: bool) -> list[Action]:
    return put_result(
        data,
        there=gate.there,
        record=gate.record,
        validation=gate.key,
        immutable=immutable,
    )


def _watch(gate: Gate, running: JobObject) -> GatePlan:
    """Say where the candidate stands and what it waits for, and borrow a chip for it."""
    pods = pods_of(running, gate.there.pods)
    if not has_begun(pods) and is_outdated_candidate(
        running,
        _job(gate, running.attempt),
        revisions={*gate.observed.revisions, *gate.observed.strange_revisions},
    ):
        plan = _start(gate, running.attempt + 1)
        return replace(plan, actions=(stop(running), *plan.actions))
    problem, lacks_chip = pending_trouble(
        running, pods, warnings=gate.there.warnings, resolved=gate.resolved, now=gate.now
    )
    borrows = gate.name if _may_borrow(gate, lacks_chip) else ""
    doing = step_of(pods)
    if borrows:
        doing = f"{doing}, borrowing one replica of {gate.observed.service.meta.name}"
    wait = next_look(pods, now=gate.now) or seconds_until_told(running, pods, now=gate.now)
    if not pods:
        left = left_of(POD_EXPECTED_SECONDS, running.meta.created, gate.now)
        wait = left or POD_EXPECTED_SECONDS
    return gate.holding(
        actions=plan_missing_secret(gate.observed, gate.there.warnings),
        problem=problem,
        doing=doing,
        borrows=borrows,
        requeue_after=wait,
    )


def _may_borrow(gate: Gate, lacks_chip: bool) -> bool:
    """Tell whether one replica less is to run: from the first lack of a chip until the end."""
    live = gate.observed.deployment
    if gate.asked.on_no_free_chip is not OnNoFreeChip.BORROW_REPLICA or live is None:
        return False
    return live.borrowed == gate.name or (lacks_chip and live.wanted > 0)


def _failed(gate: Gate, measured: Measurement, short: tuple[str, ...]) -> GatePlan:
    problem = Problem(
        Reason.VALIDATION_FAILED,
        f"validation failed: {'; '.join((*short, *measured.explanation))}",
        permanent=True,
    )
    return gate.holding(measurement=measured, shortfalls=short, problem=problem, stalled=True)


def _after_failure(gate: Gate, failure: Failure, attempt: int) -> GatePlan:
    """Measure again at once when asked, later when that can help, else stay failed."""
    retry = after(
        failure,
        asked=retry_asked(gate.observed),
        retries=gate.resolved.retries,
        pauses=gate.settings.retry_seconds,
        default=Reason.EVALUATION_FAILED,
        now=gate.now,
    )
    if retry.now:
        return _start(gate, attempt)
    return gate.holding(
        problem=retry.problem, stalled=retry.is_over, requeue_after=retry.seconds_left
    )


def _start(gate: Gate, attempt: int) -> GatePlan:
    """Make the Job of one attempt, once everything it needs is there."""
    if missing := gate.there.source_problem:
        problem = Problem(Reason.VOLUME_MOUNT_FAILED, missing)
        return gate.holding(problem=problem, requeue_after=60)
    wanted = _job(gate, attempt)
    return gate.holding(
        actions=(
            *gate.revision.made_for_candidate,
            *plan_secret(gate.observed),
            Create(body=wanted),
        ),
        doing="the candidate's pod is starting",
        requeue_after=POD_EXPECTED_SECONDS,
    )


def _job(gate: Gate, attempt: int) -> dict[str, Any]:
    return validation_job(
        resolved=gate.resolved,
        artifact=gate.artifact,
        record=gate.record,
        validation=gate.key,
        attempt=attempt,
        template=gate.revision.candidate,
        settings=gate.settings,
    )
