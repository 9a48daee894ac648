"""What is in a PyTorch checkpoint, and why it does not fit: names and shapes only, no torch.

For runtime TorchAIE: called by torch_model.py and torch_source.py. People bring checkpoints of
training scripts: weights inside a dictionary, names with `module.` in front, another architecture
than they say. PyTorch's own answer is a list of two hundred names; here each of these ends in a
sentence that says what to write.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Tuple

Shapes = Mapping[str, Tuple[int, ...]]


class Plan(NamedTuple):
    """A ResNet: `blocks` in each of the four stages; `width` is that of a group of 64 planes."""

    bottleneck: bool
    blocks: tuple[int, ...]
    groups: int = 1
    width: int = 64


PLANS: dict[str, Plan] = {
    "resnet18": Plan(False, (2, 2, 2, 2)),
    "resnet34": Plan(False, (3, 4, 6, 3)),
    "resnet50": Plan(True, (3, 4, 6, 3)),
    "resnet101": Plan(True, (3, 4, 23, 3)),
    "resnet152": Plan(True, (3, 8, 36, 3)),
    "resnext50_32x4d": Plan(True, (3, 4, 6, 3), groups=32, width=4),
    "resnext101_32x8d": Plan(True, (3, 4, 23, 3), groups=32, width=8),
    "resnext101_64x4d": Plan(True, (3, 4, 23, 3), groups=64, width=4),
    "wide_resnet50_2": Plan(True, (3, 4, 6, 3), width=128),
    "wide_resnet101_2": Plan(True, (3, 4, 23, 3), width=128),
}

FIELD = "spec.model.pytorch"
# (how other publishers' names begin, who they are)
OTHERS = (
    ("backbone.", "mmcls and mmpretrain"),
    ("resnet.embedder.", "transformers"),
)
LANDMARKS = ("bn1.weight", "layer1.0.conv1.weight")  # beside every ResNet's conv1.weight


class MisfitError(Exception):
    """The checkpoint cannot be loaded; `field` tells whether the spec or the file is to change."""

    def __init__(self, message: str, field: bool = False) -> None:
        super().__init__(message)
        self.reason = "InvalidSpec" if field else "UnsupportedModel"


def weights_of(loaded: Any, key: str | None, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """The dictionary of tensors in a checkpoint, under `key` where one is given."""
    if not isinstance(loaded, Mapping):
        raise MisfitError(
            "the file holds a {}, no weights: save torch.save(model.state_dict(), path)".format(
                type(loaded).__name__
            )
        )
    if key:
        if not isinstance(loaded.get(key), Mapping):
            raise MisfitError(
                '{}.checkpointKey "{}" is not in the checkpoint, which has: {}; write one '
                "of these".format(FIELD, key, _some(sorted(map(str, loaded)))),
                field=True,
            )
        loaded = loaded[key]
    weights = {name: value for name, value in loaded.items() if is_tensor(value)}
    if len(weights) == len(loaded) and weights:
        return weights
    inner = [
        str(name)
        for name, value in loaded.items()
        if isinstance(value, Mapping) and any(is_tensor(entry) for entry in value.values())
    ]
    # The optimizer keeps tensors too, but never weights.
    inner = [name for name in inner if "optim" not in name] or inner
    if inner:
        # All that is wrong is said at once, and first what no field can put right.
        deeper = {str(name): () for name in loaded[inner[0]]}
        _refuse_other_layouts(deeper)
        prefix = _hidden_prefix(deeper)
        raise MisfitError(
            "the weights lie deeper in the checkpoint: write {}.checkpointKey: {}{}".format(
                FIELD, inner[0], ' and stripPrefix: "{}"'.format(prefix) if prefix else ""
            ),
            field=True,
        )
    if weights:
        odd = sorted(str(name) for name in loaded if name not in weights)
        raise MisfitError(
            "beside the weights the checkpoint holds {}: save the weights alone, "
            "torch.save(model.state_dict(), path)".format(_some(odd))
        )
    raise MisfitError("the file holds no weights: save torch.save(model.state_dict(), path)")


def strip_prefix(weights: Mapping[str, Any], prefix: str | None) -> dict[str, Any]:
    """The weights without `prefix`, which wrappers such as DataParallel put before every name."""
    if not prefix:
        return dict(weights)
    if not any(name.startswith(prefix) for name in weights):
        raise MisfitError(
            '{}.stripPrefix "{}": no name begins so; the first is {}: write what it '
            "begins with, or remove the field".format(FIELD, prefix, min(weights)),
            field=True,
        )
    length = len(prefix)
    return {
        name[length:] if name.startswith(prefix) else name: value for name, value in weights.items()
    }


def check_fits(have: Shapes, want: Shapes, architecture: str) -> None:
    """`MisfitError` with what to do, when the weights are not those of the architecture."""
    _refuse_other_layouts(have)
    prefix = _hidden_prefix(have)
    if prefix:
        raise MisfitError(
            'every name begins with "{0}": write {1}.stripPrefix: "{0}"'.format(prefix, FIELD),
            field=True,
        )
    likely = guess(have)
    if likely and likely != architecture:
        raise MisfitError(
            "the weights are those of {0}, not of {1}: write {2}.architecture: {0}".format(
                likely, architecture, FIELD
            ),
            field=True,
        )
    _check_classes(have, want)
    _check_names(have, want, architecture)
    for name in want:
        if have.get(name, want[name]) != want[name]:
            raise MisfitError(
                "{} has the shape {}, but {} has {}: a network that was changed must be exported "
                "to ONNX where it was trained; bring the ONNX file".format(
                    name, list(have[name]), architecture, list(want[name])
                )
            )


def _refuse_other_layouts(have: Shapes) -> None:
    for begins, publisher in OTHERS:
        if any(name.startswith(begins) for name in have):
            raise MisfitError(
                "the names begin with {}, as {} write them: TorchAIE builds torchvision's "
                "networks; remove serving.runtime to have the weights converted with ATC".format(
                    begins, publisher
                )
            )


def _check_classes(have: Shapes, want: Shapes) -> None:
    mine, wanted = have.get("fc.weight"), want["fc.weight"]
    if mine and len(mine) == 2 and mine[1] == wanted[1] and mine[0] != wanted[0]:
        raise MisfitError(
            "fc.weight is for {0} classes, not {1}: write {2}.classes: {0}".format(
                mine[0], wanted[0], FIELD
            ),
            field=True,
        )


def _check_names(have: Shapes, want: Shapes, architecture: str) -> None:
    # A counter of training steps, which checkpoints of before PyTorch 0.4.1 do not have.
    missing = [name for name in want if name not in have and "num_batches" not in name]
    unexpected = [name for name in have if name not in want]
    if not missing and not unexpected:
        return
    parts: list[str] = []
    if missing:
        parts.append("{} missing ({})".format(len(missing), _some(missing)))
    if unexpected:
        parts.append("{} unexpected ({})".format(len(unexpected), _some(unexpected)))
    raise MisfitError(
        "the weights are not those of {}: {}; bring a torchvision checkpoint, or the ONNX file of "
        "this network".format(architecture, ", ".join(parts))
    )


def _hidden_prefix(have: Shapes) -> str:
    """What stands before `conv1.weight` of a ResNet that is whole behind it."""
    for name in have:
        prefix, found, rest = name.rpartition("conv1.weight")
        if found and prefix and not rest and all(prefix + mark in have for mark in LANDMARKS):
            return prefix
    return ""


def guess(have: Shapes) -> str | None:
    """The architecture whose weights these are, by number of blocks and by width, or None."""
    blocks = tuple(
        len({name.split(".")[1] for name in have if name.startswith("layer{}.".format(stage))})
        for stage in (1, 2, 3, 4)
    )
    bottleneck = "layer1.0.conv3.weight" in have
    middle = tuple(have.get("layer1.0.conv2.weight", ()))[:2]
    for name, plan in PLANS.items():
        width = plan.width * plan.groups
        if (bottleneck, blocks, middle) == (*plan[:2], (width, width // plan.groups)):
            return name
    return None


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:2])
    return shown if len(names) <= 2 else shown + ", …"
