"""What one runtime is, in one row. A new one: a row here, a word in `api`, a file of the runtime.

What a runtime refuses of the spec is in the module of its name, where it has one. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec


@dataclass(frozen=True, kw_only=True)
class RuntimeRow:
    """`chips` are beginnings of names. Without `model_file` the image has a backend of its own."""

    formats: frozenset[ModelFormat]
    chips: tuple[str, ...]
    model_file: str = ""
    backend: str = "python"
    load_seconds: int = 300
    # Whether an artifact for the chip is made first; else the pod compiles the file as it came.
    converts: bool = True
    # Whether its pods have the loader of PyTorch files beside model.py.
    loads_pytorch: bool = False
    # Whether the gate can time the chip itself before Triton starts.
    times_the_chip: bool = False
    # Whether it loads in seconds, with settings that the operator writes: each trial loads once.
    tunes: bool = False
    # Triton 21.10 cannot read the warm-up of later ones.
    warms_up: bool = True


ROWS: Mapping[Runtime, RuntimeRow] = {
    Runtime.ONEFLOW: RuntimeRow(
        formats=frozenset({ModelFormat.ONEFLOW}),
        chips=("CPU", "GPU"),
        backend="oneflow",
        warms_up=False,
    ),
    Runtime.ONNX_RUNTIME: RuntimeRow(
        formats=frozenset({ModelFormat.ONNX, ModelFormat.PYTORCH, ModelFormat.TORCH_SCRIPT}),
        chips=("CPU",),
        model_file="onnxruntime_model.py",
        tunes=True,
    ),
    Runtime.ASCEND_OM: RuntimeRow(
        formats=frozenset(ModelFormat) - {ModelFormat.ONEFLOW},
        chips=("Ascend",),
        model_file="ascend_om.py",
        times_the_chip=True,
        tunes=True,
    ),
    Runtime.TORCH_AIE: RuntimeRow(
        formats=frozenset({ModelFormat.PYTORCH, ModelFormat.TORCH_SCRIPT}),
        chips=("Ascend",),
        model_file="torch_aie.py",
        # Compiling takes minutes, and instances do it one after the other.
        load_seconds=1800,
        converts=False,
        loads_pytorch=True,
    ),
}


def runtimes_for(chip: str, model_format: ModelFormat) -> tuple[Runtime, ...]:
    """Return what can serve a format on a chip, Auto's choice first."""
    return tuple(
        runtime
        for runtime, row in ROWS.items()
        if model_format in row.formats and chip.startswith(row.chips)
    )


def runtime_of(spec: ResNetServiceSpec, model_format: ModelFormat) -> Runtime:
    """Return the runtime, never Auto; raises InvalidSpec for one that cannot serve this.

    The CRD's rules say the same; this is for objects that are older than they.
    """
    chip = spec.accelerator.chip
    possible = runtimes_for(chip, model_format)
    if not possible:
        raise InvalidSpec(f"no runtime serves format {model_format} on chip {chip}; write another")
    wanted = spec.serving.runtime or Runtime.AUTO
    if wanted is Runtime.AUTO:
        return possible[0]
    if wanted not in possible:
        raise InvalidSpec(
            f"serving.runtime {wanted} cannot serve format {model_format} on chip "
            f"{spec.accelerator.chip}; write {' or '.join(possible)}, or remove it"
        )
    return wanted
