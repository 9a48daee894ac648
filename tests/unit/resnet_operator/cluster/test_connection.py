"""Who we are: tokens, certificates and kubeconfigs that are exchanged while we run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from resnet_operator.cluster import connection as module
from resnet_operator.cluster.connection import Connection, error_of
from resnet_operator.cluster.login import read_login
from resnet_operator.errors import Conflict, Gone, LoginFailed, Rejected, Transient


@dataclass(kw_only=True)
class Door:
    """A server that lets in whoever brings one of `tokens`; it notes what everybody brought."""

    tokens: set[str]
    port: int = 0
    brought: list[str] = field(default_factory=list)
    # So many next requests are refused, whatever they bring.
    refuse: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "")
        self.brought.append(token)
        if self.refuse or token.removeprefix("Bearer ") not in self.tokens:
            self.refuse = max(self.refuse - 1, 0)
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"kind": "List"})


@contextlib.asynccontextmanager
async def serving(door: Door, tls: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    app = web.Application()
    app.router.add_get("/api", door.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", door.port, ssl_context=tls).start()
    door.port = runner.addresses[0][1]
    try:
        yield door
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    found = await Connection.connect()
    try:
        yield found
    finally:
        await found.close()


async def ask(connection: Connection) -> None:
    async with await connection.open("GET", "/api") as response:
        await response.read()


class Config:
    """A kubeconfig that somebody writes again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, door: Door, *, ca: Path | None = None, **user: str) -> None:
        scheme = "https" if ca else "http"
        cluster: dict[str, Any] = {"server": f"{scheme}://127.0.0.1:{door.port}"}
        cluster |= {"certificate-authority": str(ca)} if ca else {}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "x", "cluster": cluster}],
            "users": [{"name": "x", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        # As `kubectl config` does: another file takes the name, and no reader sees half of one.
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.rename(self.path)


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr(module, "REREAD_SECONDS", 0.0)
    return Config(path)


async def test_one_refusal_is_nothing(kubeconfig: Config) -> None:
    """A server that was just restarted; the same token is good a moment later."""
    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, token="one")
        async with connected() as connection:
            await ask(connection)
            door.refuse = 1
            with pytest.raises(LoginFailed, match="does not accept"):
                await ask(connection)
            assert "does not accept" in connection.problem
            await ask(connection)
            assert connection.problem == ""


async def test_a_token_that_ended_is_read_again_and_nobody_sees_a_refusal(
    kubeconfig: Config, tmp_path: Path
) -> None:
    """The file of a tokenFile is not watched: the refusal has it read."""
    token = tmp_path / "token"
    token.write_text("one")
    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, tokenFile=str(token))
        async with connected() as connection:
            await ask(connection)
            token.write_text("two")
            door.tokens = {"two"}
            await ask(connection)
            assert [words.split()[-1] for words in door.brought] == ["one", "one", "two"]
            assert connection.problem == ""


async def test_a_kubeconfig_that_was_written_again_is_used_before_anybody_refuses(
    kubeconfig: Config,
) -> None:
    async with serving(Door(tokens={"one", "two"})) as door:
        kubeconfig.write(door, token="one")
        async with connected() as connection:
            await ask(connection)
            kubeconfig.write(door, token="two")
            await ask(connection)
            assert [words.split()[-1] for words in door.brought] == ["one", "two"]


async def test_another_address_in_the_kubeconfig(kubeconfig: Config) -> None:
    async with serving(Door(tokens={"one"})) as old, serving(Door(tokens={"two"})) as new:
        kubeconfig.write(old, token="one")
        async with connected() as connection:
            await ask(connection)
            kubeconfig.write(new, token="two")
            await ask(connection)
            assert len(old.brought) == len(new.brought) == 1


async def test_a_kubeconfig_that_is_broken_for_a_while(kubeconfig: Config) -> None:
    """What is known serves on; the trouble is said, and over when the file is good."""
    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, token="one")
        async with connected() as connection:
            kubeconfig.path.write_text("{")
            await ask(connection)
            door.tokens = {"two"}
            with pytest.raises(LoginFailed):
                await ask(connection)
            kubeconfig.path.unlink()
            with pytest.raises(LoginFailed):
                await ask(connection)
            assert connection.problem
            kubeconfig.write(door, token="two")
            await ask(connection)
            assert connection.problem == ""


