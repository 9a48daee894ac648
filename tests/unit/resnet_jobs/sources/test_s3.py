"""s3:// and obs:// against a real S3 server that checks signatures, regions and rights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import onnx
import pytest
from onnx import external_data_helper
from tests.support.loopback.webserver import Answer, piece, serving, status, unused_address, whole
from tests.support.servers import SECRET_KEY, S3Server, s3_server
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "m.onnx").write_bytes(DATA)
    with s3_server(folder / "server") as running:
        running.put("models", "a/b c/m+1.onnx", folder / "m.onnx")
        running.put("public", "m.onnx", folder / "m.onnx")
        running.make_public("public")
        yield running


def test_an_object(
    server: S3Server,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret(server.credentials)
    spec = order(uri="s3://models/a/b c/m+1.onnx", sha256=SHA256)
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256
    assert workspace.model.read_bytes() == DATA
    output = capfd.readouterr()
    assert SECRET_KEY not in output.out + output.err


def test_a_public_bucket_needs_no_keys(
    server: S3Server,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    spec = order(uri="s3://public/m.onnx")
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256


def test_obs_by_the_operators_endpoint(
    server: S3Server,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = dict(server.credentials)
    monkeypatch.setenv("OBS_ENDPOINT", values.pop("AWS_ENDPOINT_URL"))
    secret(values)
    spec = order(uri="obs://models/a/b c/m+1.onnx")
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256


def test_the_region_is_found_when_none_is_set(
    server: S3Server, secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """The server refuses a signature for another region and names its own, as AWS does."""
    values = dict(server.credentials)
    del values["AWS_REGION"]
    secret(values)
    spec = order(uri="s3://models/a/b c/m+1.onnx")
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256


REFUSED: list[tuple[str, str, dict[str, str | None], Reason, str]] = [
    (
        "no such object",
        "s3://models/none.onnx",
        {},
        Reason.MODEL_NOT_FOUND,
        "has no object none.onnx",
    ),
    ("no such bucket", "s3://nobody/m.onnx", {}, Reason.MODEL_NOT_FOUND, "has no bucket nobody"),
    (
        "a wrong secret key",
        "s3://models/m.onnx",
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        Reason.ACCESS_DENIED,
        "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
    ),
    (
        "an unknown key id",
        "s3://models/m.onnx",
        {"AWS_ACCESS_KEY_ID": "NOBODY"},
        Reason.ACCESS_DENIED,
        "does not know AWS_ACCESS_KEY_ID",
    ),
    (
        "a wrong region that was set on purpose",
        "s3://models/m.onnx",
        {"AWS_REGION": "ap-southeast-1"},
        Reason.ACCESS_DENIED,
        "set AWS_REGION to eu-west-1",
    ),
    (
        "no keys at all",
        "s3://models/a/b c/m+1.onnx",
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        Reason.ACCESS_DENIED,
        "is not public: put AWS_ACCESS_KEY_ID",
    ),
    (
        "half a login",
        "s3://models/m.onnx",
        {"AWS_SECRET_ACCESS_KEY": None},
        Reason.ACCESS_DENIED,
        "belong together",
    ),
    (
        "an endpoint with a path",
        "s3://models/m.onnx",
        {"AWS_ENDPOINT_URL": "https://host/path"},
        Reason.INVALID_SPEC,
        "without a path",
    ),
    (
        "OBS has no address for everybody",
        "obs://models/m.onnx",
        {"AWS_ENDPOINT_URL": None, "AWS_REGION": None},
        Reason.INVALID_SPEC,
        "which OBS?",
    ),
]


@pytest.mark.parametrize(
    ("why", "uri", "changes", "reason", "want"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_refused(
    why: str,
    uri: str,
    changes: dict[str, str | None],
    reason: Reason,
    want: str,
    server: S3Server,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    values = {**server.credentials, **changes}
    secret({key: value for key, value in values.items() if value is not None})
    with pytest.raises(JobError) as caught:
        fetch(order(uri=uri), workspace, clock=fake_time.clock)
    assert caught.value.reason == reason, f"{why}: {caught.value.message}"
    assert want in caught.value.message
    assert fake_time.naps == [], "asking again would not help"


# --- answers that this server does not give -----------------------------------------------------


def s3_error(number: int, code: str, inside: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>told</Message>{inside}</Error>".encode()
    return piece(number, body, len(body), Content_Type="application/xml")


KEYS = {"AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "KEY", "AWS_SESSION_TOKEN": "old"}
FOREIGN: list[tuple[str, list[Answer], Reason, str, int]] = [
    (
        "temporary keys that have expired",
        [s3_error(400, "ExpiredToken")],
        Reason.ACCESS_DENIED,
        "AWS_SESSION_TOKEN has expired",
        1,
    ),
    (
        "AWS hides missing objects from those who may not list",
        [s3_error(403, "AccessDenied")],
        Reason.ACCESS_DENIED,
        "or it does not exist",
        1,
    ),
    (
        "an archived object",
        [s3_error(403, "InvalidObjectState")],
        Reason.ACCESS_DENIED,
        "is archived",
        1,
    ),
    (
        "a clock that is wrong",
        [s3_error(403, "RequestTimeTooSkewed")],
        Reason.ACCESS_DENIED,
        "set the node's clock",
        1,
    ),
    (
        "a server that is asked too often",
        [s3_error(503, "SlowDown")],
        Reason.DOWNLOAD_FAILED,
        "tried again later",
        4,
    ),
    (
        "a gateway's page",
        [piece(502, b"<html>", 6, Content_Type="text/html")],
        Reason.DOWNLOAD_FAILED,
        "HTTP 502",
        4,
    ),
    (
        "no S3 server",
        [piece(404, b"<html>", 6, Content_Type="text/html")],
        Reason.DOWNLOAD_FAILED,
        "does not answer like an S3 server",
        1,
    ),
]


@pytest.mark.parametrize(
    ("why", "script", "reason", "want", "requests"), FOREIGN, ids=[f[0] for f in FOREIGN]
)
def test_answers_of_other_servers(
    why: str,
    script: list[Answer],
    reason: Reason,
    want: str,
    requests: int,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    with serving(*script) as (address, seen):
        secret({**KEYS, "AWS_ENDPOINT_URL": address})
        with pytest.raises(JobError) as caught:
            fetch(order(uri="s3://models/m.onnx"), workspace, clock=fake_time.clock)
    assert caught.value.reason == reason, f"{why}: {caught.value.message}"
    assert want in caught.value.message
    assert len(seen) == requests


def test_a_broken_download_goes_on_where_it_was(
    secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """S3 does not know If-Range: an object that was replaced would be appended to its forerunner.
    If-Match makes that a 412, and the download begins again.
    """
    cut = 2 * 1024 * 1024
    rest = {"Content_Range": f"bytes {cut}-{len(DATA) - 1}/{len(DATA)}"}
    script = [
        piece(200, b"x" * cut, len(DATA), ETag='"old"'),
        s3_error(412, "PreconditionFailed"),
        piece(200, DATA[:cut], len(DATA), ETag='"new"'),
        piece(206, DATA[cut:], len(DATA) - cut, ETag='"new"', **rest),
    ]
    with serving(*script) as (address, seen):
        secret({**KEYS, "AWS_ENDPOINT_URL": address})
        spec = order(uri="s3://models/m.onnx", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    conditions = [(headers.get("Range"), headers.get("If-Match")) for _, headers in seen]
    assert conditions == [(None, None), (f"bytes={cut}-", '"old"'), (None, None),
                          (f"bytes={cut}-", '"new"')]  # fmt: skip


def test_the_real_server_resumes(
    server: S3Server, secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """A relay in front of it cuts the first answer; the second goes on with the real ETag."""
    from tests.support.loopback.relay import cutting_relay

    with cutting_relay(server.host, after=2_500_000) as (address, cuts):
        secret({**server.credentials, "AWS_ENDPOINT_URL": address})
        spec = order(uri="s3://models/a/b c/m+1.onnx", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    assert len(cuts) == 1
    assert fake_time.naps == [1.0]


def test_nobody_listens(
    secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    secret({**KEYS, "AWS_ENDPOINT_URL": unused_address()})
    with pytest.raises(JobError) as caught:
        fetch(order(uri="s3://models/m.onnx"), workspace, clock=fake_time.clock)
    assert caught.value.reason == Reason.DOWNLOAD_FAILED
    assert "refuses the connection" in caught.value.message


def test_redirects_are_not_followed_with_a_signature(
    secret: Secret, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    with serving(whole(DATA)) as (elsewhere, stolen):
        redirect = status(307, Location=f"{elsewhere}/models/m.onnx")
        with serving(redirect) as (address, _):
            secret({**KEYS, "AWS_REGION": "r", "AWS_ENDPOINT_URL": address})
            with pytest.raises(JobError):
                fetch(order(uri="s3://models/m.onnx"), workspace, clock=fake_time.clock)
    assert stolen == []


def test_weights_beside_the_object(
    server: S3Server,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
) -> None:
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, str(tmp_path / "model.onnx"))
    for name in ("model.onnx", "w.bin"):
        server.put("models", f"big/{name}", tmp_path / name)
    secret(server.credentials)
    fetch(order(uri="s3://models/big/model.onnx"), workspace, clock=fake_time.clock)
    onnx.load(workspace.model)
