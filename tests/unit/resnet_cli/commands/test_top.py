"""`top`: what is told of requests, errors, latency and chips, and what is left open."""

from __future__ import annotations

import io
import json
import socket
from typing import Any

import pytest
from tests.support.patience import patient
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import FETCHED
from tests.unit.resnet_cli.recorded import DEVICE, NAME, NAMESPACE, Body, Recorded

from resnet_cli.asking.endpoint import ready_pods
from resnet_cli.commands import top as command
from resnet_cli.commands.top import top
from resnet_cli.exits import CliError, Exit
from resnet_cli.parts import held_chips, name_of
from resnet_cli.show import Output, Screen
from resnet_operator import names

READY = c.condition("Ready", "True", "")
INTERVAL = 2.0


def metrics(
    requests: float,
    *,
    errors: float = 0,
    missed: float = 0,
    took: float = 5000,
    queue: float = 1000,
) -> str:
    """As Triton writes them; times in microseconds of one request.

    Of the requests `missed` were answered with an error, as the runtime counts them.
    """
    of = f'{{model="{NAME}",version="1"}}'
    own = f'resnet_failed_requests{{instance="0",model="{NAME}"}} {missed}\n'
    return own + "\n".join(
        f"{name}{of} {value}"
        for name, value in (
            ("nv_inference_request_success", requests),
            ("nv_inference_request_failure", errors),
            ("nv_inference_count", 8 * requests),
            ("nv_inference_request_duration_us", took * requests),
            ("nv_inference_queue_duration_us", queue * requests),
        )
    )


def serving(name: str = c.POD, **more: Any) -> Body:
    running = c.container("triton", c.running())
    options: dict[str, Any] = {"phase": "Running", "conditions": (READY,), "name": name, **more}
    return c.serving_pod(FETCHED, running, **options)


def several(**more: Any) -> Recorded:
    body = c.service("Ready", "serving", phase="Ready", ready="True")
    waiting = c.service("Unschedulable", "no chip")
    waiting["metadata"] = {**waiting["metadata"], "name": "flowers", "uid": "uid-flowers"}
    pending = serving("flowers-x", node=None, conditions=(), phase="Pending")
    pending["metadata"]["labels"]["app.kubernetes.io/instance"] = "flowers"
    pending["metadata"]["ownerReferences"][0]["uid"] = "uid-rs-flowers"
    deployments = [c.deployment(), c.deployment()]
    deployments[1]["metadata"] |= {"name": "flowers", "uid": "uid-of-flowers"}
    for one in deployments:
        one["metadata"]["labels"] = names.labels(names.SERVING)
    done = c.foreign_pod("done", namespace=NAMESPACE, count=4)
    done["status"]["phase"] = "Succeeded"
    others = [
        c.foreign_pod("yolo-7f", namespace="robots", count=2),
        c.foreign_pod("train", namespace=NAMESPACE, count=1),
        done,
    ]
    second = serving("digits-second")
    pods = [serving(), second, pending, *others]
    return Recorded([body, waiting, *deployments, *pods], **more)


def told(
    monkeypatch: pytest.MonkeyPatch,
    it: Recorded,
    answers: dict[str, list[str | CliError]],
    *,
    namespace: str | None = NAMESPACE,
) -> dict[str, Any]:
    """Run it with what each pod answers, time after time."""

    def fetch(_: object, namespace: str, pod: str, port: int) -> str:
        assert port == 8002
        answer = answers[pod].pop(0)
        if isinstance(answer, CliError):
            raise answer
        return answer

    now = [0.0]
    monkeypatch.setattr(command, "fetch", fetch)
    out = io.StringIO()
    code = top(
        it,
        Screen(file=out),
        namespace=namespace,
        interval=INTERVAL,
        output=Output.JSON,
        clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )
    assert code is Exit.DONE
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


