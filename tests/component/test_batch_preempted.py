"""A ResNetBatch whose pods give way, against a real Job controller.

The test plays the scheduler that takes the chip away and the kubelet: one only says how pods ended,
one really runs the container's program with the order that the operator wrote.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.test_batch import NAME, STARTED, batch, is_said, runs, serve, told
from tests.component.world import ended, until
from tests.unit.resnet_jobs import fake_triton
from tests.unit.resnet_jobs.batch.bench import CLASSES, SERVED, Bench
from tests.unit.resnet_jobs.batch.test_interruptions import Ending, start

from resnet_operator.plan.times import to_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.world import World

Body = dict[str, Any]
PICTURES, IN_PART = 100_000, 1000
# The kubelet asks first, and kills who does not listen; a node that loses power does not ask.
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


async def another_pod(world: World, job: Body, *, than: tuple[str, ...] = ()) -> Body:
    """Wait for a pod of the Job that the scheduler has looked at."""

    async def there() -> Body | None:
        for found in await world.all("Pod", **{"job-name": job["metadata"]["name"]}):
            if found["metadata"]["name"] not in than and found["status"].get("conditions"):
                return found
        return None

    pod: Body = await until(there, what="another pod of the batch")
    return pod


async def gives_way(world: World, pod: Body, message: Body) -> None:
    """End a pod as the scheduler and the kubelet do when somebody of more priority wants a chip."""
    disrupted = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "a pod of higher priority",
        # Without one the disruption controller takes it for stale, and withdraws it at once.
        "lastTransitionTime": to_text(datetime.now(UTC)),
    }
    name = pod["metadata"]["name"]
    conditions = (await world.get("Pod", name))["status"]["conditions"]
    chosen = {"conditions": [*conditions, disrupted]}
    await world.patch("Pod", name, {"status": chosen}, status=True)
    statuses = [
        {
            "name": container,
            "state": ended(143, said),
            "ready": False,
            "restartCount": 0,
            "image": "x",
            "imageID": "x",
        }
        for container, said in (("triton", None), ("batch", message))
    ]
    change = {"status": {"phase": "Failed", "containerStatuses": statuses}}
    await world.patch("Pod", name, change, status=True)


async def test_a_batch_gives_way_twice_and_ends_with_every_picture(world: World) -> None:
    await world.start(RESNET_BATCH_PRIORITY_CLASS="")
    await serve(world)
    await world.create(batch())
    job = await world.has("Job", f"rnb-{NAME}")
    gone: tuple[Body, ...] = ()
    for done in (1000, 3000):
        pod = await another_pod(world, job, than=tuple(one["name"] for one in gone))
        await runs(world, pod)
        await is_said(world, "Running", lambda s: s["phase"] == "Running")
        await gives_way(world, pod, told(done, 5000))
        gone = (*gone, {key: pod["metadata"][key] for key in ("name", "uid")})
        status = await is_said(
            world,
            f"{done} pictures",
            lambda s, done=done: s.get("pictures", {}).get("done") == done,
        )
        assert (status["preemptions"], status["preempted"]) == (len(gone), list(gone))
        assert status["picturesPerSecond"] == 50.0

    last = await another_pod(world, job, than=tuple(one["name"] for one in gone))
    message = told(5000, 5000, ok=True, failed=2, manifestSha256="ab" * 32)
    states = STARTED | {"triton": ended(0), "batch": ended(0, message)}
    await world.pod_states(last, "Succeeded", states)
    status = await is_said(world, "Succeeded", lambda s: s["phase"] == "Succeeded")
    assert status["pictures"] == {"total": 5000, "done": 5000, "failed": 2}
    assert (status["preemptions"], status["preempted"]) == (2, list(gone))
    failed = (await world.get("Job", f"rnb-{NAME}"))["status"].get("failed", 0)
    assert failed == 0, "the Job does not count them"


class Kubelet:
    """Runs the container `batch` of a pod as a process; its Triton is a server of the test."""

    def __init__(self, folder: Path, triton: str) -> None:
        self.bench = Bench(folder)
        self.bench.fill(PICTURES)
        self.triton = triton

    def process(self, pod: Body) -> Any:
        """Begin, with what the pod is told: only its model is a small one, its claim a folder."""
        (client,) = (c for c in pod["spec"]["containers"] if c["name"] == "batch")
        said = json.loads(next(e["value"] for e in client["env"] if e["name"] == "RESNET_JOB"))
        said["model"] |= {key: SERVED[key] for key in ("inputs", "outputs", "maxBatchSize")}
        said["batch"]["output"]["place"]["folder"] = str(self.bench.output)
        self.bench.said = said
        return start(self.bench, self.triton)

    def message(self) -> Body:
        """Return the container's last words."""
        return self.bench.told()


@pytest.mark.thorough
async def test_a_hundred_thousand_pictures_survive_three_preemptions(
    world: World, tmp_path: Path
) -> None:
    await world.start(RESNET_BATCH_PRIORITY_CLASS="")
    await serve(world)
    asked = {"uri": "pvc://photos/2026.npy", "format": "Npy"}
    await world.create(batch(input=asked, output={"uri": "pvc://results/2026"}))
    job = await world.has("Job", f"rnb-{NAME}")
    rng, ending = random.Random(1), Ending()
    gone: tuple[str, ...] = ()
    with fake_triton.running(ending) as server:
        kubelet = Kubelet(tmp_path, server.address)
        bench = kubelet.bench
        for sent in ENDS:
            pod = await another_pod(world, job, than=gone)
            await runs(world, pod)
            ending.sent, ending.left = sent, rng.randrange(5_000, 28_000)
            ending.process = process = kubelet.process(pod)
            text, _ = await asyncio.to_thread(process.communicate)
            assert process.returncode in {-signal.SIGKILL, 128 + signal.SIGTERM}, text
            assert not (bench.output / "manifest.json").exists()
            await gives_way(world, pod, kubelet.message())
            gone = (*gone, pod["metadata"]["name"])
            count = len(gone)
            status = await is_said(
                world, "one more", lambda s, count=count: s.get("preemptions") == count
            )
            assert status["pictures"]["total"] == PICTURES
            assert 0 < status["pictures"]["done"] <= IN_PART * len(bench.whole_parts()) < PICTURES
        ending.left = None
        last = await another_pod(world, job, than=gone)
        await runs(world, last)
        ending.process = kubelet.process(last)
        text, _ = await asyncio.to_thread(ending.process.communicate)
    assert ending.process.returncode == 0, text
    states = STARTED | {"triton": ended(0), "batch": ended(0, kubelet.message())}
    await world.pod_states(last, "Succeeded", states)
    status = await is_said(world, "Succeeded", lambda s: s["phase"] == "Succeeded")
    assert status["pictures"] == {"total": PICTURES, "done": PICTURES, "failed": 0}
    assert (status["preemptions"], len(status["preempted"])) == (3, 3)
    assert status["manifestSha256"] == kubelet.message()["manifestSha256"]
    rows = bench.rows()
    assert [int(row["index"]) for row in rows] == list(range(PICTURES)), "each exactly once"
    assert [int(row["label1"]) for row in rows] == [i * 7919 % CLASSES for i in range(PICTURES)]
    # Only what was under way is asked for twice: of each end the parts that were not whole yet.
    assert ending.answered < PICTURES + len(ENDS) * 8 * IN_PART
