"""oci:// against a real registry, with and without a login; a stand-in for what it never does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import onnx
import pytest
from onnx import external_data_helper
from tests.support.loopback.relay import cutting_relay
from tests.support.loopback.webserver import Answer, Handler, piece, serving, status, whole
from tests.support.servers import (
    PASSWORD,
    USER,
    Certificate,
    RegistryServer,
    htpasswd,
    make_certificate,
    registry_server,
    signed_token,
)
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
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as running:
        running.push("team/one", "v1", {"m.onnx": DATA})
        running.push("team/three", "v1", {"README.md": b"r", "m.onnx": DATA, "old/m.om": b"om"})
        running.push("team/two", "v1", {"a.onnx": b"a", "b/c.onnx": DATA})
        running.push("team/none", "v1", {"README.md": b"r", "LICENSE": b"l"})
        running.push("team/untitled", "v1", {"m.onnx": DATA}, titled=False)
        yield running


@pytest.fixture(autouse=True)
def plain_http(
    request: pytest.FixtureRequest, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, registry.name)


def trust(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", f"elsewhere:5000, {name}")


def failing(spec: JobSpec, workspace: Workspace, fake_time: FakeTime) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch(spec, workspace, clock=fake_time.clock)
    return caught.value


# --- which file ---------------------------------------------------------------------------------

CHOICES: list[tuple[str, str]] = [
    ("the only file", "team/one:v1"),
    ("the only one of the format among several", "team/three:v1"),
    ("the one that is named", "team/two:v1#b/c.onnx"),
    ("a layer without a title, when it is alone", "team/untitled:v1"),
]


@pytest.mark.parametrize(("why", "image"), CHOICES, ids=[c[0] for c in CHOICES])
def test_a_file_of_an_artifact(
    why: str,
    image: str,
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = order(uri=f"oci://{registry.name}/{image}", sha256=SHA256)
    result = fetch(spec, workspace, clock=fake_time.clock)
    assert result == {"ok": True, "sha256": SHA256, "sizeBytes": len(DATA)}, why
    assert workspace.model.read_bytes() == DATA
    assert "downloaded 4.9 MiB" in capsys.readouterr().out


def test_a_digest_stays_when_the_tag_moves(
    registry: RegistryServer, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    digest = registry.push("team/moving", "v1", {"m.onnx": DATA})
    registry.push("team/moving", "v1", {"m.onnx": b"another"})
    for reference in (f"@{digest}", f":v1@{digest}"):
        spec = order(uri=f"oci://{registry.name}/team/moving{reference}")
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256


def put(
    registry: RegistryServer, tag: str, layer: Mapping[str, Any], *, media_type: str = MANIFEST
) -> str:
    """A manifest of one layer, whose blob and config were pushed before."""
    registry.push("team/built", "base", {"m.onnx": DATA})
    config = {"digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}", "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config | {"mediaType": "application/vnd.cncf.model.config.v1+json"},
        "layers": [{"digest": f"sha256:{SHA256}", "size": len(DATA), **layer}],
    }
    return registry.put_manifest("team/built", tag, manifest)


LAYERS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "ModelPack, raw",
        MANIFEST,
        {
            "mediaType": "application/vnd.cncf.model.weight.v1.raw",
            "annotations": {"org.cncf.model.filepath": "m.onnx"},
        },
    ),
    (
        "ModelPack before it moved to the CNCF's name",
        MANIFEST,
        {
            "mediaType": "application/vnd.cnai.model.weight.v1.raw",
            "annotations": {"org.cnai.model.filepath": "m.onnx"},
        },
    ),
    (
        "oras gives a plain file the type of an image's layer",
        MANIFEST,
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "annotations": {"org.opencontainers.image.title": "m.onnx"},
        },
    ),
    ("Docker's manifest", DOCKER_MANIFEST, {"mediaType": "application/octet-stream"}),
]


@pytest.mark.parametrize(("why", "media_type", "layer"), LAYERS, ids=[m[0] for m in LAYERS])
def test_what_other_tools_push(
    why: str,
    media_type: str,
    layer: dict[str, Any],
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    put(registry, "v1", layer, media_type=media_type)
    spec = order(uri=f"oci://{registry.name}/team/built:v1#m.onnx")
    if "annotations" not in layer:
        spec = order(uri=f"oci://{registry.name}/team/built:v1")
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256, why


PACKED: list[tuple[str, str]] = [
    ("an image for containers", "application/vnd.oci.image.layer.v1.tar+gzip"),
    ("an image of Docker", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ("ModelPack, packed", "application/vnd.cncf.model.weight.v1.tar"),
    ("a ModelKit", "application/vnd.kitops.modelkit.model.v1.tar+gzip"),
    ("zstd", "application/vnd.cncf.model.weight.v1.tar+zstd"),
]


@pytest.mark.parametrize(("why", "media_type"), PACKED, ids=[p[0] for p in PACKED])
def test_a_packed_layer_is_no_model(
    why: str,
    media_type: str,
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    put(registry, "packed", {"mediaType": media_type})
    error = failing(order(uri=f"oci://{registry.name}/team/built:packed"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.UNSUPPORTED_MODEL, 65), why
    assert "push the file as it is" in error.message


def test_an_index_leads_to_its_manifest(
    registry: RegistryServer, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """buildx adds a manifest of `unknown/unknown` for each platform, which holds no file."""
    entries = []
    for name, data, platform in [
        ("attestation", b"{}", {"os": "unknown", "architecture": "unknown"}),
        ("arm", b"arm", {"os": "linux", "architecture": "arm64"}),
        ("amd", DATA, {"os": "linux", "architecture": "amd64"}),
    ]:
        digest = registry.push("team/index", name, {"m.onnx": data})
        entry = {"mediaType": MANIFEST, "digest": digest, "size": 700, "platform": platform}
        entries.append(entry)
    for media_type in (INDEX, DOCKER_LIST):
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
        pinned = registry.put_manifest("team/index", "v1", index)
        for reference in (":v1", f"@{pinned}"):
            spec = order(uri=f"oci://{registry.name}/team/index{reference}")
            assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256, media_type


def test_weights_in_other_layers(
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
) -> None:
    """`oras push … net/model.onnx net/w.bin README.md`: titles are paths."""
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, str(tmp_path / "model.onnx"))
    files = {f"net/{name}": (tmp_path / name).read_bytes() for name in ("model.onnx", "w.bin")}
    registry.push("team/big", "v1", {**files, "README.md": b"read"})
    for image in ("team/big:v1", "team/big:v1#net/model.onnx"):
        fetch(order(uri=f"oci://{registry.name}/{image}"), workspace, clock=fake_time.clock)
        onnx.load(workspace.model)
        (workspace.model.parent / "w.bin").unlink()


ABSENT: list[tuple[str, str, str]] = [
    ("no such tag", "team/one:v9", "has no team/one with tag or digest v9"),
    ("no such repository", "team/nobody:v1", "has no team/nobody"),
    ("no such digest", f"team/one@sha256:{'0' * 64}", "sha256:0000"),
    (
        "no such file",
        "team/two:v1#c.onnx",
        "has no file c.onnx; it holds: a.onnx, b/c.onnx. Push one file, or name it",
    ),
    ("two that fit", "team/two:v1", "has 2 files that end in .onnx; it holds: a.onnx, b/c.onnx"),
    ("none that fits", "team/none:v1", "has no files that end in .onnx; it holds: README.md"),
]


@pytest.mark.parametrize(("why", "image", "want"), ABSENT, ids=[a[0] for a in ABSENT])
def test_what_is_not_there(
    why: str,
    image: str,
    want: str,
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
) -> None:
    error = failing(order(uri=f"oci://{registry.name}/{image}"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.MODEL_NOT_FOUND, 66), why
    assert want in error.message
    assert fake_time.naps == [], "asking again would not help"


def test_a_blob_that_was_damaged_in_the_registry(
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with registry_server(tmp_path / "server") as damaged:
        damaged.push("team/one", "v1", {"m.onnx": DATA})
        [blob] = (tmp_path / "server").glob(f"**/{SHA256}/data")
        blob.write_bytes(b"x" + DATA[1:])
        trust(monkeypatch, damaged.name)
        error = failing(order(uri=f"oci://{damaged.name}/team/one:v1"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.CHECKSUM_MISMATCH, 67)
    assert not workspace.model.exists()


def test_the_real_registry_resumes(
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with cutting_relay(registry.name, after=2_500_000) as (address, cuts):
        name = address.removeprefix("http://")
        trust(monkeypatch, name)
        spec = order(uri=f"oci://{name}/team/one:v1", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    assert len(cuts) == 1
    assert fake_time.naps == [1.0]


# --- logins -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def private(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[RegistryServer]:
    """With TLS by an authority of its own, and a list of users."""
    folder = tmp_path_factory.mktemp("private")
    with registry_server(
        folder, authentication=htpasswd(folder), certificate=certificate
    ) as running:
        running.push("team/one", "v1", {"m.onnx": DATA}, headers=BASIC)
        yield running


def docker_configuration(server: str, **entry: str) -> dict[str, str]:
    return {".dockerconfigjson": json.dumps({"auths": {server: entry}})}


AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
GOOD_LOGINS: list[tuple[str, Callable[[str], dict[str, str]]]] = [
    ("a user name and a password", lambda _: {"username": USER, "password": PASSWORD}),
    (
        "as kubectl create secret docker-registry",
        lambda name: docker_configuration(name, auth=AUTH),
    ),
    (
        "with the address as docker login writes it",
        lambda name: docker_configuration(f"https://{name}/v1/", username=USER, password=PASSWORD),
    ),
    (
        "another registry's entry, and a user name besides",
        lambda _: (
            {**docker_configuration("other.example.com", auth="eDp5"), "username": USER}
            | {"password": PASSWORD}
        ),
    ),
]


@pytest.mark.parametrize(("why", "values"), GOOD_LOGINS, ids=[g[0] for g in GOOD_LOGINS])
def test_a_login(
    why: str,
    values: Callable[[str], dict[str, str]],
    private: RegistryServer,
    certificate: Certificate,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret(values(private.name))
    monkeypatch.setenv("RESNET_CA_FILE", str(certificate.authority))
    spec = order(uri=f"oci://{private.name}/team/one:v1", sha256=SHA256)
    assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256, why
    output = capfd.readouterr()
    assert PASSWORD not in output.out + output.err


BAD_LOGINS: list[tuple[str, dict[str, str], str]] = [
    ("none", {}, "wants a login for team/one: name a Secret with .dockerconfigjson"),
    ("a wrong password", {"username": USER, "password": "no"}, "does not accept the login"),
    (
        "no docker configuration",
        {".dockerconfigjson": "[]"},
        '".dockerconfigjson" of the credentials Secret is not a docker configuration',
    ),
    (
        "an entry that is no base64",
        docker_configuration("127.0.0.1", auth="§"),
        "wants a login",
    ),
]


@pytest.mark.parametrize(("why", "values", "want"), BAD_LOGINS, ids=[b[0] for b in BAD_LOGINS])
def test_a_login_that_is_refused(
    why: str,
    values: dict[str, str],
    want: str,
    private: RegistryServer,
    certificate: Certificate,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret(values)
    monkeypatch.setenv("RESNET_CA_FILE", str(certificate.authority))
    error = failing(order(uri=f"oci://{private.name}/team/one:v1"), workspace, fake_time)
    assert (error.reason, error.exit_code) == (Reason.ACCESS_DENIED, 68), why
    assert want in error.message
    assert fake_time.naps == []


def test_a_registry_with_an_authority_that_nobody_named(
    private: RegistryServer, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    error = failing(order(uri=f"oci://{private.name}/team/one:v1"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "its certificate is refused" in error.message


def test_a_registry_without_tls_that_is_not_trusted(
    registry: RegistryServer,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RESNET_PLAIN_HTTP_REGISTRIES")
    error = failing(order(uri=f"oci://{registry.name}/team/one:v1"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "the TLS connection fails" in error.message


# --- tokens -------------------------------------------------------------------------------------


class TokenServer:
    """What the realm of a real registry asks: who wants what; it hands out signed tokens."""

    def __init__(self, certificate: Certificate) -> None:
        self.token = signed_token(
            certificate, audience="tests", issuer="tests", repository="team/one"
        )
        self.key = "token"

    def answer(self, handler: Handler) -> None:
        body = parse_qs(
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        )
        good = handler.headers.get("Authorization") == BASIC["Authorization"]
        good = good or body.get("refresh_token") == ["from docker login"]
        data = json.dumps({self.key: self.token, "expires_in": 300}).encode()
        (piece(200, data, len(data)) if good else status(401))(handler)


@pytest.fixture
def tokens(certificate: Certificate) -> TokenServer:
    return TokenServer(certificate)


TOKEN_LOGINS: list[tuple[str, str, str, Callable[[str], dict[str, str]]]] = [
    ("Basic to the realm", "GET", "token", lambda _: {"username": USER, "password": PASSWORD}),
    (
        "a realm that answers as OAuth does",
        "GET",
        "access_token",
        lambda name: docker_configuration(name, auth=AUTH),
    ),
    (
        "the refresh token of docker login",
        "POST",
        "access_token",
        lambda name: docker_configuration(name, identitytoken="from docker login"),
    ),
]


@pytest.mark.parametrize(
    ("why", "method", "key", "values"), TOKEN_LOGINS, ids=[t[0] for t in TOKEN_LOGINS]
)
def test_a_login_by_token(
    why: str,
    method: str,
    key: str,
    values: Callable[[str], dict[str, str]],
    tokens: TokenServer,
    certificate: Certificate,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry checks the token's signature, audience, issuer and rights."""
    tokens.key = key
    with (
        serving(tokens.answer) as (realm, asked),
        token_registry(tmp_path / "server", realm, certificate) as registry,
    ):
        bearer = {"Authorization": f"Bearer {tokens.token}"}
        registry.push("team/one", "v1", {"m.onnx": DATA}, headers=bearer)
        trust(monkeypatch, registry.name)
        secret(values(registry.name))
        spec = order(uri=f"oci://{registry.name}/team/one:v1", sha256=SHA256)
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256, why
    [(request, _)] = asked
    verb, _, target = request.partition(" ")
    assert verb == method, "one login serves manifest and blob"
    if verb == "GET":
        query = parse_qs(urlsplit(target).query)
        assert query == {"service": ["tests"], "scope": ["repository:team/one:pull"]}