STRANGERS = [
    ("nothing controls it", {"ownerReferences": []}),
    ("a ReplicaSet of nobody's", {"ownerReferences": [
        {"kind": "ReplicaSet", "name": c.REPLICA_SET, "uid": "uid-x", "controller": True}]}),
    ("the ReplicaSet owns it and does not control it", {"ownerReferences": [
        {"kind": "ReplicaSet", "name": c.REPLICA_SET, "uid": f"uid-rs-{NAME}"}]}),
    ("that of another service", {"ownerReferences": [
        {"kind": "ReplicaSet", "name": c.REPLICA_SET, "uid": "uid-rs-flowers",
         "controller": True}]}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "meta"), STRANGERS, ids=[one[0] for one in STRANGERS])
def test_a_pod_with_our_labels_is_not_asked(
    reason: str, meta: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = several()
    stranger = next(one for one in it.objects if one["metadata"]["name"] == "digits-second")
    stranger["metadata"] |= meta
    found = told(monkeypatch, it, {c.POD: [metrics(100), metrics(100)]})
    assert (row(found)["pods"], row(found)["requests"]) == (1, 100), reason
    assert [name_of(pod) for pod in ready_pods(it, NAMESPACE, NAME)] == [c.POD], reason


def test_without_the_right_to_see_replica_sets_names_are_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = several(forbidden=frozenset({"ReplicaSet"}))
    answers: dict[str, list[str | CliError]] = {
        c.POD: [metrics(100), metrics(100)],
        "digits-second": [metrics(1), metrics(1)],
    }
    assert row(told(monkeypatch, it, answers))["pods"] == 2


def row(found: dict[str, Any], name: str = NAME) -> dict[str, Any]:
    return next(one for one in found["services"] if one["name"] == name)


def test_requests_errors_and_latency_over_all_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(
        monkeypatch,
        several(),
        {
            c.POD: [metrics(100, errors=1), metrics(160, errors=4)],
            "digits-second": [metrics(50), metrics(70)],
        },
    )
    one = row(found)
    assert (one["requests"], one["errors"], one["podsAsked"], one["pods"]) == (230, 4, 2, 2)
    assert one["requestsPerSecond"] == (60 + 20) / INTERVAL
    assert one["imagesPerSecond"] == 8 * (60 + 20) / INTERVAL
    assert (one["meanMilliseconds"], one["meanQueueMilliseconds"]) == (5.0, 1.0)


def test_errors_that_triton_calls_successes_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(
        monkeypatch,
        several(),
        {
            c.POD: [metrics(100, missed=10), metrics(160, errors=3, missed=30)],
            "digits-second": [metrics(50), metrics(70, missed=20)],
        },
    )
    one = row(found)
    assert (one["requests"], one["errors"]) == (160 - 27 + 70 - 20, 30 + 20)
    assert one["requestsPerSecond"] == (133 - 90 + 50 - 50) / INTERVAL
    assert one["meanMilliseconds"] == 5.0, "Triton times what it calls a success"


def test_the_mean_is_that_of_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    late = metrics(200, took=5000 * 100 / 200 + 9000 * 100 / 200)
    found = told(
        monkeypatch,
        several(),
        {c.POD: [metrics(100), late], "digits-second": [metrics(0), metrics(0)]},
    )
    assert row(found)["meanMilliseconds"] == 9.0


@pytest.mark.parametrize(
    ("reason", "first", "second", "rate", "mean"),
    [
        ("nobody asks now: the mean since the start", metrics(100), metrics(100), 0.0, 5.0),
        ("nobody ever asked", metrics(0), metrics(0), 0.0, None),
        ("started again in between: no rate", metrics(900), metrics(5), None, 5.0),
    ],
)
def test_what_cannot_be_told_is_left_open(
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    first: str,
    second: str,
    rate: float | None,
    mean: float | None,
) -> None:
    answers: dict[str, list[str | CliError]] = {
        c.POD: [first, second],
        "digits-second": [metrics(0), metrics(0)],
    }
    one = row(told(monkeypatch, several(), answers))
    assert (one["requestsPerSecond"], one["meanMilliseconds"]) == (rate, mean), reason


def test_a_pod_that_does_not_answer_is_named_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = CliError("no answer", Exit.NO_ANSWER)
    found = told(
        monkeypatch, several(), {c.POD: [metrics(100), metrics(160)], "digits-second": [gone]}
    )
    assert (row(found)["requests"], row(found)["podsAsked"], row(found)["pods"]) == (160, 1, 2)
    assert found["silent"] == ["digits-second: no answer"]


def test_without_the_right_to_forward_chips_are_shown_all_the_same() -> None:
    out = io.StringIO()
    it = several(forbidden=frozenset({"pods/portforward"}))
    top(it, Screen(file=out), namespace=NAMESPACE, interval=0, output=Output.JSON)
    found = json.loads(out.getvalue())
    assert row(found)["requests"] is None
    assert (row(found)["chips"], row(found, "flowers")["chips"]) == (2, 0)
    assert "pods/portforward is not allowed" in found["silent"][0]


def test_chips_by_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all namespaces; a pod that is done, or waits for a node, holds none."""
    answers: dict[str, list[str | CliError]] = {
        name: [metrics(1), metrics(1)] for name in (c.POD, "digits-second")
    }
    found = told(monkeypatch, several(), answers, namespace=None)
    assert found["chips"] == [
        {"namespace": "robots", "chip": DEVICE, "held": 2, "byServices": 0, "pods": 1},
        {"namespace": NAMESPACE, "chip": DEVICE, "held": 3, "byServices": 2, "pods": 3},
    ]


def test_processors_and_memory_are_no_chips() -> None:
    pod = c.foreign_pod("a", namespace=NAMESPACE)
    pod["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"},
        "limits": {"attachable.kubernetes.io/x": "3", "hugepages-2Mi": "4", "nvidia.com/gpu": "1"},
    }
    assert command.chips_of([pod]) == [
        {"namespace": NAMESPACE, "chip": "nvidia.com/gpu", "held": 1, "byServices": 0, "pods": 1}
    ]


HELD: list[tuple[str, dict[str, str], int]] = [
    ("a whole chip", {"huawei.com/Ascend310P": "1"}, 1),
    ("one place on a chip", {"example.com/shared-310p": "1"}, 1),
    (
        "mebibytes of HAMi",
        {"huawei.com/Ascend310P": "1", "huawei.com/Ascend310P-memory": "4096"},
        1,
    ),
    ("a share of its cores", {"a.b/npu": "1", "a.b/npu-memory": "1", "a.b/npu-core": "50"}, 1),
    ("a device of that name", {"a.b/dimm-memory": "2"}, 2),
]


@pytest.mark.parametrize(("reason", "limits", "count"), HELD)
def test_memory_of_a_chip_is_no_chip(reason: str, limits: dict[str, str], count: int) -> None:
    pod = c.foreign_pod("a", namespace=NAMESPACE)
    pod["spec"]["containers"][0]["resources"] = {"limits": limits}
    assert held_chips(pod) == count, reason


def test_who_may_not_look_is_told() -> None:
    it = several(forbidden=frozenset({"ResNetService of all namespaces"}))
    with pytest.raises(CliError) as caught:
        top(it, Screen(file=io.StringIO()), namespace=None, interval=0, output=Output.TEXT)
    assert caught.value.exit_code is Exit.FORBIDDEN


def test_counters_come_through_a_forwarded_port() -> None:
    """Unpatched: a real socket that answers as Triton does."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        body = metrics(3).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

        def serve() -> None:
            for _ in range(4):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(head + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        it = several(ports={8002: server.getsockname()[1]})
        out = io.StringIO()
        top(it, Screen(file=out, width=140), namespace=NAMESPACE, interval=0, output=Output.TEXT)
        thread.join(timeout=patient(10))
    assert out.getvalue().splitlines()[1].split()[:4] == [NAME, "1/1", "2", "6"]
