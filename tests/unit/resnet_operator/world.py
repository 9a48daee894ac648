"""A cluster in a dictionary, for plans that follow each other.

It executes actions as `reconcile` does and shows objects as `observe` does. Of server-side apply
it models what the plan rests on: an object is the union of what its managers state, and what a
manager states no longer goes.
"""

from __future__ import annotations

import marshal
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

from tests.support.builders import (
    MEASURED,
    MESSAGES,
    NAME,
    NAMESPACE,
    NOW,
    UID,
    Body,
    a_settings,
    a_spec,
    copied,
    ended,
    labels_of_gate,
    labels_of_job,
    merged,
    metadata,
    pod_body,
    running,
)

from resnet_operator import names
from resnet_operator.api.status import as_status
from resnet_operator.plan.actions import Action, Apply, Create, Delete, MakeSecret, Plan, Problem
from resnet_operator.plan.gate.gate import key_of, wanted_validation
from resnet_operator.plan.make import make_plan
from resnet_operator.plan.results import vouched_results
from resnet_operator.plan.times import to_text
from resnet_operator.plan.trust import is_believed
from resnet_operator.reading.counters import Counters
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.serving import runtime_digest
from resnet_operator.resolve.source_key import attempt_inputs_key
from resnet_operator.seen.meta import Live, Meta
from resnet_operator.seen.observed import GateObserved, Observed, StoreObserved
from resnet_operator.seen.others import ConfigMapObject, NetworkServiceObject
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import DeploymentObject, JobObject, Pod
from resnet_operator.settings.operator import Settings
from resnet_operator.watch.views import NETWORK_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

Id = tuple[str, str]
# A pod of a revision that is analysed, in the Deployment beside.
CANARY_POD = "canary-"
CONVERTERS = ("fetch", "prepare", "convert", "publish")


class Parsed(Protocol):
    @property
    def meta(self) -> Meta: ...

    @classmethod
    def from_body(cls, body: Body) -> Self: ...


T = TypeVar("T", bound=Parsed)


