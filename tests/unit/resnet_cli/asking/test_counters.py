"""Triton's counters: read from its text, and fetched from a port that may answer anything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.unit.resnet_cli.recorded import Recorded

from resnet_cli.asking.counters import Counters, fetch, read_counters
from resnet_cli.exits import CliError, Exit

METRICS = """\
# HELP nv_inference_request_success Number of successful inference requests, all batch sizes
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="digits",version="1"} 120
nv_inference_request_success{model="other",version="1"} 7000
nv_inference_request_failure{model="digits",reason="REJECTED",version="1"} 2
nv_inference_request_failure{model="digits",reason="BACKEND",version="1"} 3
nv_inference_count{model="digits",version="1"} 480
nv_inference_request_duration_us{model="digits",version="1"} 360000
nv_inference_queue_duration_us{model="digits",version="1"} 12000
nv_inference_exec_count{model="digits",version="1"} 60
nv_cpu_utilization 0.5
nv_inference_request_success{model="digits"} not a number
half a li"""
WHOLE = Counters(
    requests=120,
    errors=5,
    timed=120,
    images=480,
    took_us=360000,
    waited=120,
    queue_us=12000,
)
# Of the pipeline 90 have come through all steps.
PIPELINE = f"""{METRICS}
nv_inference_request_success{{model="digits-pipeline",version="1"}} 90
nv_inference_request_duration_us{{model="digits-pipeline",version="1"}} 900000
nv_inference_count{{model="digits-pipeline",version="1"}} 90
nv_inference_queue_duration_us{{model="digits-pipeline",version="1"}} 50
nv_inference_queue_duration_us{{model="digits-preprocess",version="1"}} 700
"""


def test_errors_of_all_reasons_add_up_and_other_models_are_not_ours() -> None:
    assert read_counters(METRICS, "digits") == WHOLE


def test_who_sends_pictures_waits_for_all_steps() -> None:
    assert read_counters(PIPELINE, "digits") == Counters(
        requests=120, errors=5, timed=90, images=480, took_us=900000, waited=120, queue_us=12700
    )


def test_a_pipeline_that_nobody_asks_tells_no_time() -> None:
    unasked = PIPELINE.replace('"digits-pipeline",version="1"} 90', '"digits-pipeline"} 0')
    assert read_counters(unasked, "digits").timed == 120


@pytest.mark.parametrize("text", ["", "<html>not found</html>", "\x00\xff"])
def test_what_is_no_metrics_is_nothing(text: str) -> None:
    assert read_counters(text, "digits") == Counters()


def test_counters_add_and_part() -> None:
    assert WHOLE + WHOLE - WHOLE == WHOLE


Answer = Callable[[bytes], Iterator[int]]


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """A server of one connection that answers these bytes."""
    servers: list[socket.socket] = []

    def serve(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        threading.Thread(target=once, daemon=True).start()
        return int(server.getsockname()[1])

    yield serve
    for server in servers:
        server.close()


def test_it_is_fetched(answering: Callable[[bytes], int]) -> None:
    port = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert fetch(Recorded([], ports={8002: port}), "vision", "a", 8002) == "hello"


@pytest.mark.parametrize(
    ("reason", "answer", "says"),
    [
        ("metrics are switched off", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        ("nothing listens behind the port", b"", "does not answer"),
        ("another protocol", b"\x00\x00\x12\x04\x00\x00\x00", "does not answer"),
        ("half an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhel", "does not answer"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_does_not_answer_is_said(
    answering: Callable[[bytes], int], reason: str, answer: bytes, says: str
) -> None:
    with pytest.raises(CliError, match=says) as caught:
        fetch(Recorded([], ports={8002: answering(answer)}), "vision", "a", 8002)
    assert caught.value.exit_code is Exit.NO_ANSWER, reason
