"""`check`: what admission, operator and inspection would say, before anything is applied."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster
from resnet_cli.offline.inspection import Inspection, inspect
from resnet_cli.offline.order import Order, read_orders, read_settings
from resnet_cli.paths import path
from resnet_cli.picture import Node, Tone
from resnet_cli.show import Output, Screen


def check(
    screen: Screen,
    *,
    file: str,
    model: str | None,
    settings: str | None,
    namespace: str,
    server: Cluster | None,
    output: Output,
) -> Exit:
    """Print what would be said of each object; `server` is asked by a dry run."""
    orders = read_orders(file, settings=read_settings(settings), namespace=namespace)
    if model is not None and len(orders) > 1:
        raise CliError(f"{file} has several objects; --model is of one", Exit.USAGE)
    answers = [_check(order, model, server) for order in orders]
    if output is Output.TEXT:
        for answer in answers:
            screen.tree(picture(answer))
    else:
        screen.data(answers, output)
    return Exit.DONE if all(answer["accepted"] for answer in answers) else Exit.NOT_WELL


def _check(order: Order, model: str | None, server: Cluster | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"name": order.meta.name, "accepted": True}
    if server is not None and (said := _ask(order, server)):
        return answer | {"accepted": False, "admission": said}
    if order.resolved is None:
        return answer | {"accepted": False, "refusal": order.refusal}
    resolved = order.resolved
    answer |= {
        "runtime": str(resolved.runtime),
        "format": str(resolved.format),
        "chip": resolved.chip,
        "resource": resolved.resource,
        "batchSizes": list(resolved.batch_sizes),
        "sourceKey": resolved.source_key,
        "converted": resolved.converter_image is not None,
    }
    if model is None:
        return answer
    found = inspect(order, Path(model))
    if found.refusal:
        refused = {"reason": found.reason, "message": found.refusal}
        return answer | {"accepted": False, "inspection": refused}
    return answer | {"inspection": _inspected(found)}


def _inspected(found: Inspection) -> dict[str, Any]:
    said = found.said
    known = {key: said.get(key) for key in ("opset", "inputs", "outputs", "notes")}
    return {
        **known,
        "sha256": found.sha256,
        "atc": list(found.atc),
        "files": found.files,
        "amct": list(found.amct),
    }


def _ask(order: Order, server: Cluster) -> str:
    """Return what the API server's admission says against the object; "" if nothing."""
    where = path("ResNetService", order.meta.namespace, order.meta.name)
    query = "?dryRun=All&fieldManager=kubectl-resnet&fieldValidation=Strict&force=true"
    try:
        body = order.body
        server.write("PATCH", where + query, body, content_type="application/apply-patch+yaml")
    except CliError as error:
        if error.exit_code in {Exit.FORBIDDEN, Exit.NOT_FOUND}:
            raise
        return str(error)
    return ""


def picture(answer: dict[str, Any]) -> Node:
    """Return the answer as a tree."""
    children = [
        Node(f"{key}: {answer[key]}", Tone.BAD)
        for key in ("admission", "refusal")
        if answer.get(key)
    ]
    if "runtime" in answer:
        what = "converted by ATC" if answer["converted"] else "served as it is"
        sizes = ", ".join(map(str, answer["batchSizes"])) or "the model's own"
        children += [
            Node(f"spec: {answer['format']} for {answer['chip']}, {what}", Tone.GOOD),
            Node(f"runtime {answer['runtime']}, batch sizes {sizes}"),
        ]
        if answer["resource"]:
            children.append(Node(f"each pod asks for {answer['resource']}"))
    if found := answer.get("inspection"):
        children.append(_inspection(found))
    tone = Tone.GOOD if answer["accepted"] else Tone.BAD
    verdict = "is accepted" if answer["accepted"] else "is refused"
    return Node(f"ResNetService {answer['name']} {verdict}", tone, tuple(children))


def _inspection(found: dict[str, Any]) -> Node:
    if "message" in found:
        return Node(f"model: {found['reason']}: {found['message']}", Tone.BAD)
    tensors = [
        Node(f"{kind} {one['name']}: {one['dataType']} {one['dims']}")
        for kind, key in (("input", "inputs"), ("output", "outputs"))
        for one in found[key]
    ]
    notes = [Node(f"note: {note}") for note in found["notes"] or ()]
    lines = [Node(shlex.join(found[key])) for key in ("amct", "atc") if found[key]]
    files = [
        Node(f"file {name}", children=tuple(Node(line) for line in text.splitlines()))
        for name, text in found["files"].items()
    ]
    text = f"model: opset {found['opset']}, sha256 {found['sha256'][:12]}"
    return Node(text, Tone.GOOD, (*tensors, *notes, *lines, *files))
