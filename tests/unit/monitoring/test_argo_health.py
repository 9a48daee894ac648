"""health.lua says of every state what kstatus says of it, so that Argo CD and Flux agree."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime  # gopher-lua, which Argo CD has, is Lua 5.1
from tests.support.apiserver import ROOT
from tests.support.needs import need_ecosystem
from tests.unit.resnet_operator.plan.status.test_conditions import TABLE, Row, name_of

from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.reasons import Reason
from resnet_operator.api.status import as_status
from resnet_operator.plan.status.conditions import CONDITIONS

GROUP = API_VERSION.split("/")[0]
FOLDER = ROOT / "gitops" / "argo-cd" / "resource_customizations" / GROUP / KIND
HEALTH = (FOLDER / "health.lua").read_text(encoding="utf-8")
DECISIVE = ("Ready", "Reconciling", "Stalled")
DECIDED = {"Reconciling": "InProgress", "Stalled": "Failed"}
# What Argo CD calls it, and what kstatus does.
MEANS = {
    "Healthy": "Current",
    "Suspended": "Current",
    "Progressing": "InProgress",
    "Degraded": "Failed",
}


def health(body: dict[str, Any]) -> dict[str, str]:
    """Run health.lua as Argo CD does: the object is a global, the answer is what it returns."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    for library in ("os", "io", "debug", "package", "require", "dofile", "loadfile"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(body, recursive=True)
    return dict(lua.execute(HEALTH).items())


def kstatus(body: dict[str, Any]) -> str:
    """The rules of sigs.k8s.io/cli-utils/pkg/kstatus for a kind that it does not know."""
    meta, status = body["metadata"], body.get("status") or {}
    if meta.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != meta["generation"]:
        return "InProgress"
    found = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    for kind, value in found.items():
        if kind in DECIDED and value == "True":
            return DECIDED[kind]
    if "Ready" in found:
        return "Current" if found["Ready"] == "True" else "InProgress"
    return "Current"


def an_object(generation: int = 1, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "generation": generation}, "status": status}


def body_of(row: Row) -> dict[str, Any]:
    """Return an object in the state of a row, as the operator writes its status."""
    world = row.state()
    problem = world.seen.pop("problem", None)
    plan = world.plan(problem)
    if plan.again:
        world.reconcile()
    status = world.status if plan.again else as_status(plan.status)
    return an_object(status["observedGeneration"], **status)


