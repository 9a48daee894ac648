"""`status.progress` against a real API server: true, seldom, gone at rest, and nobody's trouble."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.objects import service
from tests.component.proxy import Call, Fault
from tests.component.world import World, reconciles, until

from resnet_contract.progress import MIB, going
from resnet_operator.progress import reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAME = "resnet50"
MANIFEST = service(NAME)
BEGAN = "2026-05-04T12:00:09Z"
FETCH = {"stage": "fetch", "startTime": BEGAN}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "INTERVAL_SECONDS", 0.2)


def log_of(done: int, total: int | None) -> str:
    return f"fetching https://models.example\n{going('downloaded', done, total, rate=MIB)}\n"


def is_log(call: Call) -> bool:
    return call.resource == "pods/log"


def log_calls(world: World, mark: int, number: int) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        return len(world.proxy.since(mark, is_log)) >= number

    return claim


async def fetching(world: World, fault: Fault) -> dict[str, Any]:
    """Have the Job of the object run its first container; its log is what the fault says."""
    world.proxy.inject(fault)
    await world.create(MANIFEST)
    pod = await world.pod_of_job(await world.job(MANIFEST))
    await world.pod_states(pod, "Pending", {"fetch": {"running": {"startedAt": BEGAN}}})
    return pod


def told(world: World, mark: int) -> list[Any]:
    """Return what the writes of the status since `mark` say of the progress.

    The scheduler has its own say of a pod without a node, and so there are writes.
    """
    calls = world.proxy.since(mark, lambda call: call.resource == "resnetservices/status")
    return [json.loads(call.body)["status"].get("progress") for call in calls]


async def says(world: World, progress: dict[str, Any]) -> None:
    await world.becomes(
        "ResNetService",
        NAME,
        lambda body: body["status"]["progress"] == progress,
        what=f"progress to be {progress}",
    )


async def test_a_download_is_told_as_it_goes_and_gone_at_rest(world: World) -> None:
    log = Fault(verb="get", resource="pods/log", times=None, text=log_of(60 * MIB, 240 * MIB))
    operator = await world.start(RESNET_RESYNC_SECONDS="1")
    await fetching(world, log)
    await says(world, {**FETCH, "percent": 6, "bytes": 60 * MIB, "totalBytes": 240 * MIB})
    log.text = log_of(120 * MIB, 240 * MIB)
    half = {**FETCH, "percent": 12, "bytes": 120 * MIB, "totalBytes": 240 * MIB}
    await says(world, half)

    await operator.idle()
    mark = len(world.proxy.calls)
    await until(log_calls(world, mark, 5), what="more looks at a log that says the same")
    assert all(one == half for one in told(world, mark))

    await operator.stop()
    mark = len(world.proxy.calls)
    operator = await world.start(RESNET_RESYNC_SECONDS="1")
    await until(log_calls(world, mark, 2), what="the next operator to read it too")
    await operator.idle()
    assert all(one == half for one in told(world, mark)), "a restart takes nothing back"

    await world.finish_job(MANIFEST)
    ready = await world.is_ready(NAME)
    assert "progress" not in ready["status"]
    await operator.at_peace(world.proxy)
    mark, looks = len(world.proxy.calls), reconciles()

    async def has_looked() -> bool:
        return reconciles() - looks > 3

    await until(has_looked, what="some looks at what is at rest")
    assert world.proxy.since(mark, is_log) == []
    assert set(told(world, mark)) <= {None}


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("no right to", Fault(verb="get", resource="pods/log", times=None, status=403)),
        ("the node is gone", Fault(verb="get", resource="pods/log", times=None, status=504)),
        ("it hangs", Fault(verb="get", resource="pods/log", times=None, hold="before")),
        ("nonsense", Fault(verb="get", resource="pods/log", times=None, text="\x00" * 10**6)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_log_that_cannot_be_read_harms_nothing(
    reason: str, fault: Fault, world: World
) -> None:
    await world.start()
    await fetching(world, fault)
    await until(log_calls(world, 0, 1), what="a look at the log")
    await says(world, {**FETCH, "percent": 0})
    await world.finish_job(MANIFEST)
    ready = await world.is_ready(NAME)
    assert "progress" not in ready["status"], reason


async def test_who_may_read_no_logs_asks_for_none(world: World) -> None:
    operator = await world.start(RESNET_PROGRESS_FROM_LOGS="false", RESNET_RESYNC_SECONDS="1")
    await fetching(world, Fault(resource="pods/log", times=None, text=log_of(1, 2)))
    await says(world, {**FETCH, "percent": 0})
    looks = reconciles()

    async def has_looked() -> bool:
        return reconciles() - looks > 3

    await until(has_looked, what="some looks")
    await operator.idle()
    assert world.proxy.since(0, is_log) == []
