"""`spec.rollout`: how a change reaches the pods, and what happens when it does them no good."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from resnet_operator.api.base import ApiModel, cel, rule, text


class Strategy(StrEnum):
    AUTO = "Auto"
    SURGE = "Surge"
    REPLACE = "Replace"
    RECREATE = "Recreate"


class OnFailure(StrEnum):
    ROLLBACK = "Rollback"
    HOLD = "Hold"


class Rollout(ApiModel):
    """How changes are rolled out."""

    strategy: Strategy | None = Field(
        default=None,
        description="Surge starts a new pod before an old one goes, Replace takes one out first, "
        "Recreate all; Auto surges and replaces when no device is free; default Auto.",
    )
    surge_wait_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="How long Auto waits for a free device before it takes an old pod out; "
        "default 60.",
    )
    progress_deadline_seconds: int | None = Field(
        default=None,
        ge=30,
        le=86400,
        description=(
            "After this long without progress the object is Stalled; default 1800, or twice "
            "serving.loadTimeoutSeconds where that is more."
        ),
    )
    history_limit: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Number of old revisions that are kept, the last good one always; default 3.",
    )
    on_failure: OnFailure | None = Field(
        default=None,
        description="Rollback brings the last good revision back when the new one does not "
        "become ready, Hold leaves it; default Rollback.",
    )
    pin_revision: (
        Annotated[
            str,
            text(
                r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
                "write the name of a revision as status.revisions has it",
                max_length=63,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Name of a revision from status.revisions that is to run; default the one of "
        "the current spec.",
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "!has(self.surgeWaitSeconds) || !has(self.strategy) || self.strategy == 'Auto'",
                "remove surgeWaitSeconds, or write strategy: Auto; the others do not wait",
            ),
            rule(
                "!has(self.surgeWaitSeconds) || self.surgeWaitSeconds < "
                "(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 1800)",
                "write a surgeWaitSeconds below progressDeadlineSeconds (default 1800)",
            ),
        )
    )
