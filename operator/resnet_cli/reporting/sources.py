"""Where the numbers of a gate are: the status, the evaluator's log, or a file of the user's.

The store has result.json too, behind a login that lies in a Secret, which is never read.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, find, items
from resnet_cli.parts import Body, controlled, is_owned, name_of
from resnet_cli.paths import path
from resnet_cli.reporting.result import read_result
from resnet_contract.progress import last_result
from resnet_operator import names

EVALUATOR = "evaluate"
LABELS_KEY = "labels.txt"
THUMBNAIL = 96
TAIL_LINES = "50"  # the result is among the last


def of_file(file: Path) -> dict[str, Any]:
    """Return a result.json that somebody has taken from the store."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CliError(f"{file}: {error}", Exit.BAD_FILE) from error
    return read_result(text, str(file))


def of_log(cluster: Cluster, service: Body) -> dict[str, Any] | None:
    """Return what the evaluator has printed; None when its pod is gone or may not be read."""
    try:
        for pod in sorted(_gate_pods(cluster, service), key=_created, reverse=True):
            where = path("Pod", cluster.namespace, name_of(pod), "log")
            query = {"container": EVALUATOR, "tailLines": TAIL_LINES}
            if (text := last_result(cluster.read(where, query))) is not None:
                return read_result(text, f"the log of pod {name_of(pod)}")
    except CliError as error:
        if error.exit_code not in {Exit.FORBIDDEN, Exit.NOT_FOUND}:
            raise
    return None


def _gate_pods(cluster: Cluster, service: Body) -> list[Body]:
    """Return the pods of the gate's Jobs, from owner to owner by UID: names can be anybody's."""
    said = str(((service.get("status") or {}).get("validation") or {}).get("record") or "")
    record = (
        find(cluster, "ConfigMap", cluster.namespace, said.rpartition("-v")[0]) if said else None
    )
    if record is None or not is_owned(record, service):
        return []
    selector = f"{names.COMPONENT}={names.VALIDATION}"
    jobs = controlled(items(cluster, "Job", cluster.namespace, labelSelector=selector), [record])
    ours = [job for job in jobs if name_of(job).rpartition("-")[0] == said]
    pods = items(cluster, "Pod", cluster.namespace, labelSelector=selector) if ours else []
    return controlled(pods, ours)


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
    if body is None or not is_owned(body, service):
        return []
    text = (body.get("data") or {}).get(LABELS_KEY) or ""
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
