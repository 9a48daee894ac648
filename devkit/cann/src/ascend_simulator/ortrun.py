"""ONNX Runtime as the arithmetic of the simulator: used by compiler.py and by acl."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# ONNX Runtime reports to its maker unless told not to, and decides when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

if TYPE_CHECKING:
    from pathlib import Path

RuntimeFailure = (
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
)
"""Everything that ONNX Runtime raises about a model."""


def session(graph: bytes, *, threads: int, optimized: Path | None = None) -> ort.InferenceSession:
    """A session on the CPU. With `optimized`, the folded graph is written there instead of tuned
    for this machine: constants folded, normalization folded into convolutions."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Waiting threads must not burn the CPU that the serving process beside them needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(optimized)
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def cpu_count() -> int:
    return len(os.sched_getaffinity(0))
