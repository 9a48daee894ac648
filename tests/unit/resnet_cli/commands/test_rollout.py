"""`rollout`, `suspend` and `resume`: what they write, and nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, NOW, Body, Recorded

from resnet_cli.commands import rollout
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Output, Screen
from resnet_operator import names

OLD = f"{NAME}-aa00bb11cc"
REVISIONS = {"revisions": {"serving": c.REVISION, "desired": c.REVISION, "previous": OLD}}


def revision(name: str, age: float, owner: str = c.UID) -> Body:
    labels = names.labels(names.REVISION_COMPONENT, **{names.INSTANCE: NAME})
    data = {"artifact.json": json.dumps({"sha256": "ab" * 32})}
    owners = [{"kind": "ResNetService", "name": NAME, "uid": owner, "controller": True}]
    about = c.meta(name, labels=labels, age=age, ownerReferences=owners)
    return {"kind": "ConfigMap", "metadata": about, "data": data}


def cluster(status: Body | None = None, **more: Any) -> Recorded:
    ready = c.service("Ready", "serving", phase="Ready", ready="True", status=status or REVISIONS)
    # With our labels, and of an object of our name that is gone.
    strange = revision(f"{NAME}-99ff99ff99", 1, owner="uid-of-another")
    return Recorded([ready, strange, revision(c.REVISION, 5), revision(OLD, 90)], **more)


def screen() -> Screen:
    return Screen(file=io.StringIO())


WHERE = (
    f"/apis/serving.resnet-operator.io/v1alpha1/namespaces/{c.NAMESPACE}/resnetservices/{NAME}"
    "?fieldManager=kubectl-resnet"
)
Act = Callable[[Recorded], Exit]
ACTS: dict[str, tuple[Act, Body]] = {
    "undo": (
        lambda it: rollout.rollout_undo(it, screen(), name=NAME),
        {"spec": {"rollout": {"pinRevision": OLD}}},
    ),
    "pin by digits": (
        lambda it: rollout.rollout_pin(it, screen(), name=NAME, revision="aa00bb11cc"),
        {"spec": {"rollout": {"pinRevision": OLD}}},
    ),
    "pin off": (
        lambda it: rollout.rollout_pin(it, screen(), name=NAME, revision=""),
        {"spec": {"rollout": {"pinRevision": None}}},
    ),
    "retry": (
        lambda it: rollout.rollout_retry(it, screen(), name=NAME, now=NOW),
        {"metadata": {"annotations": {names.RETRY: "2026-11-30T12:00:00Z"}}},
    ),
    "suspend": (
        lambda it: rollout.set_suspended(it, screen(), name=NAME, suspended=True),
        {"spec": {"suspend": True}},
    ),
    "resume": (
        lambda it: rollout.set_suspended(it, screen(), name=NAME, suspended=False),
        {"spec": {"suspend": False}},
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_one_patch_of_one_field(name: str) -> None:
    act, change = ACTS[name]
    it = cluster()
    assert act(it) is Exit.DONE
    assert it.written == [("PATCH", WHERE, change)]


@pytest.mark.parametrize("name", ACTS)
def test_without_the_right_it_says_so(name: str) -> None:
    act, _ = ACTS[name]
    with pytest.raises(CliError) as caught:
        act(cluster(forbidden=frozenset({"PATCH ResNetService"})))
    assert caught.value.exit_code is Exit.FORBIDDEN


def test_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(CliError, match="no revision that served before"):
        rollout.rollout_undo(cluster({"revisions": {}}), screen(), name=NAME)


def test_a_revision_that_is_not_kept_cannot_be_pinned() -> None:
    with pytest.raises(CliError, match=f"there are: {OLD}, {c.REVISION}"):
        rollout.rollout_pin(cluster(), screen(), name=NAME, revision="nothing")


def test_history_says_what_each_is() -> None:
    out = io.StringIO()
    rollout.rollout_history(cluster(), Screen(file=out), name=NAME, now=NOW, output=Output.JSON)
    found = json.loads(out.getvalue())
    assert [(row["revision"], row["is"], row["age"]) for row in found] == [
        (c.REVISION, "serving, desired", "5m"),
        (OLD, "previous", "90m"),
    ]
    assert found[0]["artifact"] == "abababababab"


# Status.


def changed(body: Body) -> str:
    return json.dumps({"type": "MODIFIED", "object": body})


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (c.service("Ready", "serving", phase="Ready", ready="True"), Exit.DONE),
        (c.service("InvalidSpec", "no", phase="Failed", stalled=True), Exit.NOT_WELL),
    ],
    ids=["ready", "failed"],
)
def test_it_waits_until_it_is_ready_or_has_failed(last: Body, code: Exit) -> None:
    converting = c.service("Converting", "ATC is converting", phase="Converting")
    it = Recorded(
        [converting], watched=[changed(converting), "", changed(last), changed(converting)]
    )
    out = io.StringIO()
    assert rollout.rollout_status(it, Screen(file=out), name=NAME, wait=True) is code
    assert len(out.getvalue().splitlines()) == 3


def test_ready_of_an_older_spec_is_not_ready() -> None:
    body = c.service("Ready", "serving", ready="True", status={"observedGeneration": 1})
    assert (
        rollout.rollout_status(Recorded([body]), screen(), name=NAME, wait=False) is Exit.NOT_WELL
    )
