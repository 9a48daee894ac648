"""Sources with a login, an authority of their own, or another protocol, fetched by real pods.

The servers run on the test's host, under the address that pods reach it by.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import external_data_helper
from tests.e2e.story import FP16_TOLERANCE, MODEL, PICTURES, Story, digits_batch, expected_logits
from tests.support.servers import (
    PASSWORD,
    USER,
    Certificate,
    htpasswd,
    make_certificate,
    registry_server,
    s3_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "host.resnet-devkit.internal"
SHA256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
CPU = {"chip": "CPU"}


@pytest.fixture
def host(story: Story) -> str:
    if story.cluster is None:
        pytest.skip("pods of a foreign cluster cannot reach this host")
    return story.cluster.host_ip


def secret(values: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "type": kind,
        "stringData": values,
    }


def trust(certificate: Certificate) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "trust"},
        "data": {"ca.pem": certificate.authority.read_text()},
    }


LOGIN = {"credentialsSecretRef": {"name": "login"}}
TRUST = {"caBundleConfigMapKeyRef": {"name": "trust", "key": "ca.pem"}}


def assert_serves(story: Story, name: str = "digits") -> None:
    batch = digits_batch(PICTURES[:3])
    assert np.abs(story.logits(batch, name) - expected_logits(batch)).max() < FP16_TOLERANCE


class Quiet(SimpleHTTPRequestHandler):
    """Drops the first connection in the middle of the file, as a broken link does."""

    cuts: list[int]
    protocol_version = "HTTP/1.0"

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if self.cuts and self.path.endswith(".onnx"):
            outputfile.write(source.read(self.cuts.pop()))
            return
        super().copyfile(source, outputfile)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def https_server(host: str, folder: Path, certificate: Certificate) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    handler = type("Cutting", (Quiet,), {"cuts": [2048]})
    server = ThreadingHTTPServer((host, 0), partial(handler, directory=str(folder)))
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_bucket_with_a_login(story: Story, host: str, tmp_path: Path) -> None:
    """Refused without keys, fetched with them; the keys are in the container fetch alone."""
    with s3_server(tmp_path, host=host) as server:
        server.put("models", "digits/digits.onnx", MODEL)
        story.apply(secret({**server.credentials, "AWS_ACCESS_KEY_ID": "NOBODY"}))
        uri = "s3://models/digits/digits.onnx"
        story.apply(story.service(model={"uri": uri, "sha256": SHA256, **LOGIN}))
        refused = story.wait_reason("AccessDenied")
        assert "does not know AWS_ACCESS_KEY_ID" in refused["message"]

        story.apply(secret(server.credentials))
        story.kubectl("annotate", "resnetservice", "digits", "serving.resnet-operator.io/retry=1")
        story.wait_ready()
    assert_serves(story)
    for pod in story.items("pods"):
        spec = pod["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            mounted = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            assert ("/credentials" in mounted) == (container["name"] == "fetch"), container["name"]


def test_https_with_its_own_authority(story: Story, host: str, tmp_path: Path) -> None:
    """Its first answer breaks off. Weights lie in a second file beside the model."""
    certificate = make_certificate(tmp_path / "tls", names=(f"DNS:{HOST}",))
    folder = tmp_path / "files"
    folder.mkdir()
    model = onnx.load(str(MODEL))
    external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, str(folder / "digits.onnx"))
    with https_server(host, folder, certificate) as url:
        uri = f"{url}/digits.onnx"
        story.apply(story.service("stranger", accelerator=CPU, model={"uri": uri}))
        unknown = story.wait_reason("DownloadFailed", "stranger")
        assert "its certificate is refused (" in unknown["message"]

        story.apply(trust(certificate))
        story.apply(story.service(accelerator=CPU, model={"uri": uri, **TRUST}))
        story.wait_ready()
    assert_serves(story)


def test_registry(story: Story, host: str, tmp_path: Path) -> None:
    """With TLS and users; the login as `kubectl create secret docker-registry` writes it."""
    certificate = make_certificate(tmp_path / "tls", names=(f"DNS:{HOST}", f"IP:{host}"))
    folder = tmp_path / "registry"
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    with registry_server(
        folder, host=host, authentication=htpasswd(folder), certificate=certificate
    ) as registry:
        files = {"README.md": b"read me", MODEL.name: MODEL.read_bytes()}
        digest = registry.push("team/digits", "v1", files, headers=headers)
        name = f"{HOST}:{registry.name.rpartition(':')[2]}"
        story.apply(trust(certificate))
        uri = f"oci://{name}/team/digits@{digest}"
        service = partial(story.service, accelerator=CPU)
        story.apply(service("stranger", model={"uri": uri, **TRUST}))
        nobody = story.wait_reason("AccessDenied", "stranger")
        assert "wants a login for team/digits" in nobody["message"]

        configuration = {"auths": {name: {"username": USER, "password": PASSWORD}}}
        story.apply(
            secret(
                {".dockerconfigjson": json.dumps(configuration)}, "kubernetes.io/dockerconfigjson"
            ),
            service(model={"uri": f"{uri}#{MODEL.name}", **TRUST, **LOGIN}),
        )
        story.wait_ready()
    assert_serves(story)


def test_this_machine_is_out_of_reach(story: Story) -> None:
    for name, target in (("node", "127.0.0.1:10248/healthz"), ("cloud", "169.254.169.254/latest")):
        story.apply(story.service(name, accelerator=CPU, model={"uri": f"http://{target}"}))
        refused = story.wait_reason("InvalidSpec", name)
        assert "nothing is downloaded from there" in refused["message"]
