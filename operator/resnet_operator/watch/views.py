"""What is known of the cluster: one store for each kind, filled by the watches and by our writes.

A watch lags behind our own write by one round trip. Without the answers of our writes in here, a
second look in that gap would write again, or believe that nothing was made.
`watch` and `reconcile` fill the stores, `observe` reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any
from weakref import WeakValueDictionary

from resnet_contract.progress import Moved
from resnet_operator import names
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.seen.batch import BatchObject
from resnet_operator.seen.meta import Body
from resnet_operator.seen.others import Claim, ConfigMapObject, NetworkServiceObject
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import DeploymentObject, JobObject, Pod
from resnet_operator.watch.references import References
from resnet_operator.watch.store import IndexKey, Name, Store

# ConfigMaps of users, by their metadata.
REFERENCED = "ReferencedConfigMap"
# Namespaces whose runtime's files are made at the same time: a megabyte each, with the answer.
RUNTIMES_AT_ONCE = 4
# What lies between clients and pods, beside the Service.
NETWORK_KINDS = (
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Ingress",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "ScaledObject",
)


class Views:
    """The stores of all kinds, and the sightings that have to wait."""

    def __init__(
        self,
        project_service: Callable[[Body], ServiceObject],
        project_again: Callable[[Body, ServiceObject], ServiceObject | None] | None = None,
    ) -> None:
        self.services = Store(project_service, _index_service, again=project_again)
        self.batches = Store(BatchObject.from_body, _index_batch)
        self.deployments = Store(DeploymentObject.from_body, _index_canary)
        self.network_services = Store(NetworkServiceObject.from_body, _index_canary)
        self.config_maps = Store(
            ConfigMapObject.from_body, _index_config_map, again=ConfigMapObject.again
        )
        self.jobs = Store(JobObject.from_body, _index_job)
        self.pods = Store(Pod.from_body, _index_pod)
        self.claims = Store(Claim.from_body)
        self.references = References(lambda name: bool(self.users_of_config_map(*name)))
        self.stores: dict[str, Any] = {
            "ResNetService": self.services,
            BATCH_KIND: self.batches,
            "Deployment": self.deployments,
            "Service": self.network_services,
            "ConfigMap": self.config_maps,
            "Job": self.jobs,
            "Pod": self.pods,
            "PersistentVolumeClaim": self.claims,
            REFERENCED: self.references,
            **{kind: Store(NetworkServiceObject.from_body) for kind in NETWORK_KINDS},
        }
        # Where the store's Secret was made or found since this process began: it cannot be seen.
        self.namespaces_with_secret: set[str] = set()
        self._making_runtime: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._few = asyncio.Semaphore(RUNTIMES_AT_ONCE)
        self._making_store: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # What running Jobs say of bytes, by pod, container and its begin; filled by `progress`.
        self.moved: dict[tuple[str, str, str], Moved] = {}
        # UIDs of ended Jobs whose pods were asked for, as no watch had shown them.
        self.jobs_heard: set[str] = set()
        # Of ReplicaSets, by UID: the UID of the Deployment that controls each.
        self.replica_sets: dict[str, str] = {}
        # Kinds that the cluster does not have, as the last try to list them has shown.
        self.absent_kinds: frozenset[str] = frozenset()
        self._held: dict[tuple[str, Name], list[Callable[[], None]]] = {}

    @contextlib.asynccontextmanager
    async def making_runtime(self, namespace: str) -> AsyncIterator[None]:
        """Hold off others who would make the runtime's files in the namespace.

        Few namespaces at once, for memory; more than one, as an answer may be long in coming.
        """
        async with self._making_runtime.setdefault(namespace, asyncio.Lock()), self._few:
            yield

    def making_store(self, namespace: str) -> asyncio.Lock:
        """Return what is to be held by who makes a child of a namespace's store."""
        return self._making_store.setdefault(namespace, asyncio.Lock())

    @contextlib.contextmanager
    def writing(self, body: Body) -> Iterator[None]:
        """Hold back what the watch shows of an object while we write it.

        Its news may overtake the answer of the write, and would then look like somebody else's.
        """
        place = _place(body)
        if place in self._held:
            yield  # two of us write at the same time: the first one lets go
            return
        held = self._held[place] = []
        try:
            yield
        finally:
            del self._held[place]
            for see in held:
                see()

    def when_written(self, kind: str, name: Name, see: Callable[[], None]) -> None:
        """Do something at once, or as soon as the object is not being written any more."""
        held = self._held.get((kind, name))
        if held is None:
            see()
        else:
            held.append(see)

    def remember(self, answer: Body) -> None:
        """Keep what the API server answered to a write of ours."""
        if store := self.stores.get(answer.get("kind", "")):
            store.put(answer, is_answer=True)

    def service_names(self) -> list[Name]:
        """Return the names of all ResNetServices."""
        return [(view.meta.namespace, view.meta.name) for view in self.services.all()]

    def batch_names(self) -> list[Name]:
        """Return the names of all ResNetBatches."""
        return [(view.meta.namespace, view.meta.name) for view in self.batches.all()]

    def batches_of(self, namespace: str, service: str) -> list[Name]:
        """Return the names of the ResNetBatches that a ResNetService's artifact is used by."""
        found = self.batches.some(("service", namespace, service))
        return [(view.meta.namespace, view.meta.name) for view in found]

    def users_of_artifact(self, namespace: str, key: str) -> tuple[Name, ...]:
        """Return the names of the ResNetServices that want an artifact."""
        found = self.services.some(("artifact", namespace, key))
        return tuple((item.meta.namespace, item.meta.name) for item in found)

    def users_of_config_map(self, namespace: str, name: str) -> tuple[Name, ...]:
        """Return the names of the ResNetServices that name a ConfigMap of the user."""
        found = self.services.some(("config-map", namespace, name))
        return tuple((item.meta.namespace, item.meta.name) for item in found)

    def moved_by(self, pods: Iterable[Pod]) -> dict[tuple[str, str, str], Moved]:
        """Return what the containers of some pods say of bytes."""
        uids = {pod.meta.uid for pod in pods}
        return {key: moved for key, moved in self.moved.items() if key[0] in uids}

    def names_with_references(self, namespace: str | None) -> list[Name]:
        """Return the names of the ResNetServices that name a ConfigMap of the user at all."""
        return [
            (view.meta.namespace, view.meta.name)
            for view in self.services.all()
            if view.config_maps and namespace in {None, view.meta.namespace}
        ]