def token_registry(folder: Path, realm: str, certificate: Certificate) -> Any:
    authentication = {
        "token": {
            "realm": f"{realm}/token",
            "service": "tests",
            "issuer": "tests",
            "rootcertbundle": str(certificate.authority),
        }
    }
    return registry_server(folder, authentication=authentication)


def test_a_login_by_token_that_is_refused(
    tokens: TokenServer,
    certificate: Certificate,
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        serving(tokens.answer) as (realm, _),
        token_registry(tmp_path / "server", realm, certificate) as registry,
    ):
        trust(monkeypatch, registry.name)
        spec = order(uri=f"oci://{registry.name}/team/one:v1")
        nobody = failing(spec, workspace, fake_time)
        secret({"username": USER, "password": "wrong"})
        wrong = failing(spec, workspace, fake_time)
        tokens.token = "not a token of this registry"
        secret({"username": USER, "password": PASSWORD})
        unfit = failing(spec, workspace, fake_time)
    assert nobody.reason == wrong.reason == unfit.reason == Reason.ACCESS_DENIED
    assert "wants a login" in nobody.message
    assert "does not accept the login" in wrong.message
    assert "does not accept the login" in unfit.message


# --- answers that this registry does not give ---------------------------------------------------


def manifest_of(*layers: Any, **more: Any) -> Answer:
    return whole(json.dumps({"schemaVersion": 2, "layers": list(layers), **more}).encode())


