"""The decided values of `spec.rollout`; a part of `resolve`. No revision depends on them."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_operator.api.rollout import OnFailure, Rollout, Strategy

SURGE_WAIT_SECONDS = 60
PROGRESS_DEADLINE_SECONDS = 1800
HISTORY_LIMIT = 3


@dataclass(frozen=True, kw_only=True)
class RolloutOptions:
    strategy: Strategy
    surge_wait_seconds: int
    progress_deadline_seconds: int
    history_limit: int
    rolls_back: bool
    pin: str | None


def rollout_options(rollout: Rollout | None, *, load_timeout_seconds: int) -> RolloutOptions:
    """Resolve the defaults; a pod that may load for long is given the time to."""
    asked = rollout or Rollout()
    patience = max(PROGRESS_DEADLINE_SECONDS, 2 * load_timeout_seconds)
    deadline = asked.progress_deadline_seconds or patience
    wait, kept = asked.surge_wait_seconds, asked.history_limit
    return RolloutOptions(
        strategy=asked.strategy or Strategy.AUTO,
        # A short deadline must leave time for the pod that starts after the wait.
        surge_wait_seconds=min(SURGE_WAIT_SECONDS, deadline // 2) if wait is None else wait,
        progress_deadline_seconds=deadline,
        history_limit=HISTORY_LIMIT if kept is None else kept,
        rolls_back=asked.on_failure is not OnFailure.HOLD,
        pin=asked.pin_revision,
    )
