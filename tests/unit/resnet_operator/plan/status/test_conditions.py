"""The state table of the API: what a user, `kubectl wait` and kstatus read in each state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import MESSAGES, condition, end, ended, running, waiting
from tests.unit.resnet_operator.world import World

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.status.conditions import LONG, SHORT, long_message, shorten

NO_CHIP = "0/1 nodes are available: 1 Insufficient huawei.com/Ascend310P."
CRASHED = end(1, said={"reason": "CrashLooping", "message": "a model process of Triton died"})
DEADLINE = {"rollout": {"progressDeadlineSeconds": 100}}
PROGRESS_IS_OVER = ("Progressing", "False", "ProgressDeadlineExceeded")


# Each state is brought about from outside, as in a cluster.


def first_conversion() -> World:
    world = World()
    world.reconcile()
    states = [ended("fetch", said={}), ended("prepare", said={}), running("convert")]
    world.job_pod(phase="Running", init=states)
    return world


def rolling_out(spec: dict[str, Any] | None = None) -> World:
    """The old pod serves, the new one is being made."""
    world = World(spec).serve()
    world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": 5}}})
    world.reconcile()
    world.deployment_says(replicas=2, updated=1, ready=1, available=1)
    world.serving_pod(containers=[waiting("triton", "PodInitializing")])
    return world


def loading() -> World:
    world = World().deploy()
    world.serving_pod(phase="Running", containers=[running("triton")])
    world.deployment_says(updated=1)
    return world


def no_chip() -> World:
    world = World(DEADLINE).deploy()
    world.serving_pod(unschedulable=NO_CHIP)
    world.deployment_says(updated=1)
    return world


def no_chip_for_long() -> World:
    world = no_chip()
    world.reconcile()
    world.pass_time(100)
    world.deployment_says(updated=1, condition=PROGRESS_IS_OVER)
    return world


def no_chip_for_a_surge() -> World:
    world = rolling_out()
    world.serving_pod(unschedulable=NO_CHIP)
    return world


def no_chip_for_a_surge_by_wish() -> World:
    world = rolling_out({"rollout": {"strategy": "Surge"}})
    world.serving_pod(unschedulable=NO_CHIP)
    return world


def no_chip_for_a_surge_for_long() -> World:
    world = no_chip_for_a_surge()
    counts = {"replicas": 2, "updated": 1, "ready": 1, "available": 1}
    world.deployment_says(**counts, condition=PROGRESS_IS_OVER)
    return world


def quota() -> World:
    world = World().deploy()
    words = 'pods "x" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=1, limited'
    world.deployment_says(replicas=0, condition=("ReplicaFailure", "True", words))
    return world


def image_pull() -> World:
    world = World().deploy()
    world.serving_pod(containers=[waiting("triton", "ErrImagePull")])
    world.deployment_says(updated=1)
    return world


def image_pull_of_the_job() -> World:
    world = World(DEADLINE)
    world.reconcile()
    world.job_pod(init=[waiting("fetch", "ErrImagePull")])
    return world


def image_pull_of_the_job_for_long() -> World:
    world = image_pull_of_the_job()
    world.pass_time(100)
    return world


def back_off() -> World:
    world = World()
    world.reconcile()
    world.job_fails("fetch", 80, {"reason": "DownloadFailed", "message": "no such host"})
    return world


def attempts_used_up() -> World:
    world = World({"conversion": {"retries": 0}})
    world.reconcile()
    world.job_fails("fetch", 80, {"reason": "DownloadFailed", "message": "no such host"})
    return world


def missing_claim() -> World:
    world = World(DEADLINE)
    world.seen["source_problem"] = 'PersistentVolumeClaim "models" does not exist here; create it'
    world.reconcile()
    return world


def missing_claim_for_long() -> World:
    world = missing_claim()
    world.pass_time(100)
    return world


def refused() -> World:
    return World({"serving": {"batching": {"maxBatchSize": 9}}})


def refused_while_it_serves() -> World:
    world = World().serve()
    world.change({"serving": {"batching": {"maxBatchSize": 9}}})
    return world


def permanent_failure() -> World:
    world = World()
    world.reconcile()
    world.job_fails("convert", 69, {"reason": "ConversionFailed", "message": "ATC E10016: no"})
    return world


def permanent_failure_while_the_old_one_serves() -> World:
    world = World().serve()
    world.change({"conversion": {"batchSizes": [3]}})
    world.reconcile()
    world.job_fails("convert", 69, {"reason": "ConversionFailed", "message": "ATC E10016: no"})
    return world


def converting_again_while_the_old_one_serves() -> World:
    world = World().serve()
    world.change({"conversion": {"batchSizes": [3]}})
    world.reconcile()
    world.job_pod(phase="Running", init=[running("fetch")])
    return world


def converting_again_while_the_old_one_crashes() -> World:
    """The user fixes a broken object: what is wrong with the old pods is no news."""
    world = crash_for_long()
    world.reconcile()
    world.change({"conversion": {"batchSizes": [3]}})
    world.reconcile()
    world.job_pod(phase="Running", init=[running("fetch")])
    return world


def crash_after_ready() -> World:
    world = World(DEADLINE).serve()
    world.pass_time(3600)
    world.serving_pod(
        name="pod-0", containers=[waiting("triton", "CrashLoopBackOff", last=CRASHED)]
    )
    world.deployment_says(updated=1)
    return world


def crash_for_long() -> World:
    """The Deployment counts no time for pods that were ready once: we must."""
    world = crash_after_ready()
    world.reconcile()
    world.pass_time(100)
    return world


def crash_for_longer() -> World:
    world = crash_for_long()
    world.reconcile()
    world.pass_time(1)
    return world


def changed_while_it_crashes() -> World:
    """Another spec has a deadline of its own."""
    world = crash_for_long()
    world.reconcile()
    world.change({"rollout": {"progressDeadlineSeconds": 200}})
    return world


def crash_is_over() -> World:
    world = crash_for_long()
    world.reconcile()
    world.pods_are_ready()
    return world


def one_of_two_crashes() -> World:
    world = World({"serving": {"replicas": 2}}).serve()
    world.serving_pod(
        name="pod-0", containers=[waiting("triton", "CrashLoopBackOff", last=CRASHED)]
    )
    world.deployment_says(updated=2, ready=1, available=1)
    return world


def suspended() -> World:
    world = World().serve()
    world.change({"suspend": True})
    world.reconcile()
    world.pods_are_ready()
    return world


def suspended_before_the_conversion() -> World:
    return World({"suspend": True})


def scaled_to_zero() -> World:
    world = World().serve()
    world.change({"serving": {"replicas": 0}})
    world.reconcile()
    world.pods_are_ready()
    return world


def scaling_up() -> World:
    world = World().serve()
    world.change({"serving": {"replicas": 2}})
    world.reconcile()
    world.deployment_says(updated=2, ready=1, available=1)
    return world


def no_progress() -> World:
    world = World().deploy()
    world.serving_pod(phase="Running", containers=[running("triton")])
    world.deployment_says(updated=1, condition=PROGRESS_IS_OVER)
    return world


def name_conflict() -> World:
    world = World().serve()
    conflict = Problem(Reason.NAME_CONFLICT, 'Service "resnet50" belongs to helm')
    world.seen["problem"] = conflict
    return world


def labels_missing() -> World:
    world = World({"serving": {"replicas": 2}}).serve()
    world.seen["labels_problem"] = 'ConfigMap "labels" of model.classLabels does not exist'
    return world


@dataclass(frozen=True)
class Row:
    state: Callable[[], World]
    ready: str
    reason: Reason
    doing: str  # "Reconciling", "Stalled" or ""
    available: bool
    phase: str
    pods: str | None = None


TABLE = (
    Row(first_conversion, "False", Reason.CONVERTING, "Reconciling", False, "Converting", "0/1"),
    Row(rolling_out, "False", Reason.ROLLING_OUT, "Reconciling", True, "Deploying", "1/1"),
    Row(loading, "False", Reason.LOADING, "Reconciling", False, "Deploying", "0/1"),
    Row(
        converting_again_while_the_old_one_serves,
        "False",
        Reason.FETCHING,
        "Reconciling",
        True,
        "Fetching",
    ),
    Row(
        converting_again_while_the_old_one_crashes,
        "False",
        Reason.FETCHING,
        "Reconciling",
        False,
        "Fetching",
    ),
    Row(scaling_up, "False", Reason.ROLLING_OUT, "Reconciling", True, "Deploying", "1/2"),
    # Somebody else must act: until the deadline it may still come by itself.
    Row(no_chip, "False", Reason.UNSCHEDULABLE, "Reconciling", False, "Deploying", "0/1"),
    Row(no_chip_for_long, "False", Reason.UNSCHEDULABLE, "Stalled", False, "Failed"),
    Row(no_chip_for_a_surge, "False", Reason.ROLLING_OUT, "Reconciling", True, "Deploying"),
    Row(
        no_chip_for_a_surge_by_wish, "False", Reason.UNSCHEDULABLE, "Reconciling", True, "Degraded"
    ),
    Row(no_chip_for_a_surge_for_long, "False", Reason.UNSCHEDULABLE, "Stalled", True, "Degraded"),
    Row(quota, "False", Reason.QUOTA_EXCEEDED, "Reconciling", False, "Deploying"),
    Row(image_pull, "False", Reason.IMAGE_PULL_FAILED, "Reconciling", False, "Deploying"),
    Row(image_pull_of_the_job, "False", Reason.IMAGE_PULL_FAILED, "Reconciling", False, "Pending"),
    Row(
        image_pull_of_the_job_for_long,
        "False",
        Reason.IMAGE_PULL_FAILED,
        "Stalled",
        False,
        "Failed",
    ),
    Row(back_off, "False", Reason.DOWNLOAD_FAILED, "Reconciling", False, "Pending"),
    Row(attempts_used_up, "False", Reason.DOWNLOAD_FAILED, "Stalled", False, "Failed"),
    Row(missing_claim, "False", Reason.VOLUME_MOUNT_FAILED, "Reconciling", False, "Pending"),
    Row(missing_claim_for_long, "False", Reason.VOLUME_MOUNT_FAILED, "Stalled", False, "Failed"),
    Row(no_progress, "False", Reason.PROGRESS_DEADLINE_EXCEEDED, "Stalled", False, "Failed"),
    # The user must act.
    Row(refused, "False", Reason.INVALID_SPEC, "Stalled", False, "Failed"),
    Row(refused_while_it_serves, "False", Reason.INVALID_SPEC, "Stalled", True, "Degraded"),
    Row(permanent_failure, "False", Reason.CONVERSION_FAILED, "Stalled", False, "Failed"),
    Row(
        permanent_failure_while_the_old_one_serves,
        "False",
        Reason.CONVERSION_FAILED,
        "Stalled",
        True,
        "Degraded",
    ),
    Row(name_conflict, "False", Reason.NAME_CONFLICT, "Reconciling", True, "Degraded", "1/1"),
    Row(labels_missing, "False", Reason.INVALID_SPEC, "Reconciling", True, "Degraded", "2/2"),
    # After it was ready.
    Row(crash_after_ready, "False", Reason.CRASH_LOOPING, "Reconciling", False, "Deploying"),
    Row(crash_for_long, "False", Reason.CRASH_LOOPING, "Stalled", False, "Failed"),
    Row(crash_for_longer, "False", Reason.CRASH_LOOPING, "Stalled", False, "Failed"),
    Row(changed_while_it_crashes, "False", Reason.CRASH_LOOPING, "Reconciling", False, "Deploying"),
    Row(crash_is_over, "True", Reason.READY, "", True, "Ready", "1/1"),
    Row(one_of_two_crashes, "False", Reason.CRASH_LOOPING, "Reconciling", True, "Degraded", "1/2"),
    # Switched off is what was wanted.
    Row(suspended, "True", Reason.SUSPENDED, "", False, "Suspended", "0/0"),
    Row(suspended_before_the_conversion, "True", Reason.SUSPENDED, "", False, "Suspended", "0/0"),
    Row(scaled_to_zero, "True", Reason.SCALED_TO_ZERO, "", False, "Ready", "0/0"),
    Row(lambda: World().serve(), "True", Reason.READY, "", True, "Ready", "1/1"),
)


def name_of(row: Row) -> str:
    return getattr(row.state, "__name__", "").replace("<lambda>", "serving")


def status_of(world: World) -> Any:
    """Return the status after one more reconcile, and one more as nothing changed."""
    problem = world.seen.pop("problem", None)
    if problem is not None:
        return world.plan(problem).status
    world.reconcile()
    first = world.status
    world.reconcile()
    assert world.status == first, "a second look at the same world says something else"
    return first


@pytest.fixture(params=TABLE, ids=name_of)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


def test_table(row: Row) -> None:
    status = status_of(row.state())
    shown = condition(status, "Ready")
    doing = {item["type"] for item in status["conditions"]} & {"Reconciling", "Stalled"}
    assert {
        "Ready": shown["status"],
        "reason": shown["reason"],
        "doing": doing,
        "Available": condition(status, "Available")["status"],
        "phase": status["phase"],
    } == {
        "Ready": row.ready,
        "reason": row.reason.value,
        "doing": {row.doing} - {""},
        "Available": str(row.available),
        "phase": row.phase,
    }
    if row.pods:
        assert status["ready"] == row.pods


def test_what_kstatus_relies_on(row: Row) -> None:
    """It reads Stalled as failed and Reconciling as in progress, and believes nothing else."""
    world = row.state()
    conditions = status_of(world)["conditions"]
    kinds = [item["type"] for item in conditions]
    assert len(set(kinds)) == len(kinds)
    assert kinds == sorted(kinds), "server-side apply keeps our order: it must not wander"
    doing = [item for item in conditions if item["type"] in {"Reconciling", "Stalled"}]
    assert len(doing) <= 1
    shown = condition({"conditions": conditions}, "Ready")
    assert bool(doing) == (shown["status"] == "False")
    for item in doing:
        assert item["status"] == "True"
        assert item["reason"] == shown["reason"]
        assert shorten(item["message"], SHORT) == shown["message"], "the whole of the line"
    assert all(item["observedGeneration"] == world.generation for item in conditions)


def test_every_condition_has_a_known_reason_and_a_sentence(row: Row) -> None:
    for item in status_of(row.state())["conditions"]:
        assert item["reason"] in {reason.value for reason in Reason}
        assert item["message"], f"{item['type']} says nothing"
        if item["type"] in {"Ready", "Available"}:
            assert len(item["message"]) <= SHORT
            assert "\n" not in item["message"]


def test_scheduled_and_model_ready_speak_of_the_wanted_pods_only() -> None:
    assert condition(status_of(suspended()), "ModelReady") == {}
    assert condition(status_of(scaled_to_zero()), "Scheduled") == {}
    assert condition(status_of(first_conversion()), "ModelReady") == {}
    status = status_of(no_chip())
    assert condition(status, "Scheduled")["status"] == "False"
    assert NO_CHIP in condition(status, "Scheduled")["message"], "the scheduler's own words"
    assert condition(status, "ModelReady")["reason"] == "Unschedulable"
    status = status_of(crash_after_ready())
    assert condition(status, "Scheduled")["status"] == "True"
    assert condition(status, "ModelReady")["reason"] == "CrashLooping"
    assert condition(status_of(loading()), "ModelReady")["reason"] == "Loading"


def test_a_problem_of_applying_does_not_make_the_artifact_unknown() -> None:
    status = status_of(name_conflict())
    assert condition(status, "ArtifactReady")["status"] == "True"
    assert status["artifact"]["origin"] == "Converted"


def test_the_artifacts_condition_tells_where_it_came_from() -> None:
    world = World()
    world.reconcile()
    notes = {"notes": ["2 unused opset imports were removed"]}
    world.job_succeeds(
        MESSAGES
        | {
            "prepare": MESSAGES["prepare"] | notes,
            "publish": MESSAGES["publish"] | {"origin": "Reused"},
        }
    )
    shown = condition(status_of(world), "ArtifactReady")
    assert shown["reason"] == "Reused"
    assert shown["message"] == "Reused by ATC 8.2.RC1; 2 unused opset imports were removed"


SHORTENED = (
    ("short text stays", "a b", SHORT, "a b"),
    ("a line is one line", "a\n  b\tc", SHORT, "a b c"),
    ("long text is cut at a word", "word " * 30, SHORT, "word " * 22 + "word…"),
    ("a word without end is cut anywhere", "x" * 130, SHORT, "x" * 119 + "…"),
    ("the long form keeps its lines", "a\n  b", LONG, "a\n  b"),
)


WRONG = "the model has a fixed batch of one, and that is not what the chip is asked for here "
SIZES = (
    "write inputShapes: {input: [3, 224, 224], mask: [1, 224, 224]} under conversion, or export it"
)
LONG_FIX = (
    "no-such-host.invalid: the host name cannot be resolved; check the address, and that pods "
    "of this namespace may reach that host (cannot download http://no-such-host.invalid/m.onnx)"
)
NO_FIX = (
    "the serving image has no pyACL for its Python (No module named 'acl'); AscendOM needs an "
    "image with CANN, whose folder is on PYTHONPATH"
)
LINES = (
    ("no advice at the end: the cause stays", NO_FIX, "the serving image", "'acl')…"),
    (
        "what to do stands last and stays",
        f"{WRONG * 2}; set batchSizes to [1]",
        "the model",
        "to [1]",
    ),
    ("it is nearly a line: it alone", f"{WRONG}; {SIZES}", "write inputShapes", "or export it"),
    (
        "longer than a line: half a line for what is wrong",
        LONG_FIX,
        "no-such-host.invalid: the host name cannot be resolved; check the address, and that pods",
        "…",
    ),
    ("it stands first: cut behind it", f"remove a.b; {WRONG * 2}", "remove a.b; the model", "…"),
    ("a line breaks at its sentence", f"{WRONG[:70]}. {WRONG}", "the model", f"{WRONG[60:70]}…"),
    ("or at its clause", f"remove a; {WRONG[:70]}: {WRONG}", "remove a; the", f"{WRONG[60:70]}…"),
)


@pytest.mark.parametrize(("reason", "text", "begin", "end"), LINES, ids=[row[0] for row in LINES])
def test_the_line_says_what_to_do(reason: str, text: str, begin: str, end: str) -> None:
    found = shorten(text, SHORT)
    assert len(found) <= SHORT, reason
    assert found.startswith(begin), reason
    assert found.endswith(end), reason


@pytest.mark.parametrize(("reason", "text", "limit", "want"), SHORTENED)
def test_shorten(reason: str, text: str, limit: int, want: str) -> None:
    found = shorten(text, limit)
    assert found == want, reason
    assert len(found) <= limit


def test_the_long_form_is_bounded() -> None:
    """The log tail is at most 4 KiB, or the object grows beyond what etcd takes."""
    problem = Problem(Reason.REJECTED, "m", detail="d" * 9999)
    assert len(long_message(problem)) == LONG
    assert long_message(problem).startswith("m\nddd")
    assert long_message(Problem(Reason.REJECTED, "m")) == "m"


OBEYED = [
    ("clears the screen", "\x1b[2Jgone"),
    ("renames the window", "\x1b]0;root\x07"),
    ("the same without an escape", "\x9b2J"),
    ("goes back on the line", "failed\rREADY"),
    ("deletes what was said", "failed\b\b\b\b\b\bready"),
    ("turns the line around", "\u202eydaer"),
    ("hides between isolates", "\u2067ready\u2069"),
    ("a NUL", "failed\0"),
    ("another line's end", "a\u2028b\x85c"),
]


@pytest.mark.parametrize(("reason", "said"), OBEYED, ids=[row[0] for row in OBEYED])
def test_no_terminal_obeys_what_a_container_left(reason: str, said: str) -> None:
    """The images of a conversion and of serving are a user's; admins read the status."""
    world = World()
    world.reconcile()
    message = {"reason": "ConversionFailed", "message": f"{said}; try again", "detail": said}
    world.job_fails("convert", 69, message)
    world.reconcile()
    words = " ".join(item["message"] for item in status_of(world)["conditions"])
    assert "try again" in words, reason
    assert not set(words) & set("\x1b\x07\x9b\r\b\u202e\u2067\u2069\0\u2028\x85")