LAYER = {"mediaType": "application/octet-stream", "digest": f"sha256:{SHA256}", "size": len(DATA)}
CHALLENGE = {"WWW_Authenticate": 'Basic realm="here"'}
STRANGE: list[tuple[str, list[Answer], Reason, str, int]] = [
    ("no JSON", [whole(b"<html>")], Reason.DOWNLOAD_FAILED, "a manifest that is not JSON", 1),
    ("no object", [whole(b"[]")], Reason.DOWNLOAD_FAILED, "a manifest that is not an object", 1),
    ("no layers", [manifest_of()], Reason.MODEL_NOT_FOUND, "it is empty", 1),
    (
        "layers that are none",
        [manifest_of("x")],
        Reason.DOWNLOAD_FAILED,
        "a manifest that no specification knows",
        1,
    ),
    (
        "an index of nothing",
        [whole(json.dumps({"manifests": [{"platform": {}}]}).encode())],
        Reason.DOWNLOAD_FAILED,
        "a manifest that no specification knows",
        1,
    ),
    (
        "an empty index",
        [whole(json.dumps({"manifests": []}).encode())],
        Reason.MODEL_NOT_FOUND,
        "an index without a manifest",
        1,
    ),
    (
        "a digest of another kind",
        [manifest_of(LAYER | {"digest": "sha512:00"})],
        Reason.UNSUPPORTED_MODEL,
        "push it again with sha256",
        1,
    ),
    ("a registry that is down", [status(503)], Reason.DOWNLOAD_FAILED, "HTTP 503", 4),
    ("one that is asked too often", [status(429)], Reason.DOWNLOAD_FAILED, "HTTP 429", 4),
    (
        "a blob that is gone",
        [manifest_of(LAYER), status(404)],
        Reason.MODEL_NOT_FOUND,
        "has no team/one",
        2,
    ),
    ("no challenge that we know", [status(401)], Reason.ACCESS_DENIED, "wants a login", 2),
]


