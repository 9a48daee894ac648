"""`bundle`: one archive for support: objects, events, logs, versions, and what `why` says."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from resnet_cli.commands.why import as_data
from resnet_cli.exits import CliError, Exit
from resnet_cli.gather import Reading, gather
from resnet_cli.kube import Body, Cluster, items
from resnet_cli.parts import containers, name_of
from resnet_cli.paths import path
from resnet_cli.show import Output, Screen
from resnet_cli.support.redact import clean, redacted, secrets_of
from resnet_cli.why.verdict import judge
from resnet_operator import names

# ConfigMaps of users hold what is theirs; ours have our label.
OURS = ("ConfigMap", "Job", "Deployment", "Service", "Pod")
ALL = ("ResNetService", "Event", "PersistentVolumeClaim", "ResourceQuota", "LimitRange")
TAIL_LINES = "2000"


def bundle(
    cluster: Cluster,
    screen: Screen,
    *,
    name: str,
    file: Path,
    now: datetime,
    output: Output = Output.TEXT,
) -> Exit:
    """Write the archive; with a name `why` of that object alone."""
    reading = Reading(cluster)
    namespace = cluster.namespace
    found = {kind: reading.list(kind, namespace, **_selector(kind)) for kind in (*OURS, *ALL)}
    found["ResNetBatch"] = _batches(reading, namespace)
    wanted = [one for one in found["ResNetService"] if not name or name_of(one) == name]
    if name and not wanted:
        raise CliError(f"there is no ResNetService {name} in {namespace}", Exit.NOT_FOUND)
    nothing: list[Body] = []
    operators = reading.attempt(
        "Deployment of all namespaces", lambda: _operators(cluster), nothing
    )
    known = secrets_of([*found.values(), operators])
    texts: dict[str, str] = {}
    for kind, bodies in found.items():
        texts[f"objects/{kind.lower()}.yaml"] = _yaml([redacted(one, known) for one in bodies])
    texts["operator.yaml"] = _yaml([redacted(one, known) for one in operators])
    texts["version.json"] = reading.attempt("version", lambda: cluster.read("/version", {}), "")
    for where, text in _logs(reading, namespace, found["Pod"]):
        texts[f"logs/{where}.txt"] = clean(text, known)
    asked = {name_of(one): name_of(one) for one in wanted}
    if not name:
        asked |= {f"batch/{name_of(one)}": f"batch-{name_of(one)}" for one in found["ResNetBatch"]}
    for target, file_name in asked.items():
        facts = gather(cluster, namespace, target, now=now)
        answer = redacted(as_data(facts, judge(facts)), known)
        texts[f"why/{file_name}.json"] = json.dumps(answer, indent=1, ensure_ascii=False)
    texts["denied.txt"] = "".join(f"{one}\n" for one in dict.fromkeys(reading.denied))
    _write(file, texts, now)
    said = f"{file}: {len(texts)} files; read it before you send it"
    screen.result(said, {"file": str(file), "files": sorted(texts)}, output)
    return Exit.DONE


def _batches(reading: Reading, namespace: str) -> list[Body]:
    """Return none where the cluster does not have this kind."""
    try:
        return reading.list("ResNetBatch", namespace)
    except CliError as error:
        if error.exit_code is not Exit.NOT_FOUND:
            raise
        return []


def _selector(kind: str) -> dict[str, str]:
    return {"labelSelector": names.MANAGED_SELECTOR} if kind in OURS else {}


def _operators(cluster: Cluster) -> list[Body]:
    selector = "app.kubernetes.io/name=resnet-operator"
    return items(cluster, "Deployment", None, labelSelector=selector)


def _logs(reading: Reading, namespace: str, pods: list[Body]) -> Iterator[tuple[str, str]]:
    for pod in pods:
        where = path("Pod", namespace, name_of(pod), "log")
        for one in containers(pod):
            for previous in ("", "previous") if one.restarts else ("",):
                query = {"container": one.name, "tailLines": TAIL_LINES}
                query |= {"previous": "true"} if previous else {}
                read = partial(reading.cluster.read, where, query)
                try:
                    text = reading.attempt("pods/log", read, "")
                except CliError:
                    continue  # the container has not begun, or its log is gone
                if text:
                    yield f"{name_of(pod)}/{one.name}{'.' if previous else ''}{previous}", text


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return text


def _write(file: Path, texts: dict[str, str], now: datetime) -> None:
    try:
        with tarfile.open(file, "w:gz") as archive:
            for name, text in sorted(texts.items()):
                data = text.encode()
                about = tarfile.TarInfo(f"resnet-bundle/{name}")
                about.size, about.mtime, about.mode = len(data), int(now.timestamp()), 0o600
                archive.addfile(about, io.BytesIO(data))
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", Exit.BAD_FILE) from error
