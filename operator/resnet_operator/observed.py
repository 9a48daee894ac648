"""Frozen views of the cluster's objects: raw bodies end here.

`views` keeps these, so they are small: managedFields and defaults are left out,
and what is only needed for a comparison is kept compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import orjson

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.compare import COMPARED, STATED_METADATA, has_stated
from resnet_operator.errors import InvalidSpec
from resnet_operator.in_use import Named, named_by
from resnet_operator.reading.failures import internal_error
from resnet_operator.resolve import Resolved, resolve
from resnet_operator.route_status import refusal_of
from resnet_operator.seen.pods import (
    Request,
    disruption_of,
    reports_health,
    requests_of,
    unhealthy_devices,
)
from resnet_operator.seen.records import readable
from resnet_operator.seen.services import spec_of, status_seen
from resnet_operator.settings import Settings

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Meta:
    """What all objects have; `version` orders two sightings, but does not make them differ."""

    namespace: str
    name: str
    uid: str
    version: str = field(compare=False)
    created: str
    controller: str | None
    owners: tuple[str, ...]
    labels: Mapping[str, str]
    deleting: bool

    @classmethod
    def from_body(cls, body: Body) -> Meta:
        meta = body["metadata"]
        owners = meta.get("ownerReferences") or ()
        return cls(
            namespace=meta.get("namespace", ""),
            name=meta["name"],
            uid=meta["uid"],
            version=meta["resourceVersion"],
            created=meta.get("creationTimestamp") or "",
            controller=next((o["uid"] for o in owners if o.get("controller")), None),
            owners=tuple(o["uid"] for o in owners),
            labels=dict(meta.get("labels") or {}),
            deleting=bool(meta.get("deletionTimestamp")),
        )


@dataclass(frozen=True, slots=True)
class Live:
    """An object kept whole for comparison, as compressed JSON."""

    packed: bytes

    @classmethod
    def from_body(cls, body: Body, *sections: str) -> Live:
        meta = body["metadata"]
        kept = {"metadata": {key: meta[key] for key in STATED_METADATA if key in meta}} | {
            name: body[name] for name in sections if name in body
        }
        return cls(zlib.compress(orjson.dumps(kept, default=_plain), 1))

    def unpack(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(zlib.decompress(self.packed))
        return value

    def states(self, body: Body, *, without: Collection[str] = ()) -> bool:
        """Tell whether the object has all that `body` states; most looks repeat one before."""
        stated = orjson.dumps([body, sorted(without)], option=orjson.OPT_SORT_KEYS)
        return COMPARED.answer(
            blake2b(self.packed + stated, digest_size=16).digest(),
            lambda: has_stated(body, self.unpack(), without=without),
        )


def _plain(value: Any) -> Any:
    # kopf hands out read-only mapping views.
    return dict(value) if isinstance(value, Mapping) else str(value)


@dataclass(frozen=True, slots=True)
class ServiceObject:
    """A ResNetService, parsed; exactly one of `resolved` and `invalid` is there."""

    meta: Meta
    generation: int
    retry: str
    resolved: Resolved | None
    invalid: str | None
    status: Mapping[str, Any]
    # The reason of `invalid`.
    refusal: Reason = Reason.INVALID_SPEC

    @classmethod
    def from_body(cls, body: Body, *, settings: Settings) -> ServiceObject:
        meta = Meta.from_body(body)
        resolved, invalid, refusal = None, None, Reason.INVALID_SPEC
        try:
            spec = spec_of(body)
            resolved = resolve(name=meta.name, uid=meta.uid, spec=spec, settings=settings)
        except InvalidSpec as error:
            invalid, refusal = error.message, error.reason
        except Exception as error:
            failure = internal_error(error, what=f"{meta.namespace}/{meta.name}")
            invalid, refusal = failure.message, Reason.INTERNAL_ERROR
        annotations = body["metadata"].get("annotations") or {}
        return cls(
            meta=meta,
            generation=body["metadata"].get("generation", 0),
            retry=annotations.get(names.RETRY, ""),
            resolved=resolved,
            invalid=invalid,
            refusal=refusal,
            status=status_seen(body),
        )

    @classmethod
    def again(cls, body: Body, known: ServiceObject) -> ServiceObject | None:
        """Return a later sighting of the same spec, which is not read again; None for another."""
        meta = Meta.from_body(body)
        if (meta.uid, body["metadata"].get("generation", 0)) != (known.meta.uid, known.generation):
            return None
        annotations = body["metadata"].get("annotations") or {}
        retry = annotations.get(names.RETRY, "")
        return replace(known, meta=meta, retry=retry, status=status_seen(body))

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the claims that the spec names."""
        if self.resolved is None:
            return ()
        parts = (urlsplit(uri) for uri in self.resolved.uris)
        return tuple(part.netloc for part in parts if part.scheme == "pvc") + (
            (self.resolved.op_cache_claim,) if self.resolved.op_cache_claim else ()
        )


