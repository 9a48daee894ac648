"""The batch dimension: opened where the file fixes it, and proven by running the model.

Called by `prepare`. Every ModelZoo export has N = 1 in its graph inputs. Setting N open there is
easy, but a Reshape deeper in the graph may have the 1 baked in; ATC would convert such a model
and it would answer wrongly. So ONNX Runtime runs one picture, another one, and both together.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from resnet_jobs.errors import JobError, Reason, clip
from resnet_jobs.inspect_model import ModelInput, Tensor, element_type, graph_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Values = dict[str, np.ndarray[Any, Any]]

BATCH_NAME = "batch"
HINT = (
    'export it with an open batch, torch.onnx.export(…, dynamic_axes={"input": {0: "N"}}), or '
    "set spec.conversion.batchSizes to the one number it was exported with"
)


def fixed_batch(inputs: Sequence[ModelInput]) -> int | None:
    """The one number in dimension 0 of the inputs, None where all leave it open."""
    numbers = sorted({entry.batch for entry in inputs if entry.batch is not None})
    if len(numbers) > 1:
        raise _unsupported(
            f"the inputs have different first dimensions ({', '.join(map(str, numbers))}): "
            "the first dimension of each must be the batch"
        )
    return numbers[0] if numbers else None


def needs_opening(inputs: Sequence[ModelInput], *, batch_sizes: Sequence[int], cpu: bool) -> bool:
    """Whether the file's fixed N must go. A chip's static batch may be what the file has already;
    ONNX Runtime on a CPU takes every size, so there N is always open.
    """
    fixed = fixed_batch(inputs)
    return fixed is not None and (cpu or tuple(batch_sizes) != (fixed,))


def open_batch(model: Any, *, fixed: int) -> list[str]:
    """Makes N symbolic in inputs, outputs and constant Reshape targets, in place; notes what."""
    notes = [f"opened the batch dimension, fixed to {fixed} in the file"]
    changed = _open_reshapes(model, fixed)
    if changed:
        notes.append(f"opened the batch in {changed} constant Reshape target(s)")
    for value in [*graph_inputs(model), *model.graph.output]:
        shape = value.type.tensor_type.shape
        if shape.dim and (shape.dim[0].dim_value in (fixed, 0)):
            shape.dim[0].dim_param = BATCH_NAME
    del model.graph.value_info[:]
    return notes


def _open_reshapes(model: Any, fixed: int) -> int:
    """Rewrites Reshape targets like [1, 2048] to [0, 2048], where 0 copies the batch dimension.

    Only where the tensor that is reshaped has N in front itself; the proof afterwards decides.
    """
    import onnx
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    shapes = _known_first_dimensions(onnx.shape_inference.infer_shapes(model))
    targets: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type != "Reshape" or shapes.get(node.input[0]) != fixed:
            continue
        name = node.input[1]
        tensor = weights.get(name)
        if tensor is None and name in makers:
            tensor = next((a.t for a in makers[name].attribute if a.name == "value"), None)
        target = None if tensor is None else numpy_helper.to_array(tensor).copy()
        if target is None or target.ndim != 1 or len(target) < 2 or target[0] != fixed:
            continue
        if name not in targets:  # one constant may serve Reshapes that must keep it
            target[0] = 0
            targets[name] = f"{name}/{BATCH_NAME}"
            model.graph.initializer.append(numpy_helper.from_array(target, targets[name]))
        node.input[1] = targets[name]
    return len(targets)


def _known_first_dimensions(model: Any) -> dict[str, int]:
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    return {
        value.name: value.type.tensor_type.shape.dim[0].dim_value
        for value in values
        if value.type.tensor_type.shape.dim
    }


def prove(model: Any, inputs: Sequence[ModelInput]) -> list[Tensor]:
    """The outputs as they really come out, without the batch, from running the model.

    With an open batch: two pictures alone, then together; the answers must be the same. A fixed
    batch needs no proof, and may be large, so it runs only where the file leaves an output open.
    """
    session = _session(model)
    fixed = fixed_batch(inputs)
    if fixed is not None:
        shapes = {output.name: output.shape for output in session.get_outputs()}
        if not all(_is_known(shape, fixed) for shape in shapes.values()):
            answers = _run(session, _pictures(inputs, fixed, seed=0), batch=fixed)
            shapes = {name: list(answer.shape) for name, answer in answers.items()}
    else:
        shapes = _prove_open(session, inputs)
    return [
        Tensor(value.name, element_type(value), tuple(shapes[value.name][1:]))
        for value in model.graph.output
    ]


def _is_known(shape: Sequence[Any], batch: int) -> bool:
    return all(isinstance(dim, int) for dim in shape) and list(shape[:1]) == [batch]


def _prove_open(session: Any, inputs: Sequence[ModelInput]) -> dict[str, list[int]]:
    import numpy as np

    pictures = [_pictures(inputs, 1, seed=seed) for seed in (0, 1)]
    alone = [_run(session, feed, batch=1) for feed in pictures]
    both = {name: np.concatenate([feed[name] for feed in pictures]) for name in pictures[0]}
    _compare(_run(session, both, batch=2), alone)
    return {name: list(answer.shape) for name, answer in alone[0].items()}


def _session(model: Any) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise JobError(
            Reason.UNSUPPORTED_MODEL,
            f"ONNX Runtime {onnxruntime.__version__} cannot load the model: "
            f"{clip(str(error), 180)}",
            detail=str(error),
        ) from error


def _pictures(inputs: Sequence[ModelInput], count: int, *, seed: int) -> Values:
    """Noise, the same in every run: a refusal must be repeatable."""
    import numpy as np

    rng = np.random.default_rng(seed)
    kinds = {"FP32": np.float32, "FP16": np.float16}
    return {
        entry.tensor.name: rng.standard_normal((count, *entry.tensor.dims)).astype(
            kinds[entry.tensor.data_type]
        )
        for entry in inputs
    }


def _run(session: Any, feed: Values, *, batch: int) -> Values:
    """The outputs by name. `UnsupportedModel` when the model cannot take that many pictures."""
    import numpy as np

    names = [output.name for output in session.get_outputs()]
    try:
        answers = session.run(names, feed)
    except Exception as error:
        text = f"the model fails with {batch} picture(s): {clip(str(error), 110)}"
        raise JobError(Reason.UNSUPPORTED_MODEL, f"{text}; {HINT}", detail=str(error)) from error
    for name, answer in zip(names, answers, strict=True):
        if not isinstance(answer, np.ndarray):
            raise _unsupported(f'output "{name}" is not a tensor: export the model with tensors')
        if answer.shape[:1] != (batch,):
            raise _unsupported(
                f'output "{name}" has shape {list(answer.shape)} for {batch} picture(s): its '
                f"first dimension must be the batch; {HINT}"
            )
    return dict(zip(names, answers, strict=True))


def _compare(together: Values, alone: Sequence[Values]) -> None:
    """Row i of the batch must be what picture i gives by itself, within rounding."""
    import numpy as np

    for name, rows in together.items():
        for index, single in enumerate(alone):
            want, got = single[name][0], rows[index]
            if want.dtype.kind == "f":
                loose = 2e-2 if want.dtype.itemsize == 2 else 1e-3
                finite = np.abs(want[np.isfinite(want)])
                scale = float(finite.max()) if finite.size else 0.0
                same = np.allclose(got, want, rtol=loose, atol=loose * scale, equal_nan=True)
            else:
                same = bool(np.array_equal(got, want))
            if not same:
                raise _unsupported(
                    f'output "{name}" of a picture changes with the other pictures in its batch: '
                    f"the model was not exported for batches (training mode?); {HINT}"
                )


def _unsupported(message: str) -> JobError:
    return JobError(Reason.UNSUPPORTED_MODEL, message)
