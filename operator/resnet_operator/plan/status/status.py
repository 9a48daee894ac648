"""What the user reads: phase, counts, contract and conditions, from one situation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from resnet_operator.api.reasons import Reason
from resnet_operator.api.status import ModelStatus
from resnet_operator.errors import Misfit
from resnet_operator.plan.actions import Event
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.plan.gate.tuning import tuning_status
from resnet_operator.plan.results import results_said
from resnet_operator.plan.status.conditions import Situation, conditions_of
from resnet_operator.plan.status.progress import attempts_of, progress_of, served_artifact
from resnet_operator.plan.times import seconds_since, to_text
from resnet_operator.plan.trust import digest_of_record
from resnet_operator.reading.json_text import read_object
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.objects import selector
from resnet_operator.render.triton.contract import CONTRACT_KEY, model_contract
from resnet_operator.resolve.resolved import Resolved

# Transitions that are worth an Event: ends and faults, not each step on the way.
QUIET = {
    Reason.PENDING,
    Reason.FETCHING,
    Reason.CONVERTING,
    Reason.VALIDATING,
    Reason.ROLLING_OUT,
    Reason.LOADING,
    Reason.ANALYZING,
}

# Between the clocks of two nodes, either of which may have written the last status.
SKEW_SECONDS = 60.0

# What serves is as well as before while a candidate waits: that is what was asked for.
WAITS = {Reason.WAITING_FOR_CHIP}

# What stays true of pods that run while nothing new can be said of them.
SERVING_KEYS = ("revisions", "revisionDigests", "rollout", "repositoryConfigMap", "endpoints")


def status_of(situation: Situation, *, now: datetime) -> dict[str, Any]:
    """Return the whole status; what has not changed keeps its times."""
    observed = situation.observed
    service, old = observed.service, observed.service.status
    resolved, live = service.resolved, observed.deployment
    phase = phase_of(situation)
    began = old.get("phaseStartTime") or ""
    # A beginning in the future is of a clock that was put back since.
    same_phase = began and old.get("phase") == phase and seconds_since(began, now) > -SKEW_SECONDS
    ready = live.ready if live else 0
    wanted = situation.serving.wanted if resolved or not live else live.wanted
    status: dict[str, Any] = {
        "observedGeneration": service.generation,
        "phase": phase,
        "phaseStartTime": began if same_phase else to_text(now),
        "ready": f"{ready}/{wanted}",
        "replicas": live.replicas if live else 0,
        "readyReplicas": ready,
        "selector": ",".join(f"{k}={v}" for k, v in sorted(selector(service.meta).items())),
        "conditions": conditions_of(situation, now=now),
        **results_said(old, situation.results),
    }
    if situation.conversion.retry_handled or old.get("lastHandledRetry"):
        status["lastHandledRetry"] = (
            service.retry if situation.conversion.retry_handled else old["lastHandledRetry"]
        )
    if resolved is not None:
        status |= {"chip": resolved.chip, "runtime": resolved.runtime}
        if sizes := resolved.batch_sizes or _sizes_of(situation.artifact):
            status["batch"] = ",".join(str(size) for size in sizes)
    if situation.artifact and resolved is not None:
        status |= _artifact_status(situation, situation.artifact)
    else:
        status |= {"model": old["model"]} if "model" in old else {}
        status |= served_artifact(old)
    if attempts := attempts_of(situation):
        status["artifact"] = status.get("artifact", {}) | attempts
    if progress := progress_of(situation):
        status["progress"] = progress
    if situation.gate:
        status |= _gate_status(resolved, situation.gate)
    if situation.serving.target:
        status |= _serving_status(situation)
    elif live:
        status |= {key: old[key] for key in SERVING_KEYS if key in old}
    return status


def phase_of(situation: Situation) -> str:
    """Return the word for people."""
    resolved = situation.observed.service.resolved
    available = situation.available
    if resolved is not None and resolved.suspended and situation.problem is None:
        return "Suspended"
    if situation.serving.complete:
        return "Ready"
    if situation.stalled:
        return "Degraded" if available else "Failed"
    if situation.artifact is None:
        return situation.conversion.stage if not (situation.problem and available) else "Degraded"
    problem = situation.problem
    if situation.held and not (problem and available and problem.reason not in WAITS):
        return "Validating"
    return "Degraded" if problem and available else "Deploying"


def transitions(old: Any, new: dict[str, Any]) -> tuple[Event, ...]:
    """Return an Event for each change of a condition that is news for people."""
    quiet = {reason.value for reason in QUIET}
    return tuple(
        Event(type=_kind(now[0]), reason=now[1], message=now[2])
        for kind, is_news in NEWS.items()
        if (now := _said(new, kind)) != (before := _said(old, kind))
        and now[1]
        and now[1] not in quiet
        and is_news(before[0], now[0])
    )


def _said(status: Any, kind: str) -> tuple[str, str, str]:
    for condition in status.get("conditions") or ():
        if condition["type"] == kind:
            return condition["status"], condition["reason"], condition["message"]
    return "", "", ""


# By the condition's status before and now.
NEWS: dict[str, Callable[[str, str], bool]] = {
    "ArtifactReady": lambda before, now: now == "True" != before,
    "Validated": lambda before, now: now == "True" != before,
    "Ready": lambda _, __: True,
    "ChipsHealthy": lambda _, now: now != "True",
}


def _kind(status: str) -> str:
    return "Normal" if status == "True" else "Warning"


def _artifact_status(situation: Situation, artifact: Artifact) -> dict[str, Any]:
    resolved = situation.observed.service.resolved
    key = resolved.source_key if resolved else ""
    told = {
        "compiler": artifact.compiler if artifact.compiler != "none" else None,
        "memoryBytes": artifact.memory_bytes,
        "command": list(artifact.command),
        "quantizer": artifact.quantizer,
        "quantizeCommand": list(artifact.quantize_command),
    }
    known = {key: value for key, value in told.items() if value}
    return {
        "model": _served_model(situation)
        or (model_contract(resolved, artifact) if resolved else {}),
        "artifact": {
            "record": f"rns-{key}",
            "contentKey": artifact.content_key,
            "sha256": artifact.sha256,
            "sizeBytes": artifact.size_bytes,
            "chip": artifact.chip,
            "origin": artifact.origin,
            "durationSeconds": round(artifact.duration_seconds),
            "recordDigest": digest_of_record(situation.observed, artifact),
            **known,
        },
    }


def _served_model(situation: Situation) -> dict[str, Any] | None:
    """Return the contract of a revision that runs though the spec asks for another one."""
    observed, target = situation.observed, situation.serving.target
    if target is None or target == situation.serving.desired:
        return None
    kept = observed.revisions.get(target)
    if kept is None:
        return None
    if found := _contract_in(kept.data().get(CONTRACT_KEY, "")):
        return found
    # A revision of an older version: the record of its artifact may still be there.
    records = (Artifact.from_record(record.data()) for record in observed.owned_records)
    resolved, sha256 = observed.service.resolved, kept.artifact.sha256
    artifact = next((one for one in records if one and one.sha256 == sha256), None)
    if artifact and resolved:
        return model_contract(resolved, artifact)
    # Nobody vouches for that record any more: what the status said while it served stays said.
    said = observed.service.status
    served = (said.get("revisions") or {}).get("serving") == target
    return dict(said.get("model") or {}) if served else None


def _contract_in(text: str) -> dict[str, Any] | None:
    """Return the contract that a revision holds, if a status can say it."""
    try:
        found = read_object(text)
        ModelStatus.model_validate(found, strict=True)
    except (Misfit, ValidationError):
        return None
    return found


def _sizes_of(artifact: Artifact | None) -> tuple[int, ...]:
    return artifact.batch_sizes if artifact else ()


def _gate_status(resolved: Resolved | None, gate: GatePlan) -> dict[str, Any]:
    said = {"validation": _validation_status(gate), "tuning": tuning_status(resolved, gate)}
    return {key: value for key, value in said.items() if value}


def _validation_status(gate: GatePlan) -> dict[str, Any]:
    """Return the verdict and the numbers; nothing while there is neither."""
    if gate.measurement is None:
        return {"result": "Failed", "record": gate.result} if gate.stalled else {}
    failed = gate.holds and gate.shortfalls
    verdict = "Failed" if failed else "Passed"
    return {"result": verdict, "record": gate.result, **gate.measurement.shown()}


def _endpoints(situation: Situation, host: str) -> dict[str, str]:
    resolved = situation.observed.service.resolved
    hidden = resolved is not None and not resolved.spec.serving.publishes_http
    return ({} if hidden else {"http": f"{host}:8000"}) | {"grpc": f"{host}:8001"}


def _serving_status(situation: Situation) -> dict[str, Any]:
    service = situation.observed.service.meta
    host = f"{service.name}.{service.namespace}.svc"
    return {
        "revisions": situation.serving.revisions,
        "revisionDigests": situation.serving.digests,
        "rollout": situation.serving.rollout,
        "repositoryConfigMap": situation.serving.target,
        "endpoints": _endpoints(situation, host),
    }
