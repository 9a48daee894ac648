"""`spec.rollout`: how a change reaches the pods, and what happens when it does them no good."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, Share, optional, text
from resnet_operator.api.rules import Rule


class Strategy(StrEnum):
    AUTO = "Auto"
    SURGE = "Surge"
    REPLACE = "Replace"
    RECREATE = "Recreate"


# Both revisions serve at once under these, and the new one can go back.
SIDE_BY_SIDE = {None, Strategy.AUTO, Strategy.SURGE}


class OnFailure(StrEnum):
    ROLLBACK = "Rollback"
    HOLD = "Hold"


class AnalysisMode(StrEnum):
    SHARE = "Share"
    MIRROR = "Mirror"


class Analysis(ApiModel):
    """A share of the requests goes to a new revision first, which is compared with the old one."""

    mode: AnalysisMode | None = optional(
        "Share gives the new revision requests of clients, by weights of "
        "serving.httpRoute where that is written, else by numbers of pods; Mirror gives it copies "
        "of all requests of that route, and no client gets its answers; default Share."
    )
    minutes: int | None = optional(
        "How long each step is watched before the next one; default 5.", ge=1, le=1440
    )
    max_error_ratio: Share | None = optional(
        "How much larger a share of its requests may fail than of the old revision's; "
        "default '0.01'."
    )
    max_p99_increase: (
        Annotated[
            str,
            *text(
                r"^[0-9]{1,2}(\.[0-9]{1,9})?$",
                "write a decimal in quotes, for example '0.5' for half as much again",
                max_length=12,
            ),
        ]
        | None
    ) = optional(
        "By which part of the old revision's 99th percentile of latency its own may be "
        "higher; default '0.5', with runtime OneFlow not judged."
    )
    min_agreement: Share | None = optional(
        "Lowest share of sampled answers that have the same first class as the old "
        "revision's; not compared when absent."
    )
    steps: (
        Annotated[list[Annotated[int, Field(ge=1, le=100)]], Field(min_length=1, max_length=10)]
        | None
    ) = optional(
        "Shares of the requests in per cent; after the last one, at 100 at the "
        "latest, the revision is rolled out; default [10, 50, 100]."
    )

    RULES = (
        Rule(
            "!has(self.steps) || (self.steps.isSorted() && "
            "self.steps.all(one, self.steps.exists_one(other, other == one)))",
            lambda it: it.steps is not None and it.steps != sorted(set(it.steps)),
            "write rising steps, for example [10, 50, 100]",
        ),
        Rule(
            "!has(self.steps) || !has(self.mode) || self.mode != 'Mirror'",
            lambda it: it.steps is not None and it.mode is AnalysisMode.MIRROR,
            "remove steps, or write mode: Share; Mirror copies all requests",
        ),
    )


class Rollout(ApiModel):
    """How changes are rolled out."""

    strategy: Strategy | None = optional(
        "Surge starts a new pod before an old one goes, Replace takes one out first, "
        "Recreate all; Auto surges and replaces when no device is free; default Auto."
    )
    surge_wait_seconds: int | None = optional(
        "How long Auto waits for a free device before it takes an old pod out; default 60.",
        ge=0,
        le=3600,
    )
    progress_deadline_seconds: int | None = optional(
        "After this long without progress the object is Stalled; default 1800, or twice "
        "serving.loadTimeoutSeconds where that is more.",
        ge=30,
        le=86400,
    )
    history_limit: int | None = optional(
        "Number of old revisions that are kept, the last good one always; default 3.", ge=0, le=100
    )
    on_failure: OnFailure | None = optional(
        "Rollback brings the last good revision back when the new one does not "
        "become ready, Hold leaves it; default Rollback."
    )
    pin_revision: (
        Annotated[
            str,
            *text(
                r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
                "write the name of a revision as status.revisions has it",
                max_length=63,
            ),
        ]
        | None
    ) = optional(
        "Name of a revision from status.revisions that is to run; default the one of "
        "the current spec."
    )

    analysis: Analysis | None = optional(
        "How a new revision is watched before it takes all requests; rolled out at "
        "once when absent."
    )

    RULES = (
        Rule(
            "!has(self.analysis) || !has(self.strategy) || self.strategy in ['Auto', 'Surge']",
            lambda it: it.analysis is not None and it.strategy not in SIDE_BY_SIDE,
            "remove analysis, or write strategy Auto or Surge; old and new pods serve side by "
            "side while they are compared",
        ),
        Rule(
            "!has(self.analysis) || !has(self.onFailure) || self.onFailure == 'Rollback'",
            lambda it: it.analysis is not None and it.on_failure is OnFailure.HOLD,
            "remove analysis, or write onFailure: Rollback; what does worse is withdrawn",
        ),
        Rule(
            "!has(self.surgeWaitSeconds) || !has(self.strategy) || self.strategy == 'Auto'",
            lambda it: (
                it.surge_wait_seconds is not None and it.strategy not in {None, Strategy.AUTO}
            ),
            "remove surgeWaitSeconds, or write strategy: Auto; the others do not wait",
        ),
        Rule(
            "!has(self.surgeWaitSeconds) || self.surgeWaitSeconds < "
            "(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 1800)",
            lambda it: (it.surge_wait_seconds or 0) >= (it.progress_deadline_seconds or 1800),
            "write a surgeWaitSeconds below progressDeadlineSeconds (default 1800)",
        ),
    )
