"""The file of --calibration_config: AMCT's AMCTConfig, read as protobuf reads it.

Source: the field tables of AMCT's guide (calibration_config_onnx.proto). Used by cli.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amct_onnx.errors import AmctError
from ascend_simulator import textproto

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCHEMA = textproto.Schema(
    "amct_onnx",
    {
        "AMCTConfig": {
            "batch_num": "uint32",
            "activation_offset": "bool",
            "skip_layers": "repeated string",
            "skip_layer_types": "repeated string",
            "nuq_config": "NuqConfig",
            "joint_quant": "bool",
            "fakequant_precision_mode": "FakequantPrecisionMode",
            "common_config": "CalibrationConfig",
            "override_layer_types": "repeated OverrideLayerType",
            "override_layer_configs": "repeated OverrideLayer",
            "do_fusion": "bool",
            "skip_fusion_layers": "repeated string",
            "tensor_quantize": "repeated TensorQuantize",
            "weight_compress_only": "bool",
            "version": "int32",
        },
        "NuqConfig": {"mapping_file": "string", "nuq_quantize": "NUQuantize"},
        "NUQuantize": {"num_steps": "uint32", "num_of_iteration": "uint32"},
        "CalibrationConfig": {
            "arq_quantize": "ARQuantize",
            "ifmr_quantize": "IFMRQuantize",
            "hfmg_quantize": "HFMGQuantize",
        },
        "ARQuantize": {"channel_wise": "bool", "quant_bits": "uint32", "asymmetric": "bool"},
        "IFMRQuantize": {
            "search_range_start": "float",
            "search_range_end": "float",
            "search_step": "float",
            "max_percentile": "float",
            "min_percentile": "float",
            "asymmetric": "bool",
            "dst_type": "DataType",
        },
        "HFMGQuantize": {"num_of_bins": "uint32", "asymmetric": "bool"},
        "OverrideLayerType": {
            "layer_type": "string",
            "calibration_config": "CalibrationConfig",
        },
        "OverrideLayer": {"layer_name": "string", "calibration_config": "CalibrationConfig"},
        "TensorQuantize": {
            "layer_name": "string",
            "input_index": "uint32",
            "ifmr_quantize": "IFMRQuantize",
        },
    },
    {
        "DataType": {"INT8": 0, "INT4": 1, "INT16": 2},
        "FakequantPrecisionMode": {"DEFAULT": 0, "FORCE_FP16_QUANT": 1},
    },
    syntax="proto2",
)
TYPES = ("Conv", "Gemm", "MatMul")
"""The operators that this tool quantizes."""
KNOWN_TYPES = (*TYPES, "ConvTranspose", "AveragePool", "MaxPool", "Add")
"""Those that the real one quantizes; here the others always stay as they are."""


@dataclass(frozen=True)
class Algorithm:
    """How one layer is quantized: weights (ARQ) and activations (IFMR)."""

    channel_wise: bool = True
    weight_bits: int = 8
    asymmetric: bool = True
    search_start: float = 0.7
    search_end: float = 1.3
    search_step: float = 0.01
    max_percentile: float = 0.999999
    min_percentile: float = 0.999999


@dataclass(frozen=True)
class Config:
    """The whole file, with AMCT's defaults."""

    batch_num: int | None = None
    joint_quant: bool = False
    do_fusion: bool = True
    skip_layers: tuple[str, ...] = ()
    skip_layer_types: tuple[str, ...] = ()
    skip_fusion_layers: tuple[str, ...] = ()
    common: Algorithm = field(default_factory=Algorithm)
    by_type: Mapping[str, Algorithm] = field(default_factory=dict)
    by_layer: Mapping[str, Algorithm] = field(default_factory=dict)

    def algorithm(self, name: str, kind: str) -> Algorithm:
        return self.by_layer.get(name) or self.by_type.get(kind) or self.common


def read(path: Path) -> Config:
    try:
        message = textproto.read(_SCHEMA, "AMCTConfig", path.read_bytes())
    except OSError as error:
        raise AmctError("Utils", f"The file {path} cannot be read: {error.strerror}.") from error
    except textproto.TextProtoError as error:
        raise AmctError("Configuration", f"The config file {path} is invalid: {error}") from error
    for name in ("nuq_config", "tensor_quantize", "weight_compress_only"):
        if any(known.name == name for known, _ in message.ListFields()):
            raise AmctError("Configuration", f"{name} is not simulated; the real AMCT has it.")
    if message.HasField("batch_num") and message.batch_num < 1:
        raise AmctError("Configuration", "batch_num must be greater than 0.")
    offset = message.activation_offset if message.HasField("activation_offset") else True
    common = _algorithm(message.common_config, Algorithm(asymmetric=offset))
    return Config(
        batch_num=message.batch_num if message.HasField("batch_num") else None,
        joint_quant=message.joint_quant,
        do_fusion=message.do_fusion if message.HasField("do_fusion") else True,
        skip_layers=tuple(message.skip_layers),
        skip_layer_types=tuple(message.skip_layer_types),
        skip_fusion_layers=tuple(message.skip_fusion_layers),
        common=common,
        by_type={
            entry.layer_type: _algorithm(entry.calibration_config, common)
            for entry in message.override_layer_types
        },
        by_layer={
            entry.layer_name: _algorithm(entry.calibration_config, common)
            for entry in message.override_layer_configs
        },
    )


def _algorithm(message: Any, base: Algorithm) -> Algorithm:
    weights, activations = message.arq_quantize, message.ifmr_quantize
    if weights.asymmetric:
        raise AmctError("Configuration", "asymmetric weights are not simulated.")
    if activations.dst_type:
        raise AmctError("Configuration", "another dst_type than INT8 is not simulated.")

    def given(part: Any, name: str, default: Any) -> Any:
        return getattr(part, name) if part.HasField(name) else default

    asymmetric = given(message.hfmg_quantize, "asymmetric", base.asymmetric)
    result = Algorithm(
        channel_wise=given(weights, "channel_wise", base.channel_wise),
        weight_bits=given(weights, "quant_bits", base.weight_bits),
        asymmetric=given(activations, "asymmetric", asymmetric),
        search_start=given(activations, "search_range_start", base.search_start),
        search_end=given(activations, "search_range_end", base.search_end),
        search_step=given(activations, "search_step", base.search_step),
        max_percentile=given(activations, "max_percentile", base.max_percentile),
        min_percentile=given(activations, "min_percentile", base.min_percentile),
    )
    if result.weight_bits not in {6, 7, 8}:
        raise AmctError("Configuration", "quant_bits must be 6, 7 or 8.")
    if not 0 < result.search_start < result.search_end or result.search_step <= 0:
        raise AmctError("Configuration", "the search range of ifmr_quantize is empty.")
    for name in ("max_percentile", "min_percentile"):
        if not 0.5 < getattr(result, name) <= 1:
            raise AmctError("Configuration", f"{name} must be in (0.5, 1].")
    return result
