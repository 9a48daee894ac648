"""Finds the weights in what was saved: people save them bare, in a dictionary beside other things,
averaged, and with wrappers' prefixes before every name. Called by `convert`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from resnet_jobs.checkpoints.weights_file import Entry
from resnet_jobs.driver.checkpoint import FIELD, MisfitError, strip_prefix

# Where training tools keep the weights that they mean to be used, best first. timm serves the
# average of the last steps where there is one. mmengine's ema_state_dict is the other way round.
KEYS = (
    "state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model_state", "model",
    "network", "net", "module", "weights", "params",
)  # fmt: skip
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "timm_model.", "_model.")
# Of no weight: counters, and what profilers and trainers leave in a network.
COUNTERS = ("num_batches_tracked", "total_ops", "total_params", "n_averaged")
TRAINING_ONLY = (
    "data_preprocessor.", "loss.", "loss_fn.", "loss_func.", "criterion.", "head.loss.",
    "head.loss_module.", "train_metrics.", "val_metrics.", "test_metrics.", "metrics.",
)  # fmt: skip
SAVE_HINT = "save torch.save(model.state_dict(), path)"


@dataclass(frozen=True)
class StateDict:
    """The weights by name, what lay beside them, and what was done to get there."""

    weights: Mapping[str, Entry]
    meta: Mapping[str, Any]
    notes: tuple[str, ...]


def find_state_dict(root: Any, *, key: str | None, prefix: str | None) -> StateDict:
    """`key` and `prefix` are the object's own, None where it leaves that to us."""
    if not isinstance(root, Mapping):
        raise MisfitError(f"the file holds no weights: {SAVE_HINT}")
    found, notes = _under_key(root, key) if key else _search(root)
    weights = {str(name): value for name, value in found.items() if isinstance(value, Entry)}
    weights = {name: value for name, value in weights.items() if _counts(name)}
    _refuse_quantized(found)
    if not weights:
        raise MisfitError(f"the file holds no weights: {SAVE_HINT}")
    if prefix:
        return StateDict(strip_prefix(weights, prefix), _meta(root), tuple(notes))
    weights, stripped = _strip_wrappers(weights)
    notes += [f'removed "{stripped}" from the weights\' names'] if stripped else []
    return StateDict(weights, _meta(root), tuple(notes))


def _refuse_quantized(found: Mapping[Any, Any]) -> None:
    """Packed parameters are no tensors, so that the layers themselves would only be missing."""
    packed = next((str(name) for name in found if "_packed_params" in str(name)), None)
    if packed is not None:
        raise MisfitError(
            f"the weights are quantized by PyTorch ({packed}): bring the ones before quantization, "
            "and write spec.conversion.quantization to have AMCT quantize them"
        )


def _under_key(root: Mapping[Any, Any], key: str) -> tuple[Mapping[Any, Any], list[str]]:
    value = root.get(key)
    if not isinstance(value, Mapping):
        names = ", ".join(sorted(str(name) for name in root)[:4])
        raise MisfitError(
            f'{FIELD}.checkpointKey "{key}" is not in the checkpoint, which has: {names}; '
            "write one of these, or leave it out",
            field=True,
        )
    return value, []


def _search(root: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], list[str]]:
    """The best known dictionary of tensors, at the top or one below it."""
    if _has_network(root):
        return root, []
    named = [key for key in KEYS if _has_network(root.get(key))]
    others = [str(key) for key, value in root.items() if key not in KEYS and _has_network(value)]
    others = [key for key in others if "optim" not in key and "ema" not in key]
    if named:
        beside = f"; it also has {', '.join(named[1:])}" if len(named) > 1 else ""
        return root[named[0]], [f"took the weights under {named[0]}{beside}"]
    if len(others) == 1:
        return root[others[0]], [f"took the weights under {others[0]}"]
    if others:
        raise MisfitError(
            f"the checkpoint has weights under {', '.join(others[:4])}: write "
            f"{FIELD}.checkpointKey: {others[0]}, or another of them",
            field=True,
        )
    return root, []


def _has_network(value: Any) -> bool:
    """Whether most of it are tensors by name, and one is a convolution."""
    if not isinstance(value, Mapping):
        return False
    tensors = [item for item in value.values() if isinstance(item, Entry)]
    return 2 * len(tensors) > len(value) and any(len(item.shape) == 4 for item in tensors)


def _counts(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last not in COUNTERS and not name.startswith(TRAINING_ONLY)


def _strip_wrappers(weights: Mapping[str, Entry]) -> tuple[dict[str, Entry], str]:
    """Wrappers put the same before every name, and may lie in each other. One of a name of its own
    is known by the whole network behind it.
    """
    stripped, found = "", dict(weights)
    while True:
        prefix = next((one for one in WRAPPERS if all(n.startswith(one) for n in found)), None)
        prefix = prefix or _own_wrapper(found)
        if prefix is None:
            return found, stripped
        stripped += prefix
        found = {name[len(prefix) :]: value for name, value in found.items()}


def _own_wrapper(names: Mapping[str, Entry]) -> str | None:
    """What stands before every name of a network with a stem and a head; mmcls's `backbone.` has
    no head behind it.
    """
    ends = (name.split(".")[:-1] for name in (min(names), max(names)))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))
    prefix = ".".join(part for part, _ in same)
    whole = any(f"{prefix}.{head}.weight" in names for head in ("fc", "fc.0", "fc.1"))
    stems = (f"{prefix}.conv1.weight", f"{prefix}.conv1.0.weight")
    return f"{prefix}." if prefix and whole and any(stem in names for stem in stems) else None


def _meta(root: Mapping[Any, Any]) -> Mapping[str, Any]:
    value = root.get("meta")
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}
