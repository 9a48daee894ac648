"""Bring one ResNetBatch forward: look, plan, do, say. Called by the workers of its own queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.api.batch.status import ResNetBatchStatus
from resnet_operator.batch.logs import BatchLogs
from resnet_operator.batch.observe import observe_batch
from resnet_operator.batch.plan import plan_batch
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict, Gone
from resnet_operator.execute import Executor
from resnet_operator.leadership.holding import Holding
from resnet_operator.plan.status.failed import failed_status
from resnet_operator.seen.batch import BatchObject
from resnet_operator.settings.operator import Settings
from resnet_operator.watch.views import Views
from resnet_operator.work.attempt import HELD_SECONDS, attempt
from resnet_operator.work.queue import Key


@dataclass(frozen=True, kw_only=True)
class BatchReconciler:
    """Holds what a look needs of the outside."""

    kube: Kube
    views: Views
    settings: Settings
    clock: Callable[[], datetime]
    may_decide: Callable[[], bool] = lambda: True
    holding: Holding | None = None
    # None where logs may not be read.
    logs: BatchLogs | None = None

    async def reconcile(self, key: Key) -> float | None:
        """Return seconds after which to look again."""
        return await attempt(
            key, self._step, may_decide=self.may_decide, say_failure=self._say_failure
        )

    async def _step(self, key: Key) -> float | None:
        batch = self.views.batches.one(*key)
        if batch is None or batch.meta.deleting:
            return None  # owner references do the rest
        if self.holding and not (step := await self.holding.turn(key[0])).acts:
            return step.again
        now = self.clock()
        seen = await observe_batch(batch, views=self.views, kube=self.kube, logs=self.logs, now=now)
        plan = plan_batch(seen, settings=self.settings, now=now)
        problem = await Executor(kube=self.kube, views=self.views).execute(plan.actions)
        if problem is not None:
            plan = plan_batch(seen, settings=self.settings, now=now, problem=problem)
        said = await self._say(batch, plan.status)
        return plan.requeue_after if said else HELD_SECONDS

    async def _say_failure(self, key: Key, message: str) -> None:
        batch = self.views.batches.one(*key)
        if batch is not None and not batch.meta.deleting:
            status = failed_status(
                batch.status, message, generation=batch.generation, now=self.clock()
            )
            await self._say(batch, status)

    async def _say(self, batch: BatchObject, status: dict[str, Any]) -> bool:
        """Write the status, once and whole, if it says anything new.

        It goes on from what it said before, so it only replaces what was seen; False otherwise.
        """
        status = ResNetBatchStatus.model_validate(status).model_dump(
            by_alias=True, exclude_none=True, exclude_unset=True
        )
        if status == batch.status:
            return True
        meta = batch.meta
        body = {
            "apiVersion": API_VERSION,
            "kind": BATCH_KIND,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "resourceVersion": meta.version,
            },
            "status": status,
        }
        try:
            with self.views.writing(body):
                answer = await self.kube.apply(body, manager=names.MANAGER, subresource="status")
                self.views.remember(answer)
        except Conflict:
            return False
        except Gone:
            pass
        return True
