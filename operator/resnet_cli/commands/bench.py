"""`bench`: latency and throughput of a live service by batch and concurrency, in a closed loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resnet_cli import svg
from resnet_cli.asking.client import client_library, clients
from resnet_cli.asking.endpoint import Endpoint
from resnet_cli.asking.how import How
from resnet_cli.bench.asked import Asked
from resnet_cli.bench.load import PERCENTILES, Answers, Bounds, percentile, run
from resnet_cli.bench.points import points_of
from resnet_cli.bench.server import Split, Totals, split_between
from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster
from resnet_cli.picture import Cell, Column, Table, Tone
from resnet_cli.show import Output, Screen

COLUMNS = (
    Column("BATCH"),
    Column("CONCURRENCY"),
    Column("IMAGES/S"),
    Column("P50 MS"),
    Column("P90 MS", rank=1),
    Column("P99 MS"),
    Column("QUEUE MS", rank=2),
    Column("COMPUTE MS", rank=3),
    Column("JOINED", rank=4),
    Column("REQUESTS", rank=5),
    Column("FAILED", rank=6),
)
FORWARDED = (
    "the port is forwarded through the API server, whose way is part of the latencies; --url "
    "asks the service itself"
)


@dataclass(frozen=True)
class Options:
    """How much is asked; `limit` are the seconds of all measurements together."""

    concurrency: str
    batch: str
    bounds: Bounds
    limit: float


def bench(
    cluster: Cluster,
    screen: Screen,
    *,
    name: str,
    options: Options,
    how: How,
    svg_file: Path | None,
    output: Output,
    clock: Callable[[], float] = time.perf_counter,
) -> Exit:
    client_library()
    points = points_of(options.concurrency, options.batch)
    with clients(cluster, name, how) as (where, client):
        found, skipped = measure(Asked(client), points, options, clock=clock)
    about = {"name": name, "namespace": cluster.namespace}
    about |= _about(where, how.protocol)
    answer = about | {"points": found, "skipped": skipped}
    if svg_file is not None:
        _write(svg_file, picture(found))
    show(screen, answer, output)
    return Exit.DONE if all(one["requests"] > one["failed"] for one in found) else Exit.NO_ANSWER


def _about(where: Endpoint, protocol: str) -> dict[str, Any]:
    return {
        "model": where.model,
        "protocol": protocol,
        "pod": where.pod or None,
        "url": None if where.pod else where.url,
    }


def measure(
    asked: Asked,
    points: Sequence[tuple[int, int]],
    options: Options,
    *,
    clock: Callable[[], float],
) -> tuple[list[dict[str, Any]], int]:
    """Return the measurements, and how many the time did not suffice for."""
    models, largest = asked.model()
    if (most := max(size for size, _ in points)) > largest:
        raise CliError(
            f"model {models[0]} takes {largest} at most and not {most}; write --batch {largest}",
            Exit.USAGE,
        )
    at_first = asked.totals()
    for size in dict.fromkeys(size for size, _ in points):
        asked.once(size)
    started = clock()
    found: list[dict[str, Any]] = []
    for size, concurrency in points:
        if found and clock() - started + options.bounds.seconds > options.limit:
            break
        before: list[Totals] = []
        answers = run(
            [asked.opener(size)] * concurrency,
            options.bounds,
            clock=clock,
            begins=lambda before=before: before.append(  # type: ignore[misc]
                asked.totals(at_first, asked.answered)
            ),
        )
        done = len(answers.took)
        split = split_between(before[0], asked.totals(before[0], done), models, answered=done)
        found.append(row_of(size, concurrency, answers, split))
    return found, len(points) - len(found)


def row_of(batch: int, concurrency: int, answers: Answers, split: Split | None) -> dict[str, Any]:
    answered = len(answers.took)
    per_second = answered * batch / answers.seconds if answers.seconds else 0.0
    return {
        "batch": batch,
        "concurrency": concurrency,
        "imagesPerSecond": round(per_second, 1),
        "requests": answered + len(answers.failed),
        "failed": len(answers.failed),
        "seconds": round(answers.seconds, 3),
        **{f"p{of}Milliseconds": _in_ms(percentile(answers.took, of)) for of in PERCENTILES},
        "averageMilliseconds": _in_ms(sum(answers.took) / answered if answered else None),
        "server": _server(split) if split else None,
    }


def _server(split: Split) -> dict[str, Any]:
    found = {_camel(key): value for key, value in asdict(split).items()}
    rounded = {key: round(value, 1) for key, value in found.items()}
    return rounded | {"averageBatch": round(split.average_batch, 2)}


def _camel(key: str) -> str:
    first, *rest = key.replace("_us", "_microseconds").split("_")
    return first + "".join(word.capitalize() for word in rest)


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)


def show(screen: Screen, answer: dict[str, Any], output: Output) -> None:
    if output is not Output.TEXT:
        screen.data(answer, output)
        return
    where = f"pod {answer['pod']}" if answer["pod"] else answer["url"]
    screen.line(f"model {answer['model']} by {answer['protocol']} at {where}, closed loop")
    screen.table(table_of(answer["points"]))
    if answer["skipped"]:
        screen.line(f"{answer['skipped']} measurements left out: --limit was reached", Tone.WAITS)
    if any(one["server"] is None for one in answer["points"]):
        screen.line(
            "Triton's own times are missing: several servers answer at this address, or it was "
            "restarted",
            Tone.WAITS,
        )
    if answer["pod"]:
        screen.line(FORWARDED, Tone.WAITS)


def table_of(points: Sequence[dict[str, Any]]) -> Table:
    """Return a row for each measurement; QUEUE and COMPUTE are Triton's own, of one request."""
    rows = []
    for one in points:
        server = one["server"] or {}
        compute = [value for key, value in server.items() if key.startswith("compute")]
        texts = (
            str(one["batch"]),
            str(one["concurrency"]),
            f"{one['imagesPerSecond']:.1f}",
            *(_number(one[f"p{of}Milliseconds"]) for of in PERCENTILES),
            _number(server["queueMicroseconds"] / 1000) if server else "-",
            _number(sum(compute) / 1000) if server else "-",
            f"{server['averageBatch']:.1f}" if server else "-",
            str(one["requests"]),
            str(one["failed"]),
        )
        cells = [Cell(text) for text in texts]
        cells[-1] = Cell(texts[-1], Tone.BAD if one["failed"] else Tone.PLAIN)
        rows.append(cells)
    return Table(COLUMNS, rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def picture(points: Sequence[dict[str, Any]]) -> str:
    """Return throughput and latency by concurrency, a line for each batch."""
    drawings = []
    for title, key in (("images/s", "imagesPerSecond"), ("p99 in ms", "p99Milliseconds")):
        curves: dict[str, list[tuple[float, float]]] = {}
        for one in points:
            if one[key] is not None:
                curves.setdefault(f"batch {one['batch']}", []).append(
                    (one["concurrency"], one[key])
                )
        drawings.append(svg.lines(curves, x="concurrency", y=title))
    return svg.stacked(drawings).svg()


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", Exit.BAD_FILE) from error
