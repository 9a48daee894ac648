"""What the `meta` of an mmcls or mmpretrain checkpoint says: the names of the classes, and mean and
std out of the text of the configuration it was trained with. Pure; nothing of the text is run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from resnet_jobs.publisher.facts import PublisherFacts, parse_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "the checkpoint's meta"
MOST_CHARACTERS = 1_000_000
# Where configurations keep the numbers: of mmcls, and of mmpretrain since 1.0.
BLOCKS = ("img_norm_cfg", "data_preprocessor")


def read_meta(meta: Mapping[str, Any]) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes) of a checkpoint's `meta`, plain data already."""
    of_data = meta.get("dataset_meta")
    names = meta.get("CLASSES")
    if names is None and isinstance(of_data, Mapping):
        names = of_data.get("classes", of_data.get("CLASSES"))
    said: dict[str, Any] = {"labels": list(names) if isinstance(names, (list, tuple)) else names}
    text = next((meta[key] for key in ("cfg", "config") if isinstance(meta.get(key), str)), "")
    block = _block(text)
    for name in ("mean", "std"):
        said[name] = block.get(name)
    if said["mean"] is not None:
        # Pictures are read as BGR; mean and std are in the order that the network gets.
        said["swapRedBlue"] = block.get("to_rgb", False) is not True
    return parse_facts(
        {key: value for key, value in said.items() if value is not None}, source=SOURCE
    )


def _block(text: str) -> dict[str, Any]:
    """The literals of `img_norm_cfg = dict(mean=…)`."""
    if len(text) > MOST_CHARACTERS:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = dict(_assignments(tree))
    return next((found[name] for name in BLOCKS if name in found), {})


def _assignments(tree: ast.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if node.targets[0].id in BLOCKS and isinstance(node.value, (ast.Call, ast.Dict)):
            yield node.targets[0].id, _literals(node.value)


def _literals(node: ast.Call | ast.Dict) -> dict[str, Any]:
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        pairs = list(zip(keys, node.values, strict=True))
    else:
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
    found: dict[str, Any] = {}
    for name, value in pairs:
        try:
            found[str(name)] = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return found
