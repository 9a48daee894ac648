"""Pure inference speed of the served file, as `ais_bench --loop N --batchsize B` measures it.

    python3 -m resnet_runtime.benchmark --repository=/models --output=/eval/b.json --loops=100

launch.py runs it before tritonserver, with the same image, environment and chip, and only in the
pod that measures a new artifact. For each compiled batch size: one warm-up, then N executions,
timed around the execution alone. Copies and Triton are left out, as ais_bench leaves them out; what
clients get is measured by the evaluator beside this container.
Run so far on a simulator of pyACL only. Python >= 3.8, standard library and numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from resnet_runtime.offline_model import OfflineModel, load_error
from resnet_runtime.onnxruntime_session import open_session
from resnet_runtime.pbtxt import parse
from resnet_runtime.pyacl import Acl, AclError
from resnet_runtime.settings import LoadError, Settings, read_settings
from resnet_runtime.termination import write_termination
from resnet_runtime.toolkit import cann_version

WARM_UPS = 1
PROGRESS_SECONDS = 3.0
RULE = "-" * 54

Clock = Callable[[], float]
Times = List[float]


class ChipTarget:
    """The OM on the first chip of the pod. Zeros as input, which is what ais_bench sends."""

    runtime = "AscendOM"

    def __init__(self, settings: Settings) -> None:
        acl = Acl()
        self._model = OfflineModel(
            acl,
            settings.parameter("model_file"),
            device=0,
            soc_version=settings.parameter("soc_version"),
        )
        self.chip = self._model.soc
        self.profiles = self._model.profiles
        self.memory = self._model.memory
        for tensor in self._model.inputs:
            tensor.buffer.clear()

    def use(self, profile: int) -> Callable[[], None]:
        self._model.set_batch(profile)
        return self._model.execute

    def close(self) -> None:
        self._model.close()


class ProcessorTarget:
    """The ONNX file on the container's processors, opened as the serving model opens it."""

    runtime = "ONNXRuntime"
    chip = "CPU"
    memory = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = open_session(
            settings.parameter("model_file"), threads=settings.numbers("intra_op_threads")[0]
        )
        batch = self._session.get_inputs()[0].shape[0]
        # A file whose batch is fixed runs at that size only.
        self.profiles = [batch] if isinstance(batch, int) else settings.numbers("batch_sizes")
        self._names = [spec.name for spec in settings.outputs]

    def use(self, profile: int) -> Callable[[], None]:
        feeds = {
            spec.name: np.zeros((profile, *spec.dims), spec.dtype) for spec in self._settings.inputs
        }
        return lambda: self._session.run(self._names, feeds)

    def close(self) -> None:
        """Nothing to give back: the process ends."""


def measure(target: Any, *, loops: int, clock: Clock = time.perf_counter) -> Dict[str, Any]:
    """Every profile in turn; {"24": {"min": …}} with the batch as a text, as JSON has it."""
    results = {}
    for number, profile in enumerate(target.profiles):
        run = target.use(profile)
        for _ in range(WARM_UPS):
            run()
        part = "batch {} ({} of {})".format(profile, number + 1, len(target.profiles))
        times = _timed(run, loops=loops, clock=clock, part=part)
        results[str(profile)] = summarise(times, batch=profile)
        print_summary(results[str(profile)], batch=profile)
    return results


def _timed(run: Callable[[], None], *, loops: int, clock: Clock, part: str) -> Times:
    """Milliseconds of each execution. The progress line falls between two of them."""
    times: Times = []
    printed = clock()
    for number in range(loops):
        start = clock()
        run()
        end = clock()
        times.append((end - start) * 1000)
        if end - printed >= PROGRESS_SECONDS:
            printed = end
            done = 100 * (number + 1) // loops
            say("{}: {} of {} executions ({} %)".format(part, number + 1, loops, done))
    return times


