"""The conditions, by the state table of the API: who must act, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.artifact.state import ArtifactPlan
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.plan.serving.serving import ServingPlan
from resnet_operator.plan.status.chips import chips_condition
from resnet_operator.plan.status.condition import IMPERATIVES, condition, plain
from resnet_operator.record.artifact import Artifact
from resnet_operator.seen.observed import Observed

SHORT = 120
# So much of what is wrong stays on the line, or it is left to the whole message.
LEAST_HEAD = 30
LONG = 4096

# All types that we ever write; what else stands in a status is somebody else's.
CONDITIONS = (
    "ArtifactReady",
    "Available",
    "ChipsHealthy",
    "Contested",
    "ModelReady",
    "Ready",
    "Reconciling",
    "Scheduled",
    "Stalled",
    "Validated",
)


TWO_OPERATORS = (
    'installation "{}" looks after this namespace too and stands back; '
    "uninstall one of the two, or change its watchNamespaces"
)

# What is told only when all pods serve.
BEYOND_THE_PODS = {Reason.KIND_MISSING, Reason.ROUTE_REFUSED}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that the status is made of, decided by the other parts of the plan."""

    observed: Observed
    conversion: ArtifactPlan = field(default_factory=ArtifactPlan)
    gate: GatePlan | None = None
    serving: ServingPlan = field(default_factory=ServingPlan)
    # The first of theirs, or what keeps all of them from being done.
    problem: Problem | None = None
    stalled: bool = False
    results: dict[str, str] = field(default_factory=dict)

    @property
    def artifact(self) -> Artifact | None:
        return self.conversion.artifact

    @property
    def held(self) -> bool:
        """Tell whether the artifact is there and the gate keeps it from serving."""
        return self.artifact is not None and self.gate is not None and self.gate.holds

    @property
    def available(self) -> bool:
        live = self.observed.deployment
        return live is not None and live.available > 0

    @property
    def switched_off(self) -> Reason | None:
        resolved = self.observed.service.resolved
        if resolved is None:
            return None
        if resolved.suspended:
            return Reason.SUSPENDED
        return Reason.SCALED_TO_ZERO if self.serving.complete and self.serving.wanted == 0 else None


Said = tuple[str, Reason, str]


def conditions_of(situation: Situation, *, now: datetime) -> list[dict[str, Any]]:
    """Return the conditions in a fixed order; Reconciling and Stalled only when True."""
    status, reason, message = _ready(situation)
    said: dict[str, Said] = {
        "Available": _available(situation),
        "Ready": (status, reason, shorten(message, SHORT)),
        "ArtifactReady": _artifact_ready(situation),
    }
    # The printed line is short; here is the whole.
    if situation.stalled:
        said["Stalled"] = ("True", reason, shorten(message, LONG))
    elif status != "True":
        said["Reconciling"] = ("True", reason, shorten(message, LONG))
    if situation.gate is not None:
        said["Validated"] = _validated(situation.gate)
    if chips := chips_condition(situation.observed.pods):
        said["ChipsHealthy"] = chips
    if rival := situation.observed.rival:
        said["Contested"] = "True", Reason.TWO_OPERATORS, TWO_OPERATORS.format(rival)
    if situation.serving.target and situation.serving.wanted and not situation.held:
        said["Scheduled"] = _scheduled(situation)
        said["ModelReady"] = _model_ready(situation)
    service = situation.observed.service
    old = {c["type"]: c for c in service.status.get("conditions") or ()}
    return [
        condition(
            kind,
            status,
            reason.value,
            message,
            generation=service.generation,
            old=old.get(kind),
            now=now,
        )
        for kind, (status, reason, message) in sorted(said.items())
    ]


