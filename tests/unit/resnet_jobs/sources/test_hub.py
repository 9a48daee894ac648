"""hf:// and modelscope:// against stand-ins that answer as the hubs do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import onnx
import pytest
from onnx import external_data_helper
from tests.support.loopback.hubs import COMMIT, TOKEN, Hub, hub_serving
from tests.support.loopback.webserver import serving, status, unused_address
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch

Order = Callable[..., JobSpec]
Secret = Callable[[Mapping[str, str]], None]
DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()
SMALL = b"small"
TOKENS = {"hf": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}
ENDPOINTS = {"hf": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}
KINDS: dict[str, Callable[[Hub], Callable[..., None]]] = {
    "hf": lambda hub: hub.hugging_face,
    "modelscope": lambda hub: hub.model_scope,
}
both = pytest.mark.parametrize("scheme", list(KINDS))


@pytest.fixture
def hub(scheme: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_serving(KINDS[scheme]) as running:
        for repository in ("org/net", "org/private", "org/gated", "datasets/org/set"):
            running.files[repository, "onnx/model 1.onnx"] = DATA
            running.files[repository, "small.onnx"] = SMALL
        running.private.add("org/private")
        running.gated.add("org/gated")
        monkeypatch.setenv(ENDPOINTS[scheme], f"{running.url}/")
        yield running


def failing(spec: JobSpec, workspace: Workspace, fake_time: FakeTime) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch(spec, workspace, clock=fake_time.clock)
    return caught.value


PLACES: list[tuple[str, str, str, str]] = [
    ("the default branch of Hugging Face", "hf", "org/net/onnx/model 1.onnx", "main"),
    ("that of ModelScope", "modelscope", "org/net/onnx/model 1.onnx", "master"),
    ("a tag after the file", "hf", "org/net/onnx/model 1.onnx@v1", "v1"),
    ("a tag of ModelScope", "modelscope", "org/net/onnx/model 1.onnx@v1", "v1"),
    ("a tag after the repository", "hf", "org/net@v1/onnx/model 1.onnx", "v1"),
    ("a commit", "hf", f"org/net/onnx/model 1.onnx@{COMMIT}", COMMIT),
    ("a branch with slashes", "hf", "org/net@refs%2Fpr%2F1/onnx/model 1.onnx", "refs/pr/1"),
    ("a repository of data", "hf", "datasets/org/set/onnx/model 1.onnx@v1", "v1"),
]


@pytest.mark.parametrize(
    ("why", "scheme", "place", "revision"), PLACES, ids=[place[0] for place in PLACES]
)
def test_a_large_file_comes_from_storage(
    why: str,
    scheme: str,
    place: str,
    revision: str,
    hub: Hub,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = order(uri=f"{scheme}://{place}", sha256=SHA256)
    result = fetch(spec, workspace, clock=fake_time.clock)
    assert result == {
        "ok": True,
        "sha256": SHA256,
        "sizeBytes": len(DATA),
        "file": "onnx/model 1.onnx",
        "revision": COMMIT,
    }, why
    *listings, (request, headers) = [one for one in hub.seen if "config.json" not in one[0]]
    assert COMMIT in request
    assert all(quote(revision, safe="") in listing for listing, _ in listings)
    assert len(listings) == (revision != COMMIT), "a commit needs no question"
    assert "Authorization" not in headers
    output = capsys.readouterr().out
    assert "downloaded 4.9 MiB" in output
    assert "signature" not in output


@both
def test_a_small_file_comes_from_the_hub(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime, secret: Secret
) -> None:
    secret({TOKENS[scheme]: TOKEN})
    fetch(order(uri=f"{scheme}://org/net/small.onnx"), workspace, clock=fake_time.clock)
    assert workspace.model.read_bytes() == SMALL
    assert hub.stored == []
    logins = {headers.get("Authorization") for _, headers in hub.seen}
    assert logins == {f"Bearer {TOKEN}"}, "also where the hub sends us within itself"


@both
def test_the_token_stays_with_the_hub(
    scheme: str,
    hub: Hub,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    secret: Secret,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret({TOKENS[scheme]: TOKEN})
    spec = order(uri=f"{scheme}://org/private/onnx/model 1.onnx", sha256=SHA256)
    fetch(spec, workspace, clock=fake_time.clock)
    [(_, asked)], [(_, stored)] = hub.downloads, hub.stored
    assert asked["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in stored
    assert "Cookie" not in stored
    output = capfd.readouterr()
    assert TOKEN not in output.out + output.err


@both
def test_a_broken_download_asks_the_hub_again(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """The signed address may have expired by then; the rest comes by a new one."""
    hub.cut = [2 * 1024 * 1024]
    spec = order(uri=f"{scheme}://org/net/onnx/model 1.onnx", sha256=SHA256)
    fetch(spec, workspace, clock=fake_time.clock)
    assert len(hub.downloads) == 2
    ranges = [headers.get("Range") for _, headers in hub.stored]
    assert ranges == [None, f"bytes={2 * 1024 * 1024}-"]


REFUSED: list[tuple[str, str, str, str | None, Reason, str]] = [
    (
        "a repository that a stranger may not see",
        "hf",
        "org/private/small.onnx",
        None,
        Reason.ACCESS_DENIED,
        "org/private is private or does not exist (HTTP 401): check the name, or put a HF_TOKEN",
    ),
    (
        "the same at ModelScope",
        "modelscope",
        "org/private/small.onnx",
        None,
        Reason.ACCESS_DENIED,
        "put a MODELSCOPE_API_TOKEN that may read it",
    ),
    (
        "terms that nobody accepted",
        "hf",
        "org/gated/small.onnx",
        None,
        Reason.ACCESS_DENIED,
        "org/gated is gated: accept its terms",
    ),
    (
        "a token that has expired",
        "hf",
        "org/net/small.onnx",
        "old",
        Reason.ACCESS_DENIED,
        "the hub does not accept HF_TOKEN",
    ),
    (
        "no such repository",
        "hf",
        "org/nothing/small.onnx",
        TOKEN,
        Reason.MODEL_NOT_FOUND,
        "there is no repository org/nothing that you may see",
    ),
    (
        "no such revision",
        "hf",
        "org/net/small.onnx@v9",
        None,
        Reason.MODEL_NOT_FOUND,
        "org/net has no revision v9",
    ),
    (
        "no such file",
        "hf",
        "org/net/none.onnx",
        None,
        Reason.MODEL_NOT_FOUND,
        "org/net has no file none.onnx at revision main; it has .gitattributes, onnx/model 1.onnx",
    ),
    (
        "ModelScope tells no code",
        "modelscope",
        "org/net/none.onnx",
        None,
        Reason.MODEL_NOT_FOUND,
        "org/net has no file none.onnx at revision master; it has onnx/model 1.onnx, small.onnx",
    ),
]


@pytest.mark.parametrize(
    ("why", "scheme", "place", "token", "reason", "want"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_refused(
    why: str,
    scheme: str,
    place: str,
    token: str | None,
    reason: Reason,
    want: str,
    hub: Hub,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    secret: Secret,
) -> None:
    if token:
        secret({TOKENS[scheme]: token})
    error = failing(order(uri=f"{scheme}://{place}"), workspace, fake_time)
    assert error.reason == reason, f"{why}: {error.message}"
    assert want in error.message
    assert fake_time.naps == [], "asking again would not help"


@both
def test_a_hub_that_is_down(
    scheme: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = order(uri=f"{scheme}://org/net/m.onnx")
    with serving(status(503)) as (address, seen):
        monkeypatch.setenv(ENDPOINTS[scheme], address)
        error = failing(spec, workspace, fake_time)
    assert (error.reason, error.exit_code, len(seen)) == (Reason.DOWNLOAD_FAILED, 80, 4)
    assert "HTTP 503" in error.message
    monkeypatch.setenv(ENDPOINTS[scheme], unused_address())
    error = failing(spec, workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "refuses the connection" in error.message


@both
def test_storage_out_of_reach_is_named(
    scheme: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A firewall that lets the hub through and its storage not is the usual case."""
    with serving(status(302, Location=f"{unused_address()}/blob?signature=1")) as (address, _):
        monkeypatch.setenv(ENDPOINTS[scheme], address)
        error = failing(order(uri=f"{scheme}://org/net/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "refuses the connection" in error.message
    assert "redirected to 127.0.0.1" in error.message
    assert "signature" not in error.message + error.detail


@both
def test_weights_beside_the_model(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime, tmp_path: Path
) -> None:
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="model.onnx_data", size_threshold=0
    )
    onnx.save(model, str(tmp_path / "model.onnx"))
    for name in ("model.onnx", "model.onnx_data"):
        hub.files["org/net", f"onnx/{name}"] = (tmp_path / name).read_bytes()
    spec = order(uri=f"{scheme}://org/net@v1/onnx/model.onnx")
    fetch(spec, workspace, clock=fake_time.clock)
    onnx.load(workspace.model)
    asked = [request for request, _ in hub.seen if "resolve-cache" not in request]
    assert "v1" in asked[0]
    assert all(COMMIT in request for request in asked[1:])
    assert len(asked) == 3, "the list, then both files at its commit"
