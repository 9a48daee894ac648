"""Names of inputs that a compiler's command line cannot hold: renamed inside, served as they are.

ATC and AMCT split --input_shape at ; and , and have no way to quote them; ATC takes a name with
colons, as TensorFlow writes them, since it splits at the last one. AMCT does not say.
Called by `prepare`. The serving runtime finds such an input by its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ATC_SPLITS = re.compile(r'[;,"\'\\\s]|[^\x20-\x7e]')
AMCT_SPLITS = re.compile(r'[;:,"\'\\\s]|[^\x20-\x7e]')


def compiler_names(model: Any, names: Sequence[str], *, for_amct: bool) -> dict[str, str]:
    """Input -> another name that no tensor of the model has, for those that need one."""
    splits = AMCT_SPLITS if for_amct else ATC_SPLITS
    renamed: dict[str, str] = {}
    taken = set(names) | {name for node in model.graph.node for name in node.output}
    taken |= {tensor.name for tensor in model.graph.initializer}
    for name in names:
        if splits.search(name):
            inside = base = splits.sub("_", name)
            number = 1
            while inside in taken:
                number += 1
                inside = f"{base}_{number}"
            taken.add(inside)
            renamed[name] = inside
    return renamed


def rename_inputs(model: Any, names: dict[str, str]) -> None:
    """Renames inputs in the graph and wherever they are used, in place."""
    for value in model.graph.input:
        value.name = names.get(value.name, value.name)
    _rename_uses(model.graph, names)


def _rename_uses(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            for subgraph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _rename_uses(subgraph, names)
