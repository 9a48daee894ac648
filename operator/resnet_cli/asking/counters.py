"""Triton's counters of one pod: text as Prometheus reads it, through a forwarded port."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Protocol

from resnet_cli.exits import CliError, Exit

PATH = "/metrics"
ANSWER_SECONDS = 10.0
MOST_BYTES = 4 * 2**20
LINE = re.compile(r"^(nv_inference_\w+)\{([^}]*)\}\s+(\S+)")
MODEL = re.compile(r'\bmodel="((?:[^"\\]|\\.)*)"')
NAMES = {
    "nv_inference_request_success": "requests",
    "nv_inference_request_failure": "errors",
    "nv_inference_count": "images",
    "nv_inference_request_duration_us": "took_us",
    "nv_inference_queue_duration_us": "queue_us",
}


@dataclass(frozen=True)
class Counters:
    """Sums since Triton started; `took_us` is from the request's arrival to its answer."""

    requests: float = 0
    errors: float = 0
    images: float = 0
    took_us: float = 0
    queue_us: float = 0

    def __add__(self, other: Counters) -> Counters:
        return _each(self, other, sign=1)

    def __sub__(self, other: Counters) -> Counters:
        return _each(self, other, sign=-1)


def _each(one: Counters, other: Counters, *, sign: int) -> Counters:
    found = {name: getattr(one, name) + sign * getattr(other, name) for name in NAMES.values()}
    return Counters(**found)


class Dialing(Protocol):
    def dial(self, namespace: str, pod: str, port: int) -> socket.socket: ...


def read_counters(text: str, models: Iterable[str]) -> Counters:
    """Return the counters of the first of the models that was asked, else those of the last.

    A pipeline comes first: its requests are counted for the network behind it too. Whoever asks
    the network itself is in the network's count, so the larger one is what the pod has answered.
    """
    found = {name: Counters(**_sums(text, name)) for name in models}
    asked = [one for one in found.values() if one.requests or one.errors]
    return max(asked, key=lambda one: one.requests + one.errors, default=Counters())


def _sums(text: str, model: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for line in text.splitlines():
        matched = LINE.match(line)
        if matched is None or matched[1] not in NAMES:
            continue
        of = MODEL.search(matched[2])
        if of is None or of[1] != model:
            continue
        try:
            value = float(matched[3])
        except ValueError:
            continue
        field = NAMES[matched[1]]
        sums[field] = sums.get(field, 0.0) + value
    return sums


def fetch(cluster: Dialing, namespace: str, pod: str, port: int) -> str:
    """Return what the pod's port answers; a CliError says why there is nothing."""
    opened = cluster.dial(namespace, pod, port)
    try:
        opened.settimeout(ANSWER_SECONDS)
        ask = f"GET {PATH} HTTP/1.1\r\nHost: {pod}\r\nConnection: close\r\n\r\n"
        opened.sendall(ask.encode())
        answer = HTTPResponse(opened)
        answer.begin()
        text = answer.read(MOST_BYTES).decode("utf-8", "replace")
        if answer.length:
            raise HTTPException(f"{answer.length} bytes of the answer are missing")
    except (OSError, HTTPException) as error:
        raise CliError(f"pod {pod} does not answer at {port}: {error}", Exit.NO_ANSWER) from error
    finally:
        opened.close()
    if answer.status != 200:
        raise CliError(f"pod {pod} answers {PATH} with {answer.status}", Exit.NO_ANSWER)
    return text
