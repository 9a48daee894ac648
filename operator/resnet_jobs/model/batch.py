"""The batch dimension: opened where the file fixes it, and proven by running the model.

Called by `prepare`. Every ModelZoo export has N = 1 in its graph inputs. Setting N open there is
easy, but a Reshape deeper in the graph may have the 1 baked in; ATC would convert such a model
and it would answer wrongly. So ONNX Runtime runs pictures in the declared batch sizes: alone,
and in company, which must not change the answer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.model.baked_batch import OPEN_NAME, closing_node, open_operators
from resnet_jobs.model.inspect import ModelInput, Tensor, element_type, graph_inputs
from resnet_jobs.model.opset import is_alike
from resnet_jobs.model.running import HINT, NotRowsError, Running, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resnet_jobs.model.running import Values

    Read = Callable[[Any], Sequence[ModelInput]]

TRAINING_HINT = "export it in evaluation mode, model.eval()"


@dataclass(frozen=True)
class Proven:
    """A model that answers in the declared batch sizes; `outputs` without the batch."""

    model: Any
    inputs: Sequence[ModelInput]
    outputs: list[Tensor]
    notes: list[str]


def settle_batch(model: Any, *, batch_sizes: Sequence[int], cpu: bool, read: Read) -> Proven:
    """Opens what has to be open, and runs the model; `read` reads the inputs of a model.

    A file that is changed is changed in a copy: where the opened one does not answer and only the
    size that the file has is wanted, it is served as it came.
    """
    inputs = read(model)
    fixed = fixed_batch(inputs)
    if not needs_opening(inputs, batch_sizes=batch_sizes, cpu=cpu):
        return _settle_as_it_is(model, inputs, batch_sizes=batch_sizes, cpu=cpu, read=read)
    opened = copy.deepcopy(model)
    notes = open_batch(opened, fixed=fixed or 1)
    try:
        inputs = read(opened)
        outputs = prove(opened, inputs, batch_sizes=batch_sizes, cpu=cpu, was_fixed=True)
        return Proven(opened, inputs, outputs, notes)
    except JobError:
        if tuple(batch_sizes) != (fixed,):
            answers(model, read(model))  # a file that fails as it came says so
            raise
        inputs = read(model)
        return Proven(model, inputs, prove(model, inputs), [])


def _settle_as_it_is(
    model: Any, inputs: Sequence[ModelInput], *, batch_sizes: Sequence[int], cpu: bool, read: Read
) -> Proven:
    """A file whose inputs are open may have the export's single picture baked in further down."""
    try:
        return Proven(model, inputs, prove(model, inputs, batch_sizes=batch_sizes, cpu=cpu), [])
    except JobError as error:
        opened = copy.deepcopy(model)
        changed = [] if fixed_batch(inputs) else open_operators(opened, 1)
        if not changed or error.reason != Reason.UNSUPPORTED_MODEL:
            raise
        inputs = read(opened)
        outputs = prove(opened, inputs, batch_sizes=batch_sizes, cpu=cpu)
        return Proven(opened, inputs, outputs, [_opened_note(changed)])


def fixed_batch(inputs: Sequence[ModelInput]) -> int | None:
    """The one number in dimension 0 of the inputs, None where all leave it open."""
    numbers = sorted({entry.batch for entry in inputs if entry.batch is not None})
    if len(numbers) > 1:
        raise unsupported(
            f"the inputs have different first dimensions ({', '.join(map(str, numbers))}): "
            "the first dimension of each must be the batch; export it so"
        )
    return numbers[0] if numbers else None


def needs_opening(inputs: Sequence[ModelInput], *, batch_sizes: Sequence[int], cpu: bool) -> bool:
    """Whether the file's fixed N must go. A chip's static batch may be what the file has already;
    ONNX Runtime on a CPU takes every size, so there N is always open.
    """
    fixed = fixed_batch(inputs)
    return fixed is not None and (cpu or tuple(batch_sizes) != (fixed,))


