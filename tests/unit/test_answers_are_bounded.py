"""Whatever answers (a store, a registry, a bucket, the API server), no memory is filled with it.

The table has every place where a body from the network is read, and what bounds it. A read that is
not in the table fails the first test; each kind of bound is tried below with an answer beyond it.
What Triton answers is read by its own client: in a gate of a Triton in the same pod, whose memory
is the pod's, and by clients of the server that they name.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from aiohttp import web
from tests.support.apiserver import ROOT
from tests.support.loopback.webserver import piece, serving, whole
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_cli import kube as cli
from resnet_cli.exits import CliError
from resnet_contract.address import parse_source
from resnet_contract.batch.order import Destination
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.batch.place import open_place
from resnet_jobs.batch.registry import output_registry
from resnet_jobs.net import whole as bounded
from resnet_jobs.net.addresses import AddressGuard
from resnet_jobs.net.guarded import GuardedPool, Web
from resnet_jobs.net.transfer import UnreachableError
from resnet_jobs.sources.access import Access
from resnet_jobs.sources.credentials import Credentials
from resnet_jobs.store import shared_claim
from resnet_jobs.store.server import ServerStore
from resnet_operator.cluster import connection as operator_connection
from resnet_operator.cluster import kube as operator_kube
from resnet_operator.cluster.connection import Connection
from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.login import Login
from resnet_operator.errors import KubeError, Transient
from resnet_operator.watch import stream
from resnet_operator.watch.stream import Broken, Stream

OPERATOR = ROOT / "operator"
PRODUCT = ("jobs", "operator", "runtime", "cli", "client")
# How a body is read, of what is called so.
READS = {"read", "read1", "readinto", "readany", "read_chunked", "json", "text", "stream"}
READS |= {"iter_any", "iter_chunked", "iter_content", "data", "recv", "readline", "readlines"}
ANSWERS = {"response", "answer", "content", "source", "sock", "reply"}

# module: (how, what bounds it)
STREAMED = "streamed into a file or a digest, a piece at a time"
BY_POOL = "settled by the pool that asked: MOST_BYTES of net/whole.py"
BY_CALLER = "as much as the call says"
TABLE: dict[tuple[str, str], str] = {
    ("resnet_jobs/net/whole.py", "response.read"): "MOST_BYTES and one",
    ("resnet_jobs/net/transfer.py", "response.stream"): f"{STREAMED}; the disk, and a deadline",
    ("resnet_jobs/store/http.py", "response.data"): BY_POOL,
    ("resnet_jobs/store/http.py", "response.stream"): STREAMED,
    ("resnet_jobs/store/server.py", "response.data"): BY_POOL,
    ("resnet_jobs/store/s3.py", "response.data"): BY_POOL,
    ("resnet_jobs/sources/s3.py", "error.response.data"): BY_POOL,
    ("resnet_jobs/sources/hub.py", "response.read"): f"{BY_CALLER}, and one",
    ("resnet_jobs/sources/oci_registry.py", "response.read"): "MAX_MANIFEST_BYTES",
    ("resnet_jobs/sources/oci_push.py", "response.read"): "MAX_MANIFEST_BYTES",
    ("resnet_jobs/sources/oci_push.py", "response.stream"): STREAMED,
    ("resnet_operator/cluster/content.py", "response.content.iter_any"): f"{BY_CALLER}",
    ("resnet_operator/cluster/content.py", "content.read"): f"{BY_CALLER}",
    ("resnet_operator/watch/stream.py", "content.iter_any"): "MAX_LINE_BYTES of a line",
    ("resnet_operator/cluster/pod_metrics.py", "response.content.iter_any"): "MOST_BYTES",
    ("resnet_runtime/sampler.py", "answer.read"): "MOST_BYTES",
    ("resnet_runtime/relay.py", "source.read"): "CHUNK, handed on",
    ("resnet_cli/kube.py", "answer.read"): "MOST_OF_ANSWER and one, or MOST_OF_ERROR",
    ("resnet_cli/kube.py", "answer.stream"): "a line at a time, handed on",
    ("resnet_cli/asking/counters.py", "answer.read"): "MOST_BYTES",
    ("resnet_cli/asking/forward.py", "source.recv"): "CHUNK, handed on",
}


def reads() -> Iterator[tuple[str, str]]:
    for package in PRODUCT:
        for path in sorted((OPERATOR / f"resnet_{package}").rglob("*.py")):
            text = path.read_text()
            if not any(word in text for word in ANSWERS):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Attribute) and node.attr in READS:
                    parts = ast.unparse(node).split(".")
                    if ANSWERS & set(parts[:-1]) and all(part.isidentifier() for part in parts):
                        yield str(path.relative_to(OPERATOR)), ".".join(parts)


def test_every_read_of_an_answer_has_a_bound() -> None:
    assert set(reads()) == set(TABLE)


MOST = 1000
ALL, ONE_MORE = b"{" + b" " * (MOST - 2) + b"}", b"{" + b" " * (MOST - 1) + b"}"
SHORT = "where a short answer is due"
Read = Callable[[str, Path], object]


def a_store(url: str, _: Path) -> ServerStore:
    return ServerStore(url, wait_seconds=60, clock=FakeTime().clock)


def an_access() -> Access:
    nothing = Credentials.read(Path("/nowhere"))
    return Access(nothing, Web(guard=AddressGuard.from_text("127.0.0.0/8")), PLAIN)


PLAIN: dict[str, str] = {}


def a_registry(url: str) -> Any:
    name = url.removeprefix("http://")
    PLAIN["RESNET_PLAIN_HTTP_REGISTRIES"] = name
    address = parse_source(f"oci://{name}/results:v1", field="spec.output.uri")
    return output_registry(address, an_access(), wait_seconds=60, clock=FakeTime().clock)


def a_guarded_pool() -> GuardedPool:
    return GuardedPool(an_access().web)


JOBS: dict[str, Read] = {
    "a small file of the store": lambda url, folder: a_store(url, folder).read("a"),
    "a listing of the store": lambda url, folder: a_store(url, folder).entries("a"),
    "a blob of a registry": lambda url, _: a_registry(url).pusher.blob(f"sha256:{'0' * 64}"),
    "what a client of buckets reads": lambda url, _: (
        a_guarded_pool().urlopen("GET", url, headers={}).data
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_keeps_no_more_than_the_bound(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", MOST)
    with serving(whole(ONE_MORE)) as (url, seen):
        with pytest.raises((JobError, UnreachableError), match=SHORT):
            JOBS[name](url, tmp_path)
        assert len(seen) == 1, "asking again brings the same"


def test_what_is_as_long_as_the_bound_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", MOST)
    with serving(whole(ALL)) as (url, _):
        assert a_store(url, tmp_path).read("a") == ALL
        assert a_guarded_pool().urlopen("GET", url, headers={}).data == ALL
        assert a_registry(url).pusher.blob(f"sha256:{sha256(ALL).hexdigest()}") == ALL


def test_what_is_said_against_a_file_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is streamed; a refusal in its place is no file."""
    monkeypatch.setattr(bounded, "MOST_BYTES", MOST)
    with (
        serving(piece(403, ONE_MORE, len(ONE_MORE))) as (url, _),
        pytest.raises(JobError, match=SHORT),
    ):
        a_store(url, tmp_path).save("a", tmp_path / "a")
    with serving(whole(ONE_MORE)) as (url, _):
        digest = a_store(url, tmp_path).save("a", tmp_path / "a")
    assert digest is not None
    assert digest.size == len(ONE_MORE)


