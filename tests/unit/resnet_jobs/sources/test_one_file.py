"""Fetching: each kind of source, and each way it can go wrong, by its reason."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import external_data_helper
from tests.support.loopback.webserver import piece, serving, status, unused_address, whole
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.order import JobSpec
from resnet_jobs import driver
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch

Order = Callable[..., JobSpec]
DATA = bytes(range(256)) * 20_000  # 5 MB: more than one chunk
SHA256 = hashlib.sha256(DATA).hexdigest()


def failing(spec: JobSpec, workspace: Workspace, fake_time: FakeTime) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch(spec, workspace, clock=fake_time.clock)
    return caught.value


# --- claims and ConfigMaps ----------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["pvc://models/a/b/resnet.onnx", "configmap://small/resnet.onnx"])
def test_a_mounted_file(
    uri: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = workspace.source / uri.split("/", 3)[3]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(DATA)
    result = fetch(order(uri=uri, sha256=SHA256), workspace, clock=fake_time.clock)
    assert result == {"ok": True, "sha256": SHA256, "sizeBytes": len(DATA)}
    assert workspace.model.read_bytes() == DATA
    ours = Path(driver.__file__).parent
    there = workspace.driver.parent
    copied = {str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*.py")}
    assert copied == {str(path.relative_to(ours)): path.read_bytes() for path in ours.rglob("*.py")}
    assert "copied 4.9 MiB" in capsys.readouterr().out


def test_a_configmap_key_is_a_link(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    """The kubelet mounts keys as links to ..data/<key>, which stay inside."""
    (workspace.source / "..2026").mkdir()
    (workspace.source / "..2026/m.onnx").write_bytes(DATA)
    (workspace.source / "..data").symlink_to("..2026")
    (workspace.source / "m.onnx").symlink_to("..data/m.onnx")
    spec = order(uri="configmap://c/m.onnx")
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256


MISSING: list[tuple[str, list[str], str, Reason, str]] = [
    (
        "the sentence lists what is there",
        ["a.onnx", "b.onnx", "sub/c.onnx"],
        "x.onnx",
        Reason.MODEL_NOT_FOUND,
        "pvc://models/x.onnx does not exist: the volume holds: a.onnx, b.onnx, sub/",
    ),
    (
        "five names and a count are enough",
        [f"{number}.onnx" for number in range(8)],
        "x.onnx",
        Reason.MODEL_NOT_FOUND,
        "0.onnx, 1.onnx, 2.onnx, 3.onnx, 4.onnx and 3 more",
    ),
    ("an empty claim", [], "x.onnx", Reason.MODEL_NOT_FOUND, "the volume is empty"),
    (
        "the nearest folder that exists",
        ["v1/a.onnx"],
        "v1/v2/x.onnx",
        Reason.MODEL_NOT_FOUND,
        "folder v1 holds: a.onnx",
    ),
    (
        "a folder is no model",
        ["v1/a.onnx"],
        "v1",
        Reason.MODEL_NOT_FOUND,
        "is a folder, not a file: write one of its files; folder v1 holds: a.onnx",
    ),
    (
        "hidden files are not listed",
        [".lost", "a.onnx"],
        "x.onnx",
        Reason.MODEL_NOT_FOUND,
        "holds: a.onnx",
    ),
]


@pytest.mark.parametrize(
    ("why", "there", "path", "reason", "want"), MISSING, ids=[m[0] for m in MISSING]
)
def test_a_file_that_is_not_there(
    why: str,
    there: list[str],
    path: str,
    reason: Reason,
    want: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    for name in there:
        file = workspace.source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    error = failing(order(uri=f"pvc://models/{path}"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (reason, 66), why
    assert want in error.message


def test_a_pipe_on_the_claim_is_not_waited_for(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """Nobody writes into it: reading would last until the Job's deadline."""
    os.mkfifo(workspace.source / "m.onnx")
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC
    assert "neither a file nor a folder: put the file itself there" in error.message


