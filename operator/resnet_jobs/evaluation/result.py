"""What `evaluate` leaves: result.json in store and log, and the essentials for the operator.

result.json is for people and says with what it was measured; the termination message has what the
gate judges and a status shows. `resnet_operator.record.measurement` reads the message.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from resnet_contract.progress import result_line
from resnet_contract.report.messages import SHARES, Evaluated, Latencies, key_of
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.left_files import read_bounded
from resnet_jobs.base.progress import say
from resnet_jobs.datasets.base import digest_of
from resnet_jobs.driver.message import fit_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.evaluation.plan import Plan
    from resnet_jobs.evaluation.triton_client import Load
    from resnet_jobs.store.base import Store

RESULT_VERSION = 1
MOST_MEMORY = 2**44  # bytes; no chip has as much
ESSENTIALS = ("samples", *SHARES, "images_per_second")
LATENCIES = tuple(key_of(field.name) for field in fields(Latencies))
LIBRARIES = ("tritonclient", "onnxruntime", "numpy", "pillow")
SHOWN = (*map(key_of, ESSENTIALS), "top5", "drop", "cosineSimilarityMin")


def about(
    spec: JobSpec,
    workspace: Workspace,
    plan: Plan,
    *,
    triton: str,
    benchmark: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What was measured, with what. Versions are as the tools themselves tell them."""
    source = digest_file(workspace.model).sha256 if plan.reference is not None else None
    tensor = plan.feed.tensor
    return {
        "version": RESULT_VERSION,
        "validationKey": plan.key,
        "model": {
            "name": plan.served.name,
            "chip": spec.chip,
            "batchSizes": list(spec.batch_sizes),
            "maxBatchSize": plan.served.max_batch_size,
            "input": {"dataType": tensor.data_type, "dims": list(tensor.dims)},
            "sourceSha256": spec.sha256,
            "artifactSha256": plan.served.artifact,
        },
        "reference": {"runtime": "ONNXRuntime", "sha256": source} if source else None,
        "dataset": {
            "uri": plan.asked.source.label,
            "sha256": plan.asked.sha256,
            "contentSha256": digest_of(plan.dataset, workspace.dataset),
            "format": plan.asked.format,
            "classes": plan.classes,
        },
        "versions": {**versions(), "triton": triton, "cann": (benchmark or {}).get("cann")},
    }


def versions() -> dict[str, str]:
    from importlib.metadata import version

    libraries = {name: version(name) for name in LIBRARIES}
    return {**libraries, "python": ".".join(str(part) for part in sys.version_info[:3])}


def speeds(load: Load, seconds: float, samples: int) -> dict[str, Any]:
    """`imagesPerSecond` is what clients get; the run over the set also decodes and compares."""
    return {
        "imagesPerSecond": round(load.images_per_second, 2),
        "load": {
            "images": load.images,
            "seconds": round(load.seconds, 3),
            "requestsInFlight": load.requests_in_flight,
            "batch": load.batch,
        },
        "datasetRun": {
            "seconds": round(seconds, 3),
            "imagesPerSecond": round(samples / seconds, 2) if seconds else None,
        },
    }


def read_benchmark(path: Path) -> dict[str, Any] | None:
    """What launch.py measured before Triton started; None when it was not asked to."""
    try:
        found = json.loads(read_bounded(path))
        if not isinstance(found["profiles"], dict):
            raise TypeError("profiles")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise JobError(
            Reason.RESULT_LOST, "the benchmark's result cannot be read: the Job has to run again"
        ) from error
    return dict(found)


def finish(result: Mapping[str, Any], *, store: Store, more: Mapping[str, Any]) -> dict[str, Any]:
    """Store the result, and say the essentials: the success message.

    `more` is what was found beside the numbers: the diagnosis, the tuning.
    """
    for name in SHOWN:
        say(f"{name}: {result[name]}")
    key = result["validationKey"]
    numbers: dict[str, Any] = {field: result[key_of(field)] for field in ESSENTIALS}
    numbers |= {name: dict(found) for name, found in more.items() if found}
    message = Evaluated(**numbers)
    if latency := result.get("latency"):
        message = replace(message, latency={name: latency[name] for name in LATENCIES})
        say(f"latency in milliseconds: {message.latency}")
    say(result_line(result))
    benchmark = result["benchmark"] or {}
    profiles, memory = benchmark.get("profiles", {}), benchmark.get("memoryBytes")
    if isinstance(memory, int) and not isinstance(memory, bool) and 0 < memory <= MOST_MEMORY:
        message = replace(message, memory_bytes=memory)
    throughput = {batch: round(found["throughput"], 1) for batch, found in profiles.items()}
    try:
        store.put_result(key, json.dumps(result, indent=1, allow_nan=False).encode())
        message = replace(message, result_key=f"results/{key}.json")
    except JobError as error:  # minutes of a chip are not thrown away for a report
        say(f"result.json could not be stored: {error.message}")
    said = message.to_json()
    return said | {"throughput": fitting(said, throughput)}


def fitting(message: Mapping[str, Any], throughput: dict[str, float]) -> dict[str, float]:
    """As many of the largest batches as a termination message holds; result.json has them all."""
    kept = sorted(throughput, key=int)
    while kept:
        shown = {batch: throughput[batch] for batch in kept}
        try:
            fit_message({**message, "throughput": shown})
        except ValueError:
            kept = kept[1:]
        else:
            return shown
    return {}
