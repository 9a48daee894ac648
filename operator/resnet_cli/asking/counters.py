"""Triton's counters of one pod: text as Prometheus reads it, through a forwarded port."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from http.client import HTTPException, HTTPResponse
from typing import Protocol

from resnet_cli.exits import CliError, Exit
from resnet_operator.reading.failed import FAILED, FAILURE, SUCCESS, failures_of

PATH = "/metrics"
ANSWER_SECONDS = 10.0
MOST_BYTES = 4 * 2**20
LINE = re.compile(r"^((?:nv_inference|resnet)_\w+)\{([^}]*)\}\s+(\S+)")
LABEL = r'\b{}="((?:[^"\\]|\\.)*)"'
MODEL, REASON = re.compile(LABEL.format("model")), re.compile(LABEL.format("reason"))
# Triton's sums by our names.
SUMS = {
    SUCCESS: "timed",
    "nv_inference_count": "images",
    "nv_inference_request_duration_us": "took_us",
    "nv_inference_queue_duration_us": "queue_us",
}


@dataclass(frozen=True)
class Counters:
    """Sums since Triton started; `requests` are those answered without an error.

    `took_us` is from the arrival to the answer of all that Triton calls a success: `timed`.
    """

    requests: float = 0
    errors: float = 0
    timed: float = 0
    images: float = 0
    took_us: float = 0
    queue_us: float = 0

    def __add__(self, other: Counters) -> Counters:
        return _each(self, other, sign=1)

    def __sub__(self, other: Counters) -> Counters:
        return _each(self, other, sign=-1)


def _each(one: Counters, other: Counters, *, sign: int) -> Counters:
    names = [one.name for one in fields(Counters)]
    return Counters(**{name: getattr(one, name) + sign * getattr(other, name) for name in names})


class Dialing(Protocol):
    def dial(self, namespace: str, pod: str, port: int) -> socket.socket: ...


def read_counters(text: str, models: Iterable[str]) -> Counters:
    """Return the counters of the first of the models that was asked, else those of the last.

    A pipeline comes first: its requests are counted for the network behind it too. Whoever asks
    the network itself is in the network's count, so the larger one is what the pod has answered.
    """
    models = tuple(models)
    samples = list(_samples(text))
    by_runtime = sum(one.value for one in samples if one.name == FAILED and one.model in models)
    found = [_of_model([one for one in samples if one.model == m], by_runtime) for m in models]
    asked = [one for one in found if one.requests or one.errors]
    return max(asked, key=lambda one: one.requests + one.errors, default=Counters())


@dataclass(frozen=True)
class _Sample:
    name: str
    model: str
    reason: str
    value: int


def _samples(text: str) -> Iterator[_Sample]:
    """Read the lines of counters that are counters."""
    for line in text.splitlines():
        matched = LINE.match(line)
        of = MODEL.search(matched[2]) if matched else None
        if matched is None or of is None:
            continue
        try:
            value = int(float(matched[3]))
        except (ValueError, OverflowError):
            continue
        why = REASON.search(matched[2])
        yield _Sample(matched[1], of[1], why[1] if why else "", value)


def _of_model(samples: Iterable[_Sample], by_runtime: int) -> Counters:
    """Return the counters of one model; what its runtime counts is of all instances."""
    sums: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for sample in samples:
        if sample.name == FAILURE:
            by_reason[sample.reason] = by_reason.get(sample.reason, 0) + sample.value
        elif field := SUMS.get(sample.name):
            sums[field] = sums.get(field, 0) + sample.value
    failures = failures_of(by_reason, by_runtime)
    answered = max(sums.get("timed", 0) - failures.missed, 0)
    return Counters(requests=answered, errors=failures.all, **sums)


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
