"""What `publish` tells of the publisher's facts, and the labels as a file of the store.

A thousand names do not fit into a termination message: the serving pod takes them from the store
by the digest that the operator was told, as it takes the artifact. They do not belong to the
artifact's manifest, because another publisher may have other names for the same weights.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from resnet_contract.report.publisher import PublishedLabels
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.progress import say
from resnet_jobs.publisher.handover import read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.report.messages import Published
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.store.base import Store

MOST_SOURCE = 200
MOST_NOTES, MOST_NOTE = 3, 120


def store_facts(
    workspace: Workspace, contract: Mapping[str, Any], published: Published, *, store: Store
) -> Published:
    """The message with what the publisher says. `contract` has outputs."""
    facts, notes = read_facts(workspace.publisher)
    labels = facts.labels
    if labels and not _fits(len(labels), contract):
        notes.append(f"{len(labels)} labels of the publisher fit no output: ignored")
        labels = ()
    said = facts.to_json()
    said["source"] = facts.source[:MOST_SOURCE]
    if labels:
        path = workspace.conf / "labels.txt"
        path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        digest = digest_file(path)
        store.put_blob(path, digest)
        stored = PublishedLabels(len(labels), digest.sha256, digest.size)
        said["labels"] = stored.to_json()
    for note in notes:
        say(f"note: {note}")
    return replace(
        published,
        publisher=said if said.keys() - {"source"} else None,
        notes=[note[:MOST_NOTE] for note in notes[:MOST_NOTES]] or None,
    )


def _fits(count: int, contract: Mapping[str, Any]) -> bool:
    outputs = contract.get("outputs") or []
    return any(prod(output.get("dims") or [0]) == count for output in outputs)