def _place(body: Body) -> tuple[str, Name]:
    meta = body["metadata"]
    return body["kind"], (meta["namespace"], meta["name"])


def _index_service(view: ServiceObject) -> tuple[IndexKey, ...]:
    namespace = view.meta.namespace
    keys: list[IndexKey] = [("uid", namespace, view.meta.uid), ("namespace", namespace, "")]
    if view.resolved is not None:
        keys.append(("artifact", namespace, view.resolved.source_key))
        keys += [("claim", namespace, claim) for claim in view.claims]
        keys += [("config-map", namespace, name) for name in view.config_maps]
    return tuple(keys)


def _index_batch(view: BatchObject) -> tuple[IndexKey, ...]:
    return (("service", view.meta.namespace, view.service),)


def _index_config_map(view: ConfigMapObject) -> tuple[IndexKey, ...]:
    namespace, labels = view.meta.namespace, view.meta.labels
    component = labels.get(names.COMPONENT, "")
    if component == names.REVISION_COMPONENT:
        instance, runtime = labels.get(names.INSTANCE, ""), labels.get(names.RUNTIME, "")
        return (
            ("revision", namespace, instance),
            ("uses-runtime", namespace, runtime),
            ("names-artifact", namespace, ""),
        )
    if component == names.RUNTIME_COMPONENT:
        return (("runtime", namespace, ""),)
    if component == names.VALIDATION:
        return (("validated", namespace, labels.get(names.VALIDATED, "")),)
    if component == names.RECORD:
        owners = [("owner", namespace, owner) for owner in sorted(set(view.meta.owners))]
        return (*owners, ("names-artifact", namespace, ""))
    return ()


def _index_canary(view: DeploymentObject | NetworkServiceObject) -> tuple[IndexKey, ...]:
    labels = view.meta.labels
    if labels.get(names.COMPONENT) != names.CANARY:
        return ()
    return (("canary", view.meta.namespace, labels.get(names.INSTANCE, "")),)


def _index_job(view: JobObject) -> tuple[IndexKey, ...]:
    labels = view.meta.labels
    if labels.get(names.COMPONENT) == names.BATCH_COMPONENT:
        return (("batch-of", view.meta.namespace, labels.get(names.SERVICE, "")),)
    kind = "validation" if labels.get(names.COMPONENT) == names.VALIDATION else "artifact"
    return ((kind, view.meta.namespace, labels.get(names.ARTIFACT, "")),)


def _index_pod(view: Pod) -> tuple[IndexKey, ...]:
    labels = view.meta.labels
    if labels.get(names.COMPONENT) == names.CONVERSION:
        return (("artifact", view.meta.namespace, labels.get(names.ARTIFACT, "")),)
    if labels.get(names.COMPONENT) == names.VALIDATION:
        return (("validation", view.meta.namespace, labels.get(names.ARTIFACT, "")),)
    if labels.get(names.COMPONENT) == names.BATCH_COMPONENT:
        return (("batch", view.meta.namespace, labels.get(names.BATCH, "")),)
    served = ("instance", view.meta.namespace, labels.get(names.INSTANCE, ""))
    return (served, ("node", "", view.node)) if view.node else (served,)
