"""Which of our files is a serving pod's model.py, and what lies beside it. Called by `serving`.

For runtime TorchAIE that is the loader of PyTorch files too: the scripts that the Job exports with.
One code decides in both which weights fit which network, and in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from resnet_operator.render.engine import read_driver_file
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.rows import ROWS

Items = list[dict[str, str]]
Package = Sequence[dict[str, str]]
DRIVER = (
    "__init__.py", "checkpoint.py", "message.py", "resnet.py", "torch_source.py",
    "saved/__init__.py", "saved/names.py", "saved/pickled.py", "saved/torch_file.py",
    "saved/torch_zip.py",
)  # fmt: skip
# Of their keys in the ConfigMap: some have the name of a file of the runtime.
PREFIX = "driver."


def driver_data() -> dict[str, str]:
    return {_key(name): read_driver_file(name) for name in DRIVER}


def _key(name: str) -> str:
    """A ConfigMap's keys know no folders."""
    return PREFIX + name.replace("/", ".")


def is_driver(key: str) -> bool:
    return key.startswith(PREFIX)


def model_items(resolved: Resolved, *, package: Package) -> Items:
    """Return our runtime as Triton's model.py; none where the image has a backend of its own."""
    row = ROWS[resolved.runtime]
    if not row.model_file:
        return []
    model = {"key": row.model_file, "path": "1/model.py"}
    more = DRIVER if row.loads_pytorch else ()
    return [
        model,
        *package,
        *({"key": _key(name), "path": f"1/driver/{name}"} for name in more),
    ]