@dataclass(frozen=True, slots=True)
class DeploymentObject:
    meta: Meta
    live: Live
    generation: int
    observed_generation: int
    revision: str
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int
    progressing: tuple[str, str]
    failure: str
    digest: str
    borrowed: str
    memory: str = ""
    failure_since: str = ""

    @classmethod
    def from_body(cls, body: Body) -> DeploymentObject:
        spec, status = body["spec"], body.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        progressing = conditions.get("Progressing", {})
        failure = conditions.get("ReplicaFailure", {})
        template_labels = spec["template"]["metadata"].get("labels") or {}
        annotations = body["metadata"].get("annotations") or {}
        return cls(
            meta=Meta.from_body(body),
            live=Live.from_body(body, "spec"),
            generation=body["metadata"].get("generation", 0),
            observed_generation=status.get("observedGeneration", 0),
            revision=template_labels.get(names.REVISION, ""),
            wanted=spec.get("replicas", 1),
            replicas=status.get("replicas", 0),
            updated=status.get("updatedReplicas", 0),
            ready=status.get("readyReplicas", 0),
            available=status.get("availableReplicas", 0),
            progressing=(progressing.get("status", ""), progressing.get("reason", "")),
            failure=failure.get("message", "") if failure.get("status") == "True" else "",
            digest=annotations.get(names.TEMPLATE_DIGEST, ""),
            borrowed=annotations.get(names.BORROWED, ""),
            memory=annotations.get(names.ROLLOUT, ""),
            failure_since=failure.get("lastTransitionTime") or "",
        )


@dataclass(frozen=True, slots=True)
class NetworkServiceObject:
    meta: Meta
    live: Live
    refusal: str = ""

    @classmethod
    def from_body(cls, body: Body) -> NetworkServiceObject:
        live = Live.from_body(body, "spec")
        return cls(meta=Meta.from_body(body), live=live, refusal=refusal_of(body))


@dataclass(frozen=True, slots=True)
class ConfigMapObject:
    """A record, revision, runtime or store ConfigMap; `packed` holds its data."""

    meta: Meta
    packed: bytes
    immutable: bool
    artifact: Named
    # What of the data cannot be read, and is therefore left out of it.
    misfit: str = ""
    digest: str = ""  # of a revision, as a status vouches for it, and of a runtime

    @classmethod
    def from_body(cls, body: Body) -> ConfigMapObject:
        labels = body["metadata"].get("labels") or {}
        # The runtime's files are only ever named, never read back.
        keep = labels.get(names.COMPONENT) != names.RUNTIME_COMPONENT
        data, misfit = readable(body.get("data") or {}) if keep else ({}, "")
        return cls(
            meta=Meta.from_body(body),
            misfit=misfit,
            packed=zlib.compress(orjson.dumps(data), 1),
            immutable=bool(body.get("immutable")),
            artifact=named_by(data),
            digest=names.digest(data, 32) if keep else names.digest(body.get("data"), 10),
        )

    def data(self) -> dict[str, str]:
        value: dict[str, str] = orjson.loads(zlib.decompress(self.packed))
        return value


@dataclass(frozen=True, slots=True)
class JobObject:
    meta: Meta
    attempt: int
    complete: bool
    failed: bool
    failure_reason: str
    finished: bool
    ttl: int | None

    @classmethod
    def from_body(cls, body: Body) -> JobObject:
        status = body.get("status") or {}
        conditions = {
            c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"
        }
        complete, failed = "Complete" in conditions, "Failed" in conditions
        # Somebody's copy of a Job has our label, but no attempt at the end of its name.
        number = body["metadata"]["name"].rsplit("-", 1)[-1]
        return cls(
            meta=Meta.from_body(body),
            attempt=int(number) if number.isdecimal() else 0,
            complete=complete,
            failed=failed,
            failure_reason=conditions.get("Failed", {}).get("reason", ""),
            finished=complete or failed,
            ttl=body["spec"].get("ttlSecondsAfterFinished"),
        )


@dataclass(frozen=True, slots=True)
class Container:
    """State of one container; `exit_code`, `message` and `reason` are of its last end."""

    name: str
    image: str
    init: bool
    running: bool
    waiting: str
    terminated: bool
    exit_code: int | None
    reason: str
    message: str
    restarts: int
    finished: str = ""
    waiting_message: str = ""
    started: bool = False
    begun: str = ""

    @classmethod
    def from_status(cls, status: Body, *, init: bool, previous: bool = True) -> Container:
        state = status.get("state") or {}
        last = state.get("terminated")
        if last is None and previous:
            last = (status.get("lastState") or {}).get("terminated")
        last = last or {}
        return cls(
            name=status["name"],
            image=status.get("image", ""),
            init=init,
            running="running" in state,
            waiting=(state.get("waiting") or {}).get("reason", ""),
            terminated="terminated" in state,
            exit_code=last.get("exitCode"),
            reason=last.get("reason", ""),
            message=last.get("message", ""),
            restarts=status.get("restartCount", 0),
            finished=last.get("finishedAt") or "",
            waiting_message=(state.get("waiting") or {}).get("message") or "",
            started=bool(status.get("started")),
            begun=(state.get("running") or {}).get("startedAt") or "",
        )


