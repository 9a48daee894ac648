"""TLS with an authority of one's own, broken connections, logins and proxies."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping

import pytest
from tests.support.apiserver import eventually
from tests.support.loopback.webserver import (
    Answer,
    Handler,
    piece,
    redirect,
    serving,
    status,
    tunnel,
    unused_address,
    whole,
)
from tests.support.servers import Certificate, make_certificate
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.net.test_addresses import Names

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch
from resnet_jobs.net.proxies import Proxies

Order = Callable[..., JobSpec]
Secret = Callable[[Mapping[str, str]], None]
DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()
NEWER = DATA[::-1]
CUT = 2 * 1024 * 1024
NAMES = ("IP:127.0.0.1", "DNS:models.test")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), names=NAMES)


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    monkeypatch.setenv("RESNET_CA_FILE", str(certificate.authority))
    return certificate


def failing(spec: JobSpec, workspace: Workspace, fake_time: FakeTime) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch(spec, workspace, clock=fake_time.clock)
    return caught.value


# --- TLS, and connections that break ------------------------------------------------------------


def rest(data: bytes, **headers: str) -> Answer:
    place = f"bytes {CUT}-{len(data) - 1}/{len(data)}"
    return piece(206, data[CUT:], len(data) - CUT, Content_Range=place, **headers)


BROKEN: list[tuple[str, list[Answer], list[str | None], bytes]] = [
    (
        "the rest is asked for",
        [piece(200, DATA[:CUT], len(DATA), ETag='"v1"'), rest(DATA, ETag='"v1"')],
        [None, '"v1"'],
        DATA,
    ),
    (
        "a file that has changed comes whole: the server heeds If-Range",
        [piece(200, DATA[:CUT], len(DATA), ETag='"v1"'), whole(NEWER, ETag='"v2"')],
        [None, '"v1"'],
        NEWER,
    ),
    (
        "a file that has changed starts again: the server does not heed If-Range",
        [
            piece(200, DATA[:CUT], len(DATA), ETag='"v1"'),
            rest(NEWER, ETag='"v2"'),
            whole(NEWER, ETag='"v2"'),
        ],
        [None, '"v1"', None],
        NEWER,
    ),
    (
        "a server without Range starts again",
        [piece(200, DATA[:CUT], len(DATA), ETag='"v1"'), whole(DATA, ETag='"v1"')],
        [None, '"v1"'],
        DATA,
    ),
    (
        "it breaks, changes, and breaks again",
        [
            piece(200, DATA[:CUT], len(DATA), ETag='"v1"'),
            piece(200, NEWER[:CUT], len(NEWER), ETag='"v2"'),
            rest(NEWER, ETag='"v2"'),
        ],
        [None, '"v1"', '"v2"'],
        NEWER,
    ),
]


@pytest.mark.parametrize(("why", "script", "tags", "want"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_server_that_drops_connections(
    why: str,
    script: list[Answer],
    tags: list[str | None],
    want: bytes,
    trusted: Certificate,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(*script, certificate=trusted) as (address, seen):
        result = fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert result["sha256"] == hashlib.sha256(want).hexdigest(), why
    assert workspace.model.read_bytes() == want
    assert [headers.get("If-Range") for _, headers in seen] == tags
    output = capsys.readouterr().out
    assert output.count("; trying again in ") == len(script) - 1
    assert "downloaded 4.9 MiB" in output


def test_a_certificate_counts_for_the_name(
    trusted: Certificate,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection goes to the checked address, the certificate is held against the name."""
    Names(monkeypatch, ["127.0.0.1"])
    with serving(whole(DATA), certificate=trusted) as (address, _):
        port = address.rpartition(":")[2]
        fetch(order(uri=f"https://models.test:{port}/m"), workspace, clock=fake_time.clock)
        error = failing(order(uri=f"https://localhost:{port}/m"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "Hostname mismatch" in error.message


def test_no_certificates_in_the_bundle(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = workspace.scratch / "ca.crt"
    bundle.write_text("not PEM")
    monkeypatch.setenv("RESNET_CA_FILE", str(bundle))
    error = failing(order(uri="https://models.test/m"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.INVALID_SPEC, 64)
    assert "holds no certificates" in error.message


def test_progress_is_told(
    order: Order, workspace: Workspace, fake_time: FakeTime, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(handler: Handler) -> None:
        fake_time.now += 4
        whole(DATA, ETag='"v1"')(handler)

    first = piece(200, DATA[:CUT], len(DATA), ETag='"v1"')
    with serving(first, slow) as (address, _):
        fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert "downloaded 0 of 5 MiB (1 %), " in capsys.readouterr().out


def test_what_has_come_is_kept_before_a_mebibyte_is_full(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """On a link of 100 KiB/s the count would stand still for ten seconds."""
    begun = DATA[: 300 * 1024]
    kept: list[int] = []

    def has_some() -> bool:
        kept[:] = [file.stat().st_size for file in workspace.scratch.rglob(".*.part")]
        return any(kept)

    def slow(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(begun)
        eventually(has_some, what="some of it is kept while the rest has not been sent")
        handler.wfile.write(DATA[len(begun) :])

    with serving(slow) as (address, _):
        fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert 0 < kept[0] <= len(begun)


def test_no_room_is_told_before_the_first_byte(
    trusted: Certificate,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    """Eight exabytes; the server has not sent one of them."""
    with serving(piece(200, b"", 2**63), certificate=trusted) as (address, seen):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.EPHEMERAL_STORAGE_EXCEEDED, 84)
    assert len(seen) == 1
    assert list(workspace.model.parent.iterdir()) == []


# --- logins -------------------------------------------------------------------------------------

BASIC = "Basic " + base64.b64encode(b"me:secret").decode()
LOGINS: list[tuple[str, dict[str, str], str]] = [
    ("a token", {"token": "t0ken"}, "Bearer t0ken"),
    ("a user", {"username": "me", "password": "secret"}, BASIC),
    (
        "a token before a user",
        {"token": "t0ken", "username": "me", "password": "secret"},
        "Bearer t0ken",
    ),
]


@pytest.mark.parametrize(("why", "values", "want"), LOGINS, ids=[login[0] for login in LOGINS])
def test_a_login_stays_with_its_server(
    why: str,
    values: dict[str, str],
    want: str,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    """Within the server it is kept; another port is another server; and coming back is no proof
    that the first server wanted it.
    """
    secret(values)
    there: list[str] = []
    script = [status(301, Location="/moved"), redirect(there), whole(DATA)]
    with (
        serving(*script) as (address, seen),
        serving(status(302, Location=f"{address}/back")) as (elsewhere, other),
    ):
        there.append(f"{elsewhere}/m")
        fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    logins = [headers.get("Authorization") for _, headers in seen]
    assert logins == [want, want, None], why
    assert [headers.get("Authorization") for _, headers in other] == [None]


def test_a_login_is_not_sent_on_without_tls(
    trusted: Certificate, secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    secret({"token": "t0ken"})
    with serving(whole(DATA)) as (plain, seen):
        moved = status(301, Location=f"{plain}/m.onnx")
        with serving(moved, certificate=trusted) as (address, _):
            fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert "Authorization" not in seen[0][1]


def test_a_login_that_is_refused(
    secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    secret({"token": "t0ken"})
    with serving(status(403)) as (address, _):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.ACCESS_DENIED
    assert "the login in the Secret of credentialsSecretRef is not accepted" in error.message
    assert "t0ken" not in json.dumps(error.payload())


# --- proxies ------------------------------------------------------------------------------------

DIRECT: list[tuple[str, str, str, bool]] = [
    ("no exceptions", "", "http://models.test/m", False),
    ("all hosts", "*", "http://models.test/m", True),
    ("the host", "models.test", "http://models.test/m", True),
    ("below it", "test", "http://models.test/m", True),
    ("below it, with a dot", ".test", "http://models.test/m", True),
    ("below it, with a star", "*.test", "http://models.test/m", True),
    ("case", "Models.TEST", "http://MODELS.test/m", True),
    ("the end of a name is no domain", "dels.test", "http://models.test/m", False),
    ("the second of several", "a.example, .svc,models.test", "http://models.test/m", True),
    ("a Service", ".svc,.cluster.local", "http://minio.team.svc/m", True),
    ("the port", "models.test:8080", "http://models.test:8080/m", True),
    ("another port", "models.test:8080", "http://models.test/m", False),
    ("a network", "10.0.0.0/8", "http://10.1.2.3/m", True),
    ("another network", "10.0.0.0/8", "http://11.1.2.3/m", False),
    ("an address", "10.1.2.3", "http://10.1.2.3:80/m", True),
    ("a network of IPv6", "fd00::/8", "http://[fd00::7]/m", True),
]


@pytest.mark.parametrize(("why", "exceptions", "url", "want"), DIRECT, ids=[d[0] for d in DIRECT])
def test_no_proxy(why: str, exceptions: str, url: str, want: bool) -> None:
    environment = {"HTTP_PROXY": "proxy.test:3128", "NO_PROXY": exceptions}
    proxies = Proxies.from_environment(environment)
    assert proxies.of(url) == (None if want else "http://proxy.test:3128"), why


def test_a_proxy_for_each_scheme() -> None:
    proxies = Proxies.from_environment(
        {"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:2", "HTTPS_PROXY": "http://c:3"}
    )
    assert proxies.of("http://h/") == "http://b:2", "as curl does"
    assert proxies.of("https://h/") == "http://c:3"
    assert Proxies.from_environment({"HTTPS_PROXY": "http://c:3"}).of("http://h/") is None


@pytest.mark.parametrize("text", ["socks5://proxy:1080", "http://", "://"])
def test_an_address_that_is_no_proxy(text: str) -> None:
    with pytest.raises(JobError) as caught:
        Proxies.from_environment({"HTTP_PROXY": text})
    assert "write http://<host>:<port>" in caught.value.message


def test_through_a_proxy(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the proxy resolves the name, and a redirect goes through it as well."""
    script = [status(302, Location="http://storage.test/m"), whole(DATA)]
    with serving(*script) as (address, seen):
        monkeypatch.setenv("HTTP_PROXY", address.replace("//", "//me:secret@"))
        spec = order(uri="http://models.test/m.onnx", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    assert [request for request, _ in seen] == [
        "GET http://models.test/m.onnx",
        "GET http://storage.test/m",
    ]
    assert [headers["proxy-authorization"] for _, headers in seen] == [BASIC, BASIC]


def test_through_a_proxy_with_tls_to_the_server(
    trusted: Certificate,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy sees a tunnel and neither the address nor the login."""
    secret({"token": "t0ken"})
    with serving(whole(DATA), certificate=trusted) as (address, seen):
        through = tunnel(int(address.rpartition(":")[2]))
        with serving(through) as (proxy, asked):
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            spec = order(uri="https://models.test/m.onnx", sha256=SHA256)
            fetch(spec, workspace, clock=fake_time.clock)
    assert [request for request, _ in asked] == ["CONNECT models.test:443"]
    assert "Authorization" not in asked[0][1]
    assert seen[0][1]["Authorization"] == "Bearer t0ken"


BEHIND: list[str] = [
    "http://169.254.169.254/latest/meta-data",
    "http://localhost:8080/m",
    "http://2130706433/m",
    "http://[::ffff:127.0.0.2]/m",
    "http://metadata.google.internal/computeMetadata/v1/",
]


@pytest.mark.parametrize("target", BEHIND)
@pytest.mark.parametrize("redirected", [False, True])
def test_the_guard_behind_a_proxy(
    target: str,
    redirected: bool,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RESNET_ALLOWED_ADDRESSES")
    with serving(status(302, Location=target)) as (proxy, seen):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        uri = "http://models.test/m" if redirected else target
        error = failing(order(uri=uri), workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC
    assert len(seen) == int(redirected)


REFUSALS: list[tuple[str, int | None, str, str]] = [
    ("a proxy that is not there", None, "http", "does not let the request through (HTTPConn"),
    ("a proxy that wants a login", 407, "http", "the proxy wants a login: write it into"),
    ("the same for a tunnel", 407, "https", "Tunnel connection failed: 407"),
    ("a proxy with a list of what it allows", 403, "https", "Tunnel connection failed: 403"),
]


@pytest.mark.parametrize(
    ("why", "number", "scheme", "want"), REFUSALS, ids=[refusal[0] for refusal in REFUSALS]
)
def test_a_proxy_that_does_not_help(
    why: str,
    number: int | None,
    scheme: str,
    want: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(status(number or 500)) as (proxy, _):
        address = proxy if number else unused_address()
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", address.replace("//", "//me:secret@"))
        error = failing(order(uri=f"{scheme}://models.test/m"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED, why
    assert want in error.message
    assert "secret" not in json.dumps(error.payload())
