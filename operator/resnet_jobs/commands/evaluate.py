"""`python3 -m resnet_jobs evaluate`: measure the candidate through the Triton that will serve it.

Runs beside Triton in the gate's pod. It sends the whole data set in batches of the largest profile,
compares with the labels and with the source model in ONNX Runtime, then keeps Triton busy for some
seconds to see how many images a second a client gets. It measures and does not judge.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.errors import EXIT_NOT_FINITE, unsupported
from resnet_jobs.base.progress import INTERVAL_SECONDS, say
from resnet_jobs.evaluation.details import Details
from resnet_jobs.evaluation.doctor.compare import Compiled
from resnet_jobs.evaluation.doctor.diagnose import Diagnosis, diagnose
from resnet_jobs.evaluation.doctor.thresholds import is_wanted, unmet
from resnet_jobs.evaluation.latency import clients_of, run_load, senders_of, summary
from resnet_jobs.evaluation.measures import Measures, first_not_finite
from resnet_jobs.evaluation.plan import make_plan
from resnet_jobs.evaluation.result import about, finish, read_benchmark, speeds
from resnet_jobs.evaluation.triton_client import Triton, failed, workers
from resnet_jobs.evaluation.tuning import result as tuning
from resnet_jobs.evaluation.tuning.gate import tune
from resnet_jobs.evaluation.waiting import wait_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.evaluation.place import Place
    from resnet_jobs.evaluation.plan import Plan
    from resnet_jobs.evaluation.triton_client import Load
    from resnet_jobs.evaluation.tuning.tune import Found
    from resnet_jobs.store.base import Store


@dataclass(frozen=True)
class Batch:
    """Samples from `start` on; `seen` is what the reference gets, None without one."""

    start: int
    sent: Any
    seen: Any | None
    labels: tuple[int, ...]


def evaluate(
    spec: JobSpec, workspace: Workspace, place: Place, *, store: Store, clock: Clock
) -> dict[str, Any]:
    """Success message: the essentials; raises JobError when nothing could be measured."""
    started = now()
    plan = make_plan(spec, workspace)
    say(f"{len(plan.dataset)} samples of {plan.classes} classes")
    triton = connect(plan, place, clock)
    wait_ready(triton, float(spec.timeout_seconds))
    version = triton.version()
    in_flight = triton.requests_in_flight(rows=plan.batch, sample_bytes=plan.feed.sample_bytes)
    with workers(in_flight) as pool:
        details = Details(plan.dataset.names)
        measures, seconds = run_dataset(
            plan, triton, pool, details, in_flight=in_flight, clock=clock
        )
    load, latency = measure_speed(spec, plan, triton, place, clock)
    numbers = measures.as_json()
    diagnosis: Diagnosis | None = None
    if spec.diagnose and is_wanted(spec.diagnose, numbers):
        compiled = compiled_of(spec, workspace, place) if spec.is_compiled else None
        diagnosis = diagnose(
            plan, details, numbers, asked=spec.diagnose, compiled=compiled, clock=clock
        )
    tuned: Found | None = None
    if spec.tuning and not (spec.diagnose and unmet(spec.diagnose.thresholds, numbers)):
        tuned = tune(spec, spec.tuning, plan, triton, place, clock=clock)
        if spec.tuning.applies and tuned.is_better and tuned.chosen:
            # What will serve is judged, and not what was declared.
            served = plan.serving(tuned.chosen.settings.max_batch)
            triton = connect(served, place, clock)
            load, latency = measure_speed(spec, served, triton, place, clock)
    benchmark = read_benchmark(place.benchmark)
    result = {
        **about(spec, workspace, plan, triton=version, benchmark=benchmark),
        **numbers,
        **details.as_json(compared=measures.compared > 0),
        **speeds(load, seconds, measures.samples),
        "latency": latency,
        "diagnosis": diagnosis.as_json() if diagnosis else None,
        "tuning": tuning.as_json(tuned) if tuned else None,
        "benchmark": benchmark,
        "started": started,
        "ended": now(),
    }
    more = {
        "diagnosis": diagnosis.essentials() if diagnosis else None,
        "tuning": tuning.essentials(tuned) if tuned else None,
    }
    return finish(result, store=store, more=more)


def compiled_of(spec: JobSpec, workspace: Workspace, place: Place) -> Compiled:
    return Compiled(
        workspace.model,
        place.dump,
        batch=max(spec.batch_sizes, default=1),
        precision_mode=spec.precision_mode,
        keep_dtype=spec.config_files.get("keepDtype", ""),
    )


def connect(plan: Plan, place: Place, clock: Clock) -> Triton:
    return Triton(
        place.address,
        plan.served,
        tensor=plan.feed.tensor,
        output=plan.output,
        clock=clock,
        ended=place.done.exists,
    )


def measure_speed(
    spec: JobSpec, plan: Plan, triton: Triton, place: Place, clock: Clock
) -> tuple[Load, dict[str, Any] | None]:
    """What a busy server gives, and what clients wait at the stated load."""
    say(f"measuring the speed for {place.load_seconds:g} s")
    in_flight = triton.requests_in_flight(rows=plan.batch, sample_bytes=plan.feed.sample_bytes)
    full = [plan.full_batch(number, plan.batch) for number in range(in_flight)]
    with workers(in_flight) as pool:
        load = triton.saturate(pool, full, seconds=place.load_seconds)
    return load, measure_latency(spec, plan, triton, seconds=place.load_seconds, clock=clock)


def run_dataset(
    plan: Plan,
    triton: Triton,
    pool: ThreadPoolExecutor,
    details: Details,
    *,
    in_flight: int,
    clock: Clock,
) -> tuple[Measures, float]:
    """Send every sample once; the reference is computed while Triton works on later batches."""
    measures = Measures(plan.classes)
    started = printed = clock.monotonic()
    pending: deque[tuple[Batch, Future[Any], Any | None]] = deque()

    def collect() -> None:
        batch, answer, reference = pending.popleft()
        if reference is not None:
            check_finite(plan, batch, reference, of_source=True)
        scores = answer.result()
        check_finite(plan, batch, scores, of_source=False)
        measures.add(scores, batch.labels, reference)
        details.add(batch.start, scores, batch.labels, reference)

    for batch in batches(plan):
        answer = pool.submit(triton.infer, batch.sent)
        pending.append((batch, answer, plan.expected(batch.seen)))
        if len(pending) >= in_flight:
            collect()
        if clock.monotonic() - printed >= INTERVAL_SECONDS:
            printed = clock.monotonic()
            say(progress_line(measures.samples, len(plan.dataset)))
    while pending:
        collect()
    seconds = clock.monotonic() - started
    say(progress_line(measures.samples, len(plan.dataset)) + f" in {seconds:.1f} s")
    return measures, seconds


def check_finite(plan: Plan, batch: Batch, scores: Any, *, of_source: bool) -> None:
    """No number means anything with NaN among the scores, and none gets better by another try."""
    row = first_not_finite(scores)
    if row is None:
        return
    name = plan.dataset.names[batch.start + row]
    if of_source:
        raise unsupported(
            f"the source model itself answers {name} with NaN or infinity in ONNX Runtime: export "
            "it again"
        )
    raise failed(
        f"the served model answers {name} with NaN or infinity: in half precision numbers end at "
        "65504; try spec.conversion.precisionMode MustKeepOriginDtype",
        exit_code=EXIT_NOT_FINITE,
    )


def progress_line(done: int, total: int) -> str:
    return f"measured {done} of {total} samples ({100 * done // total} %)"


def batches(plan: Plan) -> Iterator[Batch]:
    """The whole set in its order. The last one is sent as small as it is: serving fills it up."""
    total = len(plan.dataset)
    for start in range(0, total, plan.batch):
        indexes = range(start, min(start + plan.batch, total))
        rows = [plan.feed.rows(plan.dataset, index) for index in indexes]
        seen = [row for _, row in rows if row is not None]
        yield Batch(
            start=start,
            sent=np.stack([row for row, _ in rows]),
            seen=np.stack(seen) if plan.reference is not None and seen else None,
            labels=tuple(plan.dataset.labels[index] for index in indexes),
        )


def measure_latency(
    spec: JobSpec, plan: Plan, triton: Triton, *, seconds: float, clock: Clock
) -> dict[str, Any] | None:
    """What clients wait at the stated load; None when none is stated."""
    load = spec.load
    if load is None:
        return None
    clients = clients_of(load, request_bytes=load.batch * plan.feed.sample_bytes)
    say(f"measuring latency with {clients} clients")
    senders = senders_of(triton, plan.full_batch, rows=load.batch, clients=clients)
    found = run_load(senders, rate=load.requests_per_second, seconds=seconds, clock=clock)
    stated = {
        "concurrency": load.concurrency,
        "requestsPerSecond": load.requests_per_second,
        "batchSize": load.batch,
    }
    return {
        "load": {key: value for key, value in stated.items() if value is not None},
        "clients": clients,
        **summary(found),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