@pytest.mark.parametrize("kind", ["large", "pipe", "link"])
def test_a_file_of_a_claim_that_is_none_of_ours(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write the claim may leave anything under the names of our small files."""
    monkeypatch.setattr(shared_claim, "MOST_BYTES", MOST)
    path = tmp_path / "batch.json"
    if kind == "large":
        path.write_bytes(ONE_MORE)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "secret").write_text("secret")
        path.symlink_to(tmp_path / "secret")
    place = open_place(Destination(folder=str(tmp_path)), {}, FakeTime().clock)
    with pytest.raises(JobError) as caught:
        place.read("batch.json")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    path.unlink()
    path.write_bytes(ALL)
    assert place.read("batch.json") == ALL


@contextlib.asynccontextmanager
async def api_server(status: int, data: bytes) -> AsyncIterator[Connection]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=data, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connection = Connection(Login(host=f"http://127.0.0.1:{runner.addresses[0][1]}"))
    try:
        yield connection
    finally:
        await connection.close()
        await runner.cleanup()


async def asked(connection: Connection) -> None:
    await Kube(connection).list_one("v1", "ConfigMap", "models", field_selector="a=b")


async def paged(connection: Connection) -> None:
    async for _ in Stream(connection=connection, kind="Pod", path="/pods").pages():
        pass


BEYOND = [
    ("an object", operator_kube, "MOST_OF_ANSWER", 200, asked, Transient, "more than"),
    ("a page of a list", stream, "MOST_OF_PAGE", 200, paged, Broken, "more than"),
]


@pytest.mark.parametrize(
    ("module", "name", "status", "ask", "error", "says"),
    [row[1:] for row in BEYOND],
    ids=[row[0] for row in BEYOND],
)
def test_the_operator_keeps_no_more_than_the_bound(
    module: ModuleType,
    name: str,
    status: int,
    ask: Callable[[Connection], Awaitable[None]],
    error: type[Exception],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, MOST)

    async def run(data: bytes) -> None:
        async with api_server(status, data) as connection:
            await ask(connection)

    with pytest.raises(error, match=says):
        asyncio.run(run(ONE_MORE))
    found = LIST.ljust(MOST)
    asyncio.run(run(found))


LIST = b'{"metadata": {"resourceVersion": "7"}, "items": []}'


def test_of_a_refusal_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_connection, "MOST_OF_ERROR", MOST)

    async def run() -> None:
        async with api_server(404, b"x" * MOST * 10) as connection:
            await asked(connection)

    with pytest.raises(KubeError) as caught:
        asyncio.run(run())
    assert str(caught.value).count("x") <= MOST


def test_the_command_line_keeps_no_more_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "MOST_OF_ANSWER", MOST)
    monkeypatch.setattr(cli, "MOST_OF_ERROR", MOST)
    large = piece(500, b"x" * MOST * 10, MOST * 10)
    with serving(whole(ALL), whole(ONE_MORE), large) as (url, _):
        cluster = {"server": url}
        config = {
            "current-context": "a",
            "clusters": [{"name": "a", "cluster": cluster}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}],
        }
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(config))
        found = cli.LiveCluster(kubeconfig=str(path), context=None, namespace=None)
        assert len(found.read("/version", {})) == MOST
        with pytest.raises(CliError, match="ask for less"):
            found.read("/version", {})
        with pytest.raises(CliError) as caught:
            found.read("/version", {})
        assert str(caught.value).count("x") <= MOST
