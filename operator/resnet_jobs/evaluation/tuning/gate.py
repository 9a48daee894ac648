"""Tuning as a part of the gate's measurement: when it begins, and that it never spoils the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.types import StatedLoad
from resnet_jobs.base.errors import JobError
from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.tuning.bench import TritonBench
from resnet_jobs.evaluation.tuning.space import space_of
from resnet_jobs.evaluation.tuning.tune import Found, Tuner

if TYPE_CHECKING:
    from resnet_contract.order import JobSpec
    from resnet_contract.types import Tuning
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.place import Place
    from resnet_jobs.evaluation.plan import Plan
    from resnet_jobs.evaluation.triton_client import Triton

SHORT = 4  # a load that only decides where to go is so many times as short as the gate's own


def tune(
    spec: JobSpec, asked: Tuning, plan: Plan, triton: Triton, place: Place, *, clock: Clock
) -> Found:
    """What was found, or why nothing was: the gate's numbers are there and stay."""
    stated = spec.load or StatedLoad(concurrency=None, requests_per_second=None, batch=1)
    wants_throughput = asked.objective == "Throughput"
    space = space_of(asked, least_batch=stated.batch)
    bench = TritonBench(
        folder=place.trials,
        triton=triton,
        full_batch=plan.full_batch,
        load=StatedLoad(None, None, stated.batch) if wants_throughput else stated,
        sample_bytes=plan.feed.sample_bytes,
        chips=asked.chips,
        seconds=place.load_seconds / SHORT,
        load_seconds=float(spec.timeout_seconds),
        clock=clock,
        ended=place.done.exists,
    )
    say(f"tuning: {space.size} settings, at most {asked.seconds} s")
    most = bench.most_concurrency
    try:
        return Tuner(asked, space, bench, most_concurrency=most, clock=clock).tune()
    except JobError as error:
        say(f"tuning: {error.message}")
        return Found("NotMeasured", error.message)
