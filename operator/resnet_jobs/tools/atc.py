"""ATC's command line: a pure function of the order and of what was found in the model.

Called by `prepare`; the driver runs the list as it is, without a shell, so nothing is quoted.
What the options are called and what excludes what stands in `atc_options`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.tools.atc_options import (
    EXTRA_ARGS,
    HOST_CPUS,
    OP_SELECT_IMPL_MODES,
    PRECISION_MODES,
    check_options,
    check_precision,
    fp16_inputs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_jobs.model.inspect import Tensor

__all__ = [
    "EXTRA_ARGS", "OP_SELECT_IMPL_MODES", "PRECISION_MODES", "ConfigFile", "build_argv",
    "check_options", "check_precision", "config_files", "content_options", "file_digests",
    "fp16_inputs",
]  # fmt: skip

ONNX_FRAMEWORK = 5
OP_CACHE = "/op-cache"  # where the claim of compiled operators is mounted in the CANN image
FIRST_LAYER_TEXT = "enable_first_layer_quantization:true\n"
# configFiles' keys -> ATC's option and the file's name; the order is that of the command line.
FILE_OPTIONS = {
    "fusionSwitch": ("--fusion_switch_file", "fusion_switch.cfg"),
    "opPrecision": ("--op_precision_mode", "op_precision.ini"),
    "mixList": ("--modify_mixlist", "mixlist.json"),
    "keepDtype": ("--keep_dtype", "keep_dtype.cfg"),
}
# None of these decides what is in the OM: paths, whose content has its digest in the key, the
# cache of compiled operators, and how much ATC prints.
OUTSIDE_KEY = ("--model=", "--output=", "--op_compiler_cache_", "--log=")


@dataclass(frozen=True)
class ConfigFile:
    """A file that ATC reads beside the model: `prepare` writes it, the command line names it."""

    option: str
    path: Path
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def config_files(spec: JobSpec, conf: Path, *, aipp: str | None) -> list[ConfigFile]:
    """Every file of this conversion, in the order of the command line."""
    files = [] if aipp is None else [ConfigFile("--insert_op_conf", conf / "aipp.conf", aipp)]
    if spec.first_layer_quantization:
        path = conf / "compression.cfg"
        files.append(ConfigFile("--compression_optimize_conf", path, FIRST_LAYER_TEXT))
    for key, (option, name) in FILE_OPTIONS.items():
        if key in spec.config_files:
            text = spec.config_files[key].rstrip() + "\n"
            files.append(ConfigFile(option, conf / name, text))
    return files


def build_argv(
    spec: JobSpec,
    *,
    model: Path,
    output: Path,
    inputs: Sequence[Tensor],
    files: Sequence[ConfigFile] = (),
) -> list[str]:
    """One batch size makes a static model, several make one with dynamic profiles. `inputs` are
    the model's own, before AIPP, by names that ATC can be told (`model.names`).

    An option that the order leaves out is left out here: ATC's own default applies.
    """
    sizes = spec.batch_sizes
    first = "-1" if len(sizes) > 1 else str(sizes[0])
    shapes = ";".join(
        f"{entry.name}:{','.join([first, *map(str, entry.dims)])}" for entry in inputs
    )
    pictures = any(len(entry.dims) == 3 for entry in inputs)
    words = [f"{file.option}={file.path}" for file in files]
    aipp = [word for word in words if word.startswith("--insert_op_conf=")]
    extra = dict(sorted(spec.extra_args.items()))
    log = extra.pop("--log", "error")
    return [
        "atc",
        f"--framework={ONNX_FRAMEWORK}",
        f"--model={model}",
        f"--output={output}",
        f"--input_format={'NCHW' if pictures else 'ND'}",
        f"--input_shape={shapes}",
        *([f"--dynamic_batch_size={','.join(map(str, sizes))}"] if len(sizes) > 1 else []),
        *aipp,
        *(["--enable_small_channel=1"] if spec.small_channel else []),
        *_word(PRECISION_MODES, spec.precision_mode),
        *_word(OP_SELECT_IMPL_MODES, spec.op_select_impl_mode),
        *(["--virtual_type=1"] if spec.virtual_device else []),
        *_host(spec.host_architecture),
        *([f"--output_type={spec.output_type}"] if spec.output_type else []),
        *(word for word in words if word not in aipp),
        *_cache(used=spec.op_compiler_cache),
        *(f"{name}={value}" for name, value in extra.items()),
        f"--soc_version={spec.chip}",
        f"--log={log}",
    ]


def content_options(argv: Sequence[str], files: Sequence[ConfigFile] = ()) -> list[str]:
    """What of a command line decides the result: the content key holds the files' digests."""
    outside = (*OUTSIDE_KEY, *(f"{file.option}=" for file in files))
    return [word for word in argv[1:] if not word.startswith(outside)]


def file_digests(files: Sequence[ConfigFile]) -> dict[str, Any]:
    """The files' part of the content key: AIPP by its own name, the others by their option."""
    digests: dict[str, Any] = {}
    others = {file.option: file.sha256 for file in files if file.option != "--insert_op_conf"}
    for file in files:
        if file.option == "--insert_op_conf":
            digests["aipp"] = file.sha256
    return digests | ({"files": others} if others else {})


def _host(architecture: str | None) -> list[str]:
    if architecture is None:
        return []
    return ["--host_env_os=linux", f"--host_env_cpu={HOST_CPUS[architecture]}"]


def _cache(*, used: bool) -> list[str]:
    if not used:
        return []
    return ["--op_compiler_cache_mode=enable", f"--op_compiler_cache_dir={OP_CACHE}"]


def _word(table: Mapping[str, str], name: str | None) -> list[str]:
    """Nothing for an absent field; `check_options` knows that the others are in the table."""
    return [] if name is None else [table[name]]
