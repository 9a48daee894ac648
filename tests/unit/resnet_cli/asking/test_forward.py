"""The forwarded port, and whom it leads to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import FETCHED
from tests.unit.resnet_cli.recorded import NAME, Body, Recorded

from resnet_cli.asking.endpoint import endpoint
from resnet_cli.asking.forward import forwarded
from resnet_cli.asking.how import How
from resnet_cli.exits import CliError, Exit

MODEL = {"model": {"name": "digits"}, "endpoints": {"http": "a:8000", "grpc": "a:8001"}}


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets, in capitals, until the other end is done."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(4096):
                    connection.sendall(data.upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ask(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(words)
        return connection.recv(4096)


def test_several_connections_are_several_to_the_pod(echo: int) -> None:
    made = []

    def dial() -> socket.socket:
        made.append(1)
        return socket.create_connection(("127.0.0.1", echo))

    with forwarded(dial) as port:
        assert [ask(port, word) for word in (b"one", b"two", b"three")] == [
            b"ONE",
            b"TWO",
            b"THREE",
        ]
    assert len(made) == 3
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def pod(ready: bool) -> Body:
    state = c.condition("Ready", "True" if ready else "False", "")
    return c.serving_pod(
        FETCHED, c.container("triton", c.running()), phase="Running", conditions=(state,)
    )


def cluster(*, ready: bool = True, status: Body | None = None, **more: object) -> Recorded:
    body = c.service("Ready", "serving", ready="True", status=status or MODEL)
    return Recorded([body, c.deployment(), pod(ready)], **more)  # type: ignore[arg-type]


def test_a_ready_pod_is_asked(echo: int) -> None:
    it = cluster(ports={8000: echo})
    with endpoint(it, NAME, How()) as where:
        assert ask(int(where.url.rpartition(":")[2]), b"hello") == b"HELLO"
        assert (where.model, where.pod, where.server_name) == ("digits", c.POD, "digits.vision.svc")


def test_a_pipeline_takes_the_pictures(echo: int) -> None:
    status = {**MODEL, "model": {"name": "digits", "pipeline": "digits_pipeline"}}
    it = cluster(ports={8001: echo}, status=status)
    with endpoint(it, NAME, How(grpc=True)) as where:
        assert where.model == "digits_pipeline"


def test_an_address_of_ones_own_needs_no_right() -> None:
    it = cluster(forbidden=frozenset({"pods/portforward", "Pod"}))
    with endpoint(it, NAME, How("npu.example:80", "other")) as where:
        assert (where.url, where.model) == ("npu.example:80", "other")


@pytest.mark.parametrize(
    ("it", "grpc", "code", "says"),
    [
        (cluster(ready=False), False, Exit.NO_ANSWER, "no pod of digits is ready"),
        (
            cluster(status={"endpoints": {"grpc": "a:8001"}}),
            False,
            Exit.NO_ANSWER,
            "digits publishes no http; ask by --grpc",
        ),
        (
            cluster(forbidden=frozenset({"pods/portforward"})),
            False,
            Exit.FORBIDDEN,
            "pods/portforward is not allowed",
        ),
    ],
    ids=["no pod", "gRPC alone", "no right"],
)
def test_who_cannot_be_asked(it: Recorded, grpc: bool, code: Exit, says: str) -> None:
    with (
        pytest.raises(CliError, match=says) as caught,
        endpoint(it, NAME, How(grpc=grpc)),
    ):
        pass
    assert caught.value.exit_code is code
