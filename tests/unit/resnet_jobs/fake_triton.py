"""A server that speaks Triton's HTTP protocol with binary tensors, and computes with a function.

The tests choose what the "served model" answers; tests/triton has the real server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

HEADER = "Inference-Header-Content-Length"
DTYPES = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}


class FakeTriton(ThreadingHTTPServer):
    """`answer` maps a batch to its scores; `batches` has the shapes that came."""

    daemon_threads = True
    request_queue_size = 256  # the clients of a load all connect at once

    def __init__(self, answer: Callable[[Any], Any], *, instances: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.instances = instances
        self.batches: list[tuple[int, ...]] = []
        self.refusals = 0  # how often /ready says no first
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeTriton

    def do_GET(self) -> None:
        if self.path.endswith("/ready"):
            self.server.refusals -= 1
            self.reply(b"", status=503 if self.server.refusals >= 0 else 200)
        elif self.path.endswith("/config"):
            groups = [{"kind": "KIND_CPU", "count": self.server.instances}]
            self.reply(json.dumps({"instance_group": groups}).encode())
        else:
            self.reply(json.dumps({"name": "triton", "version": "2.0 (test)"}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        size = int(self.headers[HEADER])
        request = json.loads(body[:size])
        (tensor,) = request["inputs"]
        batch = np.frombuffer(body[size:], DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
        with self.server.lock:
            self.server.batches.append(batch.shape)
        try:
            scores = np.ascontiguousarray(self.server.answer(batch), np.float32)
        except ValueError as error:
            self.reply(json.dumps({"error": str(error)}).encode(), status=400)
            return
        output = {
            "name": request["outputs"][0]["name"],
            "datatype": "FP32",
            "shape": list(scores.shape),
            "parameters": {"binary_data_size": scores.nbytes},
        }
        head = json.dumps({"model_name": "m", "outputs": [output]}).encode()
        self.reply(head + scores.tobytes(), headers={HEADER: str(len(head))})

    def reply(
        self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests' own output is enough."""


@contextmanager
def running(answer: Callable[[Any], Any], *, instances: int = 1) -> Iterator[FakeTriton]:
    server = FakeTriton(answer, instances=instances)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
