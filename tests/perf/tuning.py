"""Tuning against trying everything, on a real Triton on the CPU; on demand.

    PYTHONPATH=operator:. python -m tests.perf.tuning FOLDER --minutes 30

One server, the same loads: a search, then every setting at every number of requests in flight in
random order, then the other searches. The finals measure what each of them chose, and what is
declared, in turn and for longer, for the greatest of many short loads flatters itself. What is done
is kept in FOLDER: another call goes on where the minutes of the last one ended.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import statistics
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.triton.server import DIGITS, digits_on_cpu, pod

from resnet_client import PRESETS, preprocess
from resnet_contract.types import (
    DeclaredTensor,
    ServedModel,
    StatedLoad,
    TritonSettings,
    Tuning,
)
from resnet_jobs.base.clock import SYSTEM_CLOCK
from resnet_jobs.evaluation.triton_client import Triton
from resnet_jobs.evaluation.tuning.bench import TritonBench
from resnet_jobs.evaluation.tuning.levels import LEVELS
from resnet_jobs.evaluation.tuning.score import Goal, Run
from resnet_jobs.evaluation.tuning.space import space_of
from resnet_jobs.evaluation.tuning.tune import Tuner

DECLARED = TritonSettings(max_batch=8, preferred=(4, 8), delay_microseconds=2000, instances=1)
SIZES = [1, 2, 4, 8]
LOAD_SECONDS = 0.4
MOST_IN_FLIGHT = 64
FINALS, LONG = 3, 4  # rounds, and so many times as long
GOAL_MILLISECONDS = 20


@dataclass(frozen=True)
class Asked:
    """What is looked for and among which loads; both ways have the same."""

    tuning: Tuning
    goal: Goal
    levels: tuple[int, ...]

    @classmethod
    def of(cls, milliseconds: int, *, instances: int, sizes: list[int], most: int) -> Asked:
        tuning = Tuning(
            objective="Throughput",
            p99_milliseconds=milliseconds,
            batch_sizes=tuple(sizes),
            instances=instances,
            chips=1,
            seconds=3600,
            applies=False,
            declared=DECLARED,
        )
        levels = tuple(level for level in LEVELS if level <= most)
        return cls(tuning, Goal(tuning.objective, milliseconds), levels)


class Book:
    """What has been measured, one JSON object a line."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "measured.jsonl"
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, kind: str, **facts: Any) -> None:
        self.entries.append({"kind": kind, **facts})
        with self._path.open("a") as file:
            file.write(json.dumps(self.entries[-1]) + "\n")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["kind"] == kind]


@contextlib.contextmanager
def bench(folder: Path, seconds: float = LOAD_SECONDS) -> Iterator[TritonBench]:
    """The digits network under Triton, and the pictures that are sent to it."""
    shared = folder / "eval"
    shared.mkdir(parents=True)
    model = digits_on_cpu(max_batch=max(SIZES))
    with np.load(DIGITS / "heldout.npz") as file:
        tensors = preprocess(file["pictures"], PRESETS["digits"])
    picture = DeclaredTensor(model.input, model.type, model.dims)
    scores = DeclaredTensor(model.output, "FP32", (model.classes,))
    with pod(folder / "pod", model, launch=[f"--until-file={shared / 'done'}"]) as running:
        running.wait_ready()
        triton = Triton(
            running.http,
            ServedModel(model.name, (picture,), (scores,), model.max_batch),
            tensor=picture,
            output=scores,
            clock=SYSTEM_CLOCK,
            ended=lambda: running.process.poll() is not None,
        )
        yield TritonBench(
            folder=shared / "trials",
            triton=triton,
            full_batch=lambda number, rows: tensors[number * rows : number * rows + rows],
            load=StatedLoad(None, None, 1),
            sample_bytes=tensors[0].nbytes,
            chips=1,
            seconds=seconds,
            load_seconds=60.0,
            clock=SYSTEM_CLOCK,
            ended=lambda: False,
        )
        (shared / "done").touch()
        running.wait_end()


