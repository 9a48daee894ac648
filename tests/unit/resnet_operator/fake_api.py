"""An API server in a dictionary, with watches, for the whole reconcile of one object.

Of the API server it models what `reconcile` rests on: versions, create-only writes, immutability,
field managers, preconditions; a watch shows what bears our label and tells of the loss of it.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from tests.support.builders import (
    NAME,
    NAMESPACE,
    NOW,
    SOURCE_SHA256,
    Body,
    a_settings,
    a_spec,
    merged,
)

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.errors import Conflict, Gone, Rejected
from resnet_operator.plan.times import to_text
from resnet_operator.reconcile import Reconciler
from resnet_operator.seen.service import ServiceObject
from resnet_operator.settings.operator import Settings
from resnet_operator.watch.views import Views

Id = tuple[str, str]
NO_LABEL_NEEDED = {KIND, BATCH_KIND, "PersistentVolumeClaim"}


class FakeApi:
    """Stands in for `Kube`; what it shows comes by `events`, when the test lets it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.objects: dict[Id, Body] = {}
        self.events: deque[tuple[str, Body]] = deque()
        self.writes: list[str] = []
        self._clock = clock
        self._counter = 100

    # What `Kube` offers.

    async def apply(self, body: Body, *, manager: str, subresource: str = "") -> Body:
        at = _id(body)
        live = self.objects.get(at)
        if subresource:
            if live is None:
                raise Gone(404, "not found")
            seen = body["metadata"].get("resourceVersion")
            if seen not in {None, live["metadata"]["resourceVersion"]}:
                raise Conflict(409, "the object has been modified")
            return self._put(at, live | {"status": deepcopy(body["status"])}, "status")
        return self._put(at, self._applied(live, body, manager), "apply")

    async def apply_new(self, body: Body, *, manager: str) -> Body:
        if _id(body) in self.objects:
            raise Conflict(409, "the object has been modified")
        return await self.apply(body, manager=manager)

    async def create(self, body: Body) -> Body:
        if body["kind"] == "Event":
            return body
        if _id(body) in self.objects:
            raise Conflict(409, "already exists")
        return self._put(_id(body), _managed(deepcopy(body), names.MANAGER, "Update"), "create")

    async def delete(self, body: Body, *, uid: str, version: str | None = None) -> None:
        live = self.objects.get(_id(body))
        if live is None:
            raise Gone(404, "not found")
        meta = live["metadata"]
        if meta["uid"] != uid or version not in {None, meta["resourceVersion"]}:
            raise Conflict(409, "the precondition failed")
        self.writes.append(f"delete {body['kind']} {meta['name']}")
        self.remove(*_id(body))

    async def list_one(
        self, api_version: str, kind: str, namespace: str, *, field_selector: str
    ) -> list[Body]:
        found = self.objects.get((kind, field_selector.removeprefix("metadata.name=")))
        bare = {"apiVersion", "kind"}
        return [{k: v for k, v in deepcopy(found).items() if k not in bare}] if found else []

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, *, label_selector: str
    ) -> list[Body]:
        wanted = dict(term.split("=") for term in label_selector.split(","))
        return [
            deepcopy(body)
            for (its_kind, _), body in self.objects.items()
            if its_kind == kind and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    # What others do.

    def edit(self, kind: str, name: str, change: Callable[[Body], object]) -> None:
        body = deepcopy(self.objects[kind, name])
        change(body)
        self._put((kind, name), body, "")

    def put(self, body: Body) -> Body:
        return self._put(_id(body), body, "")

    def remove(self, kind: str, name: str) -> None:
        body = self.objects.pop((kind, name))
        self._counter += 1
        body["metadata"]["resourceVersion"] = str(self._counter)
        if _is_watched(body):
            self.events.append(("DELETED", body))

    def _applied(self, live: Body | None, body: Body, manager: str) -> Body:
        wanted = {k: v for k, v in deepcopy(body).items() if k != "status"}
        wanted["metadata"].pop("resourceVersion", None)
        if live is None:
            return _managed(wanted, manager, "Apply")
        if live.get("immutable") and "data" in wanted and wanted["data"] != live["data"]:
            raise Rejected(422, "data: Forbidden: field is immutable when `immutable` is set")
        return _managed(merged(live, wanted), manager, "Apply")

    def _put(self, at: Id, body: Body, verb: str) -> Body:
        before = self.objects.get(at)
        body = deepcopy(body)
        meta = body["metadata"]
        self._counter += 1
        if before is None:
            meta |= {"uid": f"uid-{at[0]}-{self._counter}", "generation": 1}
            meta["creationTimestamp"] = to_text(self._clock())
        elif before.get("spec") != body.get("spec"):
            meta["generation"] = meta.get("generation", 1) + 1
        meta["resourceVersion"] = str(self._counter)
        self.objects[at] = body
        if verb:
            self.writes.append(f"{verb} {at[0]} {at[1]}")
        if _is_watched(body):
            self.events.append(("MODIFIED", deepcopy(body)))
        elif before is not None and _is_watched(before):
            self.events.append(("DELETED", deepcopy(body)))
        return deepcopy(body)


class Life:
    """One object, its reconciler and the cluster around it, in virtual time."""

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or a_settings()
        self.now = NOW
        self.api = FakeApi(lambda: self.now)
        self.views = Views(lambda body: ServiceObject.from_body(body, settings=settings))
        kube: Any = self.api
        self.reconciler = Reconciler(
            kube=kube, views=self.views, settings=settings, clock=lambda: self.now
        )
        self.due: float | None = 0.0
        self.failures = 0
        self.later: list[tuple[datetime, Callable[[], object]]] = []

    # The user and the controllers.

    def create(self, spec: Body | None = None) -> None:
        meta = {"name": NAME, "namespace": NAMESPACE}
        kind = {"apiVersion": API_VERSION, "kind": KIND}
        # Of a pinned model the next object of the name finds the artifact again.
        pinned = {"model": {"sha256": SOURCE_SHA256}}
        self.api.put(kind | {"metadata": meta, "spec": merged(a_spec(pinned), spec or {})})

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        self.later.append((self.now + timedelta(seconds=seconds), act))

    def deployment_controller(self) -> None:
        """Have each Deployment's pods as its spec says, at once."""
        for (kind, _name), body in list(self.api.objects.items()):
            if kind != "Deployment" or body["metadata"].get("deletionTimestamp"):
                continue
            wanted = body["spec"].get("replicas", 1)
            counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            status = {"observedGeneration": body["metadata"]["generation"]}
            status |= dict.fromkeys(counts, wanted)
            if body.get("status") != status:
                self.api.put(body | {"status": status})

    def collect_garbage(self, uid: str, *kinds: str, after: float, apart: float) -> None:
        """Have what an owner that is gone controlled deleted, one after another."""
        found = [
            at
            for kind in kinds
            for at, body in self.api.objects.items()
            if at[0] == kind
            and any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ())
        ]
        for number, at in enumerate(found):
            self.after(after + number * apart, functools.partial(self._collect, at, uid))

    def _collect(self, at: Id, uid: str) -> None:
        body = self.api.objects.get(at)
        owners = body["metadata"].get("ownerReferences") or [] if body else []
        if any(owner["uid"] == uid and owner.get("controller") for owner in owners):
            self.api.remove(*at)

    # Time.

    async def run(self, seconds: float) -> list[tuple[float, bool]]:
        """Let time pass in steps; return when the object's readiness changed, and to what."""
        end, begun = self.now + timedelta(seconds=seconds), self.now
        seen: list[tuple[float, bool]] = []
        while self.now < end:
            await self._settle()
            if (ready := self.is_ready) != (seen[-1][1] if seen else None):
                seen.append(((self.now - begun).total_seconds(), ready))
            self.now += timedelta(seconds=0.1)
            if self.due is not None:
                self.due -= 0.1
            for when, act in list(self.later):
                if when <= self.now:
                    self.later.remove((when, act))
                    act()
        return seen

    async def _settle(self) -> None:
        for _ in range(50):
            self.deployment_controller()
            woken = self._deliver()
            if not woken and (self.due is None or self.due > 0):
                return
            try:
                self.due = await self.reconciler.reconcile((NAMESPACE, NAME))
                self.failures = 0
            except Exception as error:
                if not hasattr(error, "retry_after"):
                    raise
                self.failures += 1
                self.due = 0.5 * 2.0**self.failures
        raise AssertionError(f"it never rests: {self.api.writes[-12:]}")

    def _deliver(self) -> bool:
        woken = False
        while self.api.events:
            kind, body = self.api.events.popleft()
            if store := self.views.stores.get(body["kind"]):
                change = store.remove(body) if kind == "DELETED" else store.put(body)
                woken = woken or change is not None
        return woken

    @property
    def status(self) -> Body:
        found = self.api.objects.get((KIND, NAME)) or {}
        value: Body = found.get("status") or {}
        return value

    @property
    def is_ready(self) -> bool:
        return self.condition("Ready").get("status") == "True"

    def condition(self, kind: str) -> Body:
        return next((c for c in self.status.get("conditions") or () if c["type"] == kind), {})

    def one(self, kind: str, component: str) -> str:
        """Return the name of the only object of a kind and component."""
        (found,) = (
            name
            for (this, name), body in self.api.objects.items()
            if this == kind and body["metadata"]["labels"].get(names.COMPONENT) == component
        )
        return found


def _id(body: Body) -> Id:
    return body["kind"], body["metadata"]["name"]


def _is_watched(body: Body) -> bool:
    labels = body["metadata"].get("labels") or {}
    return body["kind"] in NO_LABEL_NEEDED or labels.get(names.MANAGED_BY) == names.MANAGER


def _managed(body: Body, manager: str, operation: str) -> Body:
    fields = body["metadata"].setdefault("managedFields", [])
    entry = {"manager": manager, "operation": operation}
    if entry not in fields:
        fields.append(entry)
    return body
