"""What the steps towards the artifact look at, and what they come to. Called by `conversion`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from resnet_operator.plan.actions import Action, Problem
from resnet_operator.plan.artifact.stages import NO_STEP, Step
from resnet_operator.record.artifact import Artifact
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.settings.operator import Settings


@dataclass(frozen=True, kw_only=True)
class ArtifactPlan:
    """Where the artifact stands. `stage` is a word of status.phase while it is being made."""

    artifact: Artifact | None = None
    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    stalled: bool = False
    stage: str = "Pending"
    doing: str = ""
    requeue_after: float | None = None
    again: bool = False
    retry_handled: bool = False
    # The Job of the newest attempt, and when the next one is; "" when none is planned.
    job: str = ""
    next_attempt: str = ""
    # The container of that Job that runs.
    step: Step = NO_STEP
    failure: str = ""  # the digest of why the last attempt failed


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that the steps look at. `join` makes the record ours too, where it is not yet."""

    observed: Observed
    resolved: Resolved
    settings: Settings
    now: datetime
    join: tuple[Action, ...]
