"""Rollouts on a real API server with real controllers: surge, one out one in, and the way back."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.component.client import ApiError
from tests.component.objects import service
from tests.component.world import condition_of, until

from resnet_operator import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.component.world import World

Body = dict[str, Any]
NAME = "resnet50"
RESOURCE = "huawei.com/Ascend310P"
MANIFEST = service(NAME)
NO_CHIP = f"0/1 nodes are available: 1 Insufficient {RESOURCE}."
LOAD_FAILED = '{"reason": "ModelLoadFailed", "message": "Triton cannot load the model"}'


@pytest_asyncio.fixture
async def serving(world: World) -> World:
    """A world in which one service is Ready."""
    await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    return world


async def revision(world: World) -> str:
    """Return the revision that the Deployment names."""
    live = await world.get("Deployment", NAME)
    return str(live["spec"]["template"]["metadata"]["labels"][names.REVISION])


async def has_revision(world: World, name: str) -> Body:
    return await world.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"]["metadata"]["labels"][names.REVISION] == name,
        what=f"the Deployment to run {name}",
    )


def rolls(how: Body, deployment: Body) -> bool:
    return bool(deployment["spec"]["strategy"].get("rollingUpdate", {}) == how)


async def change(world: World, spec: Body) -> None:
    await world.patch("ResNetService", NAME, {"spec": spec})


async def new_revision(world: World, delay: int) -> str:
    """Change the batching and wait for the Deployment to get the new revision."""
    before = await revision(world)
    await change(world, {"serving": {"batching": {"maxQueueDelayMicroseconds": delay}}})

    async def another() -> str | None:
        now = await revision(world)
        return now if now != before else None

    found: str = await until(another, what="another revision")
    return found


async def pods_of(world: World, name: str) -> list[Body]:
    found = await world.all("Pod", **{names.REVISION.replace("/", "%2F"): name})
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


async def pod_of(world: World, name: str) -> Body:
    """Wait for a pod of a revision and for what the scheduler says of it, which comes but once."""

    async def first() -> Body | None:
        for pod in await pods_of(world, name):
            if any(c["type"] == "PodScheduled" for c in pod["status"].get("conditions") or ()):
                return pod
        return None

    pod: Body = await until(first, what=f"a pod of {name}")
    return pod


async def say(world: World, pod: Body, status: Body) -> None:
    await world.patch("Pod", pod["metadata"]["name"], {"status": status}, status=True)


async def finds_no_chip(world: World, name: str) -> None:
    """Have the scheduler say that no node has a free chip, until the rollout is one by one."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": NO_CHIP,
    }

    async def is_told() -> bool:
        for pod in await pods_of(world, name):
            await say(world, pod, {"conditions": [condition]})
        return bool((await status_of(world))["rollout"]["mode"] == "Replace")

    await until(is_told, what="replacing pods one at a time")


def crashed(times: int) -> Body:
    """Return the status of a pod that has failed to load its model so often."""
    end = {"exitCode": 1, "reason": "Error", "message": LOAD_FAILED}
    state = {
        "name": "triton",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": end},
        "restartCount": times - 1,
        "ready": False,
        "image": "x",
        "imageID": "x",
    }
    scheduled = {"type": "PodScheduled", "status": "True", "reason": None, "message": None}
    return {"phase": "Running", "conditions": [scheduled], "containerStatuses": [state]}


async def crashes(world: World, name: str, times: int, reason: str) -> None:
    """Have the pod of a revision fail to load its model so often, until Ready says the reason.

    The scheduler has its own say now and then, for there is no node.
    """
    status = crashed(times)

    async def is_told() -> bool:
        for pod in await pods_of(world, name):
            with contextlib.suppress(ApiError):  # it has just gone
                await say(world, pod, status)
        ready = condition_of(await world.get("ResNetService", NAME), "Ready")
        return ready.get("reason") == reason

    await until(is_told, what=f"Ready to say {reason}")


async def status_of(world: World) -> Body:
    status: Body = (await world.get("ResNetService", NAME))["status"]
    return status


async def uid_of(world: World) -> str:
    return str((await world.get("ResNetService", NAME))["metadata"]["uid"])


async def is_rolled_back(world: World, good: str) -> Body:
    await has_revision(world, good)
    await world.condition(NAME, "Ready", "False", "RolledBack")
    await world.condition(NAME, "Stalled", "True", "RolledBack")
    return await status_of(world)