async def test_a_hundred_who_are_refused_read_the_file_once(
    kubeconfig: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading may run a program that asks a cloud for a token."""
    monkeypatch.setattr(module, "REREAD_SECONDS", 60.0)
    reads = 0

    async def read() -> Any:
        nonlocal reads
        reads += 1
        return await read_login()

    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, token="one")
        connection = Connection(await read_login(), read=read)
        try:
            kubeconfig.write(door, token="two")
            door.tokens = {"two"}
            await asyncio.gather(*(ask(connection) for _ in range(100)))
            door.tokens = {"three"}
            refused = await asyncio.gather(
                *(ask(connection) for _ in range(100)), return_exceptions=True
            )
            assert all(isinstance(error, LoginFailed) for error in refused)
            assert reads == 1
        finally:
            await connection.close()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("is-not-there"))


BROKEN: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("it is empty", lambda path: path.write_text("")),
    ("it is a line end", lambda path: path.write_text("\n")),
    ("it is gone", Path.unlink),
    ("it is a folder, as of a volume whose key is missing", _folder),
    ("it is a link to nothing", _nowhere),
    ("it is half written", lambda path: path.write_text('{"clusters": [{"na')),
    ("it is a list", lambda path: path.write_text("[]")),
    ("it is an object of nothing", lambda path: path.write_text("{}")),
    (
        "it names a context that is not there",
        lambda path: path.write_text('{"current-context":"y"}'),
    ),
    ("it is no text", lambda path: path.write_bytes(b"\xff\xfe\x00")),
)


def _put_back(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(("reason", "breaks"), BROKEN, ids=[case[0] for case in BROKEN])
@pytest.mark.parametrize("file", ["kubeconfig", "token"])
async def test_a_file_that_is_broken_for_a_while(
    file: str, reason: str, breaks: Callable[[Path], object], kubeconfig: Config, tmp_path: Path
) -> None:
    """What was read before is used on while the server takes it; then it is said, and it heals."""
    token = tmp_path / "token"
    token.write_text("one")
    broken = token if file == "token" else kubeconfig.path
    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, tokenFile=str(token))
        async with connected() as connection:
            await ask(connection)
            breaks(broken)
            await ask(connection)
            door.tokens = {"two"}
            for _ in range(2):
                with pytest.raises(LoginFailed):
                    await ask(connection)
                assert connection.problem
            _put_back(broken)
            token.write_text("two")
            kubeconfig.write(door, tokenFile=str(token))
            await ask(connection)
            assert connection.problem == ""


def test_no_credentials_at_all_end_the_start(kubeconfig: Config) -> None:
    with pytest.raises(LoginFailed, match="cannot be read"):
        asyncio.run(Connection.connect())


# TLS.


class Authority:
    """Makes certificates for 127.0.0.1."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key, self.certificate = folder / f"{name}.key", folder / f"{name}.crt"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True)

    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Authority, Authority]:
    return Authority(tmp_path, "old"), Authority(tmp_path, "new")


async def test_another_certificate_authority(
    kubeconfig: Config, tmp_path: Path, authorities: tuple[Authority, Authority]
) -> None:
    """The kubelet exchanges ca.crt; connections that are open go on, new ones trust the new one."""
    old, new = authorities
    ca = tmp_path / "ca.crt"
    ca.write_bytes(old.certificate.read_bytes())
    door = Door(tokens={"one"})
    async with serving(door, old.server()):
        kubeconfig.write(door, ca=ca, token="one")
        connection = await Connection.connect()
        await ask(connection)
    try:
        async with serving(door, new.server()):
            with pytest.raises(LoginFailed, match="TLS"):
                await ask(connection)
            assert "TLS" in connection.problem
            ca.write_bytes(new.certificate.read_bytes())
            await ask(connection)
            assert connection.problem == ""
    finally:
        await connection.close()


# Words of the server.


@dataclass(frozen=True)
class Answer:
    status: int
    kind: type[Exception]
    message: str = "no"
    reason: str = ""


ANSWERS = (
    Answer(401, LoginFailed),
    Answer(403, Rejected, 'pods is forbidden: User "system:serviceaccount:a:b" cannot list'),
    Answer(403, LoginFailed, 'pods is forbidden: User "system:anonymous" cannot list'),
    Answer(404, Gone),
    Answer(408, Transient),
    Answer(409, Conflict),
    Answer(410, Rejected),
    Answer(422, Rejected),
    Answer(429, Transient),
    Answer(504, Transient),
)


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case.status} {case.kind.__name__}")
def test_what_an_answer_means(case: Answer) -> None:
    content = json.dumps({"message": case.message}).encode()
    assert type(error_of(case.status, content, {})) is case.kind


BODIES = (b"", b"[]", b"<html>", b"\xff\xfe", b'{"message": 17}', b'{"message": null}', b'"x"')


@pytest.mark.parametrize("content", BODIES)
def test_an_answer_need_not_be_the_api_servers(content: bytes) -> None:
    """A gateway on the way answers as it likes."""
    assert error_of(503, content, {}).status == 503


WAITS = (("2", 2.0), ("0.5", 0.5), ("-1", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", None), ("", None))


@pytest.mark.parametrize(("text", "seconds"), WAITS)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert error_of(429, b"", {"Retry-After": text}).retry_after == seconds


async def test_a_host_that_has_no_address(kubeconfig: Config) -> None:
    """DNS that fails is no login that fails: it is tried again."""
    async with serving(Door(tokens={"one"})) as door:
        kubeconfig.write(door, token="one")
        text = kubeconfig.path.read_text().replace("127.0.0.1", "nowhere.invalid")
        kubeconfig.path.write_text(text)
        async with connected() as connection:
            with pytest.raises(Transient, match="cannot be reached") as caught:
                await ask(connection)
            assert not isinstance(caught.value, LoginFailed)
            kubeconfig.write(door, token="one")
            await ask(connection)


def test_requests_have_an_end() -> None:
    assert module.TIMEOUT.total
    assert isinstance(module.TIMEOUT, aiohttp.ClientTimeout)