@dataclass(frozen=True, slots=True)
class Pod:
    meta: Meta
    phase: str
    reason: str
    ready: bool
    scheduled: bool
    unschedulable: str
    containers: tuple[Container, ...] = field(default=())
    images: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    containers_ready: bool = False
    # When the pod was last seen to stop being ready, and the kubelet's reason for it.
    unready_since: str = ""
    unready_reason: str = ""
    node: str = ""
    # What the scheduler weighs; kept only while it finds no place.
    requests: tuple[Request, ...] = ()
    disruption: tuple[str, str] = ("", "")
    # Devices that their plugin calls unhealthy; None while the kubelet says nothing of them.
    unhealthy: tuple[str, ...] | None = None

    @classmethod
    def from_body(cls, body: Body) -> Pod:
        status, spec = body.get("status") or {}, body.get("spec") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
        unschedulable = ""
        if scheduled.get("status") == "False":
            unschedulable = scheduled.get("message") or scheduled.get("reason") or ""
        main = status.get("containerStatuses") or ()
        statuses = [(s, True) for s in status.get("initContainerStatuses") or ()]
        statuses += [(s, False) for s in main]
        return cls(
            meta=Meta.from_body(body),
            phase=status.get("phase", "Pending"),
            reason=status.get("reason", ""),
            ready=ready.get("status") == "True",
            scheduled=scheduled.get("status") == "True",
            unschedulable=unschedulable,
            containers=tuple(Container.from_status(s, init=init) for s, init in statuses),
            images={
                c["name"]: c.get("image", "")
                for c in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
            },
            message=status.get("message") or "",
            containers_ready=conditions.get("ContainersReady", {}).get("status") == "True",
            unready_since=ready.get("lastTransitionTime") or "",
            unready_reason=ready.get("reason") or "",
            node=spec.get("nodeName") or "",
            requests=requests_of(spec) if unschedulable else (),
            disruption=disruption_of(conditions),
            unhealthy=unhealthy_devices(main) if reports_health(main) else None,
        )


@dataclass(frozen=True, slots=True)
class Claim:
    meta: Meta
    phase: str

    @classmethod
    def from_body(cls, body: Body) -> Claim:
        return cls(
            meta=Meta.from_body(body), phase=(body.get("status") or {}).get("phase", "Pending")
        )


@dataclass(frozen=True, kw_only=True)
class Observed:
    """All that one reconcile of one ResNetService looks at; taken at one moment."""

    service: ServiceObject
    deployment: DeploymentObject | None = None
    network_service: NetworkServiceObject | None = None
    network: Mapping[str, NetworkServiceObject] = field(default_factory=dict)
    absent_kinds: frozenset[str] = frozenset()
    record: ConfigMapObject | None = None
    owned_records: tuple[ConfigMapObject, ...] = ()
    revisions: Mapping[str, ConfigMapObject] = field(default_factory=dict)
    # Of those, what nobody vouches for: see `plan.trust`.
    strange_revisions: Mapping[str, ConfigMapObject] = field(default_factory=dict)
    record_believed: bool = False
    runtime: ConfigMapObject | None = None
    stale_runtimes: tuple[ConfigMapObject, ...] = ()
    jobs: tuple[JobObject, ...] = ()
    job_pods: tuple[Pod, ...] = ()
    pods: tuple[Pod, ...] = ()
    store: StoreObserved | None = None
    labels: str | None = None
    labels_problem: str | None = None
    # Whether waiting cannot help: a ConfigMap that is not there may come, a wrong text stays.
    labels_wrong: bool = False
    source_problem: str | None = None
    complaints: tuple[str, ...] = ()
    # What the namespace uses of its store; read only when a Job may be made, else None.
    in_use: tuple[Named, ...] | None = None
    # What a status in the namespace names, of artifacts by their content key: only we write it.
    vouched: Mapping[str, str] = field(default_factory=dict)
    # The means by which the objects of this artifact want it made; None when no Job is under way.
    wanted_means: frozenset[str] | None = None
    gate: GateObserved | None = None
    unwanted_jobs: tuple[JobObject, ...] = ()
    # Another installation of the operator that looks after the namespace too, and stands back.
    rival: str = ""


@dataclass(frozen=True, kw_only=True)
class GateObserved:
    """What is there of the validation that the object asks for."""

    result: ConfigMapObject | None = None
    # Results of what may be the same validation, under other records.
    elsewhere: tuple[ConfigMapObject, ...] = ()
    jobs: tuple[JobObject, ...] = ()
    pods: tuple[Pod, ...] = ()
    source_problem: str | None = None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoreObserved:
    """What is there of the namespace's artifact store: the digest each child was applied with."""

    deployment: str | None
    claim: bool
    service: bool
    config: bool
    policy: bool