def summarise(times: Sequence[float], *, batch: int) -> Dict[str, float]:
    """ais_bench's numbers: milliseconds, and throughput = 1000 * batch / mean."""
    mean = float(np.mean(times))
    return {
        "min": float(np.min(times)),
        "max": float(np.max(times)),
        "mean": mean,
        "median": float(np.median(times)),
        "p99": float(np.percentile(times, 99)),
        "throughput": 1000 * batch / mean if mean else 0.0,
        "count": len(times),
    }


def print_summary(result: Dict[str, float], *, batch: int) -> None:
    """ais_bench's own lines, which people and scripts look for."""
    say("-----------------Performance Summary------------------")
    say(
        "NPU_compute_time (ms): min = {min:.5f}, max = {max:.5f}, mean = {mean:.5f}, "
        "median = {median:.5f}, percentile(99%) = {p99:.5f}".format(**result)
    )
    say(
        "throughput 1000*batchsize.mean({})/NPU_compute_time.mean({}): {}".format(
            batch, result["mean"], result["throughput"]
        )
    )
    say(RULE)


def say(text: str) -> None:
    sys.stdout.write("[INFO] {}\n".format(text))
    sys.stdout.flush()


def read_repository(folder: str) -> Settings:
    """The settings of the only model that has a file of its own in the model repository."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, "config.pbtxt")
        if not os.path.isfile(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                settings = settings_of(parse(file.read()))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise LoadError("{} cannot be read: {}".format(path, error)) from error
        if "model_file" in settings.parameters:
            return settings
    raise LoadError("{} holds no model with a parameter model_file".format(folder))


def settings_of(config: Dict[str, List[Any]]) -> Settings:
    """From the parsed text, in the form in which Triton hands the configuration to a model."""

    def tensors(kind: str) -> List[Dict[str, Any]]:
        return [
            {"name": one["name"][0], "data_type": one["data_type"][0], "dims": one["dims"]}
            for one in config[kind]
        ]

    document = {
        "input": tensors("input"),
        "output": tensors("output"),
        "max_batch_size": int(config.get("max_batch_size", ["0"])[0]),
        "parameters": {
            one["key"][0]: {"string_value": one["value"][0]["string_value"][0]}
            for one in config.get("parameters", [])
        },
    }
    return read_settings({"model_config": json.dumps(document)})


def benchmark(repository: str, *, loops: int, clock: Clock = time.perf_counter) -> Dict[str, Any]:
    """Measure the repository's model; LoadError says why it could not be run."""
    settings = read_repository(repository)
    on_chip = "soc_version" in settings.parameters
    try:
        target: Any = ChipTarget(settings) if on_chip else ProcessorTarget(settings)
        profiles = measure(target, loops=loops, clock=clock)
        target.close()
    except AclError as error:
        raise load_error(error, instance=0) from error
    return {
        "runtime": target.runtime,
        "chip": target.chip,
        "cann": cann_version(os.environ) if on_chip else None,
        "modelFile": settings.parameter("model_file"),
        "warmUps": WARM_UPS,
        "loops": loops,
        "memoryBytes": target.memory,
        "profiles": profiles,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "numpy": np.__version__,
    }


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time the served model without Triton.")
    parser.add_argument("--repository", required=True, help="Triton's model repository")
    parser.add_argument("--output", required=True, help="where the JSON goes")
    parser.add_argument("--loops", type=int, default=100)
    arguments = parser.parse_args(argv)
    try:
        result = benchmark(arguments.repository, loops=max(arguments.loops, 1))
        write_json(arguments.output, result)
    except LoadError as failure:
        write_termination(failure.reason, str(failure), code=failure.code, detail=failure.detail)
        return 1
    except MemoryError:
        write_termination(
            "OutOfMemory", "the host has no memory left for the model; raise serving.resources"
        )
        return 1
    except Exception as error:  # ONNX Runtime's errors have no common base
        write_termination(
            "ModelLoadFailed", "benchmark: {}: {}".format(type(error).__name__, error)
        )
        return 1
    return 0


def write_json(path: str, value: Dict[str, Any]) -> None:
    """Whole or not at all: the evaluator looks for this file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".part", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
