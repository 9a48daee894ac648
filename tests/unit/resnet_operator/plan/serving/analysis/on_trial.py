"""A world in which a revision is on trial; the test says what its pods are and count."""

from __future__ import annotations

from typing import Any

from tests.support.builders import NAME, Body, condition, running
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.serving.memory import Memory
from resnet_operator.reading.counters import Counters
from resnet_operator.settings.operator import Settings

ANALYSIS = {"minutes": 2, "maxErrorRatio": "0.01", "maxP99Increase": "0.5", "steps": [10, 50, 100]}


def counted(requests: int, failed: int = 0, p99_ms: int | None = 10) -> Counters:
    p99 = None if p99_ms is None else p99_ms * 1000
    return Counters(answered=requests - failed, failed=failed, p99_microseconds=p99)


class Trial:
    """A world of two replicas in which another revision is on trial."""

    def __init__(
        self, spec: Body | None = None, *, settings: Settings | None = None, **analysis: Any
    ) -> None:
        wanted = {key: one for key, one in (ANALYSIS | analysis).items() if one is not None}
        spec = {"serving": {"replicas": 2}, "rollout": {"analysis": wanted}, **(spec or {})}
        self.world = World(spec, settings=settings).serve()
        self.old = self.world.revision
        self.change(5)
        self.first = described(self.world.reconcile())

    def change(self, delay: int) -> None:
        self.world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})

    def back(self) -> None:
        """Take the change back."""
        del self.world.spec["serving"]["batching"]
        self.world.change({})

    @property
    def canaries(self) -> list[str]:
        found = self.world.names_of("Deployment")
        return sorted(found - {NAME, names.STORE_NAME})

    @property
    def canary(self) -> str:
        (found,) = self.canaries
        return found

    @property
    def replicas(self) -> int:
        return int(self.world.body("Deployment", self.canary)["spec"]["replicas"])

    def pods(self, number: int | None = None, *, ready: bool = True, **facts: Any) -> None:
        """Bring the new pods up, or say what they are like."""
        for one in range(self.replicas if number is None else number):
            given = {"phase": "Running", "ready": ready, "containers": [running("triton")]} | facts
            self.world.serving_pod(name=f"canary-{one}", revision=self.canary, **given)
        self.world.deployment_says(self.canary, ready=number or 0)

    def counts(self, new: Counters | None, old: Counters | None) -> None:
        """Have all pods of a kind say the same."""
        said = {f"canary-{n}": new for n in range(4)} | {f"pod-{n}": old for n in range(4)}
        self.world.counters = {name: one for name, one in said.items() if one is not None}

    def look(self, seconds: float = 0.0) -> list[str]:
        self.world.pass_time(seconds)
        return described(self.world.reconcile())

    def begun(self) -> Trial:
        """Bring the first step to where it is watched, with nothing counted so far."""
        self.pods()
        self.counts(counted(0, p99_ms=None), counted(1000))
        self.look()
        return self

    @property
    def said(self) -> Body:
        return dict(self.world.status["rollout"].get("analysis") or {})

    @property
    def ready(self) -> tuple[str, str]:
        shown = condition(self.world.status, "Ready")
        return shown["reason"], shown["message"]

    @property
    def memory(self) -> Memory:
        annotations = self.world.body("Deployment")["metadata"].get("annotations") or {}
        return Memory.read(annotations.get(names.ROLLOUT, ""))
