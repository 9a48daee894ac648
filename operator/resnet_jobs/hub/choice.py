"""Which file of a repository is the model, where the address names none. Pure.

Safetensors come before pickles, the usual name before others, the top before folders. Where it
stays unclear the sentence names the files, and the address can name one of them.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason, invalid, unsupported

if TYPE_CHECKING:
    from resnet_contract.address import SourceSpec
    from resnet_jobs.hub.listing import Snapshot

# By format: suffixes, the best first.
SUFFIXES = {
    "PyTorch": (".safetensors", ".bin", ".pth", ".pt"),
    "TorchScript": (".torchscript", ".ts", ".pt", ".pth"),
    "ONNX": (".onnx",),
    "OM": (".om",),
}
# By suffix: what the libraries themselves call it, and load without being told a name.
USUAL = {
    ".safetensors": ("model.safetensors",),
    ".bin": ("pytorch_model.bin",),
    ".pth": ("pytorch_model.pth", "model.pth"),
    ".pt": ("pytorch_model.pt", "model.pt"),
    ".onnx": ("model.onnx",),
}
# One part of several, and what trainers leave beside the weights.
SHARD = re.compile(r"-\d{5}-of-\d{5}\.\w+$")
NOT_WEIGHTS = re.compile(
    r"(^|/)(training_args|optimizer|scheduler|scaler|rng_state\w*|adapter_model|trainer_state)\.\w+$"
)
NAMED = 5
OTHER_WEIGHTS = {
    ".h5": "TensorFlow", ".msgpack": "Flax", ".ckpt": "Lightning", ".tflite": "TensorFlow Lite",
    ".pdparams": "Paddle", ".gguf": "a language model",
}  # fmt: skip


def choose(source: SourceSpec, snapshot: Snapshot, *, wanted: str) -> str:
    """The path of the model in format `wanted`; `JobError` names what is there instead."""
    suffixes = SUFFIXES.get(wanted, ())
    whole = [name for name in snapshot.files if not SHARD.search(name)]
    for suffix in suffixes:
        found = _best([name for name in whole if _has(name, suffix)], USUAL.get(suffix, ()))
        if len(found) == 1:
            return found[0]
        if found:
            raise _unclear(source, found)
    raise _nothing(source, snapshot, wanted, suffixes)


def _best(names: list[str], usual: tuple[str, ...]) -> list[str]:
    """The only one with the usual name, else all at the top, else all."""
    weights = [name for name in names if not NOT_WEIGHTS.search(name)]
    top = [name for name in weights if "/" not in name]
    for place in (top, weights):
        for name in usual:
            same = [path for path in place if PurePosixPath(path).name == name]
            if len(same) == 1:
                return same
        if place:
            return place
    return []


def _has(name: str, suffix: str) -> bool:
    return name.lower().endswith(suffix)


def _unclear(source: SourceSpec, names: list[str]) -> JobError:
    return invalid(
        f"{source.host} has {len(names)} files that could be the model ({_listed(names)}): write "
        f"the one that is meant, {source.scheme}://{source.host}/{names[0]}"
    )


def _nothing(
    source: SourceSpec, snapshot: Snapshot, wanted: str, suffixes: tuple[str, ...]
) -> JobError:
    parts = [n for n in snapshot.files if SHARD.search(n) and n.lower().endswith(suffixes)]
    if parts:
        return unsupported(
            f"{source.host} keeps its weights in {len(parts)} parts ({_listed(parts[:2])}): save "
            'them as one file, model.save_pretrained(…, max_shard_size="50GB"), and name it'
        )
    others = [kind for kind in SUFFIXES if kind != wanted and _holds(snapshot, kind)]
    if others:
        named = next(n for n in snapshot.files if n.lower().endswith(SUFFIXES[others[0]]))
        return invalid(
            f"{source.host} has no file of format {wanted}, but {named}: write "
            f"spec.model.format: {others[0]}"
        )
    foreign = next((k for s, k in OTHER_WEIGHTS.items() if _any(snapshot, s)), None)
    if foreign is not None:
        return unsupported(
            f"{source.host} holds weights of {foreign} only ({snapshot.shown()}): export the "
            "model to ONNX where its library is, and bring the ONNX file"
        )
    return JobError(
        Reason.MODEL_NOT_FOUND,
        f"{source.host} has no model ({', '.join(suffixes) or 'a folder'}) at revision "
        f"{source.revision}; it has {snapshot.shown()}: check the repository",
    )


def _holds(snapshot: Snapshot, kind: str) -> bool:
    return any(_any(snapshot, suffix) for suffix in SUFFIXES[kind])


def _any(snapshot: Snapshot, suffix: str) -> bool:
    return any(_has(name, suffix) and not NOT_WEIGHTS.search(name) for name in snapshot.files)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
