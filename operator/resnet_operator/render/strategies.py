"""The Deployment's strategy, by the word of the API. Called by `serving`."""

from __future__ import annotations

from typing import Any

from resnet_operator.api.rollout import Strategy

# A switch from one to another restarts no pod.
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
STRATEGIES: dict[Strategy, dict[str, Any]] = {
    Strategy.AUTO: SURGE,
    Strategy.SURGE: SURGE,
    Strategy.REPLACE: {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    },
    Strategy.RECREATE: {"type": "Recreate"},
}
