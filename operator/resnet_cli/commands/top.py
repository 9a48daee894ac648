"""`top`: services by requests, errors, latency and chips; chips by namespace.

Requests and times are Triton's own counters, read from each ready pod through a forwarded port.
They are sums: a mean can be told from them and a percentile cannot. What a pod has answered before
its last start is gone with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from resnet_cli.asking.counters import Counters, fetch, read_counters
from resnet_cli.asking.endpoint import PORTS
from resnet_cli.exits import CliError, Exit
from resnet_cli.gather import Reading, serving_pods
from resnet_cli.kube import Cluster, items
from resnet_cli.parts import (
    Body,
    devices_of,
    held_chips,
    is_deleting,
    is_placed,
    is_true,
    name_of,
    service_of,
)
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_cli.show import Output, Screen
from resnet_operator import names

SERVICES = (
    Column("NAMESPACE"),
    Column("NAME"),
    Column("READY"),
    Column("CHIPS", rank=1),
    Column("REQUESTS"),
    Column("PER SECOND"),
    Column("ERRORS"),
    Column("LATENCY MS"),
    Column("QUEUE MS", rank=2),
    Column("ASKED", rank=3),
)
CHIPS = (Column("NAMESPACE"), Column("CHIP"), Column("HELD"), Column("BY SERVICES"), Column("PODS"))
TOGETHER = 8
MOST_PODS = 200


@dataclass
class Asked:
    """What pods have said, by their UIDs; `silent` are those that said nothing, and why."""

    said: dict[str, Counters] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


def top(
    cluster: Cluster,
    screen: Screen,
    *,
    namespace: str | None,
    interval: float,
    output: Output,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Exit:
    """Print both tables; `namespace` None is all. The counters are read twice, a while apart."""
    reading = Reading(cluster)
    services = items(cluster, "ResNetService", namespace)
    pods = reading.list("Pod", namespace)
    deployments = reading.list("Deployment", namespace, labelSelector=names.MANAGED_SELECTOR)
    by_service = _pods_of(services, serving_pods(reading, namespace, pods, deployments))
    ready = [(body, pod) for body, some in by_service for pod in some if is_true(pod, "Ready")]
    began = clock()
    first = _ask(cluster, ready[:MOST_PODS])
    if first.said:
        sleep(interval)
    between = clock() - began
    answering = [pair for pair in ready if pair[1]["metadata"]["uid"] in first.said]
    second = _ask(cluster, answering)
    rows = [row_of(body, some, first, second, between) for body, some in by_service]
    answer = {
        "services": sorted(rows, key=lambda row: (row["namespace"], row["name"])),
        "chips": chips_of(pods),
        "silent": first.silent + second.silent + [name_of(pod) for _, pod in ready[MOST_PODS:]],
        "denied": list(dict.fromkeys(reading.denied)),
    }
    if output is Output.TEXT:
        show(screen, answer, all_namespaces=namespace is None)
    else:
        screen.data(answer, output)
    return Exit.DONE


def _pods_of(services: Sequence[Body], pods: Sequence[Body]) -> list[tuple[Body, list[Body]]]:
    serving: dict[tuple[str, str], list[Body]] = {}
    for pod in pods:
        if not is_deleting(pod):
            key = (pod["metadata"]["namespace"], service_of(pod))
            serving.setdefault(key, []).append(pod)
    return [
        (body, serving.get((body["metadata"]["namespace"], name_of(body)), [])) for body in services
    ]


def _ask(cluster: Cluster, pairs: Sequence[tuple[Body, Body]]) -> Asked:
    """Read the counters of several pods at a time."""
    asked = Asked()
    if not pairs:
        return asked
    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(partial(_counters, cluster), pairs))
    for (_, pod), found in zip(pairs, answers, strict=True):
        if isinstance(found, Counters):
            asked.said[pod["metadata"]["uid"]] = found
        else:
            asked.silent.append(f"{name_of(pod)}: {found}")
    return asked


def _counters(cluster: Cluster, pair: tuple[Body, Body]) -> Counters | CliError:
    body, pod = pair
    network = str(((body.get("status") or {}).get("model") or {}).get("name") or name_of(body))
    try:
        text = fetch(cluster, pod["metadata"]["namespace"], name_of(pod), PORTS["metrics"])
    except CliError as error:
        return error
    return read_counters(text, network)


def row_of(
    body: Body, pods: Sequence[Body], first: Asked, second: Asked, seconds: float
) -> dict[str, Any]:
    """Return what a line says of a service; None is what nobody has told."""
    uids = [pod["metadata"]["uid"] for pod in pods]
    whole = [second.said[uid] for uid in uids if uid in second.said]
    total = sum(whole, Counters())
    lately = sum(
        (second.said[uid] - first.said[uid] for uid in uids if uid in second.said), Counters()
    )
    # Where nobody asks just now, the mean since the start is what there is.
    mean_of = lately if lately.timed > 0 else total
    return {
        "namespace": body["metadata"]["namespace"],
        "name": name_of(body),
        "ready": (body.get("status") or {}).get("ready") or "",
        "chips": sum(held_chips(pod) for pod in pods if is_placed(pod)),
        "podsAsked": len(whole),
        "pods": len(uids),
        "requests": int(total.requests) if whole else None,
        "requestsPerSecond": _rate(lately.requests, seconds) if whole else None,
        "imagesPerSecond": _rate(lately.images, seconds) if whole else None,
        "errors": int(total.errors) if whole else None,
        "meanMilliseconds": _mean(mean_of.took_us, mean_of.timed),
        "meanQueueMilliseconds": _mean(mean_of.queue_us, mean_of.waited),
    }


def _rate(count: float, seconds: float) -> float | None:
    # A counter that went back was started again in between.
    return round(count / seconds, 1) if seconds > 0 and count >= 0 else None


def _mean(microseconds: float, count: float) -> float | None:
    return round(microseconds / count / 1000, 2) if count > 0 and microseconds >= 0 else None


def chips_of(pods: Sequence[Body]) -> list[dict[str, Any]]:
    """Return what is held of each kind of chip by namespace, by requests of pods with a node."""
    held: Counter[tuple[str, str]] = Counter()
    ours: Counter[tuple[str, str]] = Counter()
    holders: Counter[tuple[str, str]] = Counter()
    for pod in filter(is_placed, pods):
        for chip, count in devices_of(pod).items():
            key = (pod["metadata"]["namespace"], chip)
            held[key] += count
            holders[key] += 1
            if service_of(pod):
                ours[key] += count
    return [
        {
            "namespace": namespace,
            "chip": chip,
            "held": held[namespace, chip],
            "byServices": ours[namespace, chip],
            "pods": holders[namespace, chip],
        }
        for namespace, chip in sorted(held)
    ]


def show(screen: Screen, answer: dict[str, Any], *, all_namespaces: bool) -> None:
    if answer["services"]:
        screen.table(table_of(answer["services"], all_namespaces=all_namespaces))
    else:
        screen.line("no ResNetServices here")
    if answer["chips"]:
        screen.line("")
        rows = [[Cell(str(value)) for value in row.values()] for row in answer["chips"]]
        screen.table(Table(CHIPS, rows))
    for denied in answer["denied"]:
        screen.line(f"not readable with these rights: {denied}", Tone.WAITS)
    if answer["silent"]:
        some = len(answer["silent"])
        screen.line(
            f"{some} pods were not asked or did not answer: {answer['silent'][0]}", Tone.WAITS
        )


def table_of(rows: Sequence[dict[str, Any]], *, all_namespaces: bool) -> Table:
    first = 0 if all_namespaces else 1
    cells = []
    for row in rows:
        texts = (
            row["namespace"],
            row["name"],
            row["ready"],
            str(row["chips"]),
            _shown(row["requests"]),
            _shown(row["requestsPerSecond"]),
            _shown(row["errors"]),
            _shown(row["meanMilliseconds"]),
            _shown(row["meanQueueMilliseconds"]),
            f"{row['podsAsked']}/{row['pods']} pods",
        )
        tones = {"ERRORS": Tone.BAD if row["errors"] else Tone.PLAIN}
        line = [
            Cell(text, tones.get(column.title, Tone.PLAIN))
            for column, text in zip(SERVICES, texts, strict=True)
        ]
        cells.append(line[first:])
    return Table(SERVICES[first:], cells)


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value)
