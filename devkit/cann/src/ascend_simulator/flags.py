"""ATC's command line: which options there are, and what each alone may say. Used by atc.py.

An option of real ATC that this simulator cannot honour is refused by name: a conversion must not
look as if it had been done the asked way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from ascend_simulator.errors import AtcError

Flags = Mapping[str, str]
Rule = Callable[[str, str], None]


class UnknownOptionError(Exception):
    """An option that ATC does not have."""


def _one_of(*allowed: str) -> Rule:
    def check(name: str, value: str) -> None:
        if value not in allowed:
            reason = f"The value must be one of [{', '.join(allowed)}]."
            raise AtcError("E10001", value, f"--{name}", reason)

    return check


def _free(_name: str, _value: str) -> None:
    pass


def _one_or_zero(name: str, value: str) -> None:
    if value not in {"0", "1"}:
        raise AtcError("E10006", value, name)


def _true_or_false(name: str, value: str) -> None:
    if value not in {"", "true", "false"}:
        raise AtcError("E10005", value, name)


def _cores(name: str, value: str) -> None:
    """`n`, or `n|m` for cube and vector cores."""
    if not re.fullmatch(r"\d+(\|\d+)?", value):
        raise AtcError("E10001", value, f"--{name}", "Write a number of cores, or two with |.")


def _external_weight(name: str, value: str) -> None:
    if value in {"1", "2"}:
        _not_simulated(name, value)
    if value != "0":
        raise AtcError("E10006", value, name)


def _log(_name: str, value: str) -> None:
    if value not in {"debug", "info", "warning", "error", "null"}:
        raise AtcError("E10010", value)


def _integer(name: str, value: str) -> None:
    if not re.fullmatch(r"-?\d+", value):
        raise AtcError("E10014", value, name)


def _mode(name: str, value: str) -> None:
    _integer(name, value)
    if value in {"5", "7", "30"}:
        _not_simulated(name, value)
    if value not in {"0", "1", "3", "6"}:
        raise AtcError("E10013", value, name)


def _framework(name: str, value: str) -> None:
    _integer(name, value)
    if value in {"0", "1", "3"}:
        _not_simulated(name, value)
    if value not in {"5", "-1"}:
        raise AtcError(
            "E10007", "framework", "0(Caffe) or 1(MindSpore) or 3(TensorFlow) or 5(Onnx)"
        )


def _auto_tune(name: str, value: str) -> None:
    raise AtcError("E10001", value, f"--{name}", "Auto tune is deprecated; use AOE.")


def _not_simulated(name: str, value: str) -> NoReturn:
    reason = f"this simulator of CANN does not simulate --{name}={value}; real ATC may"
    raise AtcError("E10055", reason)


PRECISION_MODES = (
    "force_fp16",
    "force_fp32",
    "cube_fp16in_fp32out",
    "allow_fp32_to_fp16",
    "must_keep_origin_dtype",
    "allow_mix_precision",
    "allow_mix_precision_fp16",
    "allow_mix_precision_bf16",
    "allow_fp32_to_bf16",
)
PRECISION_MODES_V2 = (
    "fp16",
    "origin",
    "cube_fp16in_fp32out",
    "mixed_float16",
    "mixed_bfloat16",
    "mixed_hif8",
    "cube_hif8",
)
ONNX_FORMATS = "An ONNX model is NCHW, ND or NCDHW."


def _input_format(name: str, value: str) -> None:
    if value not in {"", "NCHW", "ND", "NCDHW"}:
        raise AtcError("E10001", value, f"--{name}", ONNX_FORMATS)


OPTIONS: dict[str, Rule] = {
    # honoured
    "mode": _mode,
    "framework": _framework,
    "model": _free,
    "output": _free,
    "om": _free,
    "soc_version": _free,
    "input_format": _input_format,
    "input_shape": _free,
    "dynamic_batch_size": _free,
    # refused in order.py, after what ATC itself says of them
    "dynamic_image_size": _free,
    "dynamic_dims": _free,
    "precision_mode": _one_of("", *PRECISION_MODES),
    "precision_mode_v2": _one_of("", *PRECISION_MODES_V2),
    "output_type": _free,
    "out_nodes": _free,
    "input_fp16_nodes": _free,
    "modify_mixlist": _free,
    "keep_dtype": _free,
    "op_precision_mode": _free,
    "fusion_switch_file": _free,
    "compression_optimize_conf": _free,
    "external_weight": _external_weight,
    "json": _free,
    "log": _log,
    "host_env_os": _one_of("", "linux"),
    "host_env_cpu": _one_of("", "x86_64", "aarch64"),
    "debug_dir": _free,
    "display_model_info": _one_or_zero,
    # accepted and recorded in the .om; on real hardware they change speed or the last digits
    "op_select_implmode": _one_of(
        "",
        "high_performance",
        "high_precision",
        "high_precision_for_all",
        "high_performance_for_all",
        "enable_float_32_execution",
        "enable_hi_float_32_execution",
    ),
    "optypelist_for_implmode": _free,
    "insert_op_conf": _free,
    "enable_small_channel": _one_or_zero,
    "buffer_optimize": _one_of("", "l2_optimize", "off_optimize", "l1_optimize"),
    "disable_reuse_memory": _one_or_zero,
    "virtual_type": _one_or_zero,
    "core_type": _one_of("", "AiCore", "VectorCore"),
    "aicore_num": _cores,
    "op_compiler_cache_mode": _one_of("", "disable", "enable", "force"),
    "op_compiler_cache_dir": _free,
    "op_debug_level": _one_of("0", "1", "2", "3", "4"),
    "is_weight_clip": _one_or_zero,
    "sparsity": _one_or_zero,
    "deterministic": _one_or_zero,
    "ac_parallel_enable": _one_or_zero,
    "enable_compress_weight": _true_or_false,
    "compress_weight_conf": _free,
    "oo_level": _one_of("", "O1", "O3"),
    "jit_compile": _one_of("0", "1", "2"),
    "enable_single_stream": _true_or_false,
    "job_id": _free,
    "check_report": _free,
    "mdl_bank_path": _free,
    "op_bank_path": _free,
    "weight": _free,
    "dump_mode": _one_or_zero,
    "auto_tune_mode": _auto_tune,
    # real ATC has them, this simulator does not
    **dict.fromkeys(
        (
            "input_shape_range",
            "customize_dtypes",
            "singleop",
        ),
        _not_simulated,
    ),
}

DEFAULTS = {"mode": "0", "framework": "-1", "log": "null", "host_env_os": "linux"}
DYNAMIC = ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims", "input_shape_range")


def parse(arguments: list[str]) -> dict[str, str]:
    """Option -> value as given, `--name=value` or `--name value`; the last of two wins."""
    flags: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        match = re.fullmatch(r"--?([a-z_0-9]+)(?:=(.*))?", argument, re.DOTALL)
        if not match or match[1] not in OPTIONS:
            raise UnknownOptionError(argument)
        flags[match[1]] = next(rest, "") if match[2] is None else match[2]
    return flags


def check_each(flags: Flags) -> None:
    """What each option alone may say, in the order of the command line."""
    if sum(1 for name in DYNAMIC if flags.get(name)) > 1:
        raise AtcError("E10009")
    for name, value in flags.items():
        OPTIONS[name](name, value)
