"""All that a model's publisher says, from the file itself and from beside it; for `prepare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from resnet_jobs.publisher.facts import PublisherFacts, merge
from resnet_jobs.publisher.handover import read_facts, write_facts
from resnet_jobs.publisher.mmcls import read_meta
from resnet_jobs.publisher.onnx_metadata import read_metadata

if TYPE_CHECKING:
    from pathlib import Path


def gather_facts(path: Path, model: Any, *, meta: Mapping[str, Any]) -> PublisherFacts:
    """All facts, kept for `publish` too. What the file says of itself comes before what lies
    beside it at its source.

    `meta` is a checkpoint's, `path` where `fetch` has left the rest.
    """
    inside, notes = read_metadata({entry.key: entry.value for entry in model.metadata_props})
    saved, said = read_meta(meta)
    beside, more = read_facts(path)
    facts = merge([inside, saved, beside])
    if notes or said or not (inside.is_empty and saved.is_empty):
        write_facts(path, facts, [*notes, *said, *more])
    return facts
