"""An order: what the operator asks of a Job, read into frozen data.

RESNET_JOB carries it as JSON. The operator reads it by the same functions before a Job is made, so
that what no Job can carry out is refused at once; the Job reads it again, because whoever may make
pods may write one. The optional blocks are in `blocks`, the address of a source in `address`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from resnet_contract.address import SourceSpec, parse_source
from resnet_contract.batch.order import BatchOrder, parse_batch
from resnet_contract.blocks import (
    parse_config_files,
    parse_extra_args,
    parse_pictures,
    parse_preprocessing,
    parse_pytorch,
    parse_quantization,
    parse_served,
    parse_tensors,
)
from resnet_contract.fields import Fields, invalid, is_positive, sha256
from resnet_contract.gate_blocks import (
    parse_dataset,
    parse_diagnose,
    parse_load,
    parse_tuning,
)
from resnet_contract.networks import TORCHVISION
from resnet_contract.store import StoreSpec, parse_store
from resnet_contract.types import (
    Dataset,
    DeclaredTensor,
    Diagnose,
    Pictures,
    Preprocessing,
    PyTorch,
    Quantization,
    ServedModel,
    StatedLoad,
    Tuning,
)
from resnet_contract.words import (
    COMPILED_AT_LOAD,
    DEFAULT_BATCH_SIZES,
    DEFAULT_LOOPS,
    DEFAULT_TIMEOUT_SECONDS,
    EXPORTED,
    MOST_LOOPS,
    MOST_PROFILES,
    HostArchitecture,
    ModelFormat,
    OutputType,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNTIMES = ("TorchAIE",)


@dataclass(frozen=True)
class JobSpec:
    """One order: which model, for which chip, how, and where the result goes."""

    source: SourceSpec
    sha256: str | None
    format: str
    pytorch: PyTorch | None
    quantized: bool
    declared_inputs: tuple[DeclaredTensor, ...]
    declared_outputs: tuple[DeclaredTensor, ...]
    chip: str
    batch_sizes: tuple[int, ...]
    input_shapes: Mapping[str, tuple[int, ...]]
    preprocessing: Preprocessing | None
    quantization: Quantization | None
    precision_mode: str | None
    op_select_impl_mode: str | None
    small_channel: bool
    virtual_device: bool
    host_architecture: str | None
    output_type: str | None
    first_layer_quantization: bool
    config_files: Mapping[str, str]
    op_compiler_cache: bool
    extra_args: Mapping[str, str]
    timeout_seconds: int
    store: StoreSpec
    dataset: Dataset | None
    loops: int
    validation_key: str | None
    served: ServedModel | None
    pictures: Pictures | None = None
    load: StatedLoad | None = None  # at which latency is measured
    diagnose: Diagnose | None = None
    tuning: Tuning | None = None
    batch: BatchOrder | None = None
    runtime: str | None = None  # only one that is served without a conversion
    # What the object brings itself and what decides the artifact: a part of the content key.
    own_means: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_cpu(self) -> bool:
        return self.chip == "CPU"

    @property
    def has_export(self) -> bool:
        """Whether a container with torch turns the source into ONNX first."""
        return self.format in EXPORTED and self.runtime is None

    @property
    def has_weights(self) -> bool:
        """Whether `prepare` builds the ONNX model itself, from weights."""
        return self.format == "PyTorch" and self.runtime is None

    @property
    def is_compiled(self) -> bool:
        """Whether ATC makes the artifact; else the source is served as it came."""
        if self.compiles_at_load:
            return False
        return not self.is_cpu and self.format not in ("OM", "OneFlow")

    @property
    def compiles_at_load(self) -> bool:
        """Whether the serving pod compiles PyTorch files itself, and wants them as they came."""
        return self.runtime == "TorchAIE"


def parse_job(text: str | None) -> JobSpec:
    """The order in the environment variable; `OrderError` names the field at fault."""
    return parse_order(_object(text))


def parse_order(job: Mapping[str, Any]) -> JobSpec:
    """The order of a JSON object; `OrderError` names the field at fault."""
    model, conversion = Fields(job, "spec.model"), Fields(job, "spec.conversion")
    spec, order = Fields(job, "spec"), Fields(job, "RESNET_JOB")
    validation = Fields(job, "spec.validation")
    benchmark = validation.child("benchmark") or Fields({}, validation.name("benchmark"))
    read = JobSpec(
        source=parse_source(job.get("uri")),
        sha256=sha256(model),
        format=model.choice("format", tuple(ModelFormat)) or "ONNX",
        pytorch=model.block("pytorch", parse_pytorch),
        quantized=model.flag("quantized"),
        declared_inputs=parse_tensors(job.get("declaredInputs"), field="spec.model.inputs"),
        declared_outputs=parse_tensors(job.get("declaredOutputs"), field="spec.model.outputs"),
        chip=_chip(job.get("chip")),
        batch_sizes=_batch_sizes(job),
        input_shapes=_input_shapes(job.get("inputShapes")),
        preprocessing=conversion.block("preprocessing", parse_preprocessing),
        quantization=conversion.block("quantization", parse_quantization),
        precision_mode=conversion.text("precisionMode"),
        op_select_impl_mode=conversion.text("opSelectImplMode"),
        small_channel=conversion.flag("smallChannel"),
        virtual_device=conversion.flag("virtualDevice"),
        host_architecture=conversion.choice("hostArchitecture", tuple(HostArchitecture)),
        output_type=conversion.choice("outputType", tuple(OutputType)),
        first_layer_quantization=conversion.flag("firstLayerQuantization"),
        config_files=parse_config_files(conversion.child("configFiles")),
        op_compiler_cache=conversion.flag("opCompilerCache"),
        extra_args=parse_extra_args(conversion.child("extraArgs")),
        timeout_seconds=_seconds(job.get("timeoutSeconds")),
        store=_store(job.get("store")),
        dataset=validation.block("dataset", parse_dataset),
        loops=benchmark.whole("loops", maximum=MOST_LOOPS) or DEFAULT_LOOPS,
        diagnose=order.block("diagnose", parse_diagnose),
        load=benchmark.block("load", parse_load),
        tuning=spec.block("tuning", parse_tuning),
        batch=spec.block("batch", parse_batch),
        validation_key=order.matching(
            "validationKey", r"[0-9a-f]{8,64}", "lower-case hexadecimal digits"
        ),
        served=order.block("model", parse_served),
        pictures=order.block("pictures", parse_pictures),
        runtime=Fields(job, "spec.serving").choice("runtime", RUNTIMES),
        own_means=_own_means(job.get("ownMeans")),
    )
    _check_format(read)
    return read


def _object(text: str | None) -> dict[str, Any]:
    if not text:
        raise invalid("the environment variable RESNET_JOB is not set: the operator sets it")
    try:
        job = json.loads(text)
    except ValueError as error:
        raise invalid(f"RESNET_JOB is not JSON: {error}") from error
    if not isinstance(job, dict):
        raise invalid("RESNET_JOB must be a JSON object")
    return job


def _check_format(spec: JobSpec) -> None:
    """What a format needs beside it, and what it makes pointless."""
    named = spec.pytorch.architecture if spec.pytorch else None
    if spec.format == "PyTorch" and spec.compiles_at_load and named not in TORCHVISION:
        raise invalid(
            "spec.model.pytorch.architecture: serving pods of runtime TorchAIE build the network "
            f"themselves, and know {', '.join(TORCHVISION)}; write the one that the weights "
            "belong to"
        )
    if spec.format == "OM" and spec.is_cpu:
        raise invalid(
            "spec.model.format OM: an OM runs on the chip it was made for, not on the CPU; write "
            "an Ascend chip into spec.accelerator.chip"
        )
    chips = ("GPU", "CPU") if spec.format == "OneFlow" else ()
    if (spec.chip not in chips) if chips else spec.chip == "GPU":
        raise invalid(
            f"spec.accelerator.chip {spec.chip} cannot run format {spec.format}: OneFlow runs on a "
            "GPU, or on the CPU with OpenVINO, and a GPU runs OneFlow only"
        )
    if spec.compiles_at_load and (
        spec.format not in COMPILED_AT_LOAD or spec.chip in ("CPU", "GPU")
    ):
        raise invalid(
            "spec.serving.runtime TorchAIE compiles PyTorch and TorchScript for Ascend chips, and "
            f"this is {spec.format} for {spec.chip}: remove it"
        )
    if spec.pytorch is not None and spec.format != "PyTorch":
        raise invalid(
            f"spec.model.pytorch belongs to format PyTorch, and this is {spec.format}: remove it"
        )
    if spec.quantized and spec.format != "ONNX":
        raise invalid(
            f"spec.model.quantized tells of an ONNX that AMCT has quantized, and this is "
            f"{spec.format}: remove it"
        )


def _chip(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"CPU|GPU|Ascend[0-9A-Za-z_-]+", value):
        raise invalid(f'spec.accelerator.chip "{value}" is not known; write Ascend310P3 or CPU')
    return value


def _batch_sizes(job: Mapping[str, Any]) -> tuple[int, ...]:
    """Empty for an OM that nothing is declared of: the file tells them."""
    value, limit = job.get("batchSizes"), MOST_PROFILES
    if value is None:
        return () if job.get("format") == "OM" else DEFAULT_BATCH_SIZES
    whole = isinstance(value, list) and all(is_positive(number) for number in value)
    if not isinstance(value, list) or not whole or not 1 <= len(value) <= limit:
        raise invalid(f"spec.conversion.batchSizes must be 1 to {limit} positive whole numbers")
    if sorted(set(value)) != value:
        raise invalid(
            f"spec.conversion.batchSizes must ascend without repetition; write {sorted(set(value))}"
        )
    return tuple(value)


def _input_shapes(value: object) -> Mapping[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    if value is not None and not isinstance(value, dict):
        raise invalid("spec.conversion.inputShapes must map an input's name to its dimensions")
    for name, dims in (value or {}).items():
        if not isinstance(dims, list) or not all(is_positive(number) for number in dims):
            raise invalid(
                f'spec.conversion.inputShapes "{name}" must be positive whole numbers without '
                "the batch; write for example [3, 224, 224]"
            )
        shapes[name] = tuple(dims)
    return MappingProxyType(shapes)


def _seconds(value: object) -> int:
    if value is None:
        return DEFAULT_TIMEOUT_SECONDS
    if not isinstance(value, int) or not is_positive(value):
        raise invalid("spec.conversion.timeoutSeconds must be a positive whole number")
    return value


def _own_means(value: object) -> Mapping[str, str]:
    means = value if isinstance(value, dict) else {}
    if value is not None and not (means and all(isinstance(v, str) for v in means.values())):
        raise invalid("RESNET_JOB's ownMeans must map what it is to its name: the operator sets it")
    return MappingProxyType(means)


def _store(value: object) -> StoreSpec:
    store = parse_store(value)
    if store is None:
        raise invalid(
            "the operator's store setting must be a Server with a url, a SharedClaim, or an S3 "
            "with an endpoint and a bucket"
        )
    return store