class World:
    """One namespace with one ResNetService; the test plays the user, the kubelet and the rest."""

    def __init__(self, spec: Body | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or a_settings()
        self.spec = a_spec(spec)
        self.generation = 1
        self.retry = ""
        self.status: Body = {}
        # Statuses of other objects with the same artifact.
        self.vouching: list[Body] = []
        self.now: datetime = NOW
        self.seen: Body = {}
        self.gate_facts: Body = {}
        self.pods: list[Body] = []
        # By names of pods: what Triton has counted there.
        self.counters: dict[str, Counters] = {}
        self._stated: dict[Id, dict[str, Body]] = {}
        self._facts: dict[Id, Body] = {}
        self._said: dict[Id, Body] = {}
        self._counter = 100
        self._read: tuple[bytes, Settings, ServiceObject] | None = None
        self._parsed: dict[tuple[type[Parsed], Id], tuple[str, Parsed]] = {}

    # The user.

    def change(self, changes: Body) -> None:
        self.spec = merged(self.spec, changes)
        self.generation += 1

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def edit(self, kind: str, name: str, changes: Body) -> None:
        """Change an object by hand, as `kubectl edit` does."""
        stated = self._stated[kind, name]
        manager = names.MANAGER if names.MANAGER in stated else "POST"
        stated[manager] = merged(stated[manager], changes)
        self._touch((kind, name))

    # The plan.

    def plan(self, problem: Problem | None = None, **changes: Any) -> Plan:
        observed = self.observe(**changes)
        return make_plan(observed, settings=self.settings, now=self.now, problem=problem)

    def reconcile(self, **changes: Any) -> list[Action]:
        """Plan and execute until nothing asks for another round; return all actions."""
        actions: list[Action] = []
        for _ in range(5):
            plan = self.plan(**changes)
            # The Secret is asked for with each Job, and seen by nobody: test_store_secret.
            actions += [item for item in plan.actions if not isinstance(item, MakeSecret)]
            for action in plan.actions:
                self.execute(action)
            if not plan.again:
                self.status = as_status(plan.status)
                return actions
        raise AssertionError("the plan asks for another round for ever")

    def execute(self, action: Action) -> None:
        match action:
            case Apply():
                self.apply(action.body, manager=action.manager)
            case Create():
                if self._id(action.body) not in self._stated:
                    # A POST and an apply of one manager are two entries in managedFields.
                    self.apply(action.body, manager="POST")
            case Delete():
                self.delete(action.kind, action.name)

    def apply(self, body: Body, *, manager: str) -> None:
        at = self._id(body)
        stated = self._stated.setdefault(at, {})
        if stated.get(manager) != body:
            stated[manager] = copied(body)
            self._touch(at)

    def delete(self, kind: str, name: str) -> None:
        del self._stated[kind, name], self._facts[kind, name]
        self._said.pop((kind, name), None)

    def _id(self, body: Body) -> Id:
        return body["kind"], body["metadata"]["name"]

    def _touch(self, at: Id) -> None:
        self._counter += 1
        known = self._facts.get(at)
        facts = metadata(at[1], uid=f"uid-{at[0]}-{self._counter}", created=self.now)
        kept = ("uid", "creationTimestamp")
        self._facts[at] = facts | ({key: known[key] for key in kept} if known else {})
        self._facts[at]["resourceVersion"] = str(self._counter)
        self._facts[at]["generation"] = known["generation"] + 1 if known else 1

    # What there is.

    def is_deleting(self, kind: str, name: str) -> None:
        """Begin a deletion that a finalizer holds up."""
        self._facts[kind, name]["deletionTimestamp"] = to_text(self.now)

    def has(self, kind: str, name: str) -> bool:
        return (kind, name) in self._stated

    def names_of(self, kind: str) -> set[str]:
        return {name for found, name in self._stated if found == kind}

    def body(self, kind: str, name: str = NAME) -> Body:
        """Return an object as the API server would show it."""
        at = (kind, name)
        result: Body = {}
        owners: list[Body] = []
        for body in self._stated[at].values():
            owners += body["metadata"].get("ownerReferences") or []
            result = merged(result, body) if result else copied(body)
        facts = {k: v for k, v in self._facts[at].items() if k not in {"labels", "ownerReferences"}}
        result["metadata"] |= facts | {"ownerReferences": owners}
        result["status"] = self._said.get(at, {})
        return result

    def _one(self, cls: type[T], kind: str, name: str = NAME) -> T:
        """Return an object as the operator reads it; it is read again when it has changed."""
        at = (kind, name)
        mark = repr((self._facts[at], self._said.get(at)))
        known = self._parsed.get((cls, at))
        if known is None or known[0] != mark:
            known = self._parsed[cls, at] = mark, cls.from_body(self.body(kind, name))
        return cast("T", known[1])

    def _all(self, cls: type[T], kind: str, **labels: str) -> list[T]:
        found = [self._one(cls, kind, name) for other, name in self._stated if other == kind]
        return [one for one in found if labels.items() <= one.meta.labels.items()]

    @property
    def service(self) -> ServiceObject:
        meta = metadata(NAME, uid=UID) | {"generation": self.generation}
        body = {"metadata": meta, "spec": self.spec, "status": self.status}
        if self.retry:
            meta["annotations"] = {names.RETRY: self.retry}
        text = written(body)  # a plan asks a dozen times; to resolve a spec is the dearest of it
        if self._read is None or self._read[:2] != (text, self.settings):
            found = ServiceObject.from_body(body, settings=self.settings)
            self._read = (text, self.settings, found)
        return self._read[2]

    @property
    def key(self) -> str:
        assert self.service.resolved is not None
        return self.service.resolved.source_key

    @property
    def gate_key(self) -> str:
        """Return the digest of the validation that the object asks for."""
        artifact = Artifact.from_record(self.body("ConfigMap", self.record)["data"])
        assert artifact is not None
        return key_of(self.service, artifact) or ""

    @property
    def record(self) -> str:
        return names.record_name(self.key)

    @property
    def revision(self) -> str:
        """Return the revision that the Deployment names."""
        labels = self.body("Deployment")["spec"]["template"]["metadata"]["labels"]
        return str(labels[names.REVISION])

    def observe(self, **changes: Any) -> Observed:
        service = self.service
        deployment = None
        if self._is_watched("Deployment"):
            deployment = self._one(DeploymentObject, "Deployment")
        if service.resolved is None:
            return Observed(service=service, deployment=deployment)
        maps = self._all(ConfigMapObject, "ConfigMap")
        pods = [Pod.from_body(body) for body in self.pods]
        runtimes = [m for m in maps if self._is(m, names.RUNTIME_COMPONENT)]
        record = next((m for m in maps if m.meta.name == self.record), None)
        beside = {names.COMPONENT: names.CANARY}
        observed = Observed(
            service=service,
            deployment=deployment,
            network_service=self._one(NetworkServiceObject, "Service")
            if self._is_watched("Service")
            else None,
            network={
                kind: self._one(NetworkServiceObject, kind)
                for kind in NETWORK_KINDS
                if self._is_watched(kind)
            },
            record=record,
            record_believed=is_believed(record, [*self.vouching, service.status]),
            vouched_results=vouched_results([*self.vouching, service.status]),
            owned_records=tuple(m for m in maps if UID in m.meta.owners and self._is_record(m)),
            revisions={m.meta.name: m for m in maps if self._is(m, names.REVISION_COMPONENT)},
            runtime=next((m for m in runtimes if runtime_digest() in m.meta.name), None),
            jobs=tuple(self._all(JobObject, "Job", **labels_of_job(self.key))),
            job_pods=tuple(
                p for p in pods if labels_of_job(self.key).items() <= p.meta.labels.items()
            ),
            pods=tuple(p for p in pods if self._is_of(p, canary=False)),
            canaries=tuple(self._all(DeploymentObject, "Deployment", **beside)),
            canary_services=tuple(self._all(NetworkServiceObject, "Service", **beside)),
            canary_pods=tuple(p for p in pods if self._is_of(p, canary=True)),
            counters={
                pod.meta.uid: self.counters[pod.meta.name]
                for pod in pods
                if pod.ready and pod.meta.name in self.counters
            },
            store=self._store(),
            wanted_means=frozenset({attempt_inputs_key(service.resolved.spec)}),
            gate=self._gate(service, record, maps, pods),
            unwanted_jobs=self._unwanted_jobs(service, record),
        )
        return replace(observed, **(self.seen | changes))

    def _gate(
        self,
        service: ServiceObject,
        record: ConfigMapObject | None,
        maps: list[ConfigMapObject],
        pods: list[Pod],
    ) -> GateObserved | None:
        artifact = Artifact.from_record(record.data()) if record else None
        key = key_of(service, artifact) if artifact else None
        if key is None:
            return None
        labels = labels_of_gate(self.key, key)
        name = names.validation_name(self.key, key)
        return GateObserved(
            result=next((m for m in maps if m.meta.name == name), None),
            elsewhere=tuple(m for m in maps if _is_result(m, key) and m.meta.name != name),
            jobs=tuple(self._all(JobObject, "Job", **labels)),
            pods=tuple(pod for pod in pods if labels.items() <= pod.meta.labels.items()),
            **self.gate_facts,
        )

    def _unwanted_jobs(
        self, service: ServiceObject, record: ConfigMapObject | None
    ) -> tuple[JobObject, ...]:
        artifact = Artifact.from_record(record.data()) if record else None
        wanted = (wanted_validation(service, artifact) if artifact else None) or ""
        return tuple(
            job
            for job in self._all(JobObject, "Job", **{names.COMPONENT: names.VALIDATION})
            if not job.finished and job.meta.labels[names.VALIDATED] != wanted[:8]
        )

    def _is_of(self, pod: Pod, *, canary: bool) -> bool:
        beside = CANARY_POD in pod.meta.name
        return names.INSTANCE in pod.meta.labels and beside is canary

    def _is_watched(self, kind: str) -> bool:
        """Tell whether the child is there and has our label: no other is watched."""
        if not self.has(kind, NAME):
            return False
        cls = DeploymentObject if kind == "Deployment" else NetworkServiceObject
        return names.MANAGED_BY in self._one(cls, kind).meta.labels

    def _is(self, found: ConfigMapObject, component: str) -> bool:
        return found.meta.labels.get(names.COMPONENT) == component

    def _is_record(self, found: ConfigMapObject) -> bool:
        return self._is(found, names.RECORD)

    def _store(self) -> StoreObserved:
        at = names.STORE_NAME

        def live(kind: str) -> Live | None:
            return Live.from_body(self.body(kind, at), "spec") if self.has(kind, at) else None

        config = self.has("ConfigMap", at) and ConfigMapObject.from_body(self.body("ConfigMap", at))
        return StoreObserved(
            deployment=live("Deployment"),
            claim=self.has("PersistentVolumeClaim", at),
            service=live("Service"),
            config=config.packed if config else None,
            policy=live("NetworkPolicy"),
        )

    # The rest of the cluster.

    def newest_job(self, component: str = names.CONVERSION) -> str:
        labels = {names.ARTIFACT: self.key, names.COMPONENT: component}
        found = self._all(JobObject, "Job", **labels)
        return max(found, key=lambda job: job.attempt).meta.name

    def job_pod(self, *, job: str = "", said: dict[str, Any] | None = None, **facts: Any) -> None:
        """Put a pod under the newest Job; it replaces one of the same name."""
        job = job or self.newest_job()
        name = facts.pop("name", f"{job}-p4q9z")
        if said is not None:
            facts["init"] = [ended(n, said=said[n]) for n in CONVERTERS[:-1] if n in said]
            facts["containers"] = [ended("publish", said=said["publish"])]
        meta = self.body("Job", job)["metadata"]
        self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]
        self.pods.append(
            pod_body(
                name,
                labels=self.body("Job", job)["spec"]["template"]["metadata"]["labels"],
                controller=meta["uid"],
                created=self.now,
                **facts,
            )
        )

    def job_ends(self, kind: str = "Complete", *, job: str = "", reason: str = "") -> None:
        ending = {"type": kind, "status": "True", "reason": reason}
        self._said["Job", job or self.newest_job()] = {"conditions": [ending]}

    def job_succeeds(self, messages: dict[str, Body] | None = None) -> None:
        self.job_pod(phase="Succeeded", said=messages or MESSAGES)
        self.job_ends()

    def job_fails(self, container: str, code: int, said: Any = None, *, reason: str = "") -> None:
        at = CONVERTERS.index(container)
        states = [ended(name, said=MESSAGES[name]) for name in CONVERTERS[:at]]
        states.append(ended(container, code, said=said, reason=reason))
        self.job_pod(phase="Failed", init=states)
        self.job_ends("Failed", reason="PodFailurePolicy" if 64 <= code < 80 else "BackoffLimit")

    # The gate.

    def candidate(self, **facts: Any) -> None:
        """Put a pod under the newest Job of the gate."""
        self.job_pod(job=self.newest_job(names.VALIDATION), **facts)

    def candidate_is_measured(self, **numbers: Any) -> None:
        """Have the candidate's containers end well, with these numbers."""
        said = MEASURED | numbers
        self.candidate(
            phase="Succeeded", containers=[ended("evaluate", said=said), ended("triton")]
        )
        self.job_ends(job=self.newest_job(names.VALIDATION))

    def candidate_fails(self, *, init: list[Body] | None = None, **containers: Body) -> None:
        """Have the candidate's pod end badly, with these states of its containers."""
        states = [containers[name] for name in sorted(containers)]
        self.candidate(phase="Failed", init=init or [], containers=states)
        self.job_ends("Failed", job=self.newest_job(names.VALIDATION))

    def complain(self, *words: str) -> None:
        """Have these warnings about the gate's Job and pod."""
        self.gate_facts["warnings"] = words

    def result(self) -> Body:
        """Return the data of the one result there is."""
        labels = {names.COMPONENT: names.VALIDATION}
        (found,) = self._all(ConfigMapObject, "ConfigMap", **labels)
        return dict(self.body("ConfigMap", found.meta.name)["data"])

    def deployment_says(
        self, of: str = NAME, /, *, condition: tuple[str, str, str] | None = None, **n: int
    ) -> None:
        """Set a Deployment's status; the counts not given are 0."""
        spec = self.body("Deployment", of)["spec"]
        counts = {"replicas": n.get("replicas", spec["replicas"])}
        counts |= {f"{key}Replicas": value for key, value in n.items() if key != "replicas"}
        conditions = []
        if condition:
            kind, status, words = condition
            conditions = [{"type": kind, "status": status, "reason": words, "message": words}]
        self._said["Deployment", of] = {
            "observedGeneration": self._facts["Deployment", of]["generation"],
            "conditions": conditions,
            **counts,
        }

    def pods_are_ready(self) -> None:
        """Bring all pods of the Deployment up, and end those of other revisions."""
        wanted = self.body("Deployment")["spec"]["replicas"]
        self.pods = [pod for pod in self.pods if names.ARTIFACT in pod["metadata"]["labels"]]
        for number in range(wanted):
            self.serving_pod(
                name=f"pod-{number}", phase="Running", ready=True, containers=[running("triton")]
            )
        self.deployment_says(updated=wanted, ready=wanted, available=wanted)

    def serving_pod(self, *, revision: str = "", **facts: Any) -> None:
        labels = {names.INSTANCE: NAME, names.REVISION: revision or self.revision}
        name = facts.pop("name", "resnet50-7d4b9c-x2x5k")
        self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]
        self.pods.append(pod_body(name, labels=labels, created=self.now, **facts))

    # Shortcuts to common states.

    def convert(self) -> World:
        """Run the conversion to its good end, without a look at the result."""
        return self._reach("convert", self._convert)

    def deploy(self) -> World:
        """Bring everything up to the Deployment, whose pods are not there yet."""
        return self._reach("deploy", self._deploy)

    def serve(self) -> World:
        """Bring everything up until it serves and is settled."""
        return self._reach("serve", self._serve)

    def _convert(self) -> None:
        self.reconcile()
        self.job_succeeds()

    def _deploy(self) -> None:
        self.convert().reconcile()

    def _serve(self) -> None:
        self.deploy().pods_are_ready()
        self.reconcile()

    def _reach(self, state: str, walk: Callable[[], None]) -> World:
        """Walk there; the way from a world in which nothing happened yet is walked once."""
        if self._facts_of_all() != NOTHING:
            walk()
            return self
        at = (state, written(self.spec), id(self.settings))
        if at not in REACHED:
            walk()
            facts = copied(self._facts_of_all())
            REACHED[at] = Reached(self.settings, facts, self._parsed.copy(), self._read)
        else:
            there = REACHED[at]
            vars(self).update(copied(there.facts))
            self._parsed, self._read = there.parsed.copy(), there.read
        return self

    def _facts_of_all(self) -> dict[str, Any]:
        """Return all but what a world is given, and what is only kept to be fast."""
        given = {"spec", "settings", "_parsed", "_read"}
        return {key: value for key, value in vars(self).items() if key not in given}