def open_batch(model: Any, *, fixed: int) -> list[str]:
    """Makes N symbolic in inputs, outputs and operators that have it baked in, in place."""
    notes = [f"opened the batch dimension, fixed to {fixed} in the file"]
    changed = open_operators(model, fixed)
    if changed:
        notes.append(_opened_note(changed))
    for value in [*graph_inputs(model), *model.graph.output]:
        shape = value.type.tensor_type.shape
        if shape.dim and (shape.dim[0].dim_value in (fixed, 0)):
            shape.dim[0].dim_param = OPEN_NAME
    del model.graph.value_info[:]
    return notes


def _opened_note(changed: Sequence[str]) -> str:
    return f"opened the batch in {len(changed)} operator(s): {', '.join(changed[:3])}"


def prove(
    model: Any,
    inputs: Sequence[ModelInput],
    *,
    batch_sizes: Sequence[int] = (1, 2),
    cpu: bool = False,
    was_fixed: bool = False,
) -> list[Tensor]:
    """The outputs as they really come out, without the batch, from running the model.

    With an open batch: in the smallest of the declared sizes above one, a picture must get the
    answer that it gets alone, or in other company where one is no declared size. A fixed batch
    needs no proof, and may be large, so it runs only where the file leaves an output open.
    """
    running = Running(model)
    fixed = fixed_batch(inputs)
    if fixed is not None:
        shapes = running.declared_shapes()
        if not all(_is_known(shape, fixed) for shape in shapes.values()):
            answers = running.run(pictures(inputs, fixed, seed=0), batch=fixed, first=True)
            shapes = {name: list(answer.shape) for name, answer in answers.items()}
    else:
        sizes = {1, *batch_sizes} if cpu else set(batch_sizes)  # a CPU runs what has come
        try:
            shapes = _prove_open(running, inputs, sorted(sizes or {1, 2}), was_fixed=was_fixed)
        except NotRowsError as error:
            raise _at_its_node(error, model) from error
    return [
        Tensor(value.name, element_type(value), tuple(shapes[value.name][1:]))
        for value in model.graph.output
    ]


def _at_its_node(error: NotRowsError, model: Any) -> JobError:
    """The same refusal, which names the node where the batch is lost, where that can be seen."""
    found = closing_node(model, error.batch)
    if found is None:
        return error
    operator, name = found
    return unsupported(f'the batch is lost at node "{name}" ({operator}): {error.message}')


def answers(model: Any, inputs: Sequence[ModelInput]) -> Values:
    """What the model says to noise: for comparing two forms of one model."""
    batch = fixed_batch(inputs) or 1
    return Running(model).run(pictures(inputs, batch, seed=0), batch=batch, first=True)


def _is_known(shape: Sequence[Any], batch: int) -> bool:
    return all(isinstance(dim, int) for dim in shape) and list(shape[:1]) == [batch]


def _prove_open(
    running: Running, inputs: Sequence[ModelInput], sizes: Sequence[int], *, was_fixed: bool
) -> dict[str, list[int]]:
    """`sizes` in order; in each company the same picture stands once in front and once behind."""
    import numpy as np

    picture = pictures(inputs, 1, seed=0)
    many = next((size for size in sizes if size > 1), None)
    seen: list[Values] = []
    if sizes[0] == 1:
        seen.append(running.run(picture, batch=1, first=not was_fixed))
    if many is not None:
        others = [pictures(inputs, many - 1, seed=seed) for seed in (1, 2)]
        orders = ((picture, others[0]), (others[1], picture))
        for number, (front, behind) in enumerate(orders):
            both = {name: np.concatenate([front[name], behind[name]]) for name in picture}
            got = running.run(both, batch=many, first=sizes[0] > 1)
            row = slice(0, 1) if number == 0 else slice(-1, None)
            seen.append({name: rows[row] for name, rows in got.items()})
    for company in seen[1:]:
        _compare(company, seen[0])
    return {name: list(answer.shape) for name, answer in seen[0].items()}


def _compare(company: Values, alone: Values) -> None:
    """A picture's answer in a batch must be what it is otherwise, within rounding."""
    for name, got in company.items():
        if not is_alike(got, alone[name], loose=1e-3, loose_half=2e-2):
            raise unsupported(
                f'output "{name}" of a picture changes with the other pictures in its batch: '
                f"{TRAINING_HINT}; {HINT}"
            )
