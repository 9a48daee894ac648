"""Make the world as one ResNetService wants it: observe, plan, execute, say.

The same function serves creation, change, repair and restart: it asks what is, never what
happened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.reasons import Reason
from resnet_operator.api.status import as_status
from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.pod_metrics import PodMetrics
from resnet_operator.errors import Conflict, Gone, Rejected
from resnet_operator.events import event_body
from resnet_operator.execute import Executor
from resnet_operator.leadership.holding import Holding
from resnet_operator.measured.counting import Ledger
from resnet_operator.observe import observe
from resnet_operator.plan.actions import Action, Plan, Problem
from resnet_operator.plan.make import make_plan
from resnet_operator.plan.paused import Paused
from resnet_operator.plan.status.conditions import CONDITIONS, is_ready
from resnet_operator.plan.status.failed import failed_plan
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.settings.operator import Settings
from resnet_operator.telemetry.metrics import SLOW_PLANS
from resnet_operator.watch.views import Views
from resnet_operator.work.attempt import attempt
from resnet_operator.work.queue import WHEN_QUIET, Key

log = logging.getLogger(__name__)

MAX_ROUNDS = 5
# One plan is one turn of the loop that all objects share.
SLOW_PLAN_SECONDS = 1.0
# After writing, until a look finds nothing to write: the echo of a write wakes nobody.
LOOK_AGAIN_SECONDS = 1.0
MAX_LOOK_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Holds what a reconcile needs of the outside: the client, the views, the clock."""

    kube: Kube
    views: Views
    settings: Settings
    clock: Callable[[], datetime]
    # Whether other objects wait or are worked on.
    others_wait: Callable[[], bool] = lambda: False
    # Whether an object that waited for others comes for that alone.
    has_no_news: Callable[[Key], bool] = lambda _: False
    # Whether what is known is of one history of the cluster.
    may_decide: Callable[[], bool] = lambda: True
    # Which namespaces another installation looks after; None: there is no other one.
    holding: Holding | None = None
    timer: Callable[[], float] = time.perf_counter
    # Asked of pods while a revision is analysed; without it nothing can be compared.
    metrics: PodMetrics | None = None
    ledger: Ledger = field(default_factory=Ledger)
    # How often in a row a reconcile has written something for an object that is not Ready.
    _unsettled: dict[Key, int] = field(default_factory=dict)
    # By what an object was found to be as it should be: the same again needs no second plan.
    _settled: dict[Key, Observed] = field(default_factory=dict)
    paused: Paused = field(default_factory=Paused)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object forward; returns seconds after which to look again."""
        return await attempt(
            key, self._rounds, may_decide=self.may_decide, say_failure=self._say_failure
        )

    async def _rounds(self, key: Key) -> float | None:
        executor = Executor(kube=self.kube, views=self.views)
        acted = looked = False
        for _ in range(MAX_ROUNDS):
            service = self._service(key)
            if service is None:
                return None  # owner references do the rest
            if self.holding and not (step := await self.holding.turn(key[0])).acts:
                return step.again
            now = self.clock()
            observed = await self._observe(service, now)
            if self._settled.get(key) == observed:
                return None
            plan = self._continued(key, observed) or self._plan(observed, now)
            problem = await self._execute(executor, plan.actions[: plan.urgent], observed)
            if problem is None and plan.urgent and self.others_wait():
                await self._pause(key, service, plan)
                return WHEN_QUIET  # many at once: everybody's pods before anybody's status
            if problem is None:
                problem = await self._rest(executor, observed, plan)
            acted = acted or bool(plan.actions)
            if problem is not None:
                plan = self._plan(observed, now, problem)
            elif plan.again:
                continue
            elif acted and not looked and _is_repair(service, plan):
                looked = True
                continue
            return await self._finish(key, observed, plan, acted=acted, problem=problem)
        return 1.0

    async def _pause(self, key: Key, service: ServiceObject, plan: Plan) -> None:
        """Keep what is left to do, for when it is this object's turn and nothing has happened."""
        left = plan.actions[plan.urgent :]
        if left and plan.requeue_after is None and self._service(key) is service:
            seen = await self._observe(service, self.clock())
            self.paused.keep(key, seen, replace(plan, actions=left, urgent=0))

    def _continued(self, key: Key, observed: Observed) -> Plan | None:
        """Return what was left to do, if all is as it was then."""
        left = self.paused.take(key, observed)
        return left if self.has_no_news(key) else None

    async def _execute(
        self, executor: Executor, actions: tuple[Action, ...], observed: Observed
    ) -> Problem | None:
        problem = await executor.execute(actions)
        if problem is None:
            self.ledger.executed(actions, observed)
        return problem

    async def _rest(self, executor: Executor, observed: Observed, plan: Plan) -> Problem | None:
        """Do what is not urgent, and say what no change of the status would."""
        problem = await self._execute(executor, plan.actions[plan.urgent :], observed)
        for event in plan.notices if problem is None else ():
            await self._emit(observed.service, event)
        return problem

    def _plan(self, observed: Observed, now: datetime, problem: Problem | None = None) -> Plan:
        started = self.timer()
        plan = make_plan(observed, settings=self.settings, now=now, problem=problem)
        seconds = self.timer() - started
        if seconds > SLOW_PLAN_SECONDS:
            SLOW_PLANS.inc()
            meta = observed.service.meta
            about = {"object": f"{meta.namespace}/{meta.name}", "seconds": round(seconds, 1)}
            log.warning("a plan was slow; all other objects waited for it", extra=about)
        return plan

    async def _say_failure(self, key: Key, message: str) -> None:
        """Say of the object that the operator failed at it; whatever that takes is its own."""
        service = self.views.services.one(*key)
        if service is not None and not service.meta.deleting:
            await self._say(service, failed_plan(service, message, now=self.clock()))

    async def _finish(
        self, key: Key, observed: Observed, plan: Plan, *, acted: bool, problem: Problem | None
    ) -> float | None:
        """Say how it stands; returns when to look again."""
        try:
            has_said = await self._say(observed.service, plan)
        except Conflict:
            return LOOK_AGAIN_SECONDS
        again = self._next_look(key, plan, acted=acted, problem=problem)
        if again is None and is_ready(plan.status) and not (acted or has_said):
            self._settled[key] = observed
        return again

    def _service(self, key: Key) -> ServiceObject | None:
        service = self.views.services.one(*key)
        if service is not None and not service.meta.deleting:
            return service
        self._unsettled.pop(key, None)
        self._settled.pop(key, None)
        self.paused.forget(key)
        return None

    async def _observe(self, service: ServiceObject, now: datetime) -> Observed:
        observed = await observe(
            service, views=self.views, kube=self.kube, now=now, metrics=self.metrics
        )
        rival = self.holding.rival(service.meta.namespace) if self.holding else ""
        return replace(observed, rival=rival) if rival else observed

    def _next_look(
        self, key: Key, plan: Plan, *, acted: bool, problem: Problem | None
    ) -> float | None:
        """Return when to look again: the status was made before the writes, so soon after any."""
        lasts = problem is not None and problem.reason is not Reason.PENDING
        if not acted or lasts or is_ready(plan.status):
            self._unsettled.pop(key, None)
            return plan.requeue_after
        times = self._unsettled[key] = self._unsettled.get(key, 0) + 1
        pause: float = min(LOOK_AGAIN_SECONDS * 2.0 ** min(times - 1, 8), MAX_LOOK_AGAIN_SECONDS)
        return min(plan.requeue_after or pause, pause)

    async def _say(self, service: ServiceObject, plan: Plan) -> bool:
        """Write the status, once and whole, if it says anything new; tell whether it did.

        It replaces only what was looked at: by the time it is written the object may be another
        one, of the same name or with another spec. Conflict when it is.
        """
        status = as_status(plan.status)
        if _same_status(status, service.status):
            return False
        meta = service.meta
        known = self.views.services.one(meta.namespace, meta.name)
        if known is None or (known is not service and known != service):
            raise Conflict(409, "the object is another one by now")
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            # The uid would not do: the API server does not look at it where a status is written.
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "resourceVersion": known.meta.version,
            },
            "status": status,
        }
        try:
            with self.views.writing(body):
                answer = await self.kube.apply(body, manager=names.MANAGER, subresource="status")
                self.views.remember(answer)
        except Gone:
            return True
        self.ledger.said(service, status)
        for event in plan.events:
            await self._emit(service, event)
        return True

    async def _emit(self, service: ServiceObject, event: Any) -> None:
        try:
            await self.kube.create(event_body(service.meta, event, now=self.clock()))
        except Rejected as error:
            log.warning("event was refused", extra={"error": error.message})


def _same_status(wanted: dict[str, Any], live: Mapping[str, Any]) -> bool:
    """Tell whether a status says all that we want to say; conditions of others may stand beside."""
    ours = {c["type"]: c for c in wanted["conditions"]}
    theirs = {c["type"]: c for c in live.get("conditions") or () if c["type"] in CONDITIONS}
    return ours == theirs and wanted | {"conditions": ()} == {**live, "conditions": ()}


def _is_repair(service: ServiceObject, plan: Plan) -> bool:
    """Tell whether what was Ready would be told otherwise only for what was just written."""
    return is_ready(service.status) and not is_ready(plan.status)


__all__ = ["Observed", "Reconciler"]
