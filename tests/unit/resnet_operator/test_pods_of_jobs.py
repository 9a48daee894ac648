"""What the pods of an ended Job said is asked for where no watch has shown it, and once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, metadata, pod_body

from resnet_operator import names
from resnet_operator.errors import Transient
from resnet_operator.observe_pods import pods_of_jobs
from resnet_operator.seen.workload import JobObject
from resnet_operator.watch.views import Views

Body = dict[str, Any]
KEY = "0" * 40
INDEX = ("artifact", NAMESPACE, KEY)
JOB = "rns-0-1"
LABELS = {
    names.MANAGED_BY: names.MANAGER,
    names.COMPONENT: names.CONVERSION,
    names.ARTIFACT: KEY,
    "job-name": JOB,
}


@dataclass
class Cluster:
    """What a list shows, and how often it was asked for."""

    pods: list[Body] = field(default_factory=list)
    is_away: bool = False
    asked: list[str] = field(default_factory=list)

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, *, label_selector: str
    ) -> list[Body]:
        assert (api_version, kind, namespace) == ("v1", "Pod", NAMESPACE)
        self.asked.append(label_selector)
        if self.is_away:
            raise Transient(0, "no answer")
        return self.pods


def a_job(*conditions: str, deleting: bool = False) -> JobObject:
    meta = metadata(JOB) | {"labels": LABELS}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    said = [{"type": kind, "status": "True"} for kind in conditions]
    return JobObject.from_body({"metadata": meta, "spec": {}, "status": {"conditions": said}})


def a_pod(
    phase: str, *, deleting: bool = False, owner: str = f"uid-{JOB}", version: int = 7
) -> Body:
    body = pod_body(f"{JOB}-x", labels=LABELS, phase=phase)
    body["metadata"] |= {"resourceVersion": str(version)}
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": JOB, "uid": owner, "controller": True}
    ]
    if deleting:
        body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return body


DONE = a_job("Complete")
OWNER = DONE.meta.uid


# reason, Job, pod that the watch has shown, whether the API server is asked
CASES: list[tuple[str, JobObject, Body | None, bool]] = [
    ("it ended, and no pod was seen", DONE, None, True),
    ("it failed, and no pod was seen", a_job("Failed"), None, True),
    ("it runs: its pod is still to come", a_job(), None, False),
    ("its pod has said all", DONE, a_pod("Succeeded", owner=OWNER), False),
    ("its pod ends: the watch tells of that", DONE, a_pod("Running", owner=OWNER), False),
    (
        "its pod was being deleted when it was last seen",
        DONE,
        a_pod("Running", owner=OWNER, deleting=True),
        True,
    ),
    ("it is somebody else's pod", DONE, a_pod("Succeeded", owner="another"), True),
    ("a Job that is deleted tells nothing", a_job("Complete", deleting=True), None, False),
]


def views(*pods: Body) -> Views:
    found = Views(lambda body: body)  # type: ignore[arg-type, return-value]
    for body in pods:
        found.pods.put(body)
    return found


@pytest.mark.parametrize(
    ("job", "shown", "asked"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
async def test_who_is_asked_for(job: JobObject, shown: Body | None, asked: bool) -> None:
    cluster: Any = Cluster([a_pod("Succeeded", owner=OWNER, version=9)])
    known = views(*([shown] if shown else []))
    for _ in range(2):
        found = await pods_of_jobs(INDEX, (job,), known, cluster)
    assert len(cluster.asked) == int(asked), "once, however often it is looked at"
    if asked:
        assert [pod.phase for pod in found] == ["Succeeded"]
        assert cluster.asked == [f"{names.MANAGED_SELECTOR},job-name={JOB}"]


async def test_what_cannot_be_asked_is_not_lost() -> None:
    known, cluster = views(), Cluster(is_away=True)
    away: Any = cluster
    for _ in range(2):
        with pytest.raises(Transient):
            await pods_of_jobs(INDEX, (DONE,), known, away)
    cluster.is_away, cluster.pods = False, [a_pod("Succeeded", owner=OWNER)]
    assert len(await pods_of_jobs(INDEX, (DONE,), known, away)) == 1


async def test_what_is_no_pod_is_left_out() -> None:
    cluster: Any = Cluster([{}, {"metadata": None}, a_pod("Succeeded", owner=OWNER)])
    assert len(await pods_of_jobs(INDEX, (DONE,), views(), cluster)) == 1
