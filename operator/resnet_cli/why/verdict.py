"""One answer from facts and rules: what is at fault, why, what was tried, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from resnet_cli.facts import Facts
from resnet_cli.parts import Ref, moment, name_of, span
from resnet_cli.why.advice import fix_of_batch, own_words, service_named
from resnet_cli.why.rules import fault_of, stage_of
from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import Misfit
from resnet_operator.plan.trouble.log_summary import log_summary
from resnet_operator.record.artifact import Failure

# On the way: nothing is wrong, and there is something to wait for.
UNDER_WAY = {
    "Pending": "Job",
    "Fetching": "Job",
    "Converting": "Job",
    "Validating": "Job",
    "RollingOut": "Deployment",
    "Analyzing": "Deployment",
    "Loading": "Deployment",
    # Of a batch.
    "Running": "Job",
}
# An operator that looks at a namespace writes a status at once.
UNSEEN_SECONDS = 15
DEFAULT_RETRIES = 2
NO_OPERATOR = (
    "check that the operator runs and that its watchNamespaces has {namespace}: "
    "kubectl get pods -A -l app.kubernetes.io/name=resnet-operator"
)


@dataclass(frozen=True, kw_only=True)
class Tries:
    """What was tried of an artifact; `next_try` is "" when no other attempt is planned."""

    attempts: int
    allowed: int
    last: str = ""
    last_time: str = ""
    permanent: bool = False
    next_try: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`well` is Ready of the current spec, or switched off on purpose."""

    well: bool
    under_way: bool
    fault: Ref
    step: str
    reason: str
    cause: str
    log_line: str
    fix: str
    tries: Tries | None

    @property
    def page(self) -> str:
        return f"docs/reasons.md#{self.reason.lower()}" if self.reason in set(Reason) else ""


def judge(facts: Facts) -> Verdict:
    """Return the answer."""
    ready = facts.ready
    reason, cause = str(ready.get("reason") or ""), facts.cause
    well = ready.get("status") == "True" and not _is_unseen(facts)
    under_way = reason in UNDER_WAY
    fault, step = _fault(facts, well=well, under_way=under_way)
    if _is_unseen(facts):
        reason, cause = _unseen(facts)
    tries = tries_of(facts)
    return Verdict(
        well=well,
        under_way=under_way and not _is_unseen(facts),
        fault=fault,
        step=step,
        reason=reason,
        cause=cause,
        log_line=log_line(facts, fault, f"{reason}: {cause}") if not well else "",
        fix=_fix(facts, reason, cause, tries),
        tries=tries,
    )


def _fault(facts: Facts, *, well: bool, under_way: bool) -> tuple[Ref, str]:
    itself = Ref(facts.kind, facts.name)
    if _is_unseen(facts):
        return Ref("Operator", _installation(facts)), "operator"
    if well:
        return itself, stage_of(facts) if facts.is_batch else "serve"
    if under_way:
        return _awaited(facts, itself), stage_of(facts)
    return fault_of(facts)


def _awaited(facts: Facts, itself: Ref) -> Ref:
    reason = facts.ready.get("reason") or ""
    if facts.is_batch:
        awaited = facts.jobs[0] if facts.jobs else None
        return (
            Ref("Job", name_of(awaited)) if awaited else Ref("ResNetService", service_named(facts))
        )
    component = names.VALIDATION if reason == "Validating" else names.CONVERSION
    if UNDER_WAY[reason] == "Job":
        job = facts.current_job(component)
        return Ref("Job", name_of(job)) if job else itself
    return Ref("Deployment", facts.name) if facts.deployment else itself


def _is_unseen(facts: Facts) -> bool:
    """Tell whether the operator has not looked at this generation though it had the time."""
    meta = facts.service["metadata"]
    if facts.status.get("observedGeneration") == meta.get("generation", 0) and facts.ready:
        return False
    if facts.status.get("observedGeneration"):
        return bool(facts.status["observedGeneration"] != meta.get("generation", 0))
    made = moment(meta.get("creationTimestamp") or "")
    return made is None or (facts.now - made).total_seconds() > UNSEEN_SECONDS


