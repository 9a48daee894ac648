"""ONNX Runtime's session with the settings we serve with: onnxruntime_model.py and benchmark.py."""

from __future__ import annotations

from typing import Any

from resnet_runtime.settings import LoadError


def open_session(path: str, *, threads: int) -> Any:
    """Load the file; raise LoadError in words a user understands."""
    try:
        import onnxruntime
    except ImportError as error:
        raise LoadError(
            "the serving image has no onnxruntime for its Python ({}); chip CPU needs the "
            "serving-cpu image".format(error)
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads that spin take the cores from Triton and the neighbours: ten times the CPU for
    # a small network, a sixth of the throughput of ResNet-50 where the cores are shared.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise LoadError(
            "ONNX Runtime cannot load {}: {}".format(path, error), detail=str(error)
        ) from error
