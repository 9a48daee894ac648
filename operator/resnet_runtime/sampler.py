"""Asks another server what was asked here, now and then, and counts how often both agree.

A new revision on trial is given RESNET_COMPARED_WITH, the address of its model in the old one
(http://host:8000/v2/models/name). The first row of some requests goes there in a thread of its own:
no client waits for it, and what comes while it is busy is left out. The sums are metrics of Triton.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import threading
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

import numpy as np

from resnet_runtime.batching import Admitted
from resnet_runtime.counting import AGREED, DIFFERED, Counter, can_count
from resnet_runtime.processes import log
from resnet_runtime.settings import Settings, TensorSpec

VARIABLE = "RESNET_COMPARED_WITH"
PERIOD_SECONDS = 0.1  # between two samples of one instance
TIMEOUT_SECONDS = 5.0
MOST_BYTES = 2**24
# Of a model that answers one number: by so much may two chips differ.
CLOSE = 0.01
LENGTH = "Inference-Header-Content-Length"

Sample = Tuple[List[Any], Any]


def open_sampler(settings: Settings, model: str, labels: Dict[str, str]) -> Optional["Sampler"]:
    """The sampler of an instance, if this model is to be compared and Triton can count."""
    url = os.environ.get(VARIABLE, "")
    if not url or urlsplit(url).path.rsplit("/", 1)[-1] != model:
        return None
    if not can_count():
        log("this Triton has no metrics of models: answers are not compared")
        return None
    return Sampler(url, settings, labels)


class Sampler:
    """One thread that asks."""

    def __init__(self, url: str, settings: Settings, labels: Dict[str, str]) -> None:
        self._url = urlsplit(url)
        self._settings = settings
        self._agreed = Counter(AGREED, labels)
        self._differing = Counter(DIFFERED, labels)
        self._waiting: "queue.Queue[Sample]" = queue.Queue(maxsize=1)
        self._next = 0.0
        self._failed = False
        threading.Thread(target=self._work, daemon=True).start()

    def offer(self, admitted: Sequence[Admitted], outputs: Sequence[Any]) -> None:
        """Keep the first row of a batch, if it is time for one and nobody waits."""
        now = time.monotonic()
        if now < self._next or self._waiting.full():
            return
        self._next = now + PERIOD_SECONDS
        rows = [np.array(array[:1]) for array in admitted[0].arrays]
        sample = (rows, np.array(outputs[0][:1]))
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(sample)

    def _work(self) -> None:
        while True:
            rows, here = self._waiting.get()
            try:
                there = self._ask(rows, self._settings.outputs[0])
                (self._agreed if agrees(here, there) else self._differing).add(1)
                self._failed = False
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                if not self._failed:
                    log("the old revision cannot be asked: {}".format(error))
                self._failed = True

    def _ask(self, rows: Sequence[Any], output: TensorSpec) -> Any:
        """The first output of the other server; raises ValueError for what is none."""
        header, body = request_of(self._settings.inputs, rows, output)
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port or 80, timeout=TIMEOUT_SECONDS
        )
        try:
            headers = {LENGTH: str(len(header)), "Content-Type": "application/octet-stream"}
            connection.request("POST", self._url.path + "/infer", header + body, headers)
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES)
            if answer.status != 200:
                raise ValueError("{}: {!r}".format(answer.status, content[:200]))
            size = int(answer.headers.get(LENGTH) or 0)
            return array_of(content[size:], output)
        finally:
            connection.close()


def request_of(
    inputs: Sequence[TensorSpec], rows: Sequence[Any], output: TensorSpec
) -> Tuple[bytes, bytes]:
    """The JSON and the bytes of a request for one row."""
    tensors: List[Dict[str, Any]] = []
    parts = []
    for spec, array in zip(inputs, rows):  # noqa: B905
        part = np.ascontiguousarray(array).tobytes()
        parts.append(part)
        tensors.append(
            {
                "name": spec.name,
                "shape": [1, *(array.shape[1:] if spec.answered is None else spec.answered)],
                "datatype": spec.triton_type.replace("TYPE_", ""),
                "parameters": {"binary_data_size": len(part)},
            }
        )
    asked = {"name": output.name, "parameters": {"binary_data": True}}
    return json.dumps({"inputs": tensors, "outputs": [asked]}).encode(), b"".join(parts)


def array_of(content: bytes, output: TensorSpec) -> Any:
    """The values that came back, in one row."""
    return np.frombuffer(content, output.dtype).reshape(1, -1)


def agrees(here: Any, there: Any) -> bool:
    """Whether both have the same first class; of one number, whether they are close."""
    ours, theirs = here.reshape(-1).astype(float), there.reshape(-1).astype(float)
    if ours.size != theirs.size or not ours.size:
        return False
    if ours.size == 1 and np.isfinite([ours, theirs]).all():
        return bool(np.isclose(ours, theirs, rtol=CLOSE, atol=CLOSE)[0])
    sound = [bool(np.isfinite(values).all()) for values in (ours, theirs)]
    if not all(sound):
        return not any(sound)
    return bool(ours.argmax() == theirs.argmax())
