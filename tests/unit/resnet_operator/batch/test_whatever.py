"""What others wrote, and errors of our own: each is said of the one batch, and no other waits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NAMESPACE, Body, deterministic, ended, metadata, running
from tests.unit.resnet_operator.batch.test_reconcile import (
    BATCH,
    JOB,
    SPEC,
    Batches,
    finished,
    said,
    started,
    words,
)
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.reading.test_reading import any_json, any_text, paths, replaced

from resnet_operator.api import API_VERSION
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.batch import reconcile
from resnet_operator.batch.plan import plan_batch
from resnet_operator.batch.progress import INDEX
from resnet_operator.seen.batch import BatchObject
from resnet_operator.telemetry.metrics import INTERNAL_ERRORS

KEY = (NAMESPACE, BATCH)
STAGES = ["observe_batch", "plan_batch"]
RENDERS = "resnet_operator.batch.plan.batch_job"


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("nobody has thought of this")


def count() -> float:
    value: float = INTERNAL_ERRORS._value.get()
    return value


async def fails(batches: Batches) -> Body:
    """Look at a batch whose look ends in an error; return its status."""
    batches.life._deliver()
    with pytest.raises(ZeroDivisionError):  # the queue waits longer each time
        await batches.reconciler.reconcile(KEY)
    batches.life._deliver()
    status: Body = batches.life.api.objects[BATCH_KIND, BATCH]["status"]
    return status


def conditions(status: Body) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


@pytest.mark.parametrize("stage", STAGES)
async def test_an_error_is_said_in_the_batchs_own_status(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = await started()
    batches.pod("p-1", "Running", running("batch"))
    batches.log = "classified 2000 of 5000 pictures (40 %), 100.0 pictures/s"
    known, before = await batches.look(), count()
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, stage, broken)
        status = await fails(batches)
        assert count() == before + 1
        told = {"Ready": ("False", "InternalError"), "Stalled": ("True", "InternalError")}
        assert conditions(status) == told
        assert "ZeroDivisionError" in words(status)
        kept = ("phase", "pictures", "pods", "picturesPerSecond", "revision", "artifact", "job")
        assert {k: status[k] for k in kept} == {k: known[k] for k in kept}, "what is known stays"
        mark = len(batches.life.api.writes)
        assert await fails(batches) == status, "the same error says the same"
        assert batches.life.api.writes[mark:] == []
    assert await batches.look() == known, "and it goes as it came"


async def test_an_error_in_rendering_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = await started()
    batches.life.api.remove("Job", JOB)
    monkeypatch.setattr(RENDERS, broken)
    status = await fails(batches)
    assert conditions(status)["Ready"] == ("False", "InternalError")
    assert not batches.has_job()


async def test_an_error_in_reading_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnet_operator.seen.batch.spec_as", broken)
    batches = Batches(Life())
    batches.create()
    assert conditions(await batches.look())["Ready"] == ("False", "InternalError")


async def test_another_batch_is_seen_and_planned_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_batch

    def only_this(seen: Any, **facts: Any) -> Any:
        return broken() if seen.batch.meta.name == BATCH else plan(seen, **facts)

    batches = await started()
    monkeypatch.setattr(reconcile, "plan_batch", only_this)
    meta = {"name": "other", "namespace": NAMESPACE}
    kind = {"apiVersion": API_VERSION, "kind": BATCH_KIND}
    batches.life.api.put(kind | {"metadata": meta, "spec": SPEC})
    await fails(batches)
    await batches.reconciler.reconcile((NAMESPACE, "other"))
    assert ("Job", "rnb-other") in batches.life.api.objects


# One value of a good object replaced by anything.

STATUS: Body = {
    "observedGeneration": 1,
    "phase": "Running",
    "revision": "a",
    "artifact": "b",
    "job": JOB,
    "pictures": {"total": 5000, "done": 1000, "failed": 1},
    "pods": [{"index": 0, "total": 5000, "done": 1000, "failed": 1}],
    "picturesPerSecond": 40.0,
    "estimatedCompletionTime": "2026-05-04T11:00:00Z",
    "preemptions": 1,
    "preempted": [{"name": "p-0", "uid": "u-0"}],
    "startTime": "2026-05-04T11:00:00Z",
    "conditions": [{"type": "Ready", "status": "False", "reason": "Running", "message": "a"}],
}
MESSAGE = said(5000) | {"manifestSha256": "ab" * 32}


def is_sound(status: Body) -> None:
    """Assert that it is a status that the API server can store, and no confession."""
    json.dumps(status, allow_nan=False).encode()
    assert words(status)
    assert conditions(status)["Ready"][1] != "InternalError"


def around(story: Any) -> None:
    asyncio.run(story())


@deterministic
@given(any_json)
def test_any_spec_is_a_view(spec: Any) -> None:
    found = BatchObject.from_body({"metadata": metadata(BATCH), "spec": spec})
    assert (found.spec is None) == bool(found.invalid)
    assert "internal error" not in found.invalid


@deterministic
@given(st.sampled_from(paths(SPEC)), any_json)
def test_any_value_in_the_spec_is_a_view(path: tuple[Any, ...], new: Any) -> None:
    spec = replaced(SPEC, path, new)
    found = BatchObject.from_body({"metadata": metadata(BATCH), "spec": spec})
    assert (found.spec is None) == bool(found.invalid)
    assert "internal error" not in found.invalid


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(paths(SPEC)), any_json)
def test_any_stored_spec_ends_in_a_status(path: tuple[Any, ...], new: Any) -> None:
    """What an older CRD has let in, or none has refused."""

    async def story() -> None:
        batches = await started()
        batches.life.api.remove("Job", JOB)
        batches.life.api.edit(
            BATCH_KIND, BATCH, lambda body: body.update(spec=replaced(SPEC, path, new))
        )
        is_sound(await batches.look())

    around(story)


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(paths(STATUS)), any_json)
def test_any_value_in_the_status_ends_in_a_status(path: tuple[Any, ...], new: Any) -> None:
    async def story() -> None:
        batches = await started()
        batches.pod("p-1", "Running", running("batch"))
        batches.life.api.edit(
            BATCH_KIND, BATCH, lambda body: body.update(status=replaced(STATUS, path, new))
        )
        status = await batches.look()
        if not status.get("completionTime"):
            is_sound(status)

    around(story)


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(paths(MESSAGE)), any_json)
def test_any_value_in_a_pods_last_words_ends_in_a_status(path: tuple[Any, ...], new: Any) -> None:
    async def story() -> None:
        batches = await started()
        message = replaced(MESSAGE, path, new)
        batches.pod("p-1", "Failed", ended("batch", 143, said=message), disrupted=True)
        is_sound(await batches.look())
        batches.life.api.edit("Job", JOB, finished)
        status = await batches.look()
        is_sound(status)
        assert status["phase"] == "Succeeded"

    around(story)


@pytest.mark.thorough
@deterministic
@given(any_text)
def test_any_line_of_a_log_ends_in_a_status(text: str) -> None:
    async def story() -> None:
        batches = await started()
        batches.log = text
        batches.pod("p-1", "Running", running("batch"))
        is_sound(await batches.look())

    around(story)


INDEXES = ["", "-1", "0", "1", "99999999999999999999", "x", "²"]


@pytest.mark.parametrize("index", INDEXES)
async def test_any_index_of_a_pod_ends_in_a_status(index: str) -> None:
    batches = await started()
    batches.pod("p-1", "Failed", ended("batch", 143, said=MESSAGE), disrupted=True)
    batches.life.api.edit(
        "Pod", "p-1", lambda body: body["metadata"]["labels"].update({INDEX: index})
    )
    is_sound(await batches.look())