def _unseen(facts: Facts) -> tuple[str, str]:
    generation = facts.service["metadata"].get("generation", 0)
    observed = facts.status.get("observedGeneration")
    if observed:
        return "NotObserved", f"the operator has not looked at generation {generation} yet"
    return "NotObserved", "no operator has looked at this object"


def _installation(facts: Facts) -> str:
    data = (facts.holder or {}).get("data") or {}
    return str(data.get(names.HOLDER) or "")


def log_line(facts: Facts, fault: Ref, told: str) -> str:
    """Return the line of the failed container's log that tells more, or what it left behind."""
    found = facts.troubled()
    if found is None:
        return ""
    pod, container = found
    if fault.kind == "Pod" and fault.name != name_of(pod):
        return ""  # the log of an earlier attempt
    text = facts.logs.get((name_of(pod), container.name)) or container.text
    line = log_summary(text) if text else container.words
    return "" if line.removesuffix("…") in told else line


def _fix(facts: Facts, reason: str, cause: str, tries: Tries | None) -> str:
    """Return what to do: the message's own last clause, or what the reason's page says."""
    if facts.service["metadata"].get("deletionTimestamp"):
        return "Nothing: the object is being deleted."
    if reason == "NotObserved":
        return NO_OPERATOR.format(namespace=facts.namespace)
    if facts.lacks_devices:
        return _no_device(facts)
    own = (
        fix_of_batch(facts, reason, cause)
        if facts.is_batch
        else own_words(cause) or own_words(facts.words.partition("\n")[0])
    )
    known = next((one.remedy for one in Reason if one.value == reason), "")
    look = f"Look at the conditions: kubectl describe {facts.kind.lower()} {facts.name}"
    fix = own or known or look
    return f"{fix}{_holders(facts)}{_next(tries)}"


def _no_device(facts: Facts) -> str:
    """Return what helps where a chip that becomes free would not: no node has one of the kind."""
    have = f"; nodes offer {', '.join(facts.offered)}" if facts.offered else ""
    return (
        f"add a node whose device plugin offers {facts.resource}, or change "
        f"spec.accelerator.chip: no node offers {facts.resource}{have}"
    )


def _holders(facts: Facts) -> str:
    if not facts.holders:
        return ""
    taken = sum(one.count for one in facts.holders)
    shown = [f"{one.namespace}/{one.service or one.pod}" for one in facts.holders]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return f" ({taken} {facts.resource} held by {', '.join(shown[:3])}{more})"


def _next(tries: Tries | None) -> str:
    return f"; next try {tries.next_try}" if tries and tries.next_try else ""


def tries_of(facts: Facts) -> Tries | None:
    """Return what the record and the status say of attempts at the artifact."""
    artifact = facts.artifact
    failure = _failure(facts)
    if failure is None:
        return None
    conversion = facts.spec.get("conversion") or {}
    retries = conversion.get("retries")
    allowed = 1 + (DEFAULT_RETRIES if retries is None else retries)
    return Tries(
        attempts=failure.attempt,
        allowed=allowed,
        last=f"{failure.reason}: {failure.message}",
        last_time=failure.time,
        permanent=failure.permanent,
        next_try=_when(artifact.get("nextAttemptTime") or "", facts),
    )


def _failure(facts: Facts) -> Failure | None:
    """Return what the record says; one that cannot be read says nothing, as to the operator."""
    try:
        return Failure.from_record((facts.record or {}).get("data") or {})
    except Misfit:
        return None


def _when(text: str, facts: Facts) -> str:
    found = moment(text)
    if found is None:
        return ""
    left = found - facts.now
    return f"in {span(left.total_seconds())}" if left > timedelta() else "now"