def stale(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose spec was changed a moment ago."""
    return an_object(body["metadata"]["generation"] + 1, **body["status"])


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_argo_and_kstatus_agree_in_every_state(row: Row) -> None:
    """Each row of the state table."""
    body = body_of(row)
    said = health(body)
    assert MEANS[said["status"]] == kstatus(body)
    ready = next(c for c in body["status"]["conditions"] if c["type"] == "Ready")
    assert (said["status"] == "Suspended") == (ready["reason"] == "Suspended")
    assert said["message"]
    assert health(stale(body))["status"] == "Progressing"


VALUES = ("True", "False", "Unknown", None)
STATES = tuple(itertools.product(VALUES, VALUES, VALUES))


def orders(state: tuple[str | None, ...]) -> list[dict[str, Any]]:
    """Return the objects with these conditions, in whichever order they stand."""
    conditions = [
        {"type": kind, "status": value, "message": kind}
        for kind, value in zip(DECISIVE, state, strict=True)
        if value is not None
    ]
    return [
        an_object(observedGeneration=1, conditions=list(order))
        for order in itertools.permutations(conditions)
    ]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_they_agree_whatever_the_conditions(state: tuple[str | None, ...]) -> None:
    """Also in states that the operator never writes; somebody else, or a newer one, may."""
    for body in orders(state):
        if state[0] is not None or "True" in state:
            assert MEANS[health(body)["status"]] == kstatus(body)


@pytest.mark.thorough
def test_the_real_ones_say_the_same() -> None:
    """kstatus itself, and health.lua in Argo CD's own interpreter with no more libraries."""
    rows = [body_of(row) for row in TABLE]
    ours = [*rows, *map(stale, rows), *(body for state in STATES for body in orders(state))]
    bodies = [*ours, *(case.body for case in CASES)]
    command = [need_ecosystem() / "judge", FOLDER / "health.lua"]
    done = subprocess.run(command, input=json.dumps(bodies), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for body, verdict in zip(bodies, json.loads(done.stdout), strict=True):
        assert verdict == {"kstatus": kstatus(body), "health": health(body)}, body


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_they_agree_whatever_the_reason(reason: Reason) -> None:
    """While work goes on, when a person has to act, and when it serves; by wish too."""
    others = [
        {"type": kind, "status": status, "reason": reason.value}
        for kind, status in itertools.product(CONDITIONS, ("True", "False", "Unknown"))
        if kind not in DECISIVE
    ]
    for ready, more in (("False", "Reconciling"), ("False", "Stalled"), ("True", None)):
        ours = [{"type": "Ready", "status": ready, "reason": reason.value, "message": "said"}]
        if more:
            ours.append({"type": more, "status": "True", "reason": reason.value, "message": "so"})
        body = an_object(observedGeneration=1, conditions=ours)
        said = health(body)
        assert MEANS[said["status"]] == kstatus(body)
        assert (said["status"] == "Suspended") == (ready == "True" and reason is Reason.SUSPENDED)
        for other in others:
            among = an_object(observedGeneration=1, conditions=[other, *ours])
            assert health(among) == said, f"{other['type']} is not asked"


@dataclass(frozen=True)
class Case:
    reason: str
    body: dict[str, Any]
    health: str
    message: str


READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "serving"}
CASES = (
    Case("nobody has seen it: the CRD's default", an_object(observedGeneration=-1), "Progressing",
         "Waiting for the operator to see the spec"),
    Case("no status at all, as of a CRD without the default", {"metadata": {"generation": 1}},
         "Progressing", "Waiting for the operator to see the spec"),
    Case("the status is of the spec before", an_object(2, observedGeneration=1,
         conditions=[READY]), "Progressing", "Waiting for the operator to see the spec"),
    Case("it is being deleted", {"metadata": {"generation": 1, "deletionTimestamp": "t"},
         "status": {"observedGeneration": 1, "conditions": [READY]}}, "Progressing",
         "Being deleted"),
    Case("it serves", an_object(observedGeneration=1, conditions=[READY]), "Healthy", "serving"),
    Case("a condition of others is not ours", an_object(observedGeneration=1, conditions=[READY,
         {"type": "example.com/Stalled", "status": "True"}]), "Healthy", "serving"),
    Case("Ready without a message", an_object(observedGeneration=1,
         conditions=[{"type": "Ready", "status": "True"}]), "Healthy", "Ready"),
    Case("suspended by wish", an_object(observedGeneration=1, conditions=[READY |
         {"reason": "Suspended", "message": "suspended"}]), "Suspended", "suspended"),
    Case("scaled to zero by wish", an_object(observedGeneration=1, conditions=[READY |
         {"reason": "ScaledToZero"}]), "Healthy", "serving"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_health(case: Case) -> None:
    assert health(case.body) == {"status": case.health, "message": case.message}


def test_argos_own_test_file_says_the_same() -> None:
    """health_test.yaml is how Argo CD's repository tests such a file."""
    tests = yaml.safe_load((FOLDER / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    seen = set()
    for test in tests:
        body = yaml.safe_load((FOLDER / test["inputPath"]).read_text(encoding="utf-8"))
        assert (body["apiVersion"], body["kind"]) == (API_VERSION, KIND)
        assert health(body) == test["healthStatus"], test["inputPath"]
        seen.add(test["healthStatus"]["status"])
    assert seen == {"Healthy", "Progressing", "Degraded", "Suspended"}
    assert {test["inputPath"] for test in tests} == {
        path.relative_to(FOLDER).as_posix() for path in (FOLDER / "testdata").iterdir()
    }
