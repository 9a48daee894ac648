"""Holds the exported ONNX against PyTorch: the same pictures in, the same scores out.

Called by `prepare` for models that the container `export` made. That container left noise and
PyTorch's answer to it (driver/torch_export.py); exporters have written wrong graphs without a
warning, and nothing later would notice: the gate compares with this same ONNX.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.progress import say
from resnet_jobs.base.runtime_error import read_failure
from resnet_jobs.base.workspace import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from resnet_jobs.base.workspace import Workspace

    Array = np.ndarray[Any, Any]

# Both compute in FP32, in another order: 1e-5 of the largest score is usual.
TOLERANCE = 1e-3
SAMPLE = re.compile(r"(input|output)_[0-9]+\.bin")


def check_export(workspace: Workspace) -> None:
    """`UnsupportedModel` when the two differ by more than rounding."""
    folder = workspace.scratch / "export"
    sample = read_json(folder / "sample.json")
    inputs = {entry["name"]: _load(folder, entry) for entry in sample["inputs"]}
    wanted = [_load(folder, entry) for entry in sample["outputs"]]
    answers = _answers(workspace.model, inputs)
    worst = 1.0
    for entry, want, got in zip(sample["outputs"], wanted, answers, strict=True):
        worst = min(worst, _compare(entry["name"], want, got))
    say(f"ONNX Runtime answers as PyTorch does: cosine similarity {worst:.6f}")


def _load(folder: Path, entry: Mapping[str, Any]) -> Array:
    import numpy as np

    try:
        if not SAMPLE.fullmatch(entry["file"]):
            raise ValueError("not a name of a sample")
        return np.fromfile(folder / entry["file"], dtype="<f4").reshape(entry["dims"])
    except (OSError, ValueError, TypeError) as error:
        raise JobError(
            Reason.RESULT_LOST,
            f"the export's sample is missing or cut off ({entry['file']}): the Job has to run "
            "again",
            detail=str(error),
        ) from error


def _answers(model: Path, inputs: Mapping[str, Array]) -> Sequence[Array]:
    import numpy as np
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        kinds = {entry.name: entry.type for entry in session.get_inputs()}
        feed = {
            name: value.astype(np.float16) if "float16" in kinds.get(name, "") else value
            for name, value in inputs.items()
        }
        return list(session.run(None, feed))
    except Exception as error:
        failure = read_failure(str(error))
        raise JobError(
            Reason.UNSUPPORTED_MODEL,
            f"ONNX Runtime cannot run what PyTorch exported{failure.place}: {failure.reason}; "
            "export it yourself and bring the ONNX file",
            detail=str(error),
        ) from error


def _compare(name: str, want: Array, got: Array) -> float:
    """The cosine similarity, when the two are the same within rounding."""
    import numpy as np

    answer = np.asarray(got, dtype=np.float64)
    truth = want.astype(np.float64)
    if answer.shape != truth.shape:
        raise _differs(
            f'output "{name}" has shape {list(answer.shape)} in ONNX Runtime, but '
            f"{list(truth.shape)} in PyTorch"
        )
    if not np.isfinite(truth).all():
        raise unsupported(
            f'PyTorch itself answers noise with infinite numbers in output "{name}": the weights '
            "are damaged, or of a training that diverged; bring another checkpoint"
        )
    loose = TOLERANCE if got.dtype.itemsize > 2 else 2e-2
    product = float(np.linalg.norm(answer) * np.linalg.norm(truth))
    cosine = float((answer * truth).sum() / product) if product else 1.0
    furthest = float(np.abs(answer - truth).max(initial=0.0))
    scale = float(np.abs(truth).max(initial=0.0))
    if not furthest <= loose * max(scale, 1e-6):
        raise _differs(
            f'output "{name}" of the exported model differs from PyTorch\'s by up to '
            f"{furthest:.3g} at scores up to {scale:.3g} (cosine similarity {cosine:.4f})"
        )
    return cosine


def _differs(message: str) -> JobError:
    return unsupported(
        f"{message}: PyTorch exported another network; use another export image, or export the "
        "model yourself and bring the ONNX file"
    )
