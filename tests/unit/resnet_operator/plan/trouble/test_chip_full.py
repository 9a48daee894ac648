"""A chip that is full: who is told, to whom, and where in the sentence."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import (
    NAMESPACE,
    a_pod,
    a_service,
    a_settings,
    a_spec,
    condition,
    end,
    metadata,
    pod_body,
    running,
    waiting,
)
from tests.unit.resnet_operator.world import World

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.observe_pods import neighbours
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.trouble.chip_full import found_full, with_neighbours
from resnet_operator.seen.pod_facts import Neighbours
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views

SAID = {
    "reason": "OutOfMemory",
    "message": "the chip is full: 900 MiB needed, 300 of 1024 MiB free; put fewer models on it",
    "code": "ChipFull",
}


def failing(said: Any = SAID) -> dict[str, Any]:
    state = waiting("triton", "CrashLoopBackOff", last=end(1, said=said))
    return {"containers": [state], "phase": "Running", "node": "n1"}


FULL: tuple[tuple[str, Any, bool], ...] = (
    ("the runtime's own word", SAID, True),
    ("pyACL's, where the chip filled up during the load", SAID | {"code": "207001"}, True),
    ("memory of the host", SAID | {"code": None}, False),
    ("another failure of the chip", SAID | {"code": "507033"}, False),
    ("no message", None, False),
    ("no JSON", "Killed", False),
    ("a code that is no text", SAID | {"code": 207001}, False),
)


@pytest.mark.parametrize(("reason", "said", "is_full"), FULL)
def test_what_a_full_chip_says(reason: str, said: Any, is_full: bool) -> None:
    assert found_full(a_pod(**failing(said))) is is_full, reason


TOLD: tuple[tuple[str, Neighbours | None, str], ...] = (
    ("nobody looked", None, "it is full: a of b; write less"),
    ("a stranger has it", Neighbours(), "it is full: a of b; write less"),
    ("one", Neighbours(named=("cats",)),
     "it is full: a of b; others on its node: cats; write less"),
    ("two", Neighbours(named=("cats", "dogs")),
     "it is full: a of b; others on its node: cats and dogs; write less"),
    ("those of others are counted", Neighbours(named=("cats",), elsewhere=2),
     "it is full: a of b; others on its node: cats and 2 in other namespaces; write less"),
    ("only those", Neighbours(elsewhere=1),
     "it is full: a of b; others on its node: 1 in other namespaces; write less"),
    ("a sentence is no list of a cluster", Neighbours(named=tuple("abcdefgh")),
     "it is full: a of b; others on its node: a, b, c, d, e, f and 2 more; write less"),
)  # fmt: skip


@pytest.mark.parametrize(("reason", "others", "words"), TOLD)
def test_who_is_told(reason: str, others: Neighbours | None, words: str) -> None:
    said = Problem(Reason.OUT_OF_MEMORY, "it is full: a of b; write less")
    assert with_neighbours(said, others).message == words, reason


def test_a_message_of_one_clause() -> None:
    said = Problem(Reason.OUT_OF_MEMORY, "ACL 207001")
    told = with_neighbours(said, Neighbours(named=("cats",))).message
    assert told == "ACL 207001; others on its node: cats"


def test_the_condition_names_them() -> None:
    world = World({"accelerator": {"chip": "Ascend310P3"}}).deploy()
    world.serving_pod(**failing())
    world.seen["neighbours"] = Neighbours(named=("cats", "dogs"))
    world.reconcile()
    ready = condition(world.status, "Ready")
    assert ready["reason"] == "OutOfMemory"
    stalled = condition(world.status, "Reconciling")["message"]
    assert "free; others on its node: cats and dogs; put fewer models on it" in stalled
    assert "cats" in ready["message"], "the printed line has room for them"


def test_memory_of_the_host_names_nobody() -> None:
    world = World().deploy()
    world.serving_pod(**failing(SAID | {"code": None}))
    world.seen["neighbours"] = Neighbours(named=("cats",))
    world.reconcile()
    assert "cats" not in condition(world.status, "Ready")["message"]


# Who that is.


def a_cluster() -> Views:
    """Two nodes: beside ours a sharer of each kind, and pods that share nothing."""
    views = Views(lambda body: ServiceObject.from_body(body, settings=a_settings()))

    def add(namespace: str, name: str, node: str, *, phase: str = "Running", **spec: Any) -> None:
        meta = metadata(name, uid=f"{namespace}-{name}") | {"namespace": namespace}
        views.remember({"kind": "ResNetService", "metadata": meta, "spec": a_spec(spec)})
        body = pod_body(
            f"{name}-{node}", labels={names.INSTANCE: name}, node=node, phase=phase,
            containers=[running("triton")],
        )  # fmt: skip
        body["metadata"]["namespace"] = namespace
        views.remember({"kind": "Pod", **body})

    add(NAMESPACE, "resnet50", "n1")
    add(NAMESPACE, "dogs", "n1")
    add(NAMESPACE, "cats", "n1")
    add("theirs", "birds", "n1")
    add("theirs", "resnet50", "n1")
    add(NAMESPACE, "far", "n2")
    add(NAMESPACE, "done", "n1", phase="Succeeded")
    add(NAMESPACE, "plain", "n1", accelerator={"chip": "CPU"})
    add(NAMESPACE, "other", "n1", accelerator={"chip": "Ascend910B4"}, conversion={"image": "c:1"})
    return views


def test_the_others_on_the_node() -> None:
    views, service = a_cluster(), a_service()
    assert service.resolved is not None
    pods = (a_pod(**failing()),)
    found = neighbours(service.meta, service.resolved, pods, views)
    assert found == Neighbours(named=("cats", "dogs"), elsewhere=2)


def test_nobody_is_looked_for_without_a_full_chip() -> None:
    views, service = a_cluster(), a_service()
    assert service.resolved is not None
    pods = (a_pod(containers=[running("triton")], phase="Running", node="n1"),)
    assert neighbours(service.meta, service.resolved, pods, views) is None


def test_a_pod_that_goes_is_no_neighbour_any_more() -> None:
    views, service = a_cluster(), a_service()
    assert service.resolved is not None
    gone = metadata("cats-n1", version=2)
    views.pods.remove({"kind": "Pod", "metadata": gone, "spec": {}, "status": {}})
    found = neighbours(service.meta, service.resolved, (a_pod(**failing()),), views)
    assert found is not None
    assert found.named == ("dogs",)