async def test_each_strategy_and_back_restarts_nobody(serving: World) -> None:
    """The API server refuses a strategy of two kinds: each change must take the other away."""
    (before,) = await pods_of(serving, await revision(serving))
    wanted: dict[str, Body] = {
        "Replace": {"maxSurge": 0, "maxUnavailable": 1},
        "Recreate": {},
        "Surge": {"maxSurge": 1, "maxUnavailable": 0},
        "Auto": {"maxSurge": 1, "maxUnavailable": 0},
    }
    for strategy, rolling in wanted.items():
        await change(serving, {"rollout": {"strategy": strategy}})
        await serving.becomes(
            "Deployment",
            NAME,
            partial(rolls, rolling),
            what=f"the strategy {strategy}",
        )
        await serving.is_ready(NAME)
    (after,) = await pods_of(serving, await revision(serving))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_without_a_free_chip_one_goes_out_and_the_waiting_pod_comes_in(
    serving: World,
) -> None:
    old = await revision(serving)
    await change(serving, {"rollout": {"surgeWaitSeconds": 1}})
    new = await new_revision(serving, 7)
    waiting = await pod_of(serving, new)
    await finds_no_chip(serving, new)
    assert (await status_of(serving))["rollout"]["reason"] == f"no free {RESOURCE}"

    async def old_pods_are_gone() -> bool:
        return not await pods_of(serving, old)

    await until(old_pods_are_gone, what="the old pod to make room")
    assert (await pod_of(serving, new))["metadata"]["uid"] == waiting["metadata"]["uid"]
    await serving.is_ready(NAME)
    live = await serving.get("Deployment", NAME)
    assert live["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    await serving.operators[0].idle()
    mark = len(serving.proxy.calls)
    serving.operators[0].look_at_all()
    await serving.operators[0].idle()
    assert serving.proxy.since(mark) == []


@contextlib.asynccontextmanager
async def busy_node(world: World) -> AsyncIterator[str]:
    """Register a node that takes no pods but those that are put there."""
    name = "busy"
    node = {"metadata": {"name": name}, "spec": {"unschedulable": True}}
    await world.api.request("POST", "/api/v1/nodes", node)
    try:
        yield name
    finally:
        await world.api.request("DELETE", f"/api/v1/nodes/{name}")


async def put(world: World, pod: Body, node: str) -> None:
    name = pod["metadata"]["name"]
    target = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    await world.api.request("POST", f"{world.path('Pod', name)}/binding", target)


async def test_a_node_that_fails_the_old_revision_too_rolls_nothing_back(serving: World) -> None:
    """It is so busy that the old pod was killed as well: another revision would not help."""
    old = await revision(serving)
    async with busy_node(serving) as node:
        (before,) = await pods_of(serving, old)
        await put(serving, before, node)
        await say(serving, before, crashed(2))
        new = await new_revision(serving, 7)
        await put(serving, await pod_of(serving, new), node)
        held = f"not rolled back while pods of revision {old.rpartition('-')[2]} fail"

        async def is_held() -> bool:
            for pod in await pods_of(serving, new):
                await say(serving, pod, crashed(5))
            told = condition_of(await serving.get("ResNetService", NAME), "ModelReady")
            return held in str(told.get("message"))

        await until(is_held, what=held)
        await serving.operators[0].idle()
        assert await revision(serving) == new
        assert (await status_of(serving))["revisions"].get("failed") is None
        # Once the old pod is well there, it is the new revision's fault.
        await serving.pod_states(before, "Running", {"triton": {"running": {}}}, ready=True)
        await crashes(serving, new, 5, "RolledBack")
        await is_rolled_back(serving, old)


async def test_a_broken_revision_is_rolled_back(serving: World) -> None:
    good = await revision(serving)
    (pod,) = await pods_of(serving, good)
    bad = await new_revision(serving, 7)
    await crashes(serving, bad, 1, "ModelLoadFailed")
    said = await serving.condition(NAME, "Ready", "False", "ModelLoadFailed")
    assert said["message"] == "Triton cannot load the model"
    assert await revision(serving) == bad
    await crashes(serving, bad, 2, "RolledBack")
    status = await is_rolled_back(serving, good)
    assert status["revisions"]["serving"] == good
    assert status["revisions"]["desired"] == bad
    assert status["revisions"]["failed"]["name"] == bad
    assert status["revisions"]["failed"]["reason"] == "ModelLoadFailed"
    told = await serving.event(NAME, "RolledBack")
    assert (told["type"], told["involvedObject"]["uid"]) == ("Warning", await uid_of(serving))
    assert "Triton cannot load the model" in told["message"]
    live = await serving.get("ResNetService", NAME)
    assert condition_of(live, "Available")["status"] == "True"
    (still,) = await pods_of(serving, good)
    assert still["metadata"]["uid"] == pod["metadata"]["uid"], "it has served all the time"
    await serving.operators[0].idle()
    mark = len(serving.proxy.calls)
    serving.operators[0].look_at_all()
    await serving.operators[0].idle()
    assert serving.proxy.since(mark) == [], "it is at rest"


async def test_a_rollback_outlives_the_operator(serving: World) -> None:
    good = await revision(serving)
    bad = await new_revision(serving, 7)
    await crashes(serving, bad, 2, "RolledBack")
    await is_rolled_back(serving, good)
    before = await status_of(serving)
    await serving.operators[0].kill()
    mark = len(serving.proxy.calls)
    operator = await serving.start(RESNET_JOBS_IMAGE="localhost/resnet-jobs:next")
    await operator.idle()
    assert await revision(serving) == good
    after = await status_of(serving)
    assert after["revisions"] == before["revisions"]
    writes = [call for call in serving.proxy.since(mark) if call.verb not in {"list", "watch"}]
    assert [call.resource for call in writes if call.resource == "deployments"] == []


async def test_killed_between_the_rollback_and_its_status(serving: World) -> None:
    """The mark is in the patch that rolls back: the next operator says what this one could not."""
    good = await revision(serving)
    bad = await new_revision(serving, 7)
    await serving.condition(NAME, "Ready", "False")
    status = await status_of(serving)
    await crashes(serving, bad, 2, "RolledBack")
    await is_rolled_back(serving, good)
    await serving.operators[0].kill()
    await serving.patch(
        "ResNetService", NAME, {"status": status | {"revisions": None}}, status=True
    )
    await serving.start()
    after = await is_rolled_back(serving, good)
    assert after["revisions"]["failed"]["name"] == bad


async def test_the_retry_annotation_and_a_new_spec_try_again(serving: World) -> None:
    good = await revision(serving)
    bad = await new_revision(serving, 7)
    await crashes(serving, bad, 2, "RolledBack")
    await is_rolled_back(serving, good)
    await serving.patch(
        "ResNetService", NAME, {"metadata": {"annotations": {names.RETRY: "once more"}}}
    )
    await has_revision(serving, bad)
    await serving.becomes(
        "ResNetService",
        NAME,
        lambda b: b["status"]["lastHandledRetry"] == "once more",
        what="the retry to be acknowledged",
    )
    await crashes(serving, bad, 2, "RolledBack")
    await is_rolled_back(serving, good)
    third = await new_revision(serving, 8)
    await serving.is_ready(NAME)
    status = await status_of(serving)
    assert status["revisions"] == {"desired": third, "serving": third, "previous": good}


async def test_hold_leaves_the_broken_revision(serving: World) -> None:
    await change(serving, {"rollout": {"onFailure": "Hold"}})
    bad = await new_revision(serving, 7)
    await crashes(serving, bad, 9, "ModelLoadFailed")
    await serving.condition(NAME, "Ready", "False", "ModelLoadFailed")
    await serving.operators[0].idle()
    assert await revision(serving) == bad


async def test_a_pinned_revision_and_back(serving: World) -> None:
    first = await revision(serving)
    second = await new_revision(serving, 7)
    await serving.is_ready(NAME)
    await change(serving, {"rollout": {"pinRevision": first}})
    await has_revision(serving, first)
    said = (await serving.is_ready(NAME))["status"]
    assert said["revisions"] == {"desired": second, "serving": first, "previous": second}
    await change(serving, {"rollout": {"pinRevision": "resnet50-nosuch"}})
    words = await serving.condition(NAME, "Ready", "False", "RevisionNotFound")
    assert first in words["message"]
    assert await revision(serving) == first
    await change(serving, {"rollout": {"pinRevision": None}})
    await has_revision(serving, second)
    await serving.is_ready(NAME)


async def test_a_change_takes_one_deployment_patch_and_one_revision(serving: World) -> None:
    """What is remembered of rollouts is in the patch that is made anyhow."""
    await serving.operators[0].idle()
    mark = len(serving.proxy.calls)
    await new_revision(serving, 7)
    await serving.is_ready(NAME)
    await serving.operators[0].idle()
    calls = serving.proxy.since(mark)
    assert [c.verb for c in calls if c.resource == "deployments"] == ["patch"]
    assert [c.verb for c in calls if c.resource == "configmaps"] == ["create"]


@pytest.mark.parametrize("limit", [0, 1])
async def test_the_history_limit(serving: World, limit: int) -> None:
    """The one that serves and the good one before it stay in any case."""
    await change(serving, {"rollout": {"historyLimit": limit}})
    made = [await revision(serving)]
    for delay in (5, 6, 7):
        made.append(await new_revision(serving, delay))
        await serving.is_ready(NAME)

    async def two_are_left() -> bool:
        found = await serving.ours("ConfigMap", names.REVISION_COMPONENT)
        return {item["metadata"]["name"] for item in found} == set(made[-2:])

    await until(two_are_left, what="old revisions to go")
