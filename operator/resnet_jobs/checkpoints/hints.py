"""What a publisher says of a network that its weights cannot show. Called by `recognise`. Pure.

Three places: a hub's config.json (timm's and transformers'), and the configuration's text that
mmcls and mmpretrain keep in a checkpoint's meta. All are text from strangers; none is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resnet_jobs.checkpoints.layouts import ONNX_HINT
from resnet_jobs.driver.checkpoint import MisfitError

MOST_CHARACTERS = 1_000_000
STYLES = {"pytorch": "PyTorch", "caffe": "Caffe"}
BUILT = ("ResNet", "ResNet_CIFAR", "ResNetV1c", "ResNetV1d", "ResNeXt")  # by mmcls
# Of timm's names: the same weights with blurred or average pooling are another network.
INVISIBLE = re.compile(r"(resnet|resnext)\w*(aa|blur)")
# So they are called in the names of files and repositories, where a word may only look like it.
PUBLISHED = re.compile(r"(?:resnet|resnext)(?:aa|blur)\d+\w*")
PART = re.compile(r"-(\d{5})-of-(\d{5})\.")
PLAIN_OPTIONS = ("num_classes", "in_chans", "drop_rate", "drop_path_rate", "global_pool")


@dataclass(frozen=True)
class Hints:
    """`backbone` is mmcls's, `config` a hub's config.json; both may be empty."""

    backbone: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def style(self) -> str | None:
        if self.config.get("downsample_in_bottleneck") is True:  # transformers
            return "Caffe"
        return STYLES.get(str(self.backbone.get("style", "pytorch" if self.backbone else "")))

    @property
    def halves_at_once(self) -> bool:
        return self.config.get("downsample_in_first_stage") is True

    @property
    def epsilon(self) -> float:
        norm = self.backbone.get("norm_cfg")
        value = norm.get("eps") if isinstance(norm, Mapping) else None
        return value if isinstance(value, float) and 0 < value < 1 else 1e-5

    def refuse_other_networks(self) -> None:
        """`MisfitError` for networks whose names and shapes are those of a plain ResNet."""
        kind = self.backbone.get("type")
        if isinstance(kind, str) and kind not in BUILT:
            raise _refused(f"mmcls calls it {kind}")
        name = str(self.config.get("architecture", ""))
        if INVISIBLE.search(name):
            raise _refused(f"timm calls it {name}, which blurs where it halves")
        activation = self.config.get("hidden_act", "relu")
        if activation != "relu":
            raise _refused(f"its activation is {activation}")
        pool = self.config.get("global_pool", "avg")
        if pool not in ("avg", "fast", ""):
            raise _refused(f'its last pooling is "{pool}"')
        options = self.config.get("model_args")
        odd = sorted(set(options) - set(PLAIN_OPTIONS)) if isinstance(options, Mapping) else []
        if odd:
            raise _refused(f"its config.json changes {', '.join(odd[:3])}")


def refuse_by_address(place: str) -> None:
    """`MisfitError` for what only the name of the file or of its repository gives away."""
    if part := PART.search(place):
        raise MisfitError(
            f"the file is part {int(part[1])} of {int(part[2])} of the weights: save them as one, "
            'model.save_pretrained(…, max_shard_size="50GB"), and bring that file'
        )
    if named := PUBLISHED.search(place.lower()):
        raise _refused(f"timm calls it {named[0]}, which blurs where it halves")


def read_hints(meta: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> Hints:
    """From a checkpoint's meta and a hub's config.json."""
    text = next((meta[key] for key in ("cfg", "config") if isinstance(meta.get(key), str)), "")
    return Hints(backbone=_backbone(text), config=config or {})


def _backbone(text: str) -> dict[str, Any]:
    """`model = dict(backbone=dict(…))` of a configuration's text, {} where it has none."""
    if not text or len(text) > MOST_CHARACTERS:
        return {}
    try:
        tree = ast.parse(text)
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(node, ast.Assign) and isinstance(target, ast.Name):
                value = _literal(node.value) if target.id == "model" else None
                backbone = value.get("backbone") if isinstance(value, dict) else None
                if isinstance(backbone, dict):
                    return backbone
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return {}
    return {}


def _literal(node: ast.expr) -> Any:
    """`dict(a=1)` and `{"a": 1}` as dictionaries; what is no literal is None."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {entry.arg: _literal(entry.value) for entry in node.keywords if entry.arg}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: _literal(value) for key, value in pairs if isinstance(key, ast.Constant)}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def _refused(what: str) -> MisfitError:
    return MisfitError(f"the weights are of a network that is not built here ({what}): {ONNX_HINT}")
