"""`render`: the children and config.pbtxt that the operator would make, or what differs."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import yaml

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, find
from resnet_cli.offline.children import (
    Children,
    after_the_artifact,
    before_the_artifact,
    config_of,
)
from resnet_cli.offline.inspection import artifact_of, inspect
from resnet_cli.offline.order import Order, read_orders, read_settings
from resnet_cli.parts import Body, name_of
from resnet_cli.paths import KINDS
from resnet_cli.show import Output, Screen
from resnet_operator.record.artifact import Artifact

NOT_YET = (
    "# The revision, its config.pbtxt and the Deployment come with the model: give it by --model,\n"
    "# or compare with the cluster by --diff."
)


def render(
    screen: Screen,
    *,
    file: str,
    model: str | None,
    labels: str | None,
    settings: str | None,
    namespace: str,
    output: Output,
) -> Exit:
    for order in read_orders(file, settings=read_settings(settings), namespace=namespace):
        children = before_the_artifact(order)
        if model is not None:
            found = inspect(order, Path(model))
            if found.refusal:
                raise CliError(f"{found.reason}: {found.refusal}", Exit.NOT_WELL)
            text = Path(labels).read_text(encoding="utf-8") if labels else None
            children |= after_the_artifact(order, artifact_of(order, found), text)
        if output is Output.JSON:
            screen.data(
                {"apiVersion": "v1", "kind": "List", "items": list(children.values())}, output
            )
            continue
        for child in children.values():
            screen.raw(f"---\n{text_of(child)}")
        screen.raw(f"{NOT_YET}\n" if model is None else f"# config.pbtxt\n{commented(children)}")
    return Exit.DONE


def commented(children: Children) -> str:
    return "".join(f"# {line}\n" for line in config_of(children).splitlines())


def text_of(body: Any) -> str:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(body, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)
    return text


def render_diff(cluster: Cluster, screen: Screen, *, file: str, settings: str | None) -> Exit:
    """Print what the cluster has otherwise, of all that would be stated; 1 when anything is."""
    known = read_settings(settings)
    differs = False

    def uid_of(namespace: str, name: str) -> str:
        live = find(cluster, "ResNetService", namespace, name)
        return str(live["metadata"]["uid"]) if live else ""

    for order in read_orders(file, settings=known, namespace=cluster.namespace, uid_of=uid_of):
        children = before_the_artifact(order)
        if artifact := _artifact(cluster, order):
            children |= after_the_artifact(order, artifact, _labels(cluster, order))
        for child in children.values():
            text = difference(child, _live(cluster, child))
            differs |= bool(text)
            screen.raw(text)
    return Exit.NOT_WELL if differs else Exit.DONE


def _live(cluster: Cluster, child: Body) -> Body | None:
    if child["kind"] not in KINDS:
        return None
    return find(cluster, child["kind"], child["metadata"]["namespace"], name_of(child))


def _artifact(cluster: Cluster, order: Order) -> Artifact | None:
    name = f"rns-{order.decided.source_key}"
    record = find(cluster, "ConfigMap", order.meta.namespace, name)
    return Artifact.from_record(record.get("data") or {}) if record else None


def _labels(cluster: Cluster, order: Order) -> str | None:
    wanted = order.decided.spec.model.class_labels
    if wanted is None:
        return None
    reference = wanted.config_map_key_ref
    found = find(cluster, "ConfigMap", order.meta.namespace, reference.name) or {}
    text = (found.get("data") or {}).get(reference.key)
    return str(text) if text is not None else None


def difference(wanted: Body, live: Body | None) -> str:
    """Return a unified diff over the fields that are stated; what the cluster adds is no matter."""
    about = f"{wanted['kind']}/{name_of(wanted)}"
    now = stated(wanted, live) if live is not None else None
    lines = difflib.unified_diff(
        text_of(now).splitlines() if now is not None else [],
        text_of(wanted).splitlines(),
        f"cluster/{about}",
        f"rendered/{about}",
        lineterm="",
    )
    return "".join(f"{line}\n" for line in lines)


def stated(wanted: Any, live: Any) -> Any:
    """Return of `live` what `wanted` states, and in its order."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: stated(value, live[key]) for key, value in wanted.items() if key in live}
    if isinstance(wanted, list) and isinstance(live, list):
        names = [one.get("name") if isinstance(one, dict) else None for one in live]
        found = []
        for at, one in enumerate(wanted):
            name = one.get("name") if isinstance(one, dict) else None
            # Mounts of one volume have one name; a sidecar moves all others along.
            here = at < len(names) and names[at] == name
            place = names.index(name) if not here and name and name in names else at
            if place < len(live):
                found.append(stated(one, live[place]))
        return found
    if isinstance(wanted, str) and isinstance(live, str) and _same_json(wanted, live):
        return wanted
    return live


def _same_json(wanted: str, live: str) -> bool:
    try:
        return bool(json.loads(wanted) == json.loads(live))
    except (ValueError, RecursionError):
        return False