def is_ready(status: Mapping[str, Any]) -> bool:
    """Tell whether a status says Ready."""
    conditions = status.get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters; of a line that is too long, the part that says what to do.

    Messages are "what is wrong; what to do": the last clause stays whole and the rest is cut. Where
    it is longer than a line, both are cut.
    """
    line = plain(text)
    line = " ".join(line.split()) if limit == SHORT else line
    if len(line) <= limit:
        return line
    if limit != SHORT:
        return _cut(line, limit)
    rest, separator, fix = line.rpartition("; ")
    if not _says_what_to_do(fix):
        return _cut(line, limit)
    if separator and len(fix) + len(separator) + LEAST_HEAD <= limit:
        return f"{_cut(rest, limit - len(fix) - len(separator))}{separator}{fix}"
    if not separator or _says_what_to_do(rest):
        return _cut(line, limit)
    if len(fix) <= limit:
        return fix
    head = _cut(rest, limit // 2)
    return f"{head}{separator}{_cut(fix, limit - len(head) - len(separator))}"


def _says_what_to_do(text: str) -> bool:
    return text.split(" ", 1)[0].lower() in IMPERATIVES


def _cut(text: str, limit: int) -> str:
    """Cut at the end of a sentence or clause when most of the room is used, else at a word."""
    if len(text) <= limit:
        return text
    room = text[: limit - 1]
    for mark in (". ", "; ", ": "):
        head = room.rpartition(mark)[0]
        if len(head) >= limit // 2:
            return f"{head}…"
    return room.rsplit(" ", 1)[0] + "…"


def _ready(situation: Situation) -> Said:
    if situation.problem is not None:
        return "False", situation.problem.reason, situation.problem.message
    if off := situation.switched_off:
        kept = "the artifact is kept" if situation.artifact else "nothing was converted yet"
        return "True", off, f"scaled to zero; {kept}"
    if situation.serving.complete:
        pinned = " (pinned)" if situation.serving.pinned else ""
        return "True", Reason.READY, f"serving revision {_short(situation)}{pinned}"
    if situation.artifact is None:
        reasons = {"Fetching": Reason.FETCHING, "Converting": Reason.CONVERTING}
        return (
            "False",
            reasons.get(situation.conversion.stage, Reason.PENDING),
            situation.conversion.doing,
        )
    if situation.gate is not None and situation.gate.holds:
        return "False", Reason.VALIDATING, situation.gate.doing
    if situation.serving.analysing:
        return "False", Reason.ANALYZING, situation.serving.analysing
    if situation.serving.loading:
        return "False", Reason.LOADING, situation.serving.loading
    note = f"; {situation.serving.note}" if situation.serving.note else ""
    return "False", Reason.ROLLING_OUT, f"starting pods of revision {_short(situation)}{note}"


def _short(situation: Situation) -> str:
    return (situation.serving.target or "").rsplit("-", 1)[-1]


def _available(situation: Situation) -> Said:
    if situation.available:
        return "True", Reason.READY, "at least one pod serves"
    return "False", situation.switched_off or Reason.PENDING, "no pod serves"


def _artifact_ready(situation: Situation) -> Said:
    artifact, problem = situation.artifact, situation.conversion.problem
    if artifact:
        reason = Reason.REUSED if artifact.origin == "Reused" else Reason.CONVERTED
        compiler = "" if artifact.compiler == "none" else f" by {artifact.compiler}"
        notes = "".join(f"; {note}" for note in artifact.notes)
        return "True", reason, shorten(f"{artifact.origin}{compiler}{notes}", LONG)
    if problem:
        return "False", problem.reason, long_message(problem)
    return "False", Reason.PENDING, situation.conversion.doing or "no artifact yet"


def _validated(gate: GatePlan) -> Said:
    """Say how the artifact did, with all numbers; or what it waits for."""
    if gate.measurement is not None:
        shown = gate.measurement.shown()
        speeds = shown.pop("throughput", {})
        latency, diagnosis = shown.pop("latency", {}), shown.pop("diagnosis", {})
        numbers = [f"{key} {value}" for key, value in (shown | latency).items()]
        numbers += [f"throughput at batch {size} {speed}" for size, speed in speeds.items()]
        said = ", ".join(numbers)
        if diagnosis:
            said += f"; {diagnosis.get('cause', '')}: {diagnosis.get('message', '')}"
        if not gate.holds:
            return "True", Reason.VALIDATED, said
        if gate.shortfalls:
            return "False", Reason.VALIDATION_FAILED, f"{'; '.join(gate.shortfalls)}; {said}"
    if gate.problem is not None:
        said = long_message(gate.problem)
        borrowing = f"; {gate.doing}" if gate.borrows else ""
        return "False", gate.problem.reason, shorten(f"{said}{borrowing}", LONG)
    return "False", Reason.VALIDATING, gate.doing


def _scheduled(situation: Situation) -> Said:
    problem = situation.serving.problem
    if problem and problem.reason in {Reason.UNSCHEDULABLE, Reason.QUOTA_EXCEEDED}:
        return "False", problem.reason, long_message(problem)
    return "True", Reason.READY, "every pod has a node, or is about to get one"


def _model_ready(situation: Situation) -> Said:
    problem = situation.serving.problem
    if situation.serving.complete or (problem and problem.reason in BEYOND_THE_PODS):
        return "True", Reason.READY, "all pods of the revision have loaded the model"
    if situation.serving.problem:
        return "False", situation.serving.problem.reason, long_message(situation.serving.problem)
    if situation.serving.analysing:
        return "True", Reason.READY, "pods of the revision that serves have loaded the model"
    return "False", Reason.LOADING, "pods of the revision are starting"


def long_message(problem: Problem) -> str:
    """Return the message and the detail: the end of a log, or the server's own words."""
    if not problem.detail:
        return problem.message
    return f"{problem.message}\n{problem.detail}"[:LONG]
