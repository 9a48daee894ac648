"""Six services on two chips: one of them crashes and changes, and the others serve on."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.load import load
from tests.e2e.story import MODEL, SHARED_CHIPS, Story

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = tuple(f"digits-{number}" for number in range(1, 7))
FIRST, *OTHERS = NAMES
# What of the launcher's children is Triton; its stub processes end with it.
KILL_TRITON = """
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if path.read_bytes().split(b"\\0")[0].endswith(b"tritonserver"):
        os.kill(int(path.parent.name), signal.SIGKILL)
"""


def sharer(story: Story, name: str, memory: str = "256Mi", **serving: Any) -> dict[str, Any]:
    """Return a service with a place on a chip; all of them are of one conversion."""
    return story.service(
        name,
        model={"sha256": hashlib.sha256(MODEL.read_bytes()).hexdigest(), "name": "digits"},
        accelerator={"resourceName": SHARED_CHIPS, "share": {"memory": memory}},
        serving={"warmup": "Disabled", **serving},
    )


def chips(story: Story, services: Iterable[str]) -> dict[str, str]:
    read = "import os; print(os.environ['ASCEND_VISIBLE_DEVICES'])"
    ask = ("-c", "triton", "--", "python3", "-c", read)
    return {name: story.kubectl("exec", f"deploy/{name}", *ask).strip() for name in services}


def kill(story: Story, name: str) -> None:
    """Kill Triton in the service's pod; the container may end before the command does."""
    inside = ("exec", f"deploy/{name}", "-c", "triton", "--", "python3", "-c", KILL_TRITON)
    story.server.run("kubectl", "-n", story.namespace, *inside)


def restarts(story: Story, name: str) -> int:
    pods = story.items("pods", f"app.kubernetes.io/instance={name}")
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
    return sum(status["restartCount"] for status in statuses)


def said(story: Story, name: str) -> str:
    """Return all that the conditions say; the printed line is short."""
    conditions = story.get("resnetservice", name)["status"].get("conditions", ())
    return "\n".join(condition["message"] for condition in conditions)


def test_six_services_on_two_chips(story: Story) -> None:
    if story.cluster is None:
        pytest.skip("only the embedded cluster's device plugin shares chips")
    story.put_sample()
    story.apply(*(sharer(story, name) for name in NAMES))
    for name in NAMES:
        status = story.wait_ready(name, seconds=180)
        assert 0 < status["artifact"]["memoryBytes"] < 256 * 2**20, "as ATC says"
    assert len(story.items("jobs")) <= 1, "one conversion is enough for all of them"
    placed = chips(story, NAMES)
    assert len(set(placed.values())) <= 2, f"more than the two chips: {placed}"

    with ExitStack() as stack:
        loads = {
            name: stack.enter_context(load(story, name, model="digits", pause_seconds=0.3))
            for name in OTHERS
        }
        kill(story, FIRST)
        story.eventually(lambda: restarts(story, FIRST) > 0, lambda: "it did not crash")
        story.wait_ready(FIRST, seconds=120)
        change = {"batching": {"maxBatchSize": 4}, "env": [{"name": "SOMETHING", "value": "else"}]}
        story.patch("resnetservice", FIRST, {"spec": {"serving": change}})
        story.wait_ready(FIRST, seconds=120)
        for name, clients in loads.items():
            clients.goes_on(3)
            clients.check(f"{name} while {FIRST} crashed and changed")

    # A model that needs more than its share gets no pods, and a chip without room is named.
    full: dict[str, Any] = {"env": [{"name": "SIMULATED_NPU_MEMORY_MB", "value": "1"}]}
    small = sharer(story, "small", memory="1Mi", instancesPerChip=8)
    story.apply(small, sharer(story, "late", **full))
    story.wait_reason("InvalidSpec", "small", saying=("its share has 1Mi",))
    assert not story.items("pods", "app.kubernetes.io/instance=small")
    story.wait_reason("OutOfMemory", "late", seconds=90, saying=("the chip is full", "put fewer"))
    holders = f"; others on its node: {', '.join(NAMES[:5])} and {NAMES[5]}; put fewer"
    story.eventually(lambda: holders in said(story, "late"), lambda: said(story, "late"))
    assert "ACL" not in said(story, "late")
