"""How far a download is: read from the log of the container that is at it.

The operator reads no logs, and a container can tell it something only when it ends; whoever has
the role `view` may read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resnet_cli.exits import CliError
from resnet_cli.kube import Cluster, items
from resnet_cli.parts import Body, containers, name_of, owner_of
from resnet_cli.paths import path
from resnet_contract.progress import Moved, last_moved
from resnet_operator import names

TAIL_LINES = "20"
# So that a look at a full namespace stays a few requests: two for each of these.
MOST_FOLLOWED = 16
Key = tuple[str, str]


@dataclass(frozen=True)
class Going:
    """The stage that is under way, when it began, and what its log says of bytes."""

    stage: str
    began: str = ""
    moved: Moved | None = None

    @property
    def percent(self) -> int | None:
        return self.moved.percent if self.moved else None


def key_of(body: Body) -> Key:
    return body["metadata"].get("namespace", ""), name_of(body)


def progress_of(cluster: Cluster, found: Iterable[Body]) -> dict[Key, Going]:
    """Return what is under way, by object; what may not be read says its stage alone."""
    going: dict[Key, Going] = {}
    followed = 0
    for body in found:
        status = body.get("status") or {}
        said = status.get("progress") or {}
        stage, job = str(said.get("stage") or ""), (status.get("artifact") or {}).get("job")
        if not stage:
            continue
        moved = None
        if job and followed < MOST_FOLLOWED:
            followed += 1
            moved = _moved(cluster, body["metadata"]["namespace"], str(job), stage)
        going[key_of(body)] = Going(stage, str(said.get("startTime") or ""), moved)
    return going


def _moved(cluster: Cluster, namespace: str, job: str, stage: str) -> Moved | None:
    key = job.removeprefix("rns-").rpartition("-")[0]
    try:
        pods = items(cluster, "Pod", namespace, labelSelector=f"{names.ARTIFACT}={key}")
        pod = next((one for one in pods if owner_of(one, "Job") == job), None)
        if pod is None or not any(
            c.name == stage and c.state == "running" for c in containers(pod)
        ):
            return None
        query = {"container": stage, "tailLines": TAIL_LINES}
        return last_moved(cluster.read(path("Pod", namespace, name_of(pod), "log"), query))
    except CliError:
        return None  # no right, or the container has just ended