def search(asked: Asked, server: TritonBench, book: Book) -> None:
    began = time.monotonic()
    found = Tuner(
        asked.tuning,
        space_of(asked.tuning),
        server,
        most_concurrency=asked.levels[-1],
        clock=SYSTEM_CLOCK,
    ).tune()
    best = found.chosen.best if found.chosen else None
    if found.chosen is None or best is None:
        raise SystemExit(f"nothing was measured: {found.message}")
    settings, level = found.chosen.settings.to_json(), best.concurrency
    book.add(
        "search",
        seconds=time.monotonic() - began,
        result=found.result,
        settings=settings,
        concurrency=level,
        imagesPerSecond=best.images_per_second,
        p99=best.p99,
        spread=found.spread,
        declared=found.declared.best.as_json() if found.declared and found.declared.best else None,
        trials=len(found.trials),
        loads=sum(len(trial.runs) + len(trial.repeats) for trial in found.trials),
    )


def grid(asked: Asked, server: TritonBench, book: Book, *, until: float) -> bool:
    """Every setting that differs at every load; true when nothing is left to be tried."""
    space = space_of(asked.tuning)
    places = itertools.product(*map(range, space.axes))
    every = list(dict.fromkeys(space.at(point) for point in places))
    random.Random(7).shuffle(every)
    known = len(book.of("setting"))
    for settings in every[known:]:
        if time.monotonic() > until:
            return False
        began = time.monotonic()
        problem = server.use(settings)
        runs = [server.run(level, 1) for level in asked.levels if not problem]
        best = max(runs, key=asked.goal.key, default=None)
        book.add(
            "setting",
            seconds=time.monotonic() - began,
            settings=settings.to_json(),
            loads=len(runs),
            runs=[run.as_json() for run in runs],
            concurrency=best.concurrency if best else None,
            imagesPerSecond=best.images_per_second if best else 0.0,
            p99=best.p99 if best else None,
            meets=best is not None and asked.goal.meets(best),
        )
    return True