def test_a_link_out_of_the_claim_is_refused(
    order: Order, workspace: Workspace, fake_time: FakeTime, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s")
    (workspace.source / "m.onnx").symlink_to(tmp_path / "secret")
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC
    assert "leads out of the volume" in error.message


def test_a_circle_of_links(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    (workspace.source / "m.onnx").symlink_to("m.onnx")
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.MODEL_NOT_FOUND


def test_a_file_that_may_not_be_read(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.source / "m.onnx").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "resnet_jobs.sources.one_file.copy_file", refuse
    )  # root may read everything
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.ACCESS_DENIED, 68)
    assert "chmod a+rX" in error.message


def test_another_digest(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    (workspace.source / "m.onnx").write_bytes(DATA)
    error = failing(order(uri="pvc://models/m.onnx", sha256="0" * 64), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.CHECKSUM_MISMATCH, 67)
    assert SHA256[:12] in error.message
    assert SHA256 in error.detail
    assert "0" * 64 in error.detail


# --- disk space ---------------------------------------------------------------------------------


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnet_jobs.base.files.shutil.disk_usage", lambda _: Usage(1024 * 1024))


@pytest.mark.usefixtures("small_disk")
def test_no_room_for_a_copy(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    (workspace.source / "m.onnx").write_bytes(DATA)
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.EPHEMERAL_STORAGE_EXCEEDED, 84)
    assert "needs 5 MiB and has 1 MiB free" in error.message
    assert not workspace.model.exists(), "not a byte was written"


@pytest.mark.usefixtures("small_disk")
def test_no_room_for_a_download(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(whole(DATA)) as (address, _):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.EPHEMERAL_STORAGE_EXCEEDED
    assert fake_time.naps == [], "waiting would not help"


def test_a_disk_that_runs_full_on_the_way(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    (workspace.source / "m.onnx").write_bytes(DATA)
    workspace.model.symlink_to("/dev/full")
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.EPHEMERAL_STORAGE_EXCEEDED
    assert "ran full" in error.message


# --- http ---------------------------------------------------------------------------------------


def test_a_download(
    order: Order, workspace: Workspace, fake_time: FakeTime, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(whole(DATA)) as (address, seen):
        spec = order(uri=f"{address}/m.onnx?sig=s3cret", sha256=SHA256)
        result = fetch(spec, workspace, clock=fake_time.clock)
    assert result["sha256"] == SHA256
    assert workspace.model.read_bytes() == DATA
    assert seen[0][0] == "GET /m.onnx?sig=s3cret"
    assert seen[0][1]["Accept-Encoding"] == "identity"
    assert "s3cret" not in capsys.readouterr().out
    assert list(workspace.model.parent.iterdir()) == [workspace.model]


def test_redirects_are_followed(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(status(302, Location="/there"), whole(DATA)) as (address, seen):
        fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert [request for request, _ in seen] == ["GET /m.onnx", "GET /there"]


ANSWERS: list[tuple[str, int, Reason, int, int, str]] = [
    ("no such file", 404, Reason.MODEL_NOT_FOUND, 66, 1, "there is no such file"),
    ("a file that is gone", 410, Reason.MODEL_NOT_FOUND, 66, 1, "HTTP 410"),
    ("a login", 401, Reason.ACCESS_DENIED, 68, 1, "the server wants a login"),
    ("no right", 403, Reason.ACCESS_DENIED, 68, 1, "the server wants a login"),
    ("a broken server", 500, Reason.DOWNLOAD_FAILED, 80, 4, "tried again later"),
    ("a server without its backend", 503, Reason.DOWNLOAD_FAILED, 80, 4, "HTTP 503"),
    ("a server that is asked too often", 429, Reason.DOWNLOAD_FAILED, 80, 4, "HTTP 429"),
    ("an answer nobody foresaw", 418, Reason.DOWNLOAD_FAILED, 80, 1, "HTTP 418"),
]


@pytest.mark.parametrize(
    ("why", "number", "reason", "exit_code", "requests", "want"),
    ANSWERS,
    ids=[a[0] for a in ANSWERS],
)
def test_answers_that_are_no_file(
    why: str,
    number: int,
    reason: Reason,
    exit_code: int,
    requests: int,
    want: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    with serving(status(number, Retry_After="3600")) as (address, seen):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code, len(seen)) == (reason, exit_code, requests), why
    assert want in error.message
    assert fake_time.naps == [1.0, 2.0, 4.0][: requests - 1]


def test_a_server_that_recovers(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(status(503), whole(DATA)) as (address, _):
        result = fetch(order(uri=f"{address}/m.onnx"), workspace, clock=fake_time.clock)
    assert result["sha256"] == SHA256
    assert fake_time.naps == [1.0]


def test_nobody_listens(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    error = failing(order(uri=f"{unused_address()}/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.DOWNLOAD_FAILED, 80)
    assert "refuses the connection" in error.message


def test_an_unknown_host(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # a resolver may take its time
    error = failing(order(uri="http://no-such-host.invalid/m.onnx"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.DOWNLOAD_FAILED, 80)
    assert "no-such-host.invalid: the host name cannot be resolved" in error.message


def test_an_endless_redirect(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(status(302, Location="/again")) as (address, _):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "redirects more than 5 times" in error.message


@pytest.mark.parametrize("target", ["ftp://host/m.onnx", "file:///etc/passwd"])
def test_a_redirect_elsewhere(
    target: str, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    with serving(status(302, Location=target)) as (address, _):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "leads to no http(s) address" in error.message
    assert fake_time.naps == []


def test_tls_without_a_certificate(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(whole(DATA)) as (address, _):
        spec = order(uri=f"{address.replace('http:', 'https:')}/m.onnx")
        error = failing(spec, workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "the TLS connection fails" in error.message


# --- interrupted downloads ----------------------------------------------------------------------

CUT = 2 * 1024 * 1024
REST = {"Content_Range": f"bytes {CUT}-{len(DATA) - 1}/{len(DATA)}"}

BROKEN: list[tuple[str, list[Any], list[str | None]]] = [
    (
        "the rest is asked for, by the tag",
        [
            piece(200, DATA[:CUT], len(DATA), ETag='"v1"'),
            piece(206, DATA[CUT:], len(DATA) - CUT, **REST),
        ],
        [None, f"bytes={CUT}-"],
    ),
    (
        "the rest is asked for, by the date",
        [
            piece(200, DATA[:CUT], len(DATA), Last_Modified="Sat, 21 Nov 2026 09:00:00 GMT"),
            piece(206, DATA[CUT:], len(DATA) - CUT, **REST),
        ],
        [None, f"bytes={CUT}-"],
    ),
    (
        "a server without ranges sends all of it",
        [piece(200, DATA[:CUT], len(DATA), ETag='"v1"'), whole(DATA)],
        [None, f"bytes={CUT}-"],
    ),
    (
        "without a tag the rest may be another file's",
        [piece(200, DATA[:CUT], len(DATA)), whole(DATA)],
        [None, None],
    ),
    (
        "a weak tag promises nothing",
        [piece(200, DATA[:CUT], len(DATA), ETag='W/"v1"'), whole(DATA)],
        [None, None],
    ),
    (
        "a rest from the wrong place starts it all again",
        [
            piece(200, DATA[:CUT], len(DATA), ETag='"v1"'),
            piece(206, DATA[:10], 10, Content_Range=f"bytes 0-9/{len(DATA)}"),
            whole(DATA),
        ],
        [None, f"bytes={CUT}-", None],
    ),
    (
        "a range that cannot be served starts it all again",
        [piece(200, DATA[:CUT], len(DATA), ETag='"v1"'), status(416), whole(DATA)],
        [None, f"bytes={CUT}-", None],
    ),
]


@pytest.mark.parametrize(("why", "script", "ranges"), BROKEN, ids=[b[0] for b in BROKEN])
def test_broken_downloads_go_on(
    why: str,
    script: list[Any],
    ranges: list[str | None],
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    with serving(*script) as (address, seen):
        spec = order(uri=f"{address}/m.onnx", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    assert [headers.get("Range") for _, headers in seen] == ranges, why
    assert workspace.model.read_bytes() == DATA


def test_a_link_that_breaks_every_megabyte_gets_through(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    step = 512 * 1024
    script = [
        piece(
            206 if start else 200,
            DATA[start : start + step],
            len(DATA) - start,
            ETag='"v1"',
            Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}",
        )
        for start in range(0, len(DATA), step)
    ]
    assert len(script) > 4 + 1, "more breaks than attempts in a row"
    with serving(*script) as (address, _):
        fetch(order(uri=f"{address}/m.onnx", sha256=SHA256), workspace, clock=fake_time.clock)


def test_a_download_that_always_breaks(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    with serving(piece(200, b"abc", 100)) as (address, seen):
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert (error.reason, len(seen)) == (Reason.DOWNLOAD_FAILED, 4)
    assert "the connection broke" in error.message
    assert list(workspace.model.parent.iterdir()) == [], "half a file is no file"


def test_the_time_limit_holds(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    with serving(status(503)) as (address, seen):
        error = failing(order(uri=f"{address}/m.onnx", timeoutSeconds=2), workspace, fake_time)
    assert (error.reason, len(seen)) == (Reason.DOWNLOAD_FAILED, 2)


# --- weights in other files ---------------------------------------------------------------------


def save_with_weights(folder: Path) -> str:
    """Returns what `sha256sum model.onnx w/weights.bin | sha256sum` prints."""
    (folder / "w").mkdir(parents=True)
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="w/weights.bin", size_threshold=0
    )
    onnx.save(model, str(folder / "model.onnx"))
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("model.onnx", "w/weights.bin")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_weights_beside_the_model_come_along(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    digest = save_with_weights(workspace.source / "big")
    spec = order(uri="pvc://models/big/model.onnx", sha256=digest)
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == digest
    onnx.load(workspace.model)
    wrong = order(uri="pvc://models/big/model.onnx", sha256="0" * 64)
    error = failing(wrong, workspace, fake_time)
    assert error.reason == Reason.CHECKSUM_MISMATCH
    assert "sha256sum model.onnx w/weights.bin | sha256sum" in error.message


def test_weights_that_are_missing(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    save_with_weights(workspace.source)
    (workspace.source / "w/weights.bin").unlink()
    error = failing(order(uri="pvc://models/model.onnx"), workspace, fake_time)
    assert error.reason == Reason.MODEL_NOT_FOUND
    assert "pvc://models/w/weights.bin does not exist" in error.message


def test_weights_beside_a_downloaded_model(
    order: Order, workspace: Workspace, fake_time: FakeTime, tmp_path: Path
) -> None:
    digest = save_with_weights(tmp_path / "web")
    files = [
        whole((tmp_path / "web" / name).read_bytes()) for name in ("model.onnx", "w/weights.bin")
    ]
    with serving(*files) as (address, seen):
        spec = order(uri=f"{address}/big/model.onnx?key=1", sha256=digest)
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == digest
    assert [request for request, _ in seen] == [
        "GET /big/model.onnx?key=1",
        "GET /big/w/weights.bin?key=1",
    ]
    onnx.load(workspace.model)


def test_weights_with_a_name_that_an_address_must_spell_out(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="w 1#50%.bin", size_threshold=0
    )
    folder = workspace.source
    onnx.save(model, str(folder / "m.onnx"))
    files = [whole((folder / name).read_bytes()) for name in ("m.onnx", "w 1#50%.bin")]
    with serving(*files) as (address, seen):
        fetch(order(uri=f"{address}/a%20b/m.onnx"), workspace, clock=fake_time.clock)
    assert seen[1][0] == "GET /a%20b/w%201%2350%25.bin"
    onnx.load(workspace.model)


def test_weights_with_the_name_that_the_model_has_here(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="model.onnx", size_threshold=0
    )
    onnx.save(model, str(workspace.source / "net.onnx"))
    error = failing(order(uri="pvc://models/net.onnx"), workspace, fake_time)
    assert error.reason == Reason.UNSUPPORTED_MODEL
    assert "save it as one file" in error.message


def test_weights_beside_a_configmap_key(
    order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    save_with_weights(workspace.source)
    error = failing(order(uri="configmap://c/model.onnx"), workspace, fake_time)
    assert error.reason == Reason.UNSUPPORTED_MODEL
    assert "w/weights.bin" in error.message


@pytest.mark.parametrize("location", ["/etc/passwd", "../other/weights.bin"])
def test_weights_outside_the_folder(
    location: str, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    model = models.classifier()
    for tensor in model.graph.initializer:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    (workspace.source / "m.onnx").write_bytes(model.SerializeToString())
    error = failing(order(uri="pvc://models/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.UNSUPPORTED_MODEL
    assert "outside its folder" in error.message