@dataclass(frozen=True)
class Reached:
    """A state of a world, and what made it; `settings` keeps its id from being another's."""

    settings: Settings
    facts: dict[str, Any]
    parsed: dict[tuple[type[Parsed], Id], tuple[str, Parsed]]
    read: tuple[bytes, Settings, ServiceObject] | None


NOTHING = World()._facts_of_all()
REACHED: dict[tuple[str, bytes, int], Reached] = {}


def written(body: Body) -> bytes:
    """Return bytes that differ where bodies do."""
    try:
        return marshal.dumps(body, 2)  # later versions tell which values are one object
    except ValueError:  # an enum's member
        return repr(body).encode()


def _is_result(found: ConfigMapObject, key: str) -> bool:
    return found.meta.labels.get(names.VALIDATED) == key[:8]


def described(actions: Any) -> list[str]:
    """Return actions as words: verb, kind, name."""
    words = []
    for action in actions:
        if isinstance(action, MakeSecret):
            continue
        verb = type(action).__name__.lower()
        if isinstance(action, Delete):
            words.append(f"{verb} {action.kind} {action.name}")
        else:
            words.append(f"{verb} {action.body['kind']} {action.body['metadata']['name']}")
    return words


def since(text: str, seconds: float) -> str:
    """Return the time some seconds after a time, as the API writes it."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") + timedelta(seconds=seconds)
    return to_text(moment)


__all__ = ["NAMESPACE", "World", "described", "since"]