def finals(asked: Asked, server: TritonBench, book: Book, rounds: int) -> None:
    """Everyone's choice in turn, so that what else the machine does is the same for all."""
    tried = [entry for entry in book.of("setting") if entry["meets"]]
    best = sorted(tried, key=lambda entry: -entry["imagesPerSecond"])
    names = [f"search {number + 1}" for number in range(len(book.of("search")))]
    chosen = [*zip(names, book.of("search"), strict=True)]
    chosen += [(f"grid, place {place + 1}", entry) for place, entry in enumerate(best[:3])]
    chosen.append(("declared", {"settings": DECLARED.to_json(), "concurrency": None}))
    for number in range(len(book.of("final")) // len(chosen), rounds):
        # Whoever comes first in a round finds another machine than who comes last.
        for name, entry in random.Random(number).sample(chosen, len(chosen)):
            server.use(settings_of(entry["settings"]))
            run = most_within(asked, server, entry["concurrency"])
            book.add("final", name=name, round=number, settings=entry["settings"],
                     **run.as_json(), p99=run.p99)  # fmt: skip


def most_within(asked: Asked, server: TritonBench, level: int | None) -> Run:
    """The load that was chosen and its neighbours: the most of them within the limit."""
    levels = [one for one in asked.levels if level is None or level / 2 <= one <= level]
    runs = [server.run(one, LONG) for one in sorted({*levels[-3:], *([level] if level else [])})]
    return max(runs, key=asked.goal.key)


def settings_of(said: dict[str, Any]) -> TritonSettings:
    return TritonSettings(
        said["maxBatchSize"],
        tuple(said["preferredBatchSizes"]),
        said["maxQueueDelayMicroseconds"],
        said["instancesPerChip"],
    )


def report(book: Book) -> str:
    settings = book.of("setting")
    whole = sum(entry["seconds"] for entry in settings)
    loads = sum(entry["loads"] for entry in settings)
    lines = [f"everything: {len(settings)} settings, {loads} loads, {whole:.0f} s"]
    lines += [
        of_search(f"search {number + 1}", entry, whole)
        for number, entry in enumerate(book.of("search"))
    ]
    return "\n".join([*lines, *of_finals(book.of("final"))])


def of_search(name: str, entry: dict[str, Any], whole: float) -> str:
    share = f", {entry['seconds'] / whole:.0%} of the time" if whole else ""
    before = entry["declared"] or {}
    tried = f"{entry['trials']} settings, {entry['loads']} loads, {entry['seconds']:.0f} s{share}"
    return (
        f"{name}: {tried}; {entry['result']}, before {before.get('imagesPerSecond', 0):.0f}/s with "
        f"p99 {before.get('p99Milliseconds')} ms, after {entry['imagesPerSecond']:.0f}/s with p99 "
        f"{entry['p99']:.1f} ms, repeats apart by {entry['spread'] or 0:.1%}"
    )


def of_finals(finals: list[dict[str, Any]]) -> list[str]:
    """Of each its rounds, and its share of the best of the grid in the same round."""
    of: dict[str, dict[int, dict[str, Any]]] = {}
    for entry in finals:
        of.setdefault(entry["name"], {})[entry["round"]] = entry

    def speeds(name: str) -> dict[int, float]:
        return {number: entry["imagesPerSecond"] for number, entry in of[name].items()}

    most = max(
        (name for name in of if name.startswith("grid")),
        key=lambda name: statistics.median(speeds(name).values()),
        default=None,
    )
    lines = []
    searches = [name for name in of if name.startswith("search")]
    if len(searches) > 1:
        paired = shares_in_rounds({name: speeds(name) for name in searches})
        lines.append(
            f"choices of {len(searches)} searches apart by {apart(paired.values()):.1%}, measured "
            f"against each other in the same {len(of[searches[0]])} rounds"
        )
    for name, rounds in of.items():
        found = speeds(name)
        speed = statistics.median(found.values())
        p99 = statistics.median(entry["p99"] for entry in rounds.values())
        share = ""
        if most:
            shares = [found[number] / speeds(most)[number] for number in found]
            share = f", {statistics.median(shares):.1%} of the grid's best"
        settings = json.dumps(next(iter(rounds.values()))["settings"])
        lines.append(
            f"{name}: {speed:.0f}/s with p99 {p99:.1f} ms, "
            f"rounds apart by {apart(found.values()):.0%}{share}: {settings}"
        )
    return lines


def shares_in_rounds(speeds: dict[str, dict[int, float]]) -> dict[str, float]:
    """Return of each the median share of a round's mean: the machine was the same for all of it."""
    rounds = set.intersection(*(set(one) for one in speeds.values()))
    means = {at: statistics.mean(one[at] for one in speeds.values()) for at in rounds}
    return {
        name: statistics.median(one[at] / means[at] for at in rounds)
        for name, one in speeds.items()
    }


def apart(speeds: Collection[float]) -> float:
    """Return how far the best is above the worst, as a share of the worst."""
    return max(speeds) / min(speeds) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--p99", type=int, default=GOAL_MILLISECONDS)
    parser.add_argument("--instances", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seconds", type=float, default=LOAD_SECONDS, help="of a short load")
    parser.add_argument("--searches", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=FINALS, help="of the finals")
    parser.add_argument("--no-grid", action="store_true", help="compare the searches alone")
    parser.add_argument("--most", type=int, default=MOST_IN_FLIGHT, help="requests in flight")
    options = parser.parse_args()
    book = Book(options.folder)
    asked = Asked.of(
        options.p99, instances=options.instances, sizes=options.sizes, most=options.most
    )
    until = time.monotonic() + 60 * options.minutes
    with bench(options.folder / f"run-{time.time_ns()}", options.seconds) as server:
        if not book.of("search"):
            search(asked, server, book)
        if options.no_grid or grid(asked, server, book, until=until):
            while len(book.of("search")) < options.searches:
                search(asked, server, book)
            finals(asked, server, book, options.rounds)
    print(report(book))


if __name__ == "__main__":
    main()
