"""A ResNetBatch whose pods give way, against a real Job controller.

The test plays the scheduler that takes the chip away and the kubelet that says how pods ended.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.component.test_batch import NAME, STARTED, batch, is_said, runs, serve, told
from tests.component.world import ended, until

from resnet_operator.plan.times import to_text

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]


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
