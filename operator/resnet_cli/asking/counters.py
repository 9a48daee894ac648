"""Triton's counters of one pod: text as Prometheus reads it, through a forwarded port."""

from __future__ import annotations

import re
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from http.client import HTTPException, HTTPResponse
from typing import Protocol

from resnet_cli.exits import CliError, Exit
from resnet_operator.names import ENSEMBLE, step_name, steps_of
from resnet_operator.reading.failed import SUCCESS, OfModel, asked_of

PATH = "/metrics"
ANSWER_SECONDS = 10.0
MOST_BYTES = 4 * 2**20
LINE = re.compile(r"^((?:nv_inference|resnet)_\w+)\{([^}]*)\}\s+(\S+)")
LABEL = r'\b{}="((?:[^"\\]|\\.)*)"'
MODEL, REASON = re.compile(LABEL.format("model")), re.compile(LABEL.format("reason"))
COUNT = "nv_inference_count"
DURATION, QUEUE = "nv_inference_request_duration_us", "nv_inference_queue_duration_us"


@dataclass(frozen=True)
class Counters:
    """Sums since Triton started; `requests` are those answered without an error.

    `took_us` is from the arrival to the answer of all that Triton calls a success: `timed`.
    `queue_us` is in all steps, of the requests that came to the network: `waited`. Triton counts
    what a model warms up with too.
    """

    requests: float = 0
    errors: float = 0
    timed: float = 0
    images: float = 0
    took_us: float = 0
    waited: float = 0
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


def read_counters(text: str, network: str) -> Counters:
    """Return what a pod has answered; `network` is its model, with or without steps around it."""
    models: defaultdict[str, OfModel] = defaultdict(OfModel)
    sums: Counter[tuple[str, str]] = Counter()
    for one in _samples(text):
        models[one.model].add(one.name, one.reason, one.value)
        sums[one.model, one.name] += one.value
    asked, pipeline = asked_of(models, network), step_name(network, ENSEMBLE)
    # Who sends pictures waits for all steps.
    timed = pipeline if models[pipeline].success else network
    return Counters(
        requests=asked.answered,
        errors=asked.failed,
        timed=sums[timed, SUCCESS],
        images=sums[network, COUNT],
        took_us=sums[timed, DURATION],
        waited=sums[network, SUCCESS],
        queue_us=sum(sums[step, QUEUE] for step in steps_of(network)),
    )


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
