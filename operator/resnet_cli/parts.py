"""Small views of the cluster's objects, as the API writes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import read_object

Body = dict[str, Any]
ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class Ref:
    """An object of the cluster; `part` is a container of a pod, or a field of a spec."""

    kind: str
    name: str
    part: str = ""

    def __str__(self) -> str:
        shown = f"{self.kind} {self.name}" if self.name else self.kind
        return f"{shown}, {self.part}" if self.part else shown


@dataclass(frozen=True, kw_only=True)
class ContainerFact:
    """One container; `said` is the JSON it left behind, `text` what else it left."""

    name: str
    image: str
    init: bool
    state: str  # waiting, running, done or failed; absent while the kubelet says nothing
    reason: str = ""
    words: str = ""
    exit_code: int | None = None
    restarts: int = 0
    ready: bool = False
    began: str = ""
    ended: str = ""
    said: Mapping[str, Any] | None = None
    text: str = ""


def name_of(body: Body) -> str:
    return str(body["metadata"]["name"])


def label_of(body: Body, key: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(key, ""))


def condition(body: Body | None, kind: str) -> Body:
    """Return a condition of an object; {} when it has none of the kind."""
    conditions = ((body or {}).get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), {})


def is_true(body: Body | None, kind: str) -> bool:
    return condition(body, kind).get("status") == "True"


def owner_of(body: Body, kind: str) -> str:
    """Return the name of the owner of a kind; "" without one."""
    owners = body["metadata"].get("ownerReferences") or ()
    return next((str(one["name"]) for one in owners if one.get("kind") == kind), "")


def is_owned(body: Body, owner: Body) -> bool:
    """Tell whether the very object is among the owners; a name alone can be of another one."""
    uid = owner["metadata"].get("uid")
    owners = body["metadata"].get("ownerReferences") or ()
    return bool(uid) and any(one.get("uid") == uid for one in owners)


def controller_of(body: Body) -> str:
    """Return the UID of what controls an object; "" where nothing does."""
    owners = body["metadata"].get("ownerReferences") or ()
    return next((str(one.get("uid") or "") for one in owners if one.get("controller")), "")


def controlled(bodies: Iterable[Body], owners: Iterable[Body]) -> list[Body]:
    """Return those that one of the owners controls: labels make nobody's pod one's own."""
    uids = {one["metadata"].get("uid") for one in owners} - {None, ""}
    return [body for body in bodies if controller_of(body) in uids]


def is_deleting(body: Body) -> bool:
    return bool(body["metadata"].get("deletionTimestamp"))


def is_placed(pod: Body) -> bool:
    """Tell whether a pod has a node and has not ended: what it asks for is held."""
    phase = (pod.get("status") or {}).get("phase")
    return bool((pod.get("spec") or {}).get("nodeName")) and phase not in ENDED


def is_well(pod: Body) -> bool:
    """Tell whether a pod is ready, or has done what it was for."""
    return (pod.get("status") or {}).get("phase") == "Succeeded" or is_true(pod, "Ready")


def containers(pod: Body) -> list[ContainerFact]:
    """Return the containers in the order in which they begin."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    found: list[ContainerFact] = []
    for group, init in (("initContainers", True), ("containers", False)):
        key = "initContainerStatuses" if init else "containerStatuses"
        known = {one["name"]: one for one in status.get(key) or ()}
        found += (
            _container(declared, known.get(declared["name"]) or {}, init=init)
            for declared in spec.get(group) or ()
        )
    return found


def _container(declared: Body, status: Body, *, init: bool) -> ContainerFact:
    state = status.get("state") or {}
    waiting, running = state.get("waiting") or {}, state.get("running") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    said, text = _left(ended.get("message") or "")
    return ContainerFact(
        name=declared["name"],
        image=declared.get("image", ""),
        init=init,
        state=_state_of(state, ended),
        reason=waiting.get("reason") or ended.get("reason") or "",
        words=waiting.get("message") or "",
        exit_code=ended.get("exitCode"),
        restarts=status.get("restartCount") or 0,
        ready=bool(status.get("ready")),
        began=running.get("startedAt") or ended.get("startedAt") or "",
        ended=ended.get("finishedAt") or "",
        said=said,
        text=text,
    )


def _state_of(state: Body, ended: Body) -> str:
    if "running" in state:
        return "running"
    if "terminated" in state:
        return "done" if ended.get("exitCode") == 0 else "failed"
    # A container that waits to be started again has failed before.
    if ended and ended.get("exitCode") != 0:
        return "failed"
    return "waiting" if state else "absent"


def _left(message: str) -> tuple[Mapping[str, Any] | None, str]:
    """Part a termination message into the JSON of our own containers and the text of others."""
    try:
        return read_object(message), ""
    except Misfit:
        return None, message.strip()


def requests_of(pod: Body, resource: str) -> int:
    """Return how many of a device a pod holds, by its requests."""
    return devices_of(pod).get(resource, 0)


def devices_of(pod: Body) -> dict[str, int]:
    """Return the devices that a pod asks for; containers run together, so they add up."""
    found: dict[str, int] = {}
    for one in (pod.get("spec") or {}).get("containers") or ():
        resources = one.get("resources") or {}
        wanted = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
        for name, number in wanted.items():
            if _is_device(name) and (text := str(number or "")).isdigit():
                found[name] = found.get(name, 0) + int(text)
    return found


def held_chips(pod: Body) -> int:
    """Return how many chips or parts of chips a pod holds; HAMi counts memory beside them."""
    found = devices_of(pod)
    return sum(count for name, count in found.items() if not _is_measure(name, found))


def _is_measure(name: str, devices: Mapping[str, int]) -> bool:
    chip, dash, _ = name.rpartition("-")
    return bool(dash) and chip in devices and name.endswith(("-memory", "-core"))


def _is_device(resource: str) -> bool:
    """Tell whether a resource is a device plugin's: these have a domain, and Kubernetes' not."""
    domain, _, name = resource.partition("/")
    return bool(name) and not f".{domain}".endswith(".kubernetes.io")


def service_of(pod: Body) -> str:
    """Return the name of the ResNetService of a pod of ours; "" of others."""
    ours = label_of(pod, names.MANAGED_BY) == names.MANAGER
    return label_of(pod, names.INSTANCE) if ours else ""


def moment(text: str) -> datetime | None:
    """Read a time of the API; None when there is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def span(seconds: float) -> str:
    """Write a duration as kubectl does: 45s, 12m, 3h, 5d."""
    count = max(int(seconds), 0)
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if count < limit:
            return f"{count // size}{unit}"
    return f"{count // 86_400}d"


def since(text: str, now: datetime) -> str:
    """Return how long ago that was; "" when there is no time."""
    found = moment(text)
    return span((now - found).total_seconds()) if found else ""


def between(first: str, last: str) -> str:
    begin, end = moment(first), moment(last)
    return span((end - begin).total_seconds()) if begin and end else ""
