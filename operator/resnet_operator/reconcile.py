"""Make the world as one ResNetService wants it: observe, plan, execute, say.

The same function serves creation, change, repair and restart: it asks what is, never what
happened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.reasons import Reason
from resnet_operator.api.status import as_status
from resnet_operator.errors import Conflict, Gone, Rejected, Transient
from resnet_operator.events import event_body
from resnet_operator.kube import Kube
from resnet_operator.metrics import RECONCILE_SECONDS, RECONCILES
from resnet_operator.observe import observe
from resnet_operator.observed import Observed, ServiceObject
from resnet_operator.plan import Action, Apply, Create, Delete, Plan, make_plan
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.conditions import CONDITIONS
from resnet_operator.queue import WHEN_QUIET, Key
from resnet_operator.settings import Settings
from resnet_operator.views import Views

log = logging.getLogger(__name__)

MAX_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Holds what a reconcile needs of the outside: the client, the views, the clock."""

    kube: Kube
    views: Views
    settings: Settings
    clock: Callable[[], datetime]
    # Whether other objects wait or are worked on.
    others_wait: Callable[[], bool] = lambda: False

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object forward; returns seconds after which to look again."""
        started = time.perf_counter()
        result = "error"
        try:
            again = await self._rounds(key)
            result = "ok"
            return again
        finally:
            RECONCILES.labels(result=result).inc()
            RECONCILE_SECONDS.observe(time.perf_counter() - started)

    async def _rounds(self, key: Key) -> float | None:
        for _ in range(MAX_ROUNDS):
            service = self.views.services.one(*key)
            if service is None or service.meta.deleting:
                return None  # owner references do the rest
            now = self.clock()
            observed = await observe(service, views=self.views, kube=self.kube, now=now)
            plan = make_plan(observed, settings=self.settings, now=now)
            problem = await self._execute(plan.actions[: plan.urgent])
            if problem is None and plan.urgent and self.others_wait():
                return WHEN_QUIET  # many at once: everybody's pods before anybody's status
            if problem is None:
                problem = await self._execute(plan.actions[plan.urgent :])
            if problem is not None:
                plan = make_plan(observed, settings=self.settings, now=now, problem=problem)
            elif plan.again:
                continue
            await self._say(service, plan)
            return plan.requeue_after
        return 1.0

    async def _execute(self, actions: tuple[Action, ...]) -> Problem | None:
        """Do all actions in order; returns what stood in the way of one."""
        for action in actions:
            try:
                if problem := await self._do(action):
                    return problem
            except Rejected as error:
                return Problem(
                    reason=Reason.REJECTED,
                    message=f"the API server refused a {_kind(action)}: {_gist(error.message)}",
                    detail=error.message,
                )
        return None

    async def _do(self, action: Action) -> Problem | None:
        match action:
            case Apply():
                return await self._apply(action)
            case Create():
                try:
                    with self.views.writing(action.body):
                        self.views.remember(await self.kube.create(action.body))
                except Conflict:
                    log.debug("is there already", extra=_about(action.body))
                else:
                    log.info("created", extra=_about(action.body))
            case Delete():
                await self._delete(action)
        return None

    async def _apply(self, action: Apply) -> Problem | None:
        body = action.body
        apply = self.kube.apply if action.adopt else self.kube.apply_new
        try:
            with self.views.writing(body):
                self.views.remember(await apply(body, manager=action.manager))
        except Conflict:
            if action.adopt:
                raise
            return await self._taken(action)
        log.info("applied", extra=_about(body))
        return None

    async def _taken(self, action: Apply) -> Problem | None:
        """Find out whose an object is that we do not see, and take back what is ours."""
        body, meta = action.body, action.body["metadata"]
        selector = f"metadata.name={meta['name']}"
        found = await self.kube.list_one(
            body["apiVersion"], body["kind"], meta["namespace"], field_selector=selector
        )
        if not found:
            raise Transient(409, f"{body['kind']} {meta['name']} was deleted meanwhile")
        if _is_ours(found[0], body):
            return await self._apply(replace(action, adopt=True))
        return _name_conflict(body, _other_manager(found[0]))

    async def _delete(self, action: Delete) -> None:
        body = {
            "apiVersion": action.api_version,
            "kind": action.kind,
            "metadata": {"namespace": action.namespace, "name": action.name},
        }
        try:
            await self.kube.delete(body, uid=action.uid, version=action.version)
        except (Gone, Conflict):
            return  # gone already, or somebody has joined meanwhile
        log.info("deleted", extra=_about(body))

    async def _say(self, service: ServiceObject, plan: Plan) -> None:
        """Write the status, once and whole, if it says anything new."""
        status = as_status(plan.status)
        if _same_status(status, service.status):
            return
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": service.meta.name, "namespace": service.meta.namespace},
            "status": status,
        }
        try:
            with self.views.writing(body):
                answer = await self.kube.apply(body, manager=names.MANAGER, subresource="status")
                self.views.remember(answer)
        except Gone:
            return
        for event in plan.events:
            await self._emit(service, event)

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


def _kind(action: Action) -> str:
    return action.kind if isinstance(action, Delete) else str(action.body["kind"])


def _gist(words: str) -> str:
    """Return what a refusal comes to, without the names of objects, policies and webhooks."""
    for mark in ("denied request: ", "denied the request: ", "is forbidden: ", "is invalid: "):
        if mark in words:
            return words.split(mark, 1)[1]
    return words


def _about(body: dict[str, Any]) -> dict[str, str]:
    meta = body["metadata"]
    return {"kind": body["kind"], "object": f"{meta['namespace']}/{meta['name']}"}


def _is_ours(live: dict[str, Any], body: dict[str, Any]) -> bool:
    """Tell whether an object of that name is the one we made; somebody may have edited it."""
    controller = _controller(live)
    if controller is not None:
        return controller == _controller(body)
    fields = live["metadata"].get("managedFields") or ()
    return any(f["manager"] == names.MANAGER and f["operation"] == "Apply" for f in fields)


def _controller(body: dict[str, Any]) -> str | None:
    owners = body["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def _other_manager(live: dict[str, Any]) -> str:
    """Return who wrote an object, as its field managers tell."""
    fields = live["metadata"].get("managedFields") or ()
    who = (f["manager"] for f in fields if not f.get("subresource"))
    return next((name for name in who if name != names.MANAGER), "")


def _name_conflict(body: dict[str, Any], manager: str) -> Problem:
    whose = f"belongs to {manager}" if manager else "is somebody else's"
    kind, name = body["kind"], body["metadata"]["name"]
    return Problem(
        reason=Reason.NAME_CONFLICT,
        message=f'{kind} "{name}" {whose}; rename the ResNetService or remove it',
    )


__all__ = ["Observed", "Reconciler"]