@pytest.mark.parametrize(
    ("why", "script", "reason", "want", "requests"), STRANGE, ids=[s[0] for s in STRANGE]
)
def test_strange_answers(
    why: str,
    script: list[Answer],
    reason: Reason,
    want: str,
    requests: int,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(*script) as (address, seen):
        name = address.removeprefix("http://")
        trust(monkeypatch, name)
        error = failing(order(uri=f"oci://{name}/team/one:v1"), workspace, fake_time)
    assert error.reason == reason, f"{why}: {error.message}"
    assert want in error.message
    assert len(seen) == requests


def test_the_login_stays_with_the_registry(
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most registries redirect blobs to a storage server with a signed address; that server
    refuses a request with two logins, and has no business with ours.
    """
    secret({"username": USER, "password": PASSWORD})
    with serving(whole(DATA)) as (storage, stored):
        blob = status(307, Location=f"{storage}/blob?signature=1")
        with serving(status(401, **CHALLENGE), manifest_of(LAYER), blob) as (address, seen):
            name = address.removeprefix("http://")
            trust(monkeypatch, name)
            fetch(order(uri=f"oci://{name}/team/one:v1"), workspace, clock=fake_time.clock)
    assert [headers.get("Authorization") for _, headers in seen] == [
        None,
        BASIC["Authorization"],
        BASIC["Authorization"],
    ]
    assert [headers.get("Authorization") for _, headers in stored] == [None]


def test_a_token_that_ends_during_the_download(
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens live for minutes, models take longer: a broken download logs in again."""
    secret({"username": USER, "password": PASSWORD})
    cut = 2 * 1024 * 1024
    rest = {"Content_Range": f"bytes {cut}-{len(DATA) - 1}/{len(DATA)}"}
    script = [
        manifest_of(LAYER),
        piece(200, DATA[:cut], len(DATA), ETag='"v1"'),
        status(401, **CHALLENGE),
        piece(206, DATA[cut:], len(DATA) - cut, **rest),
    ]
    with serving(*script) as (address, seen):
        name = address.removeprefix("http://")
        trust(monkeypatch, name)
        spec = order(uri=f"oci://{name}/team/one:v1", sha256=SHA256)
        fetch(spec, workspace, clock=fake_time.clock)
    assert [headers.get("Range") for _, headers in seen[2:]] == [f"bytes={cut}-"] * 2


def test_a_login_without_tls_is_not_given(
    secret: Secret,
    certificate: Certificate,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret({"username": USER, "password": PASSWORD})
    monkeypatch.setenv("RESNET_CA_FILE", str(certificate.authority))
    authentication = {
        "token": {
            "service": "tests",
            "issuer": "tests",
            "rootcertbundle": str(certificate.authority),
        }
    }
    with serving(whole(b'{"token": "x"}')) as (realm, asked):
        authentication["token"]["realm"] = f"{realm}/token"
        with registry_server(
            tmp_path / "server", authentication=authentication, certificate=certificate
        ) as registry:
            error = failing(order(uri=f"oci://{registry.name}/team/one:v1"), workspace, fake_time)
    assert error.reason == Reason.DOWNLOAD_FAILED
    assert "a login without TLS" in error.message
    assert asked == []
