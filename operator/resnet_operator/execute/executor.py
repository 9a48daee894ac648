"""Do what a plan says: the verbs of `plan.actions` against the API server. Called by `reconcile`.

Nothing is taken over that is not provably ours: what stands in the way is a Problem, and what was
ours before is adopted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict, Gone, Rejected, Transient
from resnet_operator.execute.ownership import (
    Owner,
    being_removed,
    controller_of,
    name_conflict,
    owner_of,
)
from resnet_operator.execute.store_secret import make_secret
from resnet_operator.plan.actions import Action, Apply, Create, Delete, MakeSecret, Problem
from resnet_operator.plan.trouble.refusal import own_words
from resnet_operator.seen.meta import Meta
from resnet_operator.watch.views import Views

log = logging.getLogger(__name__)

UNPROCESSABLE = 422
CLAIM = "PersistentVolumeClaim"


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Holds the client, and the views that learn of each answer."""

    kube: Kube
    views: Views

    async def execute(self, actions: tuple[Action, ...]) -> Problem | None:
        """Do all actions in order; returns what stood in the way of one."""
        for action in actions:
            try:
                if problem := await self._do(action):
                    return problem
            except Rejected as error:
                return Problem(
                    Reason.REJECTED,
                    f"the API server refused a {_kind(action)}: {own_words(error.message)}",
                    detail=error.message,
                )
        return None

    async def _do(self, action: Action) -> Problem | None:
        match action:
            case Apply() | Create() if _is_of_store(action.body):
                # All objects of a namespace that come at once want the same ones.
                async with self.views.making_store(action.body["metadata"]["namespace"]):
                    return None if self._is_there(action) else await self._act(action)
            case MakeSecret():
                was_made = action.namespace in self.views.namespaces_with_secret
                async with self.views.making_store(action.namespace):
                    again = replace(action, again=action.again and was_made)
                    await make_secret(again, kube=self.kube, views=self.views)
                return None
        return await self._act(action)

    async def _act(self, action: Apply | Create | Delete) -> Problem | None:
        match action:
            case Apply():
                return await self._apply(action)
            case Create():
                return await self._create(action.body)
            case Delete():
                await self._delete(action)
        return None

    def _is_there(self, action: Apply | Create) -> bool:
        """Tell whether somebody was faster to make what nobody had made when it was planned."""
        if isinstance(action, Apply) and action.adopt:
            return False
        meta = action.body["metadata"]
        there = self.views.stores[action.body["kind"]].one(meta["namespace"], meta["name"])
        return there is not None and there.meta.controller is None and not there.meta.deleting

    async def _create(self, body: dict[str, Any]) -> Problem | None:
        labels = body["metadata"].get("labels") or {}
        if labels.get(names.COMPONENT) != names.RUNTIME_COMPONENT:
            return await self._made(body)
        # The same for all objects of a namespace, and 200 KB on the way there and back.
        meta = body["metadata"]
        async with self.views.making_runtime(meta["namespace"]):
            there = self.views.config_maps.one(meta["namespace"], meta["name"])
            if there is not None and there.digest == labels[names.RUNTIME]:
                return None
            return await self._made(body)

    async def _made(self, body: dict[str, Any]) -> Problem | None:
        try:
            with self.views.writing(body):
                self.views.remember(await self.kube.create(body))
        except Conflict:
            return await self._there_already(body)
        log.info("created", extra=_about(body))
        return None

    async def _there_already(self, body: dict[str, Any]) -> Problem | None:
        """Learn of an object that the views did not show, or take back what is ours."""
        live = await self._live(body)
        match _owner_of(live, body):
            case Owner.US:
                log.debug("is there already", extra=_about(body))
                self.views.remember(live)
            case Owner.LOST:
                return await self._adopt(live, body)
            case Owner.PREDECESSOR:
                return being_removed(body)
            case Owner.STRANGER:
                return name_conflict(live, body)
        return None

    async def _adopt(self, live: dict[str, Any], body: dict[str, Any]) -> Problem | None:
        """Give an object its labels and owner back, and our content, by replacing it if needed."""
        if controller_of(live) is not None:
            metadata = {key: body[key] for key in ("apiVersion", "kind", "metadata")}
            return await self._apply(Apply(body=metadata))
        try:
            return await self._apply(Apply(body=body))
        except Rejected as error:
            if error.status != UNPROCESSABLE:
                raise
        log.info("is immutable and not as it should be", extra=_about(body))
        meta = Meta.from_body(live)
        await self._delete(Delete.of(body["apiVersion"], body["kind"], meta))
        return await self._made(body)  # who comes here holds what making it is guarded by

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
        live = await self._live(action.body)
        match _owner_of(live, action.body):
            case Owner.US | Owner.LOST:
                return await self._apply(replace(action, adopt=True))
            case Owner.PREDECESSOR:
                return being_removed(action.body)
        return name_conflict(live, action.body)

    async def _live(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the object that has a body's name; the watch need not show it."""
        version, kind, meta = body["apiVersion"], body["kind"], body["metadata"]
        selector = f"metadata.name={meta['name']}"
        found = await self.kube.list_one(version, kind, meta["namespace"], field_selector=selector)
        if not found:
            raise Transient(409, f"{kind} {meta['name']} was deleted meanwhile")
        return {"apiVersion": version, "kind": kind, **found[0]}

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


def _kind(action: Action) -> str:
    match action:
        case Delete():
            return action.kind
        case MakeSecret():
            return "Secret"
    return str(action.body["kind"])


def _is_of_store(body: dict[str, Any]) -> bool:
    labels = body["metadata"].get("labels") or {}
    return bool(labels.get(names.COMPONENT) == names.STORE)


def _about(body: dict[str, Any]) -> dict[str, str]:
    meta = body["metadata"]
    return {"kind": body["kind"], "object": f"{meta['namespace']}/{meta['name']}"}


def _owner_of(live: dict[str, Any], body: dict[str, Any]) -> Owner:
    if live["metadata"].get("deletionTimestamp"):
        return Owner.PREDECESSOR
    if body["kind"] == CLAIM:
        return Owner.US  # a claim of the store's name may be anybody's; all of them are watched
    return owner_of(live, body)
