"""The program in a bundle, run as a stranger runs it: alone, against a real registry."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import subprocess
import sys
import tarfile
import threading
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from devkit.release.bundle import program, write_bundle
from devkit.release.oci import Layout
from tests.support.servers import (
    PASSWORD,
    USER,
    Certificate,
    RegistryServer,
    free_port,
    htpasswd,
    make_certificate,
    registry_server,
    signed_token,
)
from tests.unit.devkit.release.archives import EPOCH, Entry, docker_archive, layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.thorough  # packs and pushes a bundle

NAMES = ("resnet-jobs:0.2.0", "docker.io/nginxinc/nginx-unprivileged:1.28")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of two small images that share a layer."""
    out = tmp_path_factory.mktemp("dist")
    for name in ("values.yaml", "images.txt", "README.md"):
        (out / name).write_text("x: 1\n")
    for name in ("documentation", "sbom", "crds"):
        (out / name).mkdir()
        (out / name / "file").write_text("text")
    chart = out / "resnet-operator-0.2.0.tgz"
    chart.write_bytes(b"chart")
    layout = Layout(out / "layout", EPOCH)
    shared = layer([Entry("a", b"a" * 300_000)])
    images = []
    for name, more in zip(NAMES, (b"b", b"c"), strict=True):
        archive = docker_archive(out / "image.tar", [shared, layer([Entry("b", more)])])
        images.append(layout.publish(name, [layout.add(archive, limits={})]))
    layout.finish(images)
    write_bundle(layout, chart, out, "0.2.0")
    return out / "resnet-operator-0.2.0-bundle.tar"


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "resnet-operator-0.2.0-bundle"


def run(
    folder: Path, *arguments: str, home: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home or folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-I", folder / "bundle", *arguments],
        input=stdin,
        text=True,
        capture_output=True,
        env=environment,
        cwd="/",
    )


def digests(bundle: Path) -> dict[str, str]:
    done = run(bundle, "list")
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def in_registry(server: RegistryServer, repository: str, reference: str, login: str = "") -> str:
    """Return the digest under which the registry has an image."""
    kind = "application/vnd.oci.image.index.v1+json"
    headers = {"Accept": kind} | ({"Authorization": login} if login else {})
    path = f"/v2/{repository}/manifests/{reference}"
    answer = server._request("HEAD", path, headers, b"")
    return str(answer.headers.get("Docker-Content-Digest"))


def test_the_program_is_the_same_each_time() -> None:
    assert program() == program()
    assert program().startswith(b"#!/usr/bin/env python3\n")


def test_it_is_executable_and_lists_what_is_there(bundle: Path) -> None:
    assert (bundle / "bundle").stat().st_mode & 0o111
    assert set(digests(bundle)) == set(NAMES)
    for name in ("documentation/file", "sbom/file", "crds/file", "values.yaml", "README.md"):
        assert (bundle / name).exists(), name


def test_push(bundle: Path, tmp_path: Path) -> None:
    with registry_server(tmp_path / "server") as server:
        mirror = f"{server.name}/a/mirror"
        for _ in range(2):  # what is there already is not pushed again
            done = run(bundle, "push", mirror + "/", "--plain-http")
            assert done.returncode == 0, done.stderr
        found = {
            NAMES[0]: in_registry(server, "a/mirror/resnet-jobs", "0.2.0"),
            NAMES[1]: in_registry(server, "a/mirror/nginxinc/nginx-unprivileged", "1.28"),
        }
    assert found == digests(bundle)
    assert f"--set images.mirror={mirror}" in done.stdout
    assert (
        f"helm upgrade --install resnet-operator {bundle}/resnet-operator-0.2.0.tgz" in done.stdout
    )
    assert f"--values {bundle}/values.yaml" in done.stdout


