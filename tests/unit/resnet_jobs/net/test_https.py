"""https:// sources over a real TLS connection, with a certificate authority made here."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATOR = Path(__file__).parents[4] / "operator"
CONTENT = b"not really a model, but really encrypted on its way" * 1000


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key in one file."""
    file = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=models", "-keyout", str(file), "-out"]
    command += [str(tmp_path / "ca.crt"), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "ca.crt").read_text())
    return file


@pytest.fixture
def url(tmp_path: Path, certificate: Path) -> Iterator[str]:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "m.onnx").write_bytes(CONTENT)
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/m.onnx"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(tmp_path: Path, url: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Run the container's command; return its exit status and its termination message."""
    job = {
        "uri": url,
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "format": "ONNX",
        "chip": "CPU",
        "batchSizes": [1],
        "inputShapes": {},
        "precisionMode": None,
        "opSelectImplMode": None,
        "timeoutSeconds": 60,
        "store": {"type": "SharedClaim", "path": str(tmp_path / "store")},
    }
    log = tmp_path / "termination-log"
    overrides = {
        "PYTHONPATH": str(OPERATOR),
        "RESNET_JOB": json.dumps(job),
        "RESNET_SCRATCH": str(tmp_path / "scratch"),
        "RESNET_SOURCE": str(tmp_path),
        "RESNET_TERMINATION_LOG": str(log),
    }
    (tmp_path / "scratch").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "resnet_jobs", "fetch"]
    done = subprocess.run(
        command, env=os.environ | overrides | environment, capture_output=True, timeout=120
    )
    return done.returncode, json.loads(log.read_text())


def test_a_trusted_server(tmp_path: Path, url: str) -> None:
    status, message = fetch(tmp_path, url, SSL_CERT_FILE=str(tmp_path / "ca.crt"))
    assert (status, message["ok"]) == (0, True), message
    assert (tmp_path / "scratch/in/model.onnx").read_bytes() == CONTENT


def test_an_untrusted_server_is_not_believed(tmp_path: Path, url: str) -> None:
    status, message = fetch(tmp_path, url)
    assert status != 0
    assert message["reason"] == "DownloadFailed"
    said = message["message"]
    assert "its certificate is refused (" in said
    assert said.index("model.caBundleConfigMapKeyRef") < 120, "the printed column shows the remedy"
