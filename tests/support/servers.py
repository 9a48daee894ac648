"""Real servers for tests of sources: S3 (versitygw) and a container registry (distribution).

`devkit/servers/build.sh` makes the programs, once; each server keeps its files in a folder of the
test and ends with the block. `host` is loopback for unit tests; in e2e tests it is the address
under which pods reach this machine.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from minio import Minio
from tests.support.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BUILD = Path(__file__).parents[2] / "devkit" / "servers" / "build.sh"
ACCESS_KEY, SECRET_KEY, REGION = "TESTACCESSKEY", "test-secret-of-the-s3-server", "eu-west-1"
USER, PASSWORD = "tester", "correct horse"
# bcrypt, cost 4, of PASSWORD: the registry reads no other kind.
HTPASSWD = f"{USER}:$2b$04$WhM3ErKp3OaqGDNATj6BKe890YZHX5KbEPxbVRr5..FPK0xbzKqde\n"
START_SECONDS = patient(20)


@functools.cache
def programs() -> Path:
    """The folder with the servers; builds what is not built yet."""
    done = subprocess.run([BUILD], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class S3Server:
    """`url` is for AWS_ENDPOINT_URL; `credentials` are what a Secret would hold."""

    url: str
    host: str

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Uploads with the server's own keys; makes the bucket."""
        client = Minio(self.host, ACCESS_KEY, SECRET_KEY, secure=False, region=REGION)
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        client.fput_object(bucket, key, str(path))

    def make_public(self, bucket: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        client = Minio(self.host, ACCESS_KEY, SECRET_KEY, secure=False, region=REGION)
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.set_bucket_policy(bucket, json.dumps(policy))


@contextlib.contextmanager
def s3_server(folder: Path, *, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """An S3 server that checks signatures, regions and rights."""
    port = free_port(host)
    files, metadata = folder / "s3", folder / "metadata"
    files.mkdir(parents=True)
    metadata.mkdir()
    command: list[str | Path] = [programs() / "versitygw"]
    command += ["--access", ACCESS_KEY, "--secret", SECRET_KEY]
    command += ["--region", REGION, "--port", f"{host}:{port}", "--quiet", "posix"]
    command += ["--sidecar", metadata, files]
    with running(command, folder / "s3.log", host=host, port=port):
        yield S3Server(url=f"http://{host}:{port}", host=f"{host}:{port}")


@dataclass(frozen=True)
class RegistryServer:
    """`name` is host and port, as it stands in an oci:// address."""

    name: str
    scheme: str
    ca: str | None

    def push(
        self,
        repository: str,
        tag: str,
        files: Mapping[str, bytes],
        *,
        media_type: str = "application/octet-stream",
        titled: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """What `oras push` does: a layer for each file. Returns the manifest's digest."""
        config = self._blob(repository, b"{}", headers)
        layers = []
        for title, data in files.items():
            layer = self._blob(repository, data, headers) | {"mediaType": media_type}
            if titled:
                layer["annotations"] = {"org.opencontainers.image.title": title}
            layers.append(layer)
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.test.model",
            "config": config | {"mediaType": "application/vnd.oci.empty.v1+json"},
            "layers": layers,
        }
        return self.put_manifest(repository, tag, manifest, headers=headers)

    def put_manifest(
        self,
        repository: str,
        tag: str,
        manifest: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        body = json.dumps(manifest).encode()
        sent = {"Content-Type": manifest["mediaType"], **(headers or {})}
        answer = self._request("PUT", f"/v2/{repository}/manifests/{tag}", sent, body)
        assert answer.status == 201, answer.data
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def _blob(
        self, repository: str, data: bytes, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        start = self._request("POST", f"/v2/{repository}/blobs/uploads/", headers or {}, b"")
        assert start.status == 202, start.data
        place = start.headers["Location"]
        address = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        sent = {"Content-Type": "application/octet-stream", **(headers or {})}
        answer = self._request("PUT", address, sent, data)
        assert answer.status == 201, answer.data
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        url = path if path.startswith("http") else f"{self.scheme}://{self.name}{path}"
        with urllib3.PoolManager(ca_certs=self.ca) as pool:
            return pool.request(method, url, headers=dict(headers), body=body)


@contextlib.contextmanager
def registry_server(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    authentication: Mapping[str, Any] | None = None,
    certificate: Certificate | None = None,
) -> Iterator[RegistryServer]:
    """A registry; `authentication` is the block `auth` of its configuration."""
    port = port or free_port(host)
    folder.mkdir(parents=True, exist_ok=True)
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"{host}:{port}"},
    }
    if certificate:
        configuration["http"]["tls"] = {
            "certificate": str(certificate.certificate),
            "key": str(certificate.key),
        }
    if authentication:
        configuration["auth"] = authentication
    (folder / "registry.yml").write_text(json.dumps(configuration))  # JSON is YAML
    command: list[str | Path] = [programs() / "registry", "serve", folder / "registry.yml"]
    with running(command, folder / "registry.log", host=host, port=port):
        yield RegistryServer(
            name=f"{host}:{port}",
            scheme="https" if certificate else "http",
            ca=str(certificate.authority) if certificate else None,
        )


def htpasswd(folder: Path) -> dict[str, Any]:
    """The registry's own list of users: USER with PASSWORD."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}


@dataclass(frozen=True)
class Certificate:
    """Of a server, by an authority made for the test. All are PEM files."""

    authority: Path
    certificate: Path
    key: Path


QUICK_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@functools.cache
def rsa_key() -> bytes:
    """A key that signs tokens, too. To make one takes seconds of a slow machine, so all servers of
    a process have the same."""
    made = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True)
    return made.stdout


def make_certificate(folder: Path, *, names: Sequence[str] = ("IP:127.0.0.1",)) -> Certificate:
    """A certificate authority of its own, and a server's certificate signed by it."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, ca, key, request = (folder / name for name in ("ca.key", "ca.crt", "key.pem", "csr"))
    _openssl("req", "-x509", *QUICK_KEY, "-days", "2", "-subj", "/CN=tests' authority",
             "-keyout", ca_key, "-out", ca)  # fmt: skip
    key.touch(mode=0o600)
    key.write_bytes(rsa_key())
    _openssl("req", "-new", "-key", key, "-subj", "/CN=tests' server", "-out", request)
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName={','.join(names)}\n")
    _openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
             "-days", "2", "-extfile", extensions, "-out", folder / "server.crt")  # fmt: skip
    return Certificate(authority=ca, certificate=folder / "server.crt", key=key)


def signed_token(certificate: Certificate, *, audience: str, issuer: str, repository: str) -> str:
    """A registry's token (JWT, RS256) that allows everything in one repository."""
    now = int(time.time())
    der = subprocess.run(
        ["openssl", "x509", "-in", certificate.certificate, "-outform", "DER"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    claims = {
        "iss": issuer,
        "sub": USER,
        "aud": audience,
        "exp": now + 300,
        "nbf": now - 10,
        "iat": now,
        "jti": "1",
        "access": [{"type": "repository", "name": repository, "actions": ["pull", "push"]}],
    }
    text = ".".join(_url64(json.dumps(part).encode()) for part in (header, claims))
    signature = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", certificate.key],
        input=text.encode(),
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return f"{text}.{_url64(signature)}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], log: Path, *, host: str, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(patient(10))
