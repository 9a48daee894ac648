"""All that is known of one object of ours, taken at one moment. Filled by `gather`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from resnet_cli.parts import (
    Body,
    ContainerFact,
    condition,
    containers,
    is_deleting,
    label_of,
    name_of,
)
from resnet_cli.paths import BATCH
from resnet_operator import names


@dataclass(frozen=True)
class Holder:
    """A pod that holds chips, by its requests."""

    namespace: str
    pod: str
    service: str
    count: int
    node: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`service` is the object itself, a ResNetBatch too.

    `denied` are the kinds that could not be read; what is said of them is left out. `resource` is
    the device that a pod waits for, `offered` the devices that nodes have.
    """

    namespace: str
    name: str
    now: datetime
    service: Body
    record: Body | None = None
    jobs: tuple[Body, ...] = ()
    pods: tuple[Body, ...] = ()
    deployment: Body | None = None
    claims: tuple[Body, ...] = ()
    events: tuple[Body, ...] = ()
    limits: tuple[Body, ...] = ()
    holder: Body | None = None
    holders: tuple[Holder, ...] | None = None
    capacity: Mapping[str, int] | None = None
    resource: str = ""
    offered: tuple[str, ...] = ()
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        found: str = self.service["kind"]
        return found

    @property
    def is_batch(self) -> bool:
        return self.kind == BATCH

    @property
    def status(self) -> Body:
        found: Body = self.service.get("status") or {}
        return found

    @property
    def artifact(self) -> Body:
        """What the status says of the artifact; a batch names only the digest of it."""
        found: Body | str = self.status.get("artifact") or {}
        return found if isinstance(found, dict) else {}

    @property
    def spec(self) -> Body:
        found: Body = self.service.get("spec") or {}
        return found

    @property
    def ready(self) -> Body:
        return condition(self.service, "Ready")

    @property
    def words(self) -> str:
        """The whole message: the line, then what Stalled or Reconciling and the others add."""
        whole = (condition(self.service, kind).get("message") for kind in WHOLE)
        return next((text for text in whole if text), self.ready.get("message") or "")

    @property
    def cause(self) -> str:
        """Ready's message, whole where its line had no room for all of it."""
        line: str = self.ready.get("message") or ""
        whole = self.words.partition("\n")[0]
        return whole if line.endswith("…") and whole.startswith(line.removesuffix("…")) else line

    @property
    def lacks_devices(self) -> bool:
        """Tell whether no node has a device of the kind that a pod waits for."""
        return self.capacity is not None and bool(self.resource) and not sum(self.capacity.values())

    def serving_pods(self) -> list[Body]:
        found = [pod for pod in self.pods if label_of(pod, names.COMPONENT) == names.SERVING]
        return sorted(found, key=name_of)

    def pods_of_job(self, job: Body) -> list[Body]:
        uid = job["metadata"].get("uid")
        return [
            pod
            for pod in self.pods
            if any(o.get("uid") == uid for o in pod["metadata"].get("ownerReferences") or ())
        ]

    def current_job(self, component: str = names.CONVERSION) -> Body | None:
        """Return the newest Job of a kind; the operator names it in the status."""
        ours = [job for job in self.jobs if label_of(job, names.COMPONENT) == component]
        named = self.artifact.get("job")
        if component == names.CONVERSION:
            ours = [job for job in ours if name_of(job) == named] or ours
        return max(
            ours, key=lambda job: job["metadata"].get("creationTimestamp") or "", default=None
        )

    def at_work(self) -> tuple[Body, ContainerFact] | None:
        """Return the container of a Job that runs; its log says how far it is."""
        for pod in self.pods:
            if is_deleting(pod) or label_of(pod, names.COMPONENT) == names.SERVING:
                continue
            running = (one for one in containers(pod) if one.state == "running")
            # Of the gate's two, Triton serves and the evaluator says what it measures.
            if found := next((one for one in running if one.name != "triton"), None):
                return pod, found
        return None

    def troubled(self) -> tuple[Body, ContainerFact] | None:
        """Return the first container that failed or cannot start, newest pods first."""
        alive = [pod for pod in self.pods if not is_deleting(pod)]
        alive.sort(key=lambda pod: pod["metadata"].get("creationTimestamp") or "", reverse=True)
        for wanted in ("failed", "waiting"):
            for pod in alive:
                for one in containers(pod):
                    if one.state == wanted and (wanted == "failed" or one.reason not in STARTING):
                        return pod, one
        return None


# Where the whole of the short line stands.
WHOLE = ("Stalled", "Reconciling")
STARTING = {"", "ContainerCreating", "PodInitializing"}
