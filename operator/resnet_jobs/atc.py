"""ATC's command line: a pure function of the order and of what was found in the model.

Called by `prepare`; the driver runs the list as it is, without a shell, so nothing is quoted.
The tables here are the one place that knows how ATC spells an option; the CRD's enums are their
keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_jobs.errors import JobError, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from resnet_jobs.inspect_model import Tensor

# One enum for ATC's two exclusive flags: a name decides which of them is written.
PRECISION_MODES = {
    "ForceFP16": "--precision_mode=force_fp16",
    "ForceFP32": "--precision_mode=force_fp32",
    "CubeFP16InFP32Out": "--precision_mode=cube_fp16in_fp32out",
    "AllowFP32ToFP16": "--precision_mode=allow_fp32_to_fp16",
    "MustKeepOriginDtype": "--precision_mode=must_keep_origin_dtype",
    "AllowMixPrecision": "--precision_mode=allow_mix_precision",
    "AllowMixPrecisionBF16": "--precision_mode=allow_mix_precision_bf16",
    "AllowFP32ToBF16": "--precision_mode=allow_fp32_to_bf16",
    "FP16": "--precision_mode_v2=fp16",
    "Origin": "--precision_mode_v2=origin",
    "MixedFloat16": "--precision_mode_v2=mixed_float16",
    "MixedBFloat16": "--precision_mode_v2=mixed_bfloat16",
}
OP_SELECT_IMPL_MODES = {
    "HighPerformance": "--op_select_implmode=high_performance",
    "HighPrecision": "--op_select_implmode=high_precision",
    "HighPerformanceForAll": "--op_select_implmode=high_performance_for_all",
    "HighPrecisionForAll": "--op_select_implmode=high_precision_for_all",
}
BF16_CHIPS = ("Ascend910B1", "Ascend910B2", "Ascend910B3", "Ascend910B4", "Ascend910_9",
              "Ascend310B", "Ascend950")  # fmt: skip
ONNX_FRAMEWORK = 5


def build_argv(
    *,
    model: Path,
    output: Path,
    inputs: Sequence[Tensor],
    batch_sizes: Sequence[int],
    chip: str,
    precision_mode: str | None = None,
    op_select_impl_mode: str | None = None,
) -> list[str]:
    """One batch size makes a static model, several make one with dynamic profiles.

    An option that the order leaves out is left out here: ATC's own default applies.
    """
    _check_names(inputs)
    dynamic = len(batch_sizes) > 1
    first = "-1" if dynamic else str(batch_sizes[0])
    shapes = ";".join(
        f"{entry.name}:{','.join([first, *map(str, entry.dims)])}" for entry in inputs
    )
    pictures = any(len(entry.dims) == 3 for entry in inputs)
    return [
        "atc",
        f"--framework={ONNX_FRAMEWORK}",
        f"--model={model}",
        f"--output={output}",
        f"--input_format={'NCHW' if pictures else 'ND'}",
        f"--input_shape={shapes}",
        *([f"--dynamic_batch_size={','.join(map(str, batch_sizes))}"] if dynamic else []),
        *_flag(PRECISION_MODES, precision_mode, field="precisionMode"),
        *_flag(OP_SELECT_IMPL_MODES, op_select_impl_mode, field="opSelectImplMode"),
        f"--soc_version={chip}",
        "--log=error",
    ]


def options_without_paths(argv: Sequence[str]) -> list[str]:
    """What of a command line decides the result: the content key holds the files' digests."""
    return [word for word in argv[1:] if not word.startswith(("--model=", "--output="))]


def check_precision(precision_mode: str | None, *, chip: str) -> None:
    """Refuses what the chip cannot compute, before ATC does so minutes later."""
    mode = precision_mode or ""
    if "BF" in mode and not chip.startswith(BF16_CHIPS):
        raise _invalid(
            f"spec.conversion.precisionMode {mode} needs a chip with bfloat16, which {chip} is "
            "not; write ForceFP16 or leave it out"
        )


def _flag(table: dict[str, str], name: str | None, *, field: str) -> list[str]:
    if name is None:
        return []
    if name not in table:
        raise _invalid(
            f'spec.conversion.{field} "{name}" is not known; write one of {", ".join(table)}'
        )
    return [table[name]]


def _check_names(inputs: Sequence[Tensor]) -> None:
    """ATC splits --input_shape at these characters and has no way to quote them."""
    for entry in inputs:
        if set(entry.name) & set(':;,"'):
            raise JobError(
                Reason.UNSUPPORTED_MODEL,
                f"ATC cannot name the input {entry.name!r}: export the model with an input name "
                "of letters, digits, _ . / or -",
            )


def _invalid(message: str) -> JobError:
    return JobError(Reason.INVALID_SPEC, message)
