"""A pod of ours around the serving pod's own template: Triton as it serves, and a client beside it.

The gate measures through it, a batch classifies through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resnet_operator import names

TRITON = "triton"
DONE_FILE = "/eval/done"
Pod = dict[str, Any]


def beside_triton(serving: Pod, ours: Pod, triton: Callable[[Pod], Pod]) -> Pod:
    """Return the serving pod's template with our containers, volumes and labels.

    `triton` changes its container. What `ours` says of the pod itself wins.
    """
    base, extra = serving["spec"], ours["spec"]
    meta = serving["metadata"]
    users = {k: v for k, v in meta["labels"].items() if not _is_ours(k)}
    annotations = {"annotations": meta["annotations"]} if meta.get("annotations") else {}
    init = [*extra["initContainers"], *base.get("initContainers", [])]
    # Only Triton: what else may stand beside it brings clients, and would never end by itself.
    found = [c for c in base["containers"] if c["name"] == TRITON]
    containers = [*map(triton, found), *extra["containers"]]
    mounted = {mount["name"] for c in (*init, *containers) for mount in c["volumeMounts"]}
    # Both may have the bucket's keys.
    volumes = {volume["name"]: volume for volume in (*extra["volumes"], *base["volumes"])}
    spec = {
        **base,
        **extra,
        "initContainers": init,
        "containers": containers,
        "volumes": [volume for name, volume in volumes.items() if name in mounted],
    }
    return {"metadata": {"labels": users | ours["metadata"]["labels"], **annotations}, "spec": spec}


def ending(container: Pod, *flags: str) -> Pod:
    """Return Triton's container, told to end when the client beside it has said that all is done.

    Without probes: the client looks after Triton.
    """
    mount = {"name": "eval", "mountPath": "/eval"}
    return {
        **{key: value for key, value in container.items() if not key.endswith("Probe")},
        "args": [*flags, f"--until-file={DONE_FILE}", *container["args"]],
        "volumeMounts": [*container["volumeMounts"], mount],
    }


def _is_ours(label: str) -> bool:
    return label.startswith((f"{names.GROUP}/", "app.kubernetes.io/"))
