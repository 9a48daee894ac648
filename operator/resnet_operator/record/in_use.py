"""Which artifacts of a namespace are in use: what a Job's sweep of the store must not remove.

Records and revisions name them. `observed` reads the names once, when an object is first seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import RECORD_CHARS, read_object
from resnet_operator.record.artifact import ARTIFACT_KEY, Artifact

# A namespace with more keeps everything: the list would not fit into an environment variable.
MOST = 4000
# What resnet_jobs.store.sweep compares. A chance match of two digests only keeps more.
DIGITS = 12
DIGEST = re.compile(r"[0-9a-f]{64}")
# Whole digests, in a variable of every Job: of the others, what has no signature is made again.
MOST_VOUCHED = 200
# In the pod template of a revision, as canonical JSON: the argument of `download` and `verify`.
IN_TEMPLATE = re.compile(r'"--sha256","([0-9a-f]{64})"')
LABELS_IN_TEMPLATE = re.compile(r'"--labels","([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class Named:
    """The artifact that a ConfigMap of ours names; empty where it names none."""

    content_key: str = ""
    sha256: str = ""
    labels: str = ""  # the digest of the names of its classes, where they lie in the store


NOTHING = Named()


def named_by(data: Mapping[str, str]) -> Named:
    """Read the data of a record or a revision."""
    if ARTIFACT_KEY in data:
        return _named_by_record(data[ARTIFACT_KEY])
    for text in data.values():
        if found := IN_TEMPLATE.search(text):
            labels = LABELS_IN_TEMPLATE.search(text)
            return Named(sha256=found[1], labels=labels[1] if labels else "")
    return NOTHING


def _named_by_record(text: str) -> Named:
    try:
        artifact = Artifact.from_record({ARTIFACT_KEY: text})
    except Misfit:
        return _named_in_part(text)  # the misfit is told at the object whose record it is
    if artifact is None:
        return NOTHING
    labels = artifact.publisher.labels if artifact.publisher else None
    return Named(artifact.content_key, artifact.sha256, labels.sha256 if labels else "")


def _named_in_part(text: str) -> Named:
    """Read the names alone: the record of a later version keeps its files all the same."""
    try:
        value = read_object(text, max_chars=RECORD_CHARS)
    except Misfit:
        return NOTHING
    labels: Any = value.get("publisher")
    for name in ("labels", "sha256"):
        labels = labels.get(name) if isinstance(labels, dict) else None
    found = (value.get("content_key"), value.get("sha256"), labels)
    return Named(*(item if isinstance(item, str) else "" for item in found))


def vouched(statuses: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return digests by content key of what some `status` says is served: only we write those.

    Manifests of version 0.1.0 have no signature; a Job believes these nevertheless.
    """
    found: dict[str, str] = {}
    for status in statuses:
        said = status.get("artifact")
        if not isinstance(said, Mapping):
            continue
        key, sha256 = str(said.get("contentKey")), str(said.get("sha256"))
        if DIGEST.fullmatch(key) and DIGEST.fullmatch(sha256):
            found[key] = sha256
    return dict(sorted(found.items())[:MOST_VOUCHED])


def keep_list(named: Iterable[Named] | None, *, days: float | None) -> str | None:
    """Return RESNET_KEEP of a Job, or None when nothing is to be removed."""
    if named is None or days is None:
        return None
    keys: set[str] = set()
    blobs: set[str] = set()
    for item in named:
        keys.add(item.content_key[:DIGITS])
        blobs |= {item.sha256[:DIGITS], item.labels[:DIGITS]}
    keys.discard("")
    blobs.discard("")
    if len(keys) + len(blobs) > MOST:
        return None
    return json.dumps(
        {"days": days, "keys": sorted(keys), "blobs": sorted(blobs)}, separators=(",", ":")
    )
