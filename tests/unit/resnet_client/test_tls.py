"""TLS of both protocols, blocking and with asyncio: whom it trusts, and what it says when not."""

from __future__ import annotations

import asyncio
import json
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.support.loopback.webserver import serving
from tests.support.servers import Certificate, make_certificate
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from resnet_client import AsyncClient, Client, ClientError, Tls
from resnet_client.failures import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers what a model takes, as Triton does."""

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        fp32 = model_config_pb2.TYPE_FP32
        config = model_config_pb2.ModelConfig(
            name="digits",
            max_batch_size=8,
            input=[{"name": "input", "data_type": fp32, "dims": [3, 32, 32]}],
            output=[{"name": "logits", "data_type": fp32, "dims": [10]}],
        )
        return service_pb2.ModelConfigResponse(config=config)


def over_http(handler: BaseHTTPRequestHandler) -> None:
    body = json.dumps(
        {
            "name": "digits",
            "max_batch_size": 8,
            "input": [{"name": "input", "data_type": "TYPE_FP32", "dims": [3, 32, 32]}],
            "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": [10]}],
        }
    ).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@dataclass(frozen=True)
class Place:
    """Host and port of servers of one protocol; `strict` wants a client's certificate."""

    protocol: str
    secure: str
    plain: str
    strict: str


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"), names=("IP:127.0.0.1", "DNS:digits"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module", params=["http", "grpc"])
def place(request: pytest.FixtureRequest, ours: Certificate) -> Iterator[Place]:
    if request.param == "http":
        with (
            serving(over_http, certificate=ours) as (secure, _),
            serving(over_http) as (plain, _),
            serving(over_http, certificate=ours, clients=ours.authority) as (strict, _),
        ):
            yield Place("http", *(url.partition("//")[2] for url in (secure, plain, strict)))
        return
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Triton(), server)
    pair = [(ours.key.read_bytes(), ours.certificate.read_bytes())]
    authority = ours.authority.read_bytes()
    ports = [
        server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair)),
        server.add_insecure_port("127.0.0.1:0"),
        server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials(pair, authority, require_client_auth=True)
        ),
    ]
    server.start()
    yield Place("grpc", *(f"127.0.0.1:{port}" for port in ports))
    server.stop(None).wait()


def blocking(url: str, protocol: str, tls: Tls | None) -> int:
    with Client(url, "digits", protocol=protocol, tls=tls) as client:
        return client.contract.height


def with_asyncio(url: str, protocol: str, tls: Tls | None) -> int:
    async def ask() -> int:
        async with AsyncClient(url, "digits", protocol=protocol, tls=tls) as client:
            return (await client.contract()).height

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [blocking, with_asyncio])


@both
def test_an_authority_of_its_own(ask: Any, place: Place, ours: Certificate) -> None:
    assert ask(place.secure, place.protocol, Tls(ca=str(ours.authority))) == 32


@both
def test_a_forwarded_port_is_held_against_the_name(
    ask: Any, place: Place, ours: Certificate
) -> None:
    named = Tls(ca=str(ours.authority), server_name="digits")
    assert ask(place.secure, place.protocol, named) == 32


Case = tuple[str, "Callable[[Place, Certificate, Certificate], tuple[str, Tls | None]]", str]
REFUSED: list[Case] = [
    ("signed by somebody else", lambda at, _, other: (at.secure, Tls(ca=str(other.authority))),
     "its certificate is not trusted; pass the authority"),
    ("the system does not know the authority", lambda at, _, __: (at.secure, Tls()),
     "its certificate is not trusted; pass the authority"),
    ("the certificate is for another host",
     lambda at, ours, _: (at.secure, Tls(ca=str(ours.authority), server_name="other.host")),
     "its certificate is for another host; ask by the name"),
    ("TLS where none is", lambda at, ours, _: (at.plain, Tls(ca=str(ours.authority))),
     "it does not speak TLS here; leave TLS out"),
    ("none where TLS is", lambda at, _, __: (at.secure, None),
     "it closed the connection; is TLS wanted there"),
    ("no such file", lambda at, _, __: (at.secure, Tls(ca="/nowhere/ca.crt")),
     "/nowhere/ca.crt: not usable for TLS (No such file or directory)"),
    ("a file of another kind", lambda at, _, __: (at.secure, Tls(ca=__file__)),
     f"{__file__}: not usable for TLS"),
]  # fmt: skip


@both
@pytest.mark.parametrize(("reason", "case", "want"), REFUSED, ids=[row[0] for row in REFUSED])
def test_one_sentence_says_why_not(
    ask: Any,
    place: Place,
    ours: Certificate,
    foreign: Certificate,
    reason: str,
    case: Any,
    want: str,
) -> None:
    url, tls = case(place, ours, foreign)
    with pytest.raises(ClientError) as refused:
        ask(url, place.protocol, tls)
    assert want in str(refused.value), reason
    assert "\n" not in str(refused.value)
    assert "SSL" not in str(refused.value).partition("(")[0], "OpenSSL's words are no sentence"


@both
def test_a_server_that_wants_a_certificate(ask: Any, place: Place, ours: Certificate) -> None:
    authority, pair = str(ours.authority), (str(ours.certificate), str(ours.key))
    assert ask(place.strict, place.protocol, Tls(authority, *pair)) == 32
    with pytest.raises(ClientError, match="certificate of the client"):
        ask(place.strict, place.protocol, Tls(authority))
    with pytest.raises(ClientError, match="belong together"):
        ask(place.strict, place.protocol, Tls(authority, key=pair[1]))


WORDS = [
    ("a name", OSError(-2, "Name or service not known"), "its name cannot be resolved"),
    ("gRPC's word for it", RuntimeError("DNS resolution failed for x:8001"), "cannot be resolved"),
    ("silence", TimeoutError("timed out"), "it did not answer in time"),
    ("a port nobody listens at", ConnectionRefusedError(111, "Connection refused"),
     "is the service Ready, and the port forwarded?"),
    ("several lines", RuntimeError("unexpected shape\n  for input 'x'\n"), "shape for input 'x'"),
    ("nothing said", RuntimeError(), "RuntimeError"),
    ("a novel", RuntimeError("word " * 5000), "word word…"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "error", "want"), WORDS, ids=[row[0] for row in WORDS])
def test_what_libraries_raise(reason: str, error: Exception, want: str) -> None:
    text = str(explained(error, url="x:8000", model="digits", is_known=True))
    assert want in text, reason
    assert "\n" not in text
    assert len(text) < 500
