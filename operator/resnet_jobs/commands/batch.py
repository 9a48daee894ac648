"""`python3 -m resnet_jobs batch`: classify all pictures through the Triton that serves them.

Runs beside Triton in a ResNetBatch's pod. It writes finished parts only, so it may be stopped at
any moment; the pod after it goes on with the parts that are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_contract.report.messages import BatchDone
from resnet_jobs.base.progress import say
from resnet_jobs.batch.parts import Output, shares, split
from resnet_jobs.batch.place import open_place
from resnet_jobs.batch.run import Tally, Work, run
from resnet_jobs.batch.setup import set_up
from resnet_jobs.evaluation.triton_client import Triton
from resnet_jobs.evaluation.waiting import wait_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.batch.setup import Setup
    from resnet_jobs.evaluation.place import Place


def batch(
    spec: JobSpec,
    workspace: Workspace,
    place: Place,
    *,
    shard: int,
    environment: Mapping[str, str],
    clock: Clock,
    told: Callable[[Tally], None] = lambda _: None,
) -> dict[str, Any]:
    """Success message: what this pod's share came to, and the manifest if it wrote that."""
    setup = set_up(spec, workspace)
    output = Output(open_place(setup.order.output, environment, clock), setup.key)
    triton = Triton(
        place.address,
        setup.served,
        tensor=setup.feed.tensor,
        output=setup.output,
        clock=clock,
        ended=place.done.exists,
    )
    wait_ready(triton, float(spec.timeout_seconds))
    in_flight = triton.requests_in_flight(rows=setup.batch, sample_bytes=setup.feed.sample_bytes)
    return classify_all(
        setup,
        output,
        infer=triton.infer,
        in_flight=in_flight,
        shard=shard,
        clock=clock,
        told=told,
    )


def classify_all(
    setup: Setup,
    output: Output,
    *,
    infer: Callable[[Any], Any],
    in_flight: int,
    shard: int,
    clock: Clock,
    told: Callable[[Tally], None] = lambda _: None,
) -> dict[str, Any]:
    """All of it but how the model is asked."""
    order, about = setup.order, setup.about()
    output.claim(about)
    parts = split(len(setup.dataset), order.part, setup.suffix)
    share = shares(parts, shard=shard, shards=order.shards)
    tally = Tally(total=sum(part.pictures for part in share), clock=clock, told=told)
    work = Work(
        dataset=setup.dataset,
        rows=lambda index: setup.feed.rows(setup.dataset, index)[0],
        infer=infer,
        batch=setup.batch,
        in_flight=in_flight,
        top=setup.top,
        write=setup.writer,
    )
    run(work, output, share, tally)
    manifest = output.finish(parts, about)
    say("the manifest is written" if manifest else "another pod's parts are still missing")
    return BatchDone(
        pictures=tally.done,
        total=tally.total,
        failed=tally.failed,
        parts=tally.parts,
        pictures_per_second=tally.rate,
        manifest_sha256=manifest,
    ).to_json()
