"""What ATC's options are called here, which further ones are allowed, and which exclude each other.

Called by `prepare` before anything expensive runs and by `atc` for the words of the command line.
The tables are the one place that knows how ATC spells an option; the CRD's enums are their keys.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.order import JobSpec

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
MIXED_MODES = ("AllowMixPrecision", "AllowMixPrecisionBF16", "MixedFloat16", "MixedBFloat16")
# What ATC refuses for a model that AMCT has written.
UNQUANTIZED_MODES = ("ForceFP32", "MustKeepOriginDtype", "Origin")
FIRST_LAYER_CHIPS = ("Ascend310P", "Ascend310B")
HOST_CPUS = {"amd64": "x86_64", "arm64": "aarch64"}

# Options beside the fields: the pattern of the value, and its description for people. None names
# a file or folder, leaves a part of the model outside of the OM, or is set by the operator itself.
_SWITCH = (r"0|1", "0 or 1")
_NAME = r"[A-Za-z0-9_./:\-]+"
_ALLOWED = {
    "--ac_parallel_enable": _SWITCH,
    "--aicore_num": (r"[1-9]\d{0,2}(\|[1-9]\d{0,2})?", "a number of cores, for example 4"),
    "--buffer_optimize": (r"l2_optimize|off_optimize", "l2_optimize or off_optimize"),
    "--core_type": (r"AiCore|VectorCore", "AiCore or VectorCore"),
    "--deterministic": _SWITCH,
    "--disable_reuse_memory": _SWITCH,
    "--enable_single_stream": (r"true|false", "true or false"),
    "--input_fp16_nodes": (rf"{_NAME}(;{_NAME})*", "names of inputs with ; between them"),
    "--is_weight_clip": _SWITCH,
    "--jit_compile": (r"[012]", "0, 1 or 2"),
    "--log": (r"debug|info|warning|error|null", "debug, info, warning, error or null"),
    "--oo_level": (r"O1|O3", "O1 or O3"),
    "--op_debug_level": (r"[0-4]", "0 to 4"),
    "--optypelist_for_implmode": (r"\w+(,\w+)*", "operator types with , between them"),
    "--out_nodes": (rf"{_NAME}(;{_NAME})*", "outputs with ; between them, for example fc:0"),
    "--sparsity": _SWITCH,
}
EXTRA_ARGS = tuple(sorted(_ALLOWED))
# Why a well-known option is not in the list.
_REFUSED = {
    "--external_weight": "it leaves weights beside the OM, which alone is then incomplete",
    "--auto_tune_mode": "ATC has dropped it; tune with AOE on a machine with the chip",
    "--dynamic_image_size": "batches are the only dynamic dimension that is served",
    "--dynamic_dims": "batches are the only dynamic dimension that is served",
    "--input_shape_range": "batches are the only dynamic dimension that is served",
    "--mdl_bank_path": "it names a folder, and the Job has none of yours",
    "--op_bank_path": "it names a folder, and the Job has none of yours",
    "--customize_dtypes": "it names a file; use spec.conversion.configFiles.keepDtype",
    "--fusion_switch_file": "write its text into spec.conversion.configFiles.fusionSwitch",
    "--op_precision_mode": "write its text into spec.conversion.configFiles.opPrecision",
    "--modify_mixlist": "write its text into spec.conversion.configFiles.mixList",
    "--keep_dtype": "write its text into spec.conversion.configFiles.keepDtype",
    "--insert_op_conf": "use spec.conversion.preprocessing",
    "--precision_mode": "use spec.conversion.precisionMode",
    "--precision_mode_v2": "use spec.conversion.precisionMode",
    "--op_select_implmode": "use spec.conversion.opSelectImplMode",
    "--output_type": "use spec.conversion.outputType",
    "--enable_small_channel": "use spec.conversion.smallChannel",
    "--input_shape": "use spec.conversion.inputShapes and batchSizes",
    "--dynamic_batch_size": "use spec.conversion.batchSizes",
    "--soc_version": "use spec.accelerator.chip",
    "--virtual_type": "use spec.accelerator.slice",
    "--host_env_cpu": "use spec.conversion.hostArchitecture",
    "--host_env_os": "use spec.conversion.hostArchitecture",
    "--op_compiler_cache_mode": "use spec.conversion.opCompilerCache",
    "--op_compiler_cache_dir": "use spec.conversion.opCompilerCache",
}


def check_options(spec: JobSpec) -> None:
    """`InvalidSpec` for every combination that ATC, or the chip, refuses whatever the model is."""
    if spec.is_cpu:
        _check_cpu(spec)
        return
    _check_known(PRECISION_MODES, spec.precision_mode, field="precisionMode")
    _check_known(OP_SELECT_IMPL_MODES, spec.op_select_impl_mode, field="opSelectImplMode")
    check_precision(spec.precision_mode, chip=spec.chip)
    if spec.quantized or spec.quantization is not None:
        _check_quantized(spec)
    _check_small_channel(spec)
    _check_files(spec)
    _check_extra_args(spec)


def check_precision(precision_mode: str | None, *, chip: str) -> None:
    """Refuses what the chip cannot compute, before ATC does so minutes later."""
    mode = precision_mode or ""
    if "BF" in mode and not chip.startswith(BF16_CHIPS):
        raise invalid(
            f"spec.conversion.precisionMode {mode} needs a chip with bfloat16, which {chip} is "
            "not; write ForceFP16 or leave it out"
        )


def _check_known(table: Mapping[str, str], name: str | None, *, field: str) -> None:
    if name is not None and name not in table:
        raise invalid(
            f'spec.conversion.{field} "{name}" is not known; write one of {", ".join(table)}'
        )


def fp16_inputs(spec: JobSpec) -> tuple[str, ...]:
    """The inputs that --input_fp16_nodes makes FP16."""
    return tuple(filter(None, spec.extra_args.get("--input_fp16_nodes", "").split(";")))


def _check_cpu(spec: JobSpec) -> None:
    """What changes the contract of the served model cannot be passed over in silence."""
    for name, there in (("preprocessing", spec.preprocessing), ("outputType", spec.output_type)):
        if there is not None:
            raise invalid(
                f"spec.conversion.{name} is done by the chip, and chip CPU runs the ONNX model as "
                "it is: remove it, clients then send the model's own input"
            )
    if spec.quantized:
        raise invalid(
            "spec.model.quantized: ONNX Runtime on a CPU cannot run AscendQuant operators; choose "
            "an Ascend chip, or bring the model that was not quantized"
        )


def _check_quantized(spec: JobSpec) -> None:
    if len(spec.batch_sizes) > 1:
        raise invalid(
            f"spec.conversion.batchSizes {list(spec.batch_sizes)}: ATC compiles a quantized model "
            "for one batch size only; write one, for example [8]"
        )
    if spec.precision_mode in UNQUANTIZED_MODES:
        raise invalid(
            f"spec.conversion.precisionMode {spec.precision_mode} keeps the type that quantization "
            "replaces, and ATC refuses it for a quantized model: write ForceFP16 or leave it out"
        )
    if re.search(r"=\s*high_precision\b", spec.config_files.get("opPrecision", "")):
        raise invalid(
            "spec.conversion.configFiles.opPrecision asks for high_precision, which ATC refuses "
            "for a quantized model: write high_performance, or leave the operator out"
        )


def _check_small_channel(spec: JobSpec) -> None:
    if spec.small_channel and spec.preprocessing is None:
        raise invalid(
            "spec.conversion.smallChannel works behind AIPP only: add preprocessing or remove it"
        )
    if not spec.first_layer_quantization:
        return
    if not spec.chip.startswith(FIRST_LAYER_CHIPS):
        raise invalid(
            f"spec.conversion.firstLayerQuantization is for 310P and 310B, and this is {spec.chip}:"
            " remove it"
        )
    if not (spec.preprocessing and spec.small_channel):
        raise invalid(
            "spec.conversion.firstLayerQuantization needs preprocessing and smallChannel: add them "
            "or remove it"
        )


def _check_files(spec: JobSpec) -> None:
    files = spec.config_files
    if "mixList" in files:
        if spec.precision_mode not in MIXED_MODES:
            raise invalid(
                "spec.conversion.configFiles.mixList works with a mixed precisionMode only: write "
                f"one of {', '.join(MIXED_MODES)}"
            )
        _check_json("mixList", files["mixList"])
    if files.get("fusionSwitch", "").lstrip().startswith("{"):
        _check_json("fusionSwitch", files["fusionSwitch"])
    if "opPrecision" in files and not re.search(r"^\[By\w+\]", files["opPrecision"], re.MULTILINE):
        raise invalid(
            "spec.conversion.configFiles.opPrecision has no section: write [ByOpType] or "
            "[ByNodeName] in front of the lines name=mode"
        )


def _check_json(name: str, text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise invalid(f"spec.conversion.configFiles.{name} is not JSON: {error}") from error


def _check_extra_args(spec: JobSpec) -> None:
    for name, value in spec.extra_args.items():
        if name not in _ALLOWED:
            why = _REFUSED.get(name) or f"allowed are {', '.join(EXTRA_ARGS)}"
            raise invalid(f'spec.conversion.extraArgs "{name[:60]}" is not allowed: {why}')
        pattern, what = _ALLOWED[name]
        if not re.fullmatch(pattern, value):
            raise invalid(f'spec.conversion.extraArgs {name} "{value[:60]}" must be {what}')
    if "--optypelist_for_implmode" in spec.extra_args and spec.op_select_impl_mode is None:
        raise invalid(
            "spec.conversion.extraArgs --optypelist_for_implmode needs opSelectImplMode: add it"
        )
    if "--out_nodes" in spec.extra_args and not spec.declared_outputs:
        raise invalid(
            "spec.conversion.extraArgs --out_nodes changes what the model answers: write its "
            "outputs into spec.model.outputs"
        )
