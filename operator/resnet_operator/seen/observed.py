"""Frozen views of the cluster's objects: raw bodies end here.

`views` keeps these, so they are small: managedFields and defaults are left out,
and what is only needed for a comparison is kept compressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_contract.progress import Moved
from resnet_operator.reading.counters import Counters
from resnet_operator.record.in_use import Named
from resnet_operator.seen.meta import Live
from resnet_operator.seen.others import ConfigMapObject, NetworkServiceObject
from resnet_operator.seen.pod_facts import Neighbours
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import DeploymentObject, JobObject, Pod


@dataclass(frozen=True, kw_only=True, slots=True)
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
    # Names and digests of results that a status names, of the gate and of failures.
    vouched_results: frozenset[tuple[str, str]] = frozenset()
    runtime: ConfigMapObject | None = None
    stale_runtimes: tuple[ConfigMapObject, ...] = ()
    jobs: tuple[JobObject, ...] = ()
    job_pods: tuple[Pod, ...] = ()
    # What the logs of those pods say of bytes, by pod, container and when that began.
    moved: Mapping[tuple[str, str, str], Moved] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    # Of revisions that are analysed, beside the Deployment: see `plan.serving.analysis`. Pods may
    # outlive their Deployment by a moment.
    canaries: tuple[DeploymentObject, ...] = ()
    canary_pods: tuple[Pod, ...] = ()
    canary_services: tuple[NetworkServiceObject, ...] = ()
    # What pods of both have counted, by their UIDs; those that answer.
    counters: Mapping[str, Counters] = field(default_factory=dict)
    store: StoreObserved | None = None
    labels: str | None = None
    labels_problem: str | None = None
    # Whether waiting cannot help: a ConfigMap that is not there may come, a wrong text stays.
    labels_wrong: bool = False
    source_problem: str | None = None
    warnings: tuple[str, ...] = ()
    # What the namespace uses of its store; read only when a Job may be made, else None.
    in_use: tuple[Named, ...] | None = None
    # What a status in the namespace names, of artifacts by their content key: only we write it.
    vouched: Mapping[str, str] = field(default_factory=dict)
    # The means by which the objects of this artifact want it made; None when no Job is under way.
    wanted_means: frozenset[str] | None = None
    gate: GateObserved | None = None
    unwanted_jobs: tuple[JobObject, ...] = ()
    # Who else has chips of the node where a pod found its chip full.
    neighbours: Neighbours | None = None
    # Revisions that batches still run, by name.
    batch_revisions: frozenset[str] = frozenset()
    # Another installation of the operator that looks after the namespace too, and stands back.
    rival: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateObserved:
    """What is there of the validation that the object asks for."""

    result: ConfigMapObject | None = None
    # Results of what may be the same validation, under other records.
    elsewhere: tuple[ConfigMapObject, ...] = ()
    jobs: tuple[JobObject, ...] = ()
    pods: tuple[Pod, ...] = ()
    source_problem: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreObserved:
    """What the children of the namespace's artifact store state; None is not there."""

    deployment: Live | None
    claim: bool
    service: Live | None
    config: bytes | None  # packed
    policy: Live | None
