"""A rollout as clients see it: one serving container takes over from another, under real Triton.

The times are a quarter of those of a serving pod, and in the same proportion: gRPC connections
are told to come back before the drain is over.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import onnxruntime
from tests.support.clients import Load
from tests.triton.proxy import Proxy
from tests.triton.server import DIGITS, digits_on_cpu, pod

from resnet_client import PRESETS, load_picture, preprocess

if TYPE_CHECKING:
    from pathlib import Path

DRAIN_SECONDS = 4.0
CONNECTION_AGE = "--grpc-max-connection-age=2500"
# Until every node knows that an endpoint is gone; SIGTERM comes before that.
NEWS_SECONDS = 0.5


def test_no_request_fails_when_one_pod_takes_over_from_another(tmp_path: Path) -> None:
    how = PRESETS["digits"]
    picture = load_picture(DIGITS / "pictures/seven.png", height=32, width=32, how=how)
    batch = preprocess(picture[None], how)
    session = onnxruntime.InferenceSession(
        str(DIGITS / "digits-resnet.onnx"), providers=["CPUExecutionProvider"]
    )
    model = digits_on_cpu()
    with (
        pod(tmp_path / "old", model, CONNECTION_AGE, drain=DRAIN_SECONDS) as old,
        pod(tmp_path / "new", model, CONNECTION_AGE, drain=DRAIN_SECONDS) as new,
    ):
        old.wait_ready()
        with Proxy(old.http).running() as http, Proxy(old.grpc).running() as grpc:
            clients = Load(
                http=http.address,
                grpc=grpc.address,
                model="digits",
                batch=batch,
                expected=session.run(None, {"input": batch})[0],
                tolerance=0.001,
                pooled_seconds=1.0,
            )
            with clients:
                clients.goes_on()
                new.wait_ready()
                old.process.send_signal(signal.SIGTERM)
                threading.Event().wait(NEWS_SECONDS)
                http.endpoints, grpc.endpoints = [new.http], [new.grpc]
                assert old.wait_end() == 0
                clients.goes_on()
            clients.check("at the end")