def docker_login(home: Path, host: str) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_push_with_a_login_over_tls(bundle: Path, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "pki")
    users = htpasswd(tmp_path / "users")
    with registry_server(
        tmp_path / "server", authentication=users, certificate=certificate
    ) as server:
        docker_login(tmp_path / "home", server.name)
        options = ("push", server.name, "--ca", str(certificate.authority))
        by_docker = run(bundle, *options, home=tmp_path / "home")
        by_hand = run(
            bundle, *options, "--username", USER, "--password-stdin", stdin=f"{PASSWORD}\n"
        )
        login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        found = in_registry(server, "resnet-jobs", "0.2.0", login)
    assert (by_docker.returncode, by_hand.returncode) == (0, 0), by_docker.stderr + by_hand.stderr
    assert found == digests(bundle)[NAMES[0]]


@contextlib.contextmanager
def token_server(certificate: Certificate) -> Iterator[str]:
    """Sign tokens for USER, as the registries of large vendors have it; yield the address."""
    login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            _, repository, actions = asked["scope"][0].split(":")
            right = self.headers["Authorization"] == login and actions == "pull,push"
            token = signed_token(
                certificate, audience=asked["service"][0], issuer="tests", repository=repository
            )
            self.send_response(200 if right else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"token": token} if right else {}).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_push_with_tokens(bundle: Path, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "pki")
    with token_server(certificate) as realm:
        token = {
            "realm": f"{realm}/token",
            "service": "tests",
            "issuer": "tests",
            "rootcertbundle": str(certificate.authority),
        }
        with registry_server(tmp_path / "server", authentication={"token": token}) as server:
            push = ("push", f"{server.name}/a", "--plain-http", "--username", USER)
            right = run(bundle, *push, "--password-stdin", stdin=f"{PASSWORD}\n")
            wrong = run(bundle, *push, "--password-stdin", stdin="wrong\n")
    assert right.returncode == 0, right.stderr
    assert wrong.returncode == 1
    assert "use a login that may push there" in wrong.stderr


def test_refusals_say_what_to_do(bundle: Path, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "pki")
    users = htpasswd(tmp_path / "users")
    with registry_server(
        tmp_path / "server", authentication=users, certificate=certificate
    ) as server:
        ca = ("--ca", str(certificate.authority))
        wrong = ("--username", USER, "--password-stdin")
        said = {
            "wants a login: run `docker login": run(bundle, "push", server.name, *ca),
            "use a login that may push there": run(
                bundle, "push", server.name, *ca, *wrong, stdin="wrong\n"
            ),
            "give the certificate authority's file as --ca": run(bundle, "push", server.name),
        }
    with registry_server(tmp_path / "plain") as server:
        said["does not speak TLS"] = run(bundle, "push", server.name)
    nobody = f"127.0.0.1:{free_port()}"
    said["cannot be reached"] = run(bundle, "push", nobody, "--plain-http")
    said["without scheme"] = run(bundle, "push", "https://registry.internal")
    said["write host[:port][/path]"] = run(bundle, "push", "registry")
    said["go together"] = run(bundle, "push", "r.internal", "--username", "x")
    for words, done in said.items():
        assert done.returncode != 0, words
        assert words in done.stderr, f"{words}: {done.stderr}"
        assert "Traceback" not in done.stderr, words
        assert "helm upgrade" not in done.stdout, words


def test_a_damaged_copy_is_not_pushed(bundle: Path, tmp_path: Path) -> None:
    assert run(bundle, "verify").returncode == 0
    largest = max((bundle / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    with registry_server(tmp_path / "server") as server:
        for done in (run(bundle, "verify"), run(bundle, "push", server.name, "--plain-http")):
            assert done.returncode == 1
            assert f"{largest.name} is damaged" in done.stderr
        assert in_registry(server, "resnet-jobs", "0.2.0") == "None"


def test_half_an_unpacked_bundle(bundle: Path) -> None:
    (bundle / "index.json").unlink()
    done = run(bundle, "list")
    assert done.returncode == 1
    assert "is not an unpacked bundle" in done.stderr


def test_it_needs_nothing_that_is_installed(bundle: Path) -> None:
    """The system's Python, without this project's libraries."""
    command = ["/usr/bin/python3", "-I", "-S", str(bundle / "bundle"), "list"]
    done = subprocess.run(command, text=True, capture_output=True, cwd="/", env={})
    assert done.returncode == 0, done.stderr
