"""Finds the scales by running the network: IFMR for activations, ARQ for weights. Used by cli.py.

IFMR: start at the percentiles of what was seen, and search around them for the range whose
quantization has the smallest mean square error. ARQ: the largest weight of each channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from amct_onnx.errors import AmctError
from ascend_simulator.ortrun import RuntimeFailure, cpu_count, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from amct_onnx.config import Algorithm
    from amct_onnx.network import Layer, Network

SAMPLES = 1 << 17
"""Values of one tensor that are kept of one batch: enough for a range, and few enough to keep."""
BINS = 4096


class Scale(NamedTuple):
    """x = (q - offset) * scale, q in -128..127."""

    scale: float
    offset: int


class _Seen:
    """What went through one tensor."""

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0
        self.samples: list[np.ndarray] = []

    def add(self, array: np.ndarray) -> None:
        flat = array.astype(np.float32, copy=False).reshape(-1)
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        # An odd step, so that no channel or column is missed.
        self.samples.append(flat[:: max(1, flat.size // SAMPLES) | 1].copy())

    def scale(self, algorithm: Algorithm) -> Scale:
        values = np.concatenate(self.samples)
        if not np.isfinite(self.high - self.low):
            raise AmctError("Calibration", "the data make the network compute infinities or NaN.")
        high = _percentile(values, algorithm.max_percentile, self.high)
        low = -_percentile(-values, algorithm.min_percentile, -self.low)
        if high - low < 1e-12:
            return Scale(1.0, 0)
        counts, edges = np.histogram(values, BINS, range=(self.low, self.high))
        centres = (edges[:-1].astype(np.float64) + edges[1:]) / 2
        steps = np.arange(
            algorithm.search_start,
            algorithm.search_end + algorithm.search_step / 2,
            algorithm.search_step,
        )
        candidates = [_scale(low * s, high * s, asymmetric=algorithm.asymmetric) for s in steps]
        errors = [_error(centres, counts, candidate) for candidate in candidates]
        return candidates[int(np.argmin(errors))]


def _percentile(values: np.ndarray, share: float, largest: float) -> float:
    """At least 0: the range always holds it. With few values it is the largest one."""
    if values.size * (1 - share) < 1:
        return max(largest, 0.0)
    return max(float(np.quantile(values, share)), 0.0)


def _scale(low: float, high: float, *, asymmetric: bool) -> Scale:
    if not asymmetric:
        return Scale(float(np.float32(max(-low, high) / 127)), 0)
    scale = float(np.float32((high - low) / 255))
    return Scale(scale, int(np.clip(np.round(-128 - low / scale), -128, 127)))


def _error(centres: np.ndarray, counts: np.ndarray, candidate: Scale) -> float:
    whole = np.clip(np.round(centres / candidate.scale) + candidate.offset, -128, 127)
    again = (whole - candidate.offset) * candidate.scale
    return float(((again - centres) ** 2 * counts).sum())


def activation_scales(
    network: Network,
    layers: Iterable[Layer],
    batches: Iterable[Mapping[str, np.ndarray]],
    algorithms: Mapping[str, Algorithm],
    progress: Callable[[int], None],
) -> dict[str, Scale]:
    """Layer -> the scale of what comes in."""
    layers = list(layers)
    inputs = {value.name for value in network.graph.input}
    watched = sorted({layer.source for layer in layers} - inputs)
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in watched if name not in known
    )
    seen: dict[str, _Seen] = {layer.source: _Seen() for layer in layers}
    try:
        running = session(model.SerializeToString(), threads=cpu_count())
        types = {value.name: value.type for value in running.get_inputs()}
        for number, batch in enumerate(batches, start=1):
            feeds = {name: _cast(array, types[name]) for name, array in batch.items()}
            for name, array in zip(watched, running.run(watched, feeds), strict=True):
                seen[name].add(array)
            for name in seen.keys() & inputs:
                seen[name].add(feeds[name])
            progress(number)
    except RuntimeFailure as error:
        raise AmctError("Calibration", " ".join(str(error).split())[:400]) from error
    return {layer.name: seen[layer.source].scale(algorithms[layer.name]) for layer in layers}


def _cast(array: np.ndarray, kind: str) -> np.ndarray:
    words = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    return array.astype(words.get(kind, array.dtype), copy=False)


def weight_scales(weights: np.ndarray, layer: Layer, algorithm: Algorithm) -> np.ndarray:
    """One for each output channel, or one in all; never 0."""
    highest = 2 ** (algorithm.weight_bits - 1) - 1
    if layer.channel_axis is None or not algorithm.channel_wise:
        largest = np.abs(weights).max(keepdims=True).reshape(1)
    else:
        axes = tuple(axis for axis in range(weights.ndim) if axis != layer.channel_axis)
        largest = np.abs(weights).max(axis=axes)
    return np.where(largest > 0, largest / highest, 1.0).astype(np.float32)
