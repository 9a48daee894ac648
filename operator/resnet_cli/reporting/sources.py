"""Where the numbers of a gate are: the status, the evaluator's log, or a file of the user's.

The store has result.json too, behind a login that lies in a Secret, which is never read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, find, items
from resnet_cli.parts import Body, name_of, owner_of
from resnet_cli.paths import path
from resnet_contract.progress import last_result
from resnet_operator import names

EVALUATOR = "evaluate"
LABELS_KEY = "labels.txt"
THUMBNAIL = 96
TAIL_LINES = "50"  # the result is among the last


def of_file(file: Path) -> dict[str, Any]:
    """Return a result.json that somebody has taken from the store."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError(f"{file}: {error}", Exit.BAD_FILE) from error
    if not isinstance(found, dict) or "samples" not in found:
        raise CliError(f"{file}: this is no result.json of a gate", Exit.BAD_FILE)
    return found


def of_log(cluster: Cluster, service: Body) -> dict[str, Any] | None:
    """Return what the evaluator has printed; None when its pod is gone or may not be read."""
    record = ((service.get("status") or {}).get("validation") or {}).get("record")
    if not record:
        return None
    selector = f"{names.COMPONENT}={names.VALIDATION}"
    query = {"container": EVALUATOR, "tailLines": TAIL_LINES}
    try:
        pods = items(cluster, "Pod", cluster.namespace, labelSelector=selector)
        ours = [pod for pod in pods if owner_of(pod, "Job").rpartition("-")[0] == record]
        for pod in sorted(ours, key=_created, reverse=True):
            where = path("Pod", cluster.namespace, name_of(pod), "log")
            if found := last_result(cluster.read(where, query)):
                return found
    except CliError as error:
        if error.exit_code not in {Exit.FORBIDDEN, Exit.NOT_FOUND}:
            raise
    return None


def _created(pod: Body) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def class_names(cluster: Cluster, service: Body) -> list[str]:
    """Return the labels of the revision that serves; none where it has none."""
    revisions = (service.get("status") or {}).get("revisions") or {}
    name = revisions.get("serving") or revisions.get("desired")
    try:
        body = find(cluster, "ConfigMap", cluster.namespace, str(name)) if name else None
    except CliError:
        return []
    text = ((body or {}).get("data") or {}).get(LABELS_KEY) or ""
    return [line.strip() for line in text.splitlines()]


def thumbnails(folder: Path | None, worst: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return small copies of pictures as data URIs, by the names that the result has for them."""
    if folder is None:
        return {}
    found = {}
    root = folder.resolve()
    for one in worst:
        name = str(one.get("name"))
        file = (root / name).resolve()
        # The name is the data set's, and may lead anywhere.
        if file.is_relative_to(root) and file.is_file() and (uri := _thumbnail(file)):
            found[name] = uri
    return found


def _thumbnail(file: Path) -> str:
    from PIL import Image

    data = BytesIO()
    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
            picture.thumbnail((THUMBNAIL, THUMBNAIL))
            picture.save(data, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
